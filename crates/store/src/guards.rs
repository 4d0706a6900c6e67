//! The lock in the engine: no statement sees or touches a row of another tenant, whatever it says.

use rusqlite::hooks::AuthAction;

use crate::error::OTHER_TENANT;

/// Every table with a `tenant_id`. A test compares this list with the schema of both engines.
pub const TENANT_TABLES: &[&str] = &[
    "agents",
    "api_keys",
    "approval_decisions",
    "approval_requests",
    "approval_uses",
    "approval_workflows",
    "budget_leases",
    "budget_periods",
    "budgets",
    "config_versions",
    "custom_roles",
    "group_members",
    "idempotency_keys",
    "identity_providers",
    "ledger_checkpoints",
    "ledger_entries",
    "ledger_heads",
    "ledger_payloads",
    "ledger_tiles",
    "open_calls",
    "passwords",
    "policy_state",
    "policy_versions",
    "prices",
    "provider_links",
    "revoked_tokens",
    "sessions",
    "tenant_keys",
    "tenants",
    "usage_records",
    "usage_rollups",
    "user_groups",
    "users",
    "versions",
];

/// Tables that say what happened: rows are added and read, and never change.
pub(crate) const KEPT_TABLES: &[&str] =
    &["approval_decisions", "approval_uses", "ledger_entries", "policy_versions", "usage_records"];

/// Whether a statement on behalf of the application may do this on SQLite, which has no roles to give rights to: work
/// with rows, and with nothing that decides about rows. Asked while a statement is prepared.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is refused, whatever SQLite learns to do")]
pub(crate) fn sqlite_allows(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => true,
        AuthAction::Insert { table_name } => *table_name != "schema_migrations",
        AuthAction::Update { table_name, .. } | AuthAction::Delete { table_name } => {
            *table_name != "schema_migrations" && !KEPT_TABLES.contains(table_name)
        }
        _ => false,
    }
}

/// Binds an SQLite connection to a tenant.
pub(crate) const SQLITE_ENTER: &str = "UPDATE temp.scope SET tenant = ?1";

const SQLITE_SCOPE: &str = "CREATE TEMP TABLE scope (tenant TEXT) STRICT; INSERT INTO temp.scope VALUES (NULL);\n";

/// What a connection that reads within a tenant needs.
pub(crate) fn sqlite_reader() -> String {
    [SQLITE_SCOPE, &sqlite_views()].concat()
}

/// What a connection that writes within a tenant needs. Its reads are bound like a reader's; its changes name the
/// tables behind the views, which [`sql!`](crate::sql) sees to.
pub(crate) fn sqlite_writer() -> String {
    [SQLITE_SCOPE, &sqlite_views(), &sqlite_triggers()].concat()
}

/// Views that stand before the tables: a name without a schema finds the view first.
fn sqlite_views() -> String {
    let views = TENANT_TABLES.iter().map(|table| {
        format!(
            "CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} \
             WHERE tenant_id = (SELECT tenant FROM temp.scope);\n"
        )
    });
    views.collect()
}

/// Triggers on the tables: a foreign row aborts the statement.
fn sqlite_triggers() -> String {
    let triggers = TENANT_TABLES.iter().map(|table| {
        let foreign = |row: &str| format!("{row}.tenant_id IS NOT (SELECT tenant FROM temp.scope)");
        let (new, old) = (foreign("NEW"), foreign("OLD"));
        let abort = format!("BEGIN SELECT RAISE(ABORT, '{OTHER_TENANT}'); END");
        format!(
            "CREATE TEMP TRIGGER {table}_insert BEFORE INSERT ON main.{table} WHEN {new} {abort};\n\
             CREATE TEMP TRIGGER {table}_update BEFORE UPDATE ON main.{table} WHEN {old} OR {new} {abort};\n\
             CREATE TEMP TRIGGER {table}_delete BEFORE DELETE ON main.{table} WHEN {old} {abort};\n"
        )
    });
    triggers.collect()
}

/// What raw SQL on behalf of the application meets: the triggers, with the tables under their own names.
#[cfg(feature = "faults")]
pub(crate) fn sqlite_raw() -> String {
    [SQLITE_SCOPE, &sqlite_triggers()].concat()
}

/// Forced row-level security, and a reading policy for the few questions that span tenants.
pub(crate) fn postgres() -> String {
    let policies = TENANT_TABLES.iter().map(|table| {
        let own = "tenant_id = current_setting('taskforce.tenant', true)";
        format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n\
             ALTER TABLE {table} FORCE ROW LEVEL SECURITY;\n\
             DROP POLICY IF EXISTS tenant ON {table};\n\
             CREATE POLICY tenant ON {table} USING ({own}) WITH CHECK ({own});\n\
             DROP POLICY IF EXISTS system ON {table};\n\
             CREATE POLICY system ON {table} FOR SELECT \
             USING (current_setting('taskforce.scope', true) = 'system');\n"
        )
    });
    policies.collect()
}
