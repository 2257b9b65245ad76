//! A query whose text depends on what is asked: pieces of literal SQL with values between them. Values never become
//! part of the text; each leaves a `$N`. Lists and bulk inserts use it; everything else is one literal text.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::db::{Db, Tx, execute, on, read};

pub(super) enum Bind {
    Text(String),
    MaybeText(Option<String>),
    Uuid(Uuid),
    Time(DateTime<Utc>),
    Integer(i64),
    Json(Value),
}

#[derive(Default)]
pub(super) struct Sql {
    text: String,
    binds: Vec<Bind>,
}

/// Binds every value to a sqlx query of either database.
macro_rules! bound {
    ($query:expr, $binds:expr) => {{
        let mut query = $query;
        for bind in $binds {
            query = match bind {
                Bind::Text(text) => query.bind(text),
                Bind::MaybeText(text) => query.bind(text),
                Bind::Uuid(id) => query.bind(id),
                Bind::Time(at) => query.bind(at),
                Bind::Integer(number) => query.bind(number),
                Bind::Json(value) => query.bind(Json(value)),
            };
        }
        query
    }};
}

impl Sql {
    pub(super) fn new(text: &'static str) -> Sql {
        Sql { text: text.to_owned(), binds: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &'static str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    pub(super) fn value(&mut self, bind: Bind) -> &mut Sql {
        self.binds.push(bind);
        self.text.push('$');
        self.text.push_str(&self.binds.len().to_string());
        self
    }

    /// `($1, $2, …)`; `(null)`, which matches nothing, for an empty list.
    pub(super) fn list(&mut self, binds: impl IntoIterator<Item = Bind>) -> &mut Sql {
        self.text.push('(');
        let mut is_empty = true;
        for bind in binds {
            if !is_empty {
                self.text.push_str(", ");
            }
            is_empty = false;
            self.value(bind);
        }
        if is_empty {
            self.text.push_str("null");
        }
        self.text.push(')');
        self
    }

    pub(super) async fn fetch_all<T>(self, db: &Db) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        // The text is made of literals and `$N` only: see `push` and `value`.
        read!(*db, pool => bound!(sqlx::query_as(AssertSqlSafe(self.text)), self.binds).fetch_all(pool))
    }

    pub(super) async fn fetch_all_in<T>(self, tx: &mut Tx) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        on!(tx, conn => bound!(sqlx::query_as(AssertSqlSafe(self.text)), self.binds).fetch_all(conn))
    }

    pub(super) async fn execute_in(self, tx: &mut Tx) -> Result<u64, sqlx::Error> {
        execute!(tx, bound!(sqlx::query(AssertSqlSafe(self.text)), self.binds))
    }
}
