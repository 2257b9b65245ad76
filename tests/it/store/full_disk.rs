//! The disk is full, and later it is not: events wait and then stand in order. A file size limit plays the full disk,
//! in a process of its own, because it holds for every file the process writes.

use std::process::Command;
use std::time::Duration;

use perezvon::events::EventKind;
use perezvon::store::Store;

use super::log::{open, stop};
use super::samples::{call, event};
use crate::support::databases::TestDb;

const DATABASE: &str = "PEREZVON_TEST_FULL_DISK_DATABASE";

#[test]
fn events_wait_for_a_full_sqlite_disk_and_then_go_on_in_order() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(TestDb::sqlite());
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::full_disk::writer_on_a_full_disk", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DATABASE, &db.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("ALL IN ORDER"), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Not a test of its own: the test above runs it as the process with the full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by events_wait_for_a_full_sqlite_disk_and_then_go_on_in_order"]
async fn writer_on_a_full_disk() {
    let url = std::env::var(DATABASE).expect("only run by its parent");
    let store = Store::open(&url, std::path::Path::new("/")).await.unwrap();
    let (log, writer) = open(&store).await;
    let next = |number: u128| log.append(event(&call(number), EventKind::CallStarted));
    for number in 1..=10 {
        next(number).await.unwrap();
    }
    let wal = std::fs::metadata(format!("{}-wal", url.trim_start_matches("sqlite://"))).unwrap().len();
    limit_file_size(wal + 64 * 1024);
    let waiting: Vec<_> = (11..=1_000).map(next).collect();
    let last = tokio::time::timeout(Duration::from_secs(1), next(1_001)).await;
    assert!(last.is_err(), "64 KiB do not hold a thousand calls");
    let committed_so_far = log.last_seq();
    assert!((10..1_000).contains(&committed_so_far), "{committed_so_far}");
    limit_file_size(libc::RLIM_INFINITY);
    for (committed, seq) in waiting.into_iter().zip(11..) {
        let committed = tokio::time::timeout(Duration::from_secs(30), committed).await;
        assert_eq!(committed.expect("the log goes on").map(|c| c.seq), Ok(seq));
    }
    stop(log.clone(), writer).await;
    let stored: Vec<u64> = log.read_after(1, 1_000).await.unwrap().iter().map(|recorded| recorded.seq).collect();
    assert_eq!(stored, (2..=1_001).collect::<Vec<u64>>());
    println!("ALL IN ORDER");
}

/// Writes beyond `bytes` of any file fail from now on, as on a full disk.
fn limit_file_size(bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for both calls; ignoring SIGXFSZ only turns the signal into EFBIG for this test process.
    let status = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
    };
    assert_eq!(status, 0);
}
