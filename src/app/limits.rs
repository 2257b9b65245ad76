//! Open files: every leg holds two sockets, so the soft limit is raised to what the configuration needs, or the start
//! fails with the remedy.

use anyhow::bail;

use crate::config::Config;

/// Files besides legs: database, logs, web connections, recordings.
const OTHER_FILES: u64 = 2048;

/// Raises the soft limit as far as the hard one allows; fails when that is not enough for the start itself.
pub(super) fn raise_open_files(config: &Config) -> anyhow::Result<()> {
    let wanted = OTHER_FILES + 5 * u64::from(config.limits.calls);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        bail!("the limit of open files cannot be read: {}", std::io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: `raised` is a valid rlimit whose soft part does not exceed the hard one.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    if limit.rlim_cur < OTHER_FILES {
        bail!("open files: {} are allowed, {OTHER_FILES} are needed; raise the limit (ulimit -n, LimitNOFILE=)", limit.rlim_cur);
    }
    if limit.rlim_cur < wanted {
        let calls = (limit.rlim_cur - OTHER_FILES) / 5;
        tracing::warn!(
            "open files: {} are allowed, enough for about {calls} calls; limits.calls is {} (raise LimitNOFILE to {wanted})",
            limit.rlim_cur,
            config.limits.calls
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_open_files(&Config::default()).unwrap();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid, writable rlimit.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        assert_eq!(limit.rlim_cur, limit.rlim_max);
    }
}
