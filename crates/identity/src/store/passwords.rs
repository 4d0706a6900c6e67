//! Passwords, hashed.

use authz::Makers;
use kernel::{Timestamp, UserId};
use store::{ReadTx, StoreError, WriteTx, sql, values};

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The hash, as a PHC string.
    pub(crate) hash: String,
    /// The actors that know it.
    pub(crate) set_by: Makers,
}

pub(crate) fn password(tx: &mut ReadTx<'_>, user: &UserId) -> Result<Option<Kept>, StoreError> {
    tx.optional(
        sql!("SELECT hash, set_by FROM passwords WHERE tenant_id = $1 AND user_id = $2"),
        values![user],
        |row| Ok(Kept { hash: row.get()?, set_by: row.get()? }),
    )
}

pub(crate) fn save_password(
    tx: &mut WriteTx<'_>,
    user: &UserId,
    kept: &Kept,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO passwords (tenant_id, user_id, hash, set_by, changed_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, user_id)
             DO UPDATE SET hash = excluded.hash, set_by = excluded.set_by, changed_at = excluded.changed_at"
        ),
        values![user, kept.hash.as_str(), &kept.set_by, now],
    )?;
    Ok(())
}

/// The same password, hashed anew.
pub(crate) fn rehash(tx: &mut WriteTx<'_>, user: &UserId, hash: &str) -> Result<(), StoreError> {
    tx.execute(sql!("UPDATE passwords SET hash = $3 WHERE tenant_id = $1 AND user_id = $2"), values![user, hash])?;
    Ok(())
}

/// Ends all that a user has signed or signed in to: tokens and sessions carry the epoch that they were made in.
pub(crate) fn raise_epoch(tx: &mut WriteTx<'_>, user: &UserId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        sql!("UPDATE users SET epoch = epoch + 1, updated_at = $3 WHERE tenant_id = $1 AND user_id = $2"),
        values![user, now],
    )?;
    Ok(())
}
