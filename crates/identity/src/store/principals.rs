//! What the directory is built from, besides keys.

use authz::Roles;
use kernel::{ProviderId, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, sql, values};

use crate::{UserAttributes, UserKind, UserStatus};

/// How many rows are read at once: so many are in memory beside the directory, not all of a tenant's.
pub(crate) const ROWS: usize = 1_000;

/// A user as its requests need it.
pub(crate) struct Principal {
    pub(crate) user: UserId,
    pub(crate) kind: UserKind,
    pub(crate) roles: Roles,
    pub(crate) attributes: UserAttributes,
    pub(crate) status: UserStatus,
    pub(crate) epoch: u64,
}

/// The next users after `after`, by id.
pub(crate) fn principals(tx: &mut ReadTx<'_>, after: &str) -> Result<Vec<Principal>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id, kind, roles, attributes, status, epoch
               FROM users WHERE tenant_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"
        ),
        values![after, i64::try_from(ROWS).unwrap_or(i64::MAX)],
        |row| {
            Ok(Principal {
                user: row.get()?,
                kind: row.get()?,
                roles: row.get()?,
                attributes: row.get()?,
                status: row.get()?,
                epoch: row.get()?,
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

/// Who is whom at which provider.
pub(crate) fn links(tx: &mut ReadTx<'_>) -> Result<Vec<(ProviderId, [u8; 32], UserId)>, StoreError> {
    tx.all(
        sql!("SELECT provider_id, subject_hash, user_id FROM provider_links WHERE tenant_id = $1"),
        values![],
        |row| Ok((row.get()?, super::digest(row)?, row.get()?)),
    )
}

/// A token that is refused before its time is over.
pub(crate) struct RevokedToken {
    pub(crate) digest: [u8; 32],
    /// Whose it must be to be meant; `None` for anybody's.
    pub(crate) user: Option<UserId>,
}

/// Tokens that were revoked and have not ended before `since`.
pub(crate) fn revoked_tokens(tx: &mut ReadTx<'_>, since: Timestamp) -> Result<Vec<RevokedToken>, StoreError> {
    tx.all(
        sql!("SELECT token_hash, user_id FROM revoked_tokens WHERE tenant_id = $1 AND expires_at > $2"),
        values![since],
        |row| {
            let (digest, user) = (super::digest(row)?, row.get::<String>()?);
            let user = if user.is_empty() { None } else { Some(user) };
            let user = user.map(|user| user.parse().map_err(|_| StoreError::Decode("a user id"))).transpose()?;
            Ok(RevokedToken { digest, user })
        },
    )
}
