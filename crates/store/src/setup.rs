//! The first start: roles, grants, and the reserved tenant.

use kernel::{TenantId, Timestamp};

use crate::engine::{Conn, Location};
use crate::vault::Vault;
use crate::{StoreError, ledger, sql, values};

pub(crate) fn postgres_config(url: &str) -> Result<Box<tokio_postgres::Config>, StoreError> {
    url.parse().map(Box::new).map_err(StoreError::unavailable)
}

/// Lets the role that Taskforce runs as do what it must, and no more: entries and decisions are never changed.
pub(crate) fn grant(owner: &mut Conn, application: &Location) -> Result<(), StoreError> {
    let Location::Postgres(config) = application else {
        return Ok(());
    };
    let role = config.get_user().unwrap_or_default().replace('"', "");
    owner.batch(&format!(
        "GRANT USAGE ON SCHEMA public TO \"{role}\";
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\";
         REVOKE UPDATE, DELETE, TRUNCATE ON ledger_entries, approval_decisions, usage_records FROM \"{role}\";
         REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON schema_migrations FROM \"{role}\";"
    ))
}

/// Refuses a role that row-level security does not bind.
pub(crate) fn refuse_unsafe_role(conn: &mut Conn) -> Result<(), StoreError> {
    let Conn::Postgres(postgres) = conn else {
        return Ok(());
    };
    let rows = postgres.query(
        "SELECT current_user::text, CAST(CAST(rolsuper AS INTEGER) AS BIGINT), CAST(CAST(rolbypassrls AS INTEGER) AS BIGINT),
                (SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user)
           FROM pg_roles WHERE rolname = current_user",
        &[],
    )?;
    let mut row = rows.into_iter().next().ok_or(StoreError::Decode("a database role"))?;
    let role: String = row.get()?;
    let (superuser, bypasses, owned): (bool, bool, i64) = (row.get()?, row.get()?, row.get()?);
    let reason = match (superuser, bypasses, owned) {
        (true, _, _) => "is a superuser",
        (_, true, _) => "has BYPASSRLS",
        (_, _, owned) if owned > 0 => "owns the tables",
        _ => return Ok(()),
    };
    Err(StoreError::UnsafeRole { role, reason })
}

/// Makes the reserved tenant on the first start, and returns the installation's name as it was first given.
pub(crate) fn bootstrap(
    conn: &mut Conn,
    vault: &Vault,
    instance: String,
    now: Timestamp,
) -> Result<String, StoreError> {
    let text = "SELECT value FROM installation WHERE name = 'instance'";
    if let Some(mut row) = conn.query_text(text, text, &[])?.pop() {
        return row.get();
    }
    let sqlite = "INSERT INTO installation (name, value) VALUES ('instance', ?1) RETURNING name";
    let postgres = "INSERT INTO installation (name, value) VALUES ('instance', $1) RETURNING name";
    conn.query_text(sqlite, postgres, &[instance.as_str().into()])?;
    let system = TenantId::system();
    conn.enter(system.as_str())?;
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
