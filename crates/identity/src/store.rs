//! The SQL of this domain.

use authz::Permissions;
use kernel::{AgentId, Cursor, KeyId, PageSize, TenantId, Text, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::{Key, Settings, Tenant, User, Username};

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

pub(crate) fn user(tx: &mut ReadTx<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![id],
        read_user,
    )
}

pub(crate) fn user_named(tx: &mut ReadTx<'_>, name: &Username) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND username = $2"
        ),
        values![name],
        read_user,
    )
}

pub(crate) fn users(tx: &mut ReadTx<'_>, after: Option<&Cursor>, size: PageSize) -> Result<Vec<User>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"
        ),
        values![after.map_or("", Cursor::key), size.limit()],
        read_user,
    )
}

/// The users whose keys may be presented.
pub(crate) fn key_holders(tx: &mut ReadTx<'_>) -> Result<Vec<User>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users
              WHERE tenant_id = $1
                AND user_id IN (SELECT user_id FROM api_keys WHERE tenant_id = $1)"
        ),
        values![],
        read_user,
    )
}

pub(crate) fn any_user(tx: &mut ReadTx<'_>) -> Result<bool, StoreError> {
    let found = tx.optional(sql!("SELECT user_id FROM users WHERE tenant_id = $1 LIMIT 1"), values![], |row| {
        row.get::<UserId>()
    })?;
    Ok(found.is_some())
}

pub(crate) fn other_active_admins(tx: &mut ReadTx<'_>, id: &UserId) -> Result<i64, StoreError> {
    let count = tx.optional(
        sql!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM users
              WHERE tenant_id = $1 AND user_id <> $2 AND status = 'active'
                AND ',' || roles || ',' LIKE '%,admin,%'"
        ),
        values![id],
        Row::get::<i64>,
    )?;
    Ok(count.unwrap_or_default())
}

pub(crate) fn insert_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User { id, kind, username, email, roles, status, created_at, revision } = user;
    tx.execute(
        sql!(
            "INSERT INTO users (tenant_id, user_id, kind, username, email, roles, status, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        values![id, kind, username, email.as_ref(), roles, status, *created_at, *revision],
    )?;
    Ok(())
}

pub(crate) fn save_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User { id, kind: _, username: _, email, roles, status, created_at: _, revision } = user;
    tx.execute(
        sql!(
            "UPDATE users SET email = $3, roles = $4, status = $5, revision = $6
              WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![id, email.as_ref(), roles, status, *revision],
    )?;
    Ok(())
}

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

/// Which configuration of the tenant this transaction sees.
pub(crate) fn configuration_version(tx: &mut ReadTx<'_>) -> Result<u64, StoreError> {
    let version =
        tx.optional(sql!("SELECT version FROM config_versions WHERE tenant_id = $1"), values![], Row::get::<u64>);
    version.map(Option::unwrap_or_default)
}

fn read_user(row: &mut Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.get()?,
        kind: row.get()?,
        username: row.get()?,
        email: row.get()?,
        roles: row.get()?,
        status: row.get()?,
        created_at: row.get()?,
        revision: row.get()?,
    })
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

fn text<const MAX: usize>(row: &mut Row) -> Result<Text<MAX>, StoreError> {
    Text::new(&row.get::<String>()?).map_err(|_| StoreError::Decode("a text"))
}

fn settings(text: &str) -> Result<Settings, StoreError> {
    let json = serde_json::from_str(text).map_err(|_| StoreError::Decode("settings as JSON"))?;
    Settings::from_json(&json).map_err(|_| StoreError::Decode("a tenant's settings"))
}

fn write_scopes(scopes: Permissions) -> String {
    let names: Vec<&str> = scopes.iter().map(authz::Permission::as_str).collect();
    names.join(",")
}

fn read_scopes(text: &str) -> Result<Permissions, StoreError> {
    let names = text.split(',').filter(|name| !name.is_empty()).map(str::parse);
    names.collect::<Result<_, authz::PermissionError>>().map_err(|_| StoreError::Decode("permissions"))
}
