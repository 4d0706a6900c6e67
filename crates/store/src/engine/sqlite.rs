//! SQLite: write-ahead log, every commit synced, one writer, readers that cannot write.

use std::path::Path;
use std::time::Duration;

use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::Role;
use crate::{Row, StoreError, Value, guards};

#[derive(Debug)]
pub(crate) struct SqliteConn(Connection);

/// How long to wait for another process that writes to the same file.
const BUSY: Duration = Duration::from_secs(2);

impl SqliteConn {
    pub(crate) fn open(path: &Path, role: Role) -> Result<Self, StoreError> {
        let access = match role {
            Role::Owner | Role::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Role::Reader | Role::System => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let mut conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.set_prepared_statement_cache_capacity(256);
        conn.busy_timeout(BUSY)?;
        if role == Role::Owner || role == Role::Writer {
            let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
            if mode != "wal" {
                return Err(StoreError::Schema(format!("its folder allows no write-ahead log, only `{mode}`")));
            }
            conn.execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 4000;",
            )?;
        }
        // Without recursive triggers, a row that `OR REPLACE` removes is removed unseen.
        conn.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8000;",
        )?;
        match role {
            Role::Owner | Role::System => {}
            Role::Writer => conn.execute_batch(&guards::sqlite_writer())?,
            Role::Reader => conn.execute_batch(&guards::sqlite_reader())?,
        }
        if role != Role::Owner {
            conn.authorizer(Some(authorize))?;
        }
        Ok(Self(conn))
    }

    pub(crate) fn control(&mut self, text: &'static str) -> Result<(), StoreError> {
        self.execute(text, &[]).map(|_| ())
    }

    pub(crate) fn execute(&mut self, text: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.0.prepare_cached(text)?;
        let changed = statement.execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    pub(crate) fn execute_many(
        &mut self,
        text: &'static str,
        tenant: &Value,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(text)?;
        for row in rows {
            statement.execute(rusqlite::params_from_iter(std::iter::once(tenant).chain(row)))?;
        }
        Ok(())
    }

    pub(crate) fn query(&mut self, text: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.0.prepare_cached(text)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values: Result<Vec<Value>, StoreError> = (0..columns).map(|at| owned(row.get_ref(at)?)).collect();
            found.push(Row::new(values?));
        }
        Ok(found)
    }

    pub(crate) fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        Ok(self.0.execute_batch(text)?)
    }
}

#[cfg(feature = "faults")]
impl SqliteConn {
    /// A connection for raw SQL: the triggers of the writer, the tables under their own names.
    pub(crate) fn open_raw(path: &Path) -> Result<Self, StoreError> {
        let mut conn = Self::open(path, Role::Owner)?;
        conn.0.execute_batch(&guards::sqlite_raw())?;
        conn.0.authorizer(Some(authorize))?;
        Ok(conn)
    }

    /// Bounds the file, as a full disk would; `None` lifts the bound.
    pub(crate) fn limit_pages(&mut self, pages: Option<u32>) -> Result<(), StoreError> {
        self.0.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        self.0.pragma_update(None, "max_page_count", pages.unwrap_or(u32::MAX - 1))?;
        Ok(self.0.authorizer(Some(authorize))?)
    }

    /// How a commit is kept.
    pub(crate) fn durability(&mut self) -> Result<String, StoreError> {
        self.0.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        let mode: String = self.0.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let synchronous: i64 = self.0.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        self.0.authorizer(Some(authorize))?;
        Ok(format!("{mode} {synchronous}"))
    }

    /// Makes the commits from now on fail, or succeed again.
    pub(crate) fn refuse_commits(&mut self, refuse: bool) -> Result<(), StoreError> {
        Ok(self.0.commit_hook(refuse.then_some(|| true))?)
    }
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    if guards::sqlite_allows(&context.action) { Authorization::Allow } else { Authorization::Deny }
}

fn owned(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => {
            Value::Text(std::str::from_utf8(text).map_err(|_| StoreError::Decode("UTF-8 text"))?.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
