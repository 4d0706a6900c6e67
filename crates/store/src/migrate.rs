//! Migrations: numbered pairs, one file for each engine, applied in order and never changed afterwards.

use kernel::Timestamp;

use crate::engine::Conn;
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

/// Brings the schema up to date, or says why it cannot be.
pub(crate) fn run(conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    let postgres = matches!(conn, Conn::Postgres(_));
    conn.batch(if postgres { "BEGIN; SELECT pg_advisory_xact_lock(7465736)" } else { "BEGIN IMMEDIATE" })?;
    match apply(conn, postgres, now) {
        Ok(()) => conn.commit(),
        Err(error) => {
            conn.rollback();
            Err(error)
        }
    }
}

fn apply(conn: &mut Conn, postgres: bool, now: Timestamp) -> Result<(), StoreError> {
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations
             (name TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)",
    )?;
    let applied = applied(conn)?;
    let known: Vec<(&str, String)> = MIGRATIONS.iter().map(|step| (step.name, digest(step, postgres))).collect();
    for (at, (name, digest)) in applied.iter().enumerate() {
        if known.get(at).is_none_or(|(known, same)| known != name || same != digest) {
            return Err(StoreError::Schema(format!("it has the migration `{name}`, which this version does not know")));
        }
    }
    for (step, (name, digest)) in MIGRATIONS.iter().zip(known).skip(applied.len()) {
        conn.batch(if postgres { step.postgres } else { step.sqlite })?;
        record(conn, name, &digest, now)?;
    }
    if postgres { conn.batch(&guards::postgres()) } else { Ok(()) }
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
