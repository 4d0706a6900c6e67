//! Identity providers, and who is whom at them.

use authz::Roles;
use kernel::{ProviderId, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::text;
use crate::provider::{Provider, ProviderSettings};

/// Every provider of the tenant, by id. There are few.
pub(crate) fn providers(tx: &mut ReadTx<'_>) -> Result<Vec<Provider>, StoreError> {
    tx.all(
        sql!(
            "SELECT provider_id, name, settings, CAST(CASE WHEN client_secret IS NULL THEN 0 ELSE 1 END AS BIGINT), status,
                    created_at, revision
               FROM identity_providers WHERE tenant_id = $1 ORDER BY provider_id"
        ),
        values![],
        read_provider,
    )
}

pub(crate) fn provider(tx: &mut ReadTx<'_>, id: &ProviderId) -> Result<Option<Provider>, StoreError> {
    tx.optional(
        sql!(
            "SELECT provider_id, name, settings, CAST(CASE WHEN client_secret IS NULL THEN 0 ELSE 1 END AS BIGINT), status,
                    created_at, revision
               FROM identity_providers WHERE tenant_id = $1 AND provider_id = $2"
        ),
        values![id],
        read_provider,
    )
}

pub(crate) fn is_named(tx: &mut ReadTx<'_>, name: &str, but: &ProviderId) -> Result<bool, StoreError> {
    let found = tx.optional(
        sql!("SELECT provider_id FROM identity_providers WHERE tenant_id = $1 AND name = $2 AND provider_id <> $3"),
        values![name, but],
        Row::get::<ProviderId>,
    )?;
    Ok(found.is_some())
}

pub(crate) fn insert_provider(tx: &mut WriteTx<'_>, provider: &Provider) -> Result<(), StoreError> {
    let Provider { id, name, settings, has_secret: _, status, created_at, revision } = provider;
    tx.execute(
        sql!(
            "INSERT INTO identity_providers (tenant_id, provider_id, name, settings, status, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7)"
        ),
        values![id, name.as_str(), settings.to_json().to_string(), *status, *created_at, *revision],
    )?;
    Ok(())
}

pub(crate) fn save_provider(tx: &mut WriteTx<'_>, provider: &Provider) -> Result<(), StoreError> {
    let Provider { id, name, settings, has_secret: _, status, created_at: _, revision } = provider;
    tx.execute(
        sql!(
            "UPDATE identity_providers SET name = $3, settings = $4, status = $5, revision = $6
              WHERE tenant_id = $1 AND provider_id = $2"
        ),
        values![id, name.as_str(), settings.to_json().to_string(), *status, *revision],
    )?;
    Ok(())
}

pub(crate) fn delete_provider(tx: &mut WriteTx<'_>, id: &ProviderId) -> Result<(), StoreError> {
    tx.execute(sql!("DELETE FROM provider_links WHERE tenant_id = $1 AND provider_id = $2"), values![id])?;
    tx.execute(sql!("DELETE FROM identity_providers WHERE tenant_id = $1 AND provider_id = $2"), values![id])?;
    Ok(())
}

/// Keeps the client secret of a provider, sealed, or forgets it.
pub(crate) fn save_client_secret(
    tx: &mut WriteTx<'_>,
    id: &ProviderId,
    secret: Option<&[u8]>,
) -> Result<(), StoreError> {
    let sealed = secret.map(|secret| tx.seal(place(id), secret)).transpose()?;
    tx.execute(
        sql!("UPDATE identity_providers SET client_secret = $3 WHERE tenant_id = $1 AND provider_id = $2"),
        values![id, sealed],
    )?;
    Ok(())
}

pub(crate) fn client_secret(tx: &mut ReadTx<'_>, id: &ProviderId) -> Result<Option<Vec<u8>>, StoreError> {
    let sealed = tx.optional(
        sql!("SELECT client_secret FROM identity_providers WHERE tenant_id = $1 AND provider_id = $2"),
        values![id],
        Row::get::<Option<Vec<u8>>>,
    )?;
    sealed.flatten().map(|sealed| tx.open(place(id), &sealed)).transpose()
}

fn place(id: &ProviderId) -> (&str, &str, &str) {
    ("identity_providers", "client_secret", id.as_str())
}

/// The user whom the provider knows as that subject.
pub(crate) fn linked(
    tx: &mut ReadTx<'_>,
    provider: &ProviderId,
    subject: &[u8; 32],
) -> Result<Option<UserId>, StoreError> {
    tx.optional(
        sql!("SELECT user_id FROM provider_links WHERE tenant_id = $1 AND provider_id = $2 AND subject_hash = $3"),
        values![provider, subject.as_slice()],
        Row::get::<UserId>,
    )
}

pub(crate) fn link(
    tx: &mut WriteTx<'_>,
    (provider, subject): (&ProviderId, &[u8; 32]),
    user: &UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO provider_links (tenant_id, provider_id, subject_hash, user_id, created_at)
             VALUES ($1, $2, $3, $4, $5)"
        ),
        values![provider, subject.as_slice(), user, now],
    )?;
    Ok(())
}

/// Forgets who a user is at a provider, and says of how many subjects.
pub(crate) fn unlink(tx: &mut WriteTx<'_>, provider: &ProviderId, user: &UserId) -> Result<u64, StoreError> {
    tx.execute(
        sql!("DELETE FROM provider_links WHERE tenant_id = $1 AND provider_id = $2 AND user_id = $3"),
        values![provider, user],
    )
}

/// The roles of those for whom the provider speaks, each set once.
pub(crate) fn roles_spoken_for(tx: &mut ReadTx<'_>, provider: &ProviderId) -> Result<Vec<Roles>, StoreError> {
    tx.all(
        sql!(
            "SELECT DISTINCT roles FROM users
              WHERE tenant_id = $1
                AND user_id IN (SELECT user_id FROM provider_links WHERE tenant_id = $1 AND provider_id = $2)"
        ),
        values![provider],
        Row::get::<Roles>,
    )
}

fn read_provider(row: &mut Row) -> Result<Provider, StoreError> {
    Ok(Provider {
        id: row.get()?,
        name: text(row)?,
        settings: settings(&row.get::<String>()?)?,
        has_secret: row.get()?,
        status: row.get()?,
        created_at: row.get()?,
        revision: row.get()?,
    })
}

fn settings(text: &str) -> Result<ProviderSettings, StoreError> {
    let json = serde_json::from_str(text).map_err(|_| StoreError::Decode("settings as JSON"))?;
    ProviderSettings::from_json(&json).ok_or(StoreError::Decode("a provider's settings"))
}
