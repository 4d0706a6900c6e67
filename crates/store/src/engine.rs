//! One connection to either engine, driven synchronously.

mod postgres;
mod sqlite;

use std::path::PathBuf;

use postgres::PostgresConn;
use sqlite::SqliteConn;

use crate::{Row, StoreError, TenantSql, Value, guards};

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Brings the schema up to date.
    Owner,
    /// Reads and writes within a tenant.
    Writer,
    /// Reads within a tenant.
    Reader,
    /// Reads across tenants.
    System,
}

/// A connection. Transactions are begun and ended here, and nowhere else.
///
/// INVARIANT: both engines treat a failed statement alike: nothing more happens in its transaction until the savepoint
/// or the transaction is undone. PostgreSQL does so by itself; SQLite would go on, and where it has rolled back by
/// itself (a full disk), would go on without a transaction.
#[derive(Debug)]
pub(crate) struct Conn {
    engine: Engine,
    /// The tenant that the next statement is for.
    wanted: Option<String>,
    /// The tenant that the engine is bound to, when that is known.
    entered: Option<String>,
    savepoint: Savepoint,
    /// Why no more statements are accepted.
    failed: Option<String>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(SqliteConn),
    Postgres(Box<PostgresConn>),
}

/// A job's savepoint. It is set with the job's first statement, and many a job has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Savepoint {
    No,
    Wanted,
    Set,
}

/// A statement after one that failed.
#[derive(Debug, thiserror::Error)]
#[error("a statement of the same transaction failed before: {0}")]
struct Broken(String);

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

impl Location {
    pub(crate) fn connect(&self, role: Role) -> Result<Conn, StoreError> {
        let engine = match self {
            Self::Sqlite(path) => Engine::Sqlite(SqliteConn::open(path, role)?),
            Self::Postgres(config) => Engine::Postgres(Box::new(PostgresConn::connect(config)?)),
        };
        Ok(Conn::new(engine))
    }

    /// A connection for raw SQL on behalf of the application.
    #[cfg(feature = "faults")]
    pub(crate) fn connect_raw(&self) -> Result<Conn, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Conn::new(Engine::Sqlite(SqliteConn::open_raw(path)?))),
            Self::Postgres(_) => self.connect(Role::Writer),
        }
    }
}

impl Conn {
    const fn new(engine: Engine) -> Self {
        Self { engine, wanted: None, entered: None, savepoint: Savepoint::No, failed: None }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Begins a transaction. If it cannot be begun, the connection is good for nothing: make a new one.
    pub(crate) fn begin(&mut self, role: Role) -> Result<(), StoreError> {
        self.forget();
        match (&mut self.engine, role) {
            (Engine::Sqlite(conn), Role::Owner | Role::Writer) => conn.control("BEGIN IMMEDIATE"),
            (Engine::Sqlite(conn), Role::Reader | Role::System) => conn.control("BEGIN"),
            (Engine::Postgres(conn), Role::Owner | Role::Writer) => conn.batch("BEGIN ISOLATION LEVEL READ COMMITTED"),
            (Engine::Postgres(conn), Role::Reader | Role::System) => {
                conn.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            }
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        match &mut self.engine {
            Engine::Sqlite(conn) => conn.control("COMMIT"),
            Engine::Postgres(conn) => conn.commit(),
        }
    }

    /// Ends the transaction without keeping anything. A failure leaves nothing to keep either.
    pub(crate) fn rollback(&mut self) {
        self.forget();
        let end = match &mut self.engine {
            Engine::Sqlite(conn) => conn.control("ROLLBACK"),
            Engine::Postgres(conn) => conn.abandon("ROLLBACK"),
        };
        if let Err(error) = end {
            tracing::debug!(error = &error as &dyn std::error::Error, "a rollback found no transaction");
        }
    }

    pub(crate) fn savepoint(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        self.savepoint = Savepoint::Wanted;
        Ok(())
    }

    /// Keeps what was done since the savepoint, unless a statement failed since.
    pub(crate) fn release(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        match (std::mem::replace(&mut self.savepoint, Savepoint::No), &mut self.engine) {
            (Savepoint::No | Savepoint::Wanted, _) => Ok(()),
            (Savepoint::Set, Engine::Sqlite(conn)) => conn.control("RELEASE job"),
            (Savepoint::Set, Engine::Postgres(conn)) => {
                conn.later("RELEASE SAVEPOINT job");
                Ok(())
            }
        }
    }

    /// Undoes what was done since the savepoint. If that fails, the transaction is gone; the error says why.
    pub(crate) fn undo(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.savepoint, Savepoint::No) != Savepoint::Set {
            return self.usable();
        }
        self.entered = None;
        let failed = self.failed.take();
        let undone = match &mut self.engine {
            Engine::Sqlite(conn) => conn.control("ROLLBACK TO job").and_then(|()| conn.control("RELEASE job")),
            Engine::Postgres(conn) => conn.batch("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job"),
        };
        undone.map_err(|error| failed.map_or(error, |cause| StoreError::unavailable(Broken(cause))))
    }

    /// Binds the transaction to a tenant: from here on no other tenant's row is seen or touched.
    pub(crate) fn enter(&mut self, tenant: &str) {
        if self.wanted.as_deref() != Some(tenant) {
            self.wanted = Some(tenant.to_owned());
        }
    }

    /// Opens the transaction to the rows of every tenant, for reading only.
    pub(crate) fn enter_system(&mut self) {
        if let Engine::Postgres(conn) = &mut self.engine {
            conn.later("SELECT set_config('taskforce.scope', 'system', true)");
        }
    }

    pub(crate) fn execute(&mut self, sql: TenantSql, values: &[Value]) -> Result<u64, StoreError> {
        self.ready()?;
        let done = match &mut self.engine {
            Engine::Sqlite(conn) => conn.execute(sql.sqlite, values),
            Engine::Postgres(conn) => conn.execute(sql.postgres, values),
        };
        self.note(done)
    }

    pub(crate) fn execute_many(
        &mut self,
        sql: TenantSql,
        tenant: &Value,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        self.ready()?;
        let done = match &mut self.engine {
            Engine::Sqlite(conn) => conn.execute_many(sql.sqlite, tenant, rows),
            Engine::Postgres(conn) => conn.execute_many(sql.postgres, tenant, rows),
        };
        self.note(done)
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
        self.ready()?;
        let found = match &mut self.engine {
            Engine::Sqlite(conn) => conn.query(sqlite, values),
            Engine::Postgres(conn) => conn.query(postgres, values),
        };
        self.note(found)
    }

    /// Runs several statements that take no values: migrations and guards.
    pub(crate) fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        self.ready()?;
        let done = match &mut self.engine {
            Engine::Sqlite(conn) => conn.batch(text),
            Engine::Postgres(conn) => conn.batch(text),
        };
        self.note(done)
    }

    /// Why no more statements are accepted, if so.
    pub(crate) fn usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(cause) => Err(StoreError::unavailable(Broken(cause.clone()))),
            None => Ok(()),
        }
    }

    /// Sets the savepoint that is wanted and enters the tenant that is wanted, before a statement.
    fn ready(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        if self.savepoint == Savepoint::Wanted {
            self.savepoint = Savepoint::Set;
            let set = match &mut self.engine {
                Engine::Sqlite(conn) => conn.control("SAVEPOINT job"),
                Engine::Postgres(conn) => {
                    conn.later("SAVEPOINT job");
                    Ok(())
                }
            };
            self.note(set)?;
        }
        if self.wanted == self.entered {
            return Ok(());
        }
        self.entered.clone_from(&self.wanted);
        let entered = match (&mut self.engine, self.wanted.as_deref().unwrap_or_default()) {
            (Engine::Sqlite(conn), tenant) => conn.execute(guards::SQLITE_ENTER, &[tenant.into()]).map(|_| ()),
            (Engine::Postgres(conn), tenant) => {
                let quoted = tenant.replace('\'', "''");
                conn.later(&format!("SELECT set_config('taskforce.tenant', '{quoted}', true)"));
                Ok(())
            }
        };
        self.note(entered)
    }

    fn forget(&mut self) {
        (self.wanted, self.entered, self.savepoint, self.failed) = (None, None, Savepoint::No, None);
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed = Some(error.with_causes());
        }
        result
    }
}

#[cfg(feature = "faults")]
impl Conn {
    pub(crate) fn limit_pages(&mut self, pages: Option<u32>) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(conn) => conn.limit_pages(pages),
            Engine::Postgres(_) => Ok(()),
        }
    }

    pub(crate) fn durability(&mut self) -> Result<String, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(conn) => conn.durability(),
            Engine::Postgres(conn) => {
                let mut rows = conn.query("SHOW synchronous_commit", &[])?;
                rows.pop().ok_or(StoreError::Decode("a setting"))?.get()
            }
        }
    }

    pub(crate) fn refuse_commits(&mut self, refuse: bool) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(conn) => conn.refuse_commits(refuse),
            Engine::Postgres(conn) => {
                conn.refuse_commits(refuse);
                Ok(())
            }
        }
    }
}
