//! Tenants.

use kernel::TenantId;
use store::{ReadTx, StoreError, WriteTx, sql, values};

use super::text;
use crate::{Settings, Tenant};

pub(crate) fn tenant(tx: &mut ReadTx<'_>) -> Result<Option<Tenant>, StoreError> {
    tx.optional(
        sql!("SELECT tenant_id, name, settings, status, created_at, revision FROM tenants WHERE tenant_id = $1"),
        values![],
        |row| {
            Ok(Tenant {
                id: row.get::<TenantId>()?,
                name: text(row)?,
                settings: settings(&row.get::<String>()?)?,
                status: row.get()?,
                created_at: row.get()?,
                revision: row.get()?,
            })
        },
    )
}

pub(crate) fn insert_tenant(tx: &mut WriteTx<'_>, tenant: &Tenant) -> Result<(), StoreError> {
    let Tenant { id: _, name, settings, status, created_at, revision } = tenant;
    tx.execute(
        sql!(
            "INSERT INTO tenants (tenant_id, name, settings, status, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6)"
        ),
        values![name.as_str(), settings.to_json().to_string(), status, *created_at, *revision],
    )?;
    Ok(())
}

pub(crate) fn save_tenant(tx: &mut WriteTx<'_>, tenant: &Tenant) -> Result<(), StoreError> {
    let Tenant { id: _, name, settings, status, created_at: _, revision } = tenant;
    tx.execute(
        sql!("UPDATE tenants SET name = $2, settings = $3, status = $4, revision = $5 WHERE tenant_id = $1"),
        values![name.as_str(), settings.to_json().to_string(), status, *revision],
    )?;
    Ok(())
}

fn settings(text: &str) -> Result<Settings, StoreError> {
    let json = serde_json::from_str(text).map_err(|_| StoreError::Decode("settings as JSON"))?;
    Settings::from_json(&json).map_err(|_| StoreError::Decode("a tenant's settings"))
}
