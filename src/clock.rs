//! The one place that reads the machine's clocks. Pure rooms get `Time` and `Wall` handed in.

use crate::types::{Time, Wall};

/// Monotonic nanoseconds (CLOCK_MONOTONIC): one time line for every thread, so media and signalling agree.
pub fn now() -> Time {
    let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `spec` is a valid, writable timespec; the call has no other precondition.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut spec) };
    debug_assert_eq!(status, 0, "CLOCK_MONOTONIC exists on every Linux");
    Time::from_nanos(u64::try_from(spec.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(spec.tv_nsec).unwrap_or(0))
}

pub fn wall() -> Wall {
    chrono::Utc::now().into()
}
