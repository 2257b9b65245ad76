//! A fresh store for one test, on either database, and `on_both!`, which runs one test body on both.

use std::path::Path;

use perezvon::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::postgres;

/// A database of its own, with the store open on it.
pub struct TestDb {
    pub store: Store,
    pub url: String,
    /// SQLite's file lives here; on PostgreSQL it is empty.
    folder: TempDir,
}

impl TestDb {
    pub async fn sqlite() -> TestDb {
        TestDb::open("sqlite://perezvon.db".into()).await
    }

    pub async fn postgres() -> TestDb {
        TestDb::open(postgres::new_database().await).await
    }

    async fn open(url: String) -> TestDb {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let url = match url.strip_prefix("sqlite://") {
            Some(file) => format!("sqlite://{}", folder.path().join(file).display()),
            None => url,
        };
        let store = Store::open(&url, Path::new("/")).await.expect("an empty database can be opened");
        TestDb { store, url, folder }
    }

    /// Closes the store and opens it again, as a restart does. The log must have been stopped or dropped.
    pub async fn reopen(self) -> TestDb {
        self.store.close().await;
        let store = Store::open(&self.url, Path::new("/")).await.expect("the database can be opened again");
        TestDb { store, url: self.url, folder: self.folder }
    }

    /// Runs a statement behind the store's back: to break things, or to look at what it left.
    pub async fn execute(&self, statement: &str) {
        self.try_execute(statement).await.expect("the statement is right");
    }

    pub async fn try_execute(&self, statement: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            query.execute(&mut connection).await?;
            connection.close().await
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            query.execute(&mut connection).await?;
            connection.close().await
        }
    }

    /// One whole number out of a query.
    pub async fn count(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("the file can be opened");
            sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("the query is right")
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("the server answers");
            sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("the query is right")
        }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }
}

/// Makes two tests, `NAME::on_sqlite` and `NAME::on_postgres`, of each `async fn NAME(db: TestDb)` listed.
macro_rules! on_both {
    ($($body:ident),+ $(,)?) => {
        $(
            mod $body {
                use $crate::support::databases::TestDb;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    super::$body(TestDb::sqlite().await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    super::$body(TestDb::postgres().await).await;
                }
            }
        )+
    };
}

pub(crate) use on_both;
