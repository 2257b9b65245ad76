//! One private PostgreSQL for all tests of a target folder, one database a test. It is started by the first test process
//! that needs it and ended by `scripts/test-postgres watch` when none has used it for twenty seconds; with
//! `PEREZVON_TEST_PG` set (`scripts/with-postgres`) that server is used instead. Without PostgreSQL the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

struct Server {
    url: String,
    /// The shared lock that tells the watch that the server is in use; held until the process ends.
    _in_use: Option<File>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The URL of a new, empty database.
pub async fn new_database() -> String {
    let server = SERVER.get_or_init(find_or_start);
    let name = format!("t_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server.url).await.expect("the test PostgreSQL answers");
    let create = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut connection).await.expect("a test database can be made");
    connection.close().await.expect("the connection can be closed");
    named(&server.url, &name)
}

/// `postgres://user@host/DATABASE?options` with another database.
fn named(url: &str, name: &str) -> String {
    let (path, options) = url.split_once('?').map_or((url, String::new()), |(path, options)| (path, format!("?{options}")));
    let (server, _) = path.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}{options}")
}

fn find_or_start() -> Server {
    if let Ok(url) = std::env::var("PEREZVON_TEST_PG") {
        return Server { url, _in_use: None };
    }
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    std::fs::create_dir_all(&state).expect("the target folder is writable");
    let alone = lock_file(&state, "main");
    alone.lock().expect("the lock file can be locked");
    let in_use = lock_file(&state, "users");
    in_use.lock_shared().expect("the lock file can be locked");
    let place = state.join("folder");
    let folder = match std::fs::read_to_string(&place) {
        Ok(folder) if script(&["running", &folder]).is_ok() => folder,
        _ => start(&state, &place),
    };
    Server { url: format!("postgres://postgres@localhost/postgres?host={folder}"), _in_use: Some(in_use) }
}

fn start(state: &Path, place: &Path) -> String {
    // Short: a unix socket's path has room for 107 bytes.
    let folder = tempfile::Builder::new().prefix("perezvon-pg.").tempdir_in("/tmp").expect("/tmp is writable").keep();
    let folder = folder.to_str().expect("the name is ASCII").to_owned();
    if let Err(why) = script(&["start", &folder]) {
        panic!("these tests need PostgreSQL: {why}");
    }
    std::fs::write(place, &folder).expect("the target folder is writable");
    let state = state.to_str().expect("the target folder's name is UTF-8");
    let mut watch = Command::new("setsid");
    watch.arg(script_path()).args(["watch", state, &folder]);
    // It outlives this process on purpose, so nobody waits for it.
    std::mem::drop(watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("setsid exists"));
    folder
}

fn lock_file(state: &Path, name: &str) -> File {
    File::options().create(true).append(true).open(state.join(name)).expect("the target folder is writable")
}

fn script(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(script_path()).args(arguments).output().map_err(|e| e.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

fn script_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-postgres")
}
