//! Migrations: numbered pairs, one file for each engine, applied in order and never changed afterwards.

use kernel::Timestamp;

use crate::engine::{Conn, Role};
use crate::{StoreError, Value, guards};

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        &[$(Migration {
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),+]
    };
}

pub(crate) const MIGRATIONS: &[Migration] = migrations!["0001_init"];

/// What keeps two nodes from preparing the same PostgreSQL database at once, until the transaction's end.
pub(crate) const MIGRATION_LOCK: &str = "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(7465736)";

/// Brings the schema up to date, or says why it cannot be.
pub(crate) fn run(conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    conn.begin(Role::Owner)?;
    match apply(conn, now).and_then(|()| conn.commit()) {
        Ok(()) => Ok(()),
        Err(error) => {
            conn.rollback();
            Err(error)
        }
    }
}

/// Refuses a schema that is not exactly this version's.
pub(crate) fn check(conn: &mut Conn) -> Result<(), StoreError> {
    let sqlite = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'";
    let postgres = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('public.schema_migrations')";
    let prepared = conn.query_text(sqlite, postgres, &[])?.pop().map_or(Ok(false), |mut row| row.get())?;
    let lacking = if prepared { pending(conn)? } else { MIGRATIONS };
    match lacking.first() {
        None => Ok(()),
        Some(step) => Err(StoreError::Schema(format!("it lacks the migration `{}`", step.name))),
    }
}

fn apply(conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    let postgres = conn.is_postgres();
    if postgres {
        conn.batch(MIGRATION_LOCK)?;
    }
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations
             (name TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)",
    )?;
    for step in pending(conn)? {
        conn.batch(if postgres { step.postgres } else { step.sqlite })?;
        record(conn, step.name, &digest(step, postgres), now)?;
    }
    if postgres { guard(conn) } else { Ok(()) }
}

/// Sets the row-level security, unless it was set before: that locks every table.
fn guard(conn: &mut Conn) -> Result<(), StoreError> {
    let guards = guards::postgres();
    let digest = Value::from(tlog::sha256(guards.as_bytes()).to_base64());
    let known = "SELECT name FROM installation WHERE name = 'guards' AND value = $1";
    if !conn.query_text("", known, std::slice::from_ref(&digest))?.is_empty() {
        return Ok(());
    }
    conn.batch(&guards)?;
    let keep = "INSERT INTO installation (name, value) VALUES ('guards', $1)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING name";
    conn.query_text("", keep, &[digest]).map(|_| ())
}

/// The migrations that are still to be applied.
fn pending(conn: &mut Conn) -> Result<&'static [Migration], StoreError> {
    let postgres = conn.is_postgres();
    let applied = applied(conn)?;
    for (at, (name, same)) in applied.iter().enumerate() {
        let known = MIGRATIONS.get(at).filter(|step| step.name == name);
        let Some(step) = known else {
            return Err(StoreError::Schema(format!("it has the migration `{name}`, which is newer than this version")));
        };
        if digest(step, postgres) != *same {
            return Err(StoreError::Schema(format!("its migration `{name}` is not the one of this version")));
        }
    }
    Ok(MIGRATIONS.get(applied.len()..).unwrap_or_default())
}

fn applied(conn: &mut Conn) -> Result<Vec<(String, String)>, StoreError> {
    let text = "SELECT name, digest FROM schema_migrations ORDER BY name";
    let rows = conn.query_text(text, text, &[])?;
    rows.into_iter().map(|mut row| Ok((row.get()?, row.get()?))).collect()
}

fn record(conn: &mut Conn, name: &str, digest: &str, now: Timestamp) -> Result<(), StoreError> {
    let values: [Value; 3] = [name.into(), digest.into(), now.into()];
    let sqlite = "INSERT INTO schema_migrations (name, digest, applied_at) VALUES (?1, ?2, ?3) RETURNING name";
    let postgres = "INSERT INTO schema_migrations (name, digest, applied_at) VALUES ($1, $2, $3) RETURNING name";
    conn.query_text(sqlite, postgres, &values).map(|_| ())
}

fn digest(step: &Migration, postgres: bool) -> String {
    tlog::sha256(if postgres { step.postgres } else { step.sqlite }.as_bytes()).to_base64()
}
