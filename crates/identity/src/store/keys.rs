//! API keys.

use authz::Permissions;
use kernel::{AgentId, Cursor, KeyId, PageSize, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::text;
use crate::Key;

pub(crate) fn key(tx: &mut ReadTx<'_>, id: &KeyId) -> Result<Option<Key>, StoreError> {
    tx.optional(
        sql!(
            "SELECT key_id, user_id, name, last4, scopes, agent_id, created_at, expires_at, revoked_at
               FROM api_keys WHERE tenant_id = $1 AND key_id = $2"
        ),
        values![id],
        read_key,
    )
}

pub(crate) fn keys(tx: &mut ReadTx<'_>, after: Option<&Cursor>, size: PageSize) -> Result<Vec<Key>, StoreError> {
    tx.all(
        sql!(
            "SELECT key_id, user_id, name, last4, scopes, agent_id, created_at, expires_at, revoked_at
               FROM api_keys WHERE tenant_id = $1 AND key_id > $2 ORDER BY key_id LIMIT $3"
        ),
        values![after.map_or("", Cursor::key), size.limit()],
        read_key,
    )
}

pub(crate) fn keys_of(
    tx: &mut ReadTx<'_>,
    user: &UserId,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Vec<Key>, StoreError> {
    tx.all(
        sql!(
            "SELECT key_id, user_id, name, last4, scopes, agent_id, created_at, expires_at, revoked_at
               FROM api_keys WHERE tenant_id = $1 AND user_id = $2 AND key_id > $3 ORDER BY key_id LIMIT $4"
        ),
        values![user, after.map_or("", Cursor::key), size.limit()],
        read_key,
    )
}

pub(crate) fn insert_key(tx: &mut WriteTx<'_>, key: &Key, secret_hash: &[u8; 32]) -> Result<(), StoreError> {
    let Key { id, user, name, last4, scopes, agent, created_at, expires_at, revoked_at } = key;
    tx.execute(
        sql!(
            "INSERT INTO api_keys (tenant_id, key_id, user_id, name, secret_hash, last4, scopes, agent_id, created_at,
                                   expires_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        values![
            id,
            user,
            name.as_str(),
            secret_hash.as_slice(),
            last4.as_str(),
            scopes.map(write_scopes),
            agent.as_ref(),
            *created_at,
            *expires_at,
            *revoked_at
        ],
    )?;
    Ok(())
}

pub(crate) fn save_revocation(tx: &mut WriteTx<'_>, key: &Key) -> Result<(), StoreError> {
    tx.execute(
        sql!("UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND key_id = $2"),
        values![&key.id, key.revoked_at],
    )?;
    Ok(())
}

/// Revokes every key of a user and says how many there were.
pub(crate) fn revoke_keys_of(tx: &mut WriteTx<'_>, user: &UserId, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        sql!("UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL"),
        values![user, now],
    )
}

/// A key as it is compared and used when it is presented.
pub(crate) struct Credential {
    pub(crate) id: KeyId,
    pub(crate) user: UserId,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) scopes: Option<Permissions>,
    pub(crate) agent: Option<AgentId>,
    pub(crate) expires_at: Timestamp,
    pub(crate) revoked: bool,
}

/// How many credentials are read at once: so many rows are in memory, not all of a tenant's.
pub(crate) const CREDENTIALS: usize = 1_000;

/// The next keys after `after`, by id, that ended after `since` or have not ended.
pub(crate) fn credentials(tx: &mut ReadTx<'_>, since: Timestamp, after: &str) -> Result<Vec<Credential>, StoreError> {
    tx.all(
        sql!(
            "SELECT key_id, user_id, secret_hash, scopes, agent_id, expires_at, revoked_at
               FROM api_keys
              WHERE tenant_id = $1 AND key_id > $2 AND expires_at > $3 AND (revoked_at IS NULL OR revoked_at > $3)
              ORDER BY key_id LIMIT $4"
        ),
        values![after, since, i64::try_from(CREDENTIALS).unwrap_or(i64::MAX)],
        |row| {
            Ok(Credential {
                id: row.get()?,
                user: row.get()?,
                secret_hash: row.get::<Vec<u8>>()?.try_into().map_err(|_| StoreError::Decode("a hash of 32 bytes"))?,
                scopes: row.get::<Option<String>>()?.map(|names| read_scopes(&names)).transpose()?,
                agent: row.get()?,
                expires_at: row.get()?,
                revoked: row.get::<Option<Timestamp>>()?.is_some(),
            })
        },
    )
}

fn read_key(row: &mut Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: row.get()?,
        user: row.get()?,
        name: text(row)?,
        last4: row.get()?,
        scopes: row.get::<Option<String>>()?.map(|names| read_scopes(&names)).transpose()?,
        agent: row.get()?,
        created_at: row.get()?,
        expires_at: row.get()?,
        revoked_at: row.get()?,
    })
}

fn write_scopes(scopes: Permissions) -> String {
    let names: Vec<&str> = scopes.iter().map(authz::Permission::as_str).collect();
    names.join(",")
}

fn read_scopes(text: &str) -> Result<Permissions, StoreError> {
    let names = text.split(',').filter(|name| !name.is_empty()).map(str::parse);
    names.collect::<Result<_, authz::PermissionError>>().map_err(|_| StoreError::Decode("permissions"))
}
