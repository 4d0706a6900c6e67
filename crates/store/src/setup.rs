//! The first start: roles, grants, and the reserved tenant.

use kernel::{TenantId, Timestamp};

use crate::engine::Conn;
use crate::guards::{KEPT_TABLES, TENANT_TABLES};
use crate::migrate::{self, MIGRATION_LOCK};
use crate::vault::Vault;
use crate::{StoreError, ledger, sql, values};

pub(crate) fn postgres_config(url: &str) -> Result<Box<tokio_postgres::Config>, StoreError> {
    url.parse().map(Box::new).map_err(StoreError::unavailable)
}

/// Brings the schema up to date as its owner, and lets the role that Taskforce runs as do what it must, and no more:
/// entries, decisions and records are never changed.
pub(crate) fn prepare(owner: &mut Conn, application: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    let text = "SELECT CAST(quote_ident(current_user) AS TEXT)";
    let mut row = application.query_text("", text, &[])?.pop().ok_or(StoreError::Decode("a database role"))?;
    let role: String = row.get()?;
    migrate::run(owner, now)?;
    let kept = KEPT_TABLES.join(", ");
    owner.batch(&format!(
        "BEGIN; {MIGRATION_LOCK};
         GRANT USAGE ON SCHEMA public TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         REVOKE UPDATE, DELETE, TRUNCATE ON {kept} FROM {role};
         REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON schema_migrations FROM {role};
         COMMIT"
    ))
}

/// Refuses a role that could pass the isolation of tenants, by itself or through a role that it is a member of, and a
/// table that is not isolated.
pub(crate) fn refuse_unsafe_role(conn: &mut Conn) -> Result<(), StoreError> {
    const OWN: &str = "SELECT CAST(current_user AS TEXT),
               CAST(CAST(bool_or(rolsuper) AS INTEGER) AS BIGINT),
               CAST(CAST(bool_or(rolbypassrls) AS INTEGER) AS BIGINT),
               (SELECT count(*) FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND pg_has_role(current_user, relowner, 'MEMBER'))
          FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')";
    const OPEN: &str = "SELECT CAST(relname AS TEXT) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)";
    if !conn.is_postgres() {
        return Ok(());
    }
    let mut row = conn.query_text("", OWN, &[])?.pop().ok_or(StoreError::Decode("a database role"))?;
    let role: String = row.get()?;
    let (superuser, bypasses, owned): (bool, bool, i64) = (row.get()?, row.get()?, row.get()?);
    let reason = match (superuser, bypasses, owned) {
        (true, _, _) => "is a superuser, or a member of one",
        (_, true, _) => "has BYPASSRLS, or is a member of a role that has",
        (_, _, owned) if owned > 0 => "owns the tables, or is a member of their owner",
        _ => "",
    };
    if !reason.is_empty() {
        return Err(StoreError::UnsafeRole { role, reason });
    }
    for mut row in conn.query_text("", OPEN, &[])? {
        let table: String = row.get()?;
        if TENANT_TABLES.contains(&table.as_str()) {
            return Err(StoreError::Schema(format!("the table `{table}` has no forced row-level security")));
        }
    }
    Ok(())
}

/// Makes the reserved tenant on the first start, checks the root key on every other, and returns the installation's
/// name as it was first given.
pub(crate) fn bootstrap(
    conn: &mut Conn,
    vault: &Vault,
    instance: String,
    now: Timestamp,
) -> Result<String, StoreError> {
    let sqlite = "INSERT INTO installation (name, value) VALUES ('instance', ?1) ON CONFLICT DO NOTHING RETURNING name";
    let postgres =
        "INSERT INTO installation (name, value) VALUES ('instance', $1) ON CONFLICT DO NOTHING RETURNING name";
    let first = !conn.query_text(sqlite, postgres, &[instance.as_str().into()])?.is_empty();
    let system = TenantId::system();
    conn.enter(system.as_str());
    if !first {
        vault.check(conn, &system)?;
        let text = "SELECT value FROM installation WHERE name = 'instance'";
        return conn.query_text(text, text, &[])?.pop().ok_or(StoreError::Decode("an installation"))?.get();
    }
    open_tenant(conn, vault, &system, now)?;
    conn.execute(
        sql!(
            "INSERT INTO tenants (tenant_id, name, settings, status, created_at, revision)
             VALUES ($1, 'Installation', '{}', 'active', $2, 1)"
        ),
        &values![&system, now],
    )?;
    Ok(instance)
}

/// What every tenant has from its first moment: a log, a key, a configuration.
pub(crate) fn open_tenant(conn: &mut Conn, vault: &Vault, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
    ledger::begin(conn, tenant)?;
    vault.create(conn, tenant, now)?;
    conn.execute(sql!("INSERT INTO config_versions (tenant_id, version) VALUES ($1, 1)"), &values![tenant])?;
    Ok(())
}
