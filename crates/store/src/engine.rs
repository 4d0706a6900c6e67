//! One connection to either engine, driven synchronously.

mod postgres;
mod sqlite;

use std::path::Path;

pub(crate) use postgres::PostgresConn;
pub(crate) use sqlite::SqliteConn;

use crate::{Row, StoreError, TenantSql, Value};

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads and writes within a tenant.
    Writer,
    /// Reads within a tenant.
    Reader,
    /// Reads across tenants.
    System,
}

/// A connection. Transactions are begun and ended here, and nowhere else.
#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(SqliteConn),
    Postgres(PostgresConn),
}

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Sqlite(std::path::PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

impl Location {
    pub(crate) fn connect(&self, role: Role) -> Result<Conn, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Conn::Sqlite(SqliteConn::open(Path::new(path), role)?),
            Self::Postgres(config) => Conn::Postgres(PostgresConn::connect(config)?),
        })
    }
}

impl Conn {
    /// Whether the connection is gone and a new one must be made.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(conn) => conn.is_closed(),
        }
    }

    pub(crate) fn begin(&mut self, role: Role) -> Result<(), StoreError> {
        let (sqlite, postgres) = match role {
            Role::Writer => ("BEGIN IMMEDIATE", "BEGIN"),
            Role::Reader | Role::System => ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        };
        self.control(sqlite, postgres)
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.control("COMMIT", "COMMIT")
    }

    /// Ends the transaction without keeping anything. A failure leaves nothing to keep either.
    pub(crate) fn rollback(&mut self) {
        if let Err(error) = self.control("ROLLBACK", "ROLLBACK") {
            tracing::debug!(error = &error as &dyn std::error::Error, "a rollback found no transaction");
        }
    }

    pub(crate) fn savepoint(&mut self) -> Result<(), StoreError> {
        self.control("SAVEPOINT job", "SAVEPOINT job")
    }

    pub(crate) fn release(&mut self) -> Result<(), StoreError> {
        self.control("RELEASE job", "RELEASE SAVEPOINT job")
    }

    pub(crate) fn undo(&mut self) -> Result<(), StoreError> {
        self.control("ROLLBACK TO job", "ROLLBACK TO SAVEPOINT job")?;
        self.release()
    }

    /// Binds the transaction to a tenant: from here on no other tenant's row is seen or touched.
    pub(crate) fn enter(&mut self, tenant: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.execute("UPDATE temp.scope SET tenant = ?1", &[tenant.into()]).map(|_| ()),
            Self::Postgres(conn) => {
                conn.query("SELECT set_config('taskforce.tenant', $1, true)", &[tenant.into()]).map(|_| ())
            }
        }
    }

    /// Opens the transaction to the rows of every tenant, for reading only.
    pub(crate) fn enter_system(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(conn) => conn.query("SELECT set_config('taskforce.scope', 'system', true)", &[]).map(|_| ()),
        }
    }

    pub(crate) fn execute(&mut self, sql: TenantSql, values: &[Value]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(conn) => conn.execute(sql.sqlite, values),
            Self::Postgres(conn) => conn.execute(sql.postgres, values),
        }
    }

    pub(crate) fn execute_many(
        &mut self,
        sql: TenantSql,
        tenant: &Value,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.execute_many(sql.sqlite, tenant, rows),
            Self::Postgres(conn) => conn.execute_many(sql.postgres, tenant, &rows),
        }
    }

    pub(crate) fn query(&mut self, sql: TenantSql, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.query_text(sql.sqlite, sql.postgres, values)
    }

    pub(crate) fn query_text(
        &mut self,
        sqlite: &'static str,
        postgres: &'static str,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(conn) => conn.query(sqlite, values),
            Self::Postgres(conn) => conn.query(postgres, values),
        }
    }

    /// Runs several statements that take no values: migrations and guards.
    pub(crate) fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.batch(text),
            Self::Postgres(conn) => conn.batch(text),
        }
    }

    fn control(&mut self, sqlite: &'static str, postgres: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.execute(sqlite, &[]).map(|_| ()),
            Self::Postgres(conn) => conn.batch(postgres),
        }
    }
}
