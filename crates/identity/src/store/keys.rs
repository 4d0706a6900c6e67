//! API keys.

use authz::{Makers, Permissions};
use kernel::{AgentId, KeyId, PageSize, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::{digest, text};
use crate::key::{Key, KeyFilter, KeySort, KeyStatus};
use crate::listing::{Direction, starting_with};
use crate::networks::Networks;

pub(crate) fn key(tx: &mut ReadTx<'_>, id: &KeyId) -> Result<Option<Key>, StoreError> {
    tx.optional(
        sql!(
            "SELECT key_id, user_id, name, last4, scopes, agent_id, networks, issued_by, previous_until, created_at,
                    expires_at, used_at, revoked_at, revision
               FROM api_keys WHERE tenant_id = $1 AND key_id = $2"
        ),
        values![id],
        read_key,
    )
}

/// Where a key stands in a list: what the list is sorted by, and the key's id among those that are equal in it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) rank: i64,
    pub(crate) key: String,
}

/// The keys that `filter` lets through at `now`, after `after` in its order, with their ranks.
pub(crate) fn keys(
    tx: &mut ReadTx<'_>,
    filter: &KeyFilter,
    after: &Place,
    now: Timestamp,
    size: PageSize,
) -> Result<Vec<(i64, Key)>, StoreError> {
    let KeyFilter { user, status, q, sort, direction } = filter;
    let sign: i64 = match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    let q = q.as_ref().map_or("", kernel::Text::as_str);
    tx.all(
        sql!(
            "SELECT place, key_id, user_id, name, last4, scopes, agent_id, networks, issued_by, previous_until,
                    created_at, expires_at, used_at, revoked_at, revision
               FROM (SELECT CAST($2 AS BIGINT) * CASE $3 WHEN 'expires_at' THEN expires_at
                                                         WHEN 'used_at' THEN COALESCE(used_at, 0)
                                                         ELSE created_at END AS place,
                            key_id, user_id, name, last4, scopes, agent_id, networks, issued_by, previous_until,
                            created_at, expires_at, used_at, revoked_at, revision
                       FROM api_keys WHERE tenant_id = $1) AS placed
              WHERE (place > $4 OR (place = $4 AND key_id > $5)) AND ($6 = '' OR user_id = $6)
                AND ($7 = '' OR ($7 = 'revoked' AND revoked_at IS NOT NULL)
                     OR ($7 = 'expired' AND revoked_at IS NULL AND expires_at <= $8)
                     OR ($7 = 'active' AND revoked_at IS NULL AND expires_at > $8))
                AND ($9 = '' OR lower(name) LIKE $9 ESCAPE '!' OR key_id = $10)
              ORDER BY place, key_id LIMIT $11"
        ),
        values![
            sign,
            sort.as_str(),
            after.rank,
            after.key.as_str(),
            user.as_ref().map_or("", UserId::as_str),
            status.map_or("", KeyStatus::as_str),
            now,
            starting_with(&q.to_lowercase()),
            q,
            size.limit()
        ],
        |row| Ok((row.get()?, read_key(row)?)),
    )
}

impl KeySort {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::ExpiresAt => "expires_at",
            Self::UsedAt => "used_at",
        }
    }
}

pub(crate) fn insert_key(tx: &mut WriteTx<'_>, key: &Key, secret_hash: &[u8; 32]) -> Result<(), StoreError> {
    let Key { id, user, name, last4, scopes, agent, networks, issued_by, .. } = key;
    let Key { previous_until: _, created_at, expires_at, used_at: _, revoked_at: _, revision, .. } = key;
    tx.execute(
        sql!(
            "INSERT INTO api_keys (tenant_id, key_id, user_id, name, secret_hash, last4, scopes, agent_id, networks,
                                   issued_by, created_at, expires_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ),
        values![
            id,
            user,
            name.as_str(),
            secret_hash.as_slice(),
            last4.as_str(),
            *scopes,
            agent.as_ref(),
            networks,
            issued_by,
            *created_at,
            *expires_at,
            *revision
        ],
    )?;
    Ok(())
}

/// Saves what can become different about a key while its secret stays.
pub(crate) fn save_key(tx: &mut WriteTx<'_>, key: &Key) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "UPDATE api_keys SET name = $3, networks = $4, revoked_at = $5, revision = $6
              WHERE tenant_id = $1 AND key_id = $2"
        ),
        values![&key.id, key.name.as_str(), &key.networks, key.revoked_at, key.revision],
    )?;
    Ok(())
}

/// Gives a key another secret. The one before stays good until `key.previous_until`; the one before that ends.
pub(crate) fn replace_secret(tx: &mut WriteTx<'_>, key: &Key, secret_hash: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "UPDATE api_keys
                SET previous_hash = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN NULL ELSE secret_hash END,
                    previous_issued_by = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN NULL ELSE issued_by END,
                    previous_until = $3, secret_hash = $4, issued_by = $5, last4 = $6, expires_at = $7, revision = $8
              WHERE tenant_id = $1 AND key_id = $2"
        ),
        values![
            &key.id,
            key.previous_until,
            secret_hash.as_slice(),
            &key.issued_by,
            key.last4.as_str(),
            key.expires_at,
            key.revision
        ],
    )?;
    Ok(())
}

/// Revokes every key of a user and says how many there were.
pub(crate) fn revoke_keys_of(tx: &mut WriteTx<'_>, user: &UserId, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        sql!(
            "UPDATE api_keys SET revoked_at = $3, revision = revision + 1
              WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL"
        ),
        values![user, now],
    )
}

/// Writes down when a key was last used.
pub(crate) fn save_use(tx: &mut WriteTx<'_>, id: &KeyId, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "UPDATE api_keys SET used_at = $3
              WHERE tenant_id = $1 AND key_id = $2 AND (used_at IS NULL OR used_at < $3)"
        ),
        values![id, at],
    )?;
    Ok(())
}

/// A key as it is compared and used when it is presented.
pub(crate) struct Credential {
    pub(crate) id: KeyId,
    pub(crate) user: UserId,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) issued_by: Makers,
    pub(crate) previous: Option<Replaced>,
    pub(crate) scopes: Option<Permissions>,
    pub(crate) networks: Networks,
    pub(crate) agent: Option<AgentId>,
    pub(crate) expires_at: Timestamp,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) revoked: bool,
}

/// A secret that was replaced and may be good still.
pub(crate) struct Replaced {
    pub(crate) hash: [u8; 32],
    pub(crate) issued_by: Makers,
    pub(crate) until: Timestamp,
}

/// The next keys after `after`, by id, that ended after `since` or have not ended.
pub(crate) fn credentials(tx: &mut ReadTx<'_>, since: Timestamp, after: &str) -> Result<Vec<Credential>, StoreError> {
    tx.all(
        sql!(
            "SELECT key_id, user_id, secret_hash, issued_by, previous_hash, previous_issued_by, previous_until, scopes,
                    networks, agent_id, expires_at, used_at, revoked_at
               FROM api_keys
              WHERE tenant_id = $1 AND key_id > $2 AND expires_at > $3 AND (revoked_at IS NULL OR revoked_at > $3)
              ORDER BY key_id LIMIT $4"
        ),
        values![after, since, i64::try_from(super::principals::ROWS).unwrap_or(i64::MAX)],
        |row| {
            Ok(Credential {
                id: row.get()?,
                user: row.get()?,
                secret_hash: digest(row)?,
                issued_by: row.get()?,
                previous: replaced(row)?,
                scopes: row.get()?,
                networks: row.get()?,
                agent: row.get()?,
                expires_at: row.get()?,
                used_at: row.get()?,
                revoked: row.get::<Option<Timestamp>>()?.is_some(),
            })
        },
    )
}

fn replaced(row: &mut Row) -> Result<Option<Replaced>, StoreError> {
    let hash = row.get::<Option<Vec<u8>>>()?;
    let (issued_by, until) = (row.get::<Option<Makers>>()?, row.get::<Option<Timestamp>>()?);
    let (Some(hash), Some(issued_by), Some(until)) = (hash, issued_by, until) else {
        return Ok(None);
    };
    let hash = hash.try_into().map_err(|_| StoreError::Decode("a hash of 32 bytes"))?;
    Ok(Some(Replaced { hash, issued_by, until }))
}

fn read_key(row: &mut Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: row.get()?,
        user: row.get()?,
        name: text(row)?,
        last4: row.get()?,
        scopes: row.get()?,
        agent: row.get()?,
        networks: row.get()?,
        issued_by: row.get()?,
        previous_until: row.get()?,
        created_at: row.get()?,
        expires_at: row.get()?,
        used_at: row.get()?,
        revoked_at: row.get()?,
        revision: row.get()?,
    })
}
