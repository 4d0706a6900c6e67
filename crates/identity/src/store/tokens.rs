//! Tokens that were revoked.

use kernel::{Timestamp, UserId};
use store::{StoreError, WriteTx, sql, values};

/// A token that is refused from now on.
pub(crate) struct Revocation {
    /// The digest that it is known by.
    pub(crate) digest: [u8; 32],
    /// Whose it must be to be meant; `None` for anybody's.
    pub(crate) user: Option<UserId>,
    pub(crate) expires_at: Timestamp,
}

/// Revokes a token, and forgets those that have ended since. Who may revoke anybody's overrides who meant only their own.
pub(crate) fn revoke(tx: &mut WriteTx<'_>, revocation: &Revocation, now: Timestamp) -> Result<(), StoreError> {
    let Revocation { digest, user, expires_at } = revocation;
    tx.execute(sql!("DELETE FROM revoked_tokens WHERE tenant_id = $1 AND expires_at <= $2"), values![now])?;
    tx.execute(
        sql!(
            "INSERT INTO revoked_tokens (tenant_id, token_hash, user_id, revoked_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, token_hash) DO UPDATE
                SET user_id = CASE excluded.user_id WHEN '' THEN '' ELSE revoked_tokens.user_id END,
                    expires_at = CASE WHEN excluded.expires_at > revoked_tokens.expires_at
                                      THEN excluded.expires_at ELSE revoked_tokens.expires_at END"
        ),
        values![digest.as_slice(), user.as_ref().map_or("", UserId::as_str), now, *expires_at],
    )?;
    Ok(())
}
