//! Secrets that are replaced, and secrets that got out.

use authz::{Action, Actor, Caller, Forbidden, Permission};
use kernel::{KeyId, Moment, Timestamp};
use store::{Database, StoreError};

use crate::form::{Fresh, PresentedKey};
use crate::key::{IssuedKey, Key};
use crate::keys::may_know;
use crate::{Beyond, Directory, entries, local, rules, store as rows};

/// For how long the secret before may stay good, at most: seven days.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 86_400;

/// How a key's secret is replaced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// For how many seconds the present secret stays good: at most seven days.
    pub overlap_seconds: u32,
    /// From when on the key is refused; `None` for when it was so far.
    pub expires_at: Option<Timestamp>,
}

/// Giving a key that one may know of another secret.
#[derive(Debug)]
pub struct RotateKey;

impl Action for RotateKey {
    const NAME: &'static str = "identity.key.rotate";
    const PERMISSION: Option<Permission> = None;
    const SENSITIVE: bool = true;
}

/// Why a key kept its secret.
#[derive(Debug, thiserror::Error)]
pub enum RotateKeyError {
    /// The caller may not rotate keys.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Who rotates a key is shown its secret: the key could do what the caller cannot.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// There is none that the caller may know of.
    #[error("no key `{0}`")]
    NotFound(KeyId),
    /// It is revoked or has expired: make another.
    #[error("the key is good no longer: make another")]
    Over,
    /// Both secrets would be good for too long.
    #[error("the overlap must not be longer than {MAX_OVERLAP_SECONDS} seconds")]
    OverlapTooLong,
    /// The key would end before it began.
    #[error("`{0}` has passed")]
    Expired(Timestamp),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Gives a key another secret under the same id: one's own key, or anybody's with `key:manage`. The secret so far stays
/// good for the overlap; one before that ends at once.
pub fn rotate_key(
    db: &Database,
    caller: &Caller,
    id: &KeyId,
    rotation: Rotation,
    at: &Moment<'_>,
) -> Result<IssuedKey, RotateKeyError> {
    let grant = caller.authorize_on::<RotateKey>(id.as_str())?;
    let Rotation { overlap_seconds, expires_at } = rotation;
    if overlap_seconds > MAX_OVERLAP_SECONDS {
        return Err(RotateKeyError::OverlapTooLong);
    }
    if let Some(past) = expires_at.filter(|end| *end <= at.now()) {
        return Err(RotateKeyError::Expired(past));
    }
    db.write(grant, |tx| {
        let found = rows::keys::key(tx, id)?.filter(|key| may_know(caller, key));
        let before = found.ok_or_else(|| RotateKeyError::NotFound(id.clone()))?;
        if before.revoked_at.is_some() || at.now() >= before.expires_at {
            return Err(RotateKeyError::Over);
        }
        let owner = rows::users::user(tx, &before.user)?.ok_or_else(|| RotateKeyError::NotFound(id.clone()))?;
        rules::may_issue(caller, rows::roles::book(tx)?.permissions(&owner.roles), before.scopes)?;
        let Fresh { id: _, text, secret_hash, last4 } = Fresh::key_again(id.clone(), at);
        let overlap = at.now().plus_seconds(i64::from(overlap_seconds));
        let key = Key {
            last4,
            issued_by: rules::makers(caller),
            previous_until: (overlap_seconds > 0).then_some(overlap),
            expires_at: expires_at.unwrap_or(before.expires_at),
            revision: before.revision + 1,
            ..before
        };
        rows::keys::replace_secret(tx, &key, &secret_hash)?;
        Ok((entries::credentials::key_rotated(&key), IssuedKey { key, secret: text }))
    })
}

/// Revoking a key that somebody found where it should not be.
#[derive(Debug)]
pub struct RevokeLeakedKey;

impl Action for RevokeLeakedKey {
    const NAME: &'static str = "identity.key.revoke-leaked";
    const PERMISSION: Option<Permission> = None;
}

/// Why a transaction about a leaked key ended without an entry.
#[derive(Debug, thiserror::Error)]
enum LeakError {
    #[error("it is good no longer")]
    Over,
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Revokes the key that was found somewhere, if it is one and is good. Whoever found it is told the same either way.
pub fn report_leaked(db: &Database, directory: &Directory, presented: &str, at: &Moment<'_>) -> Result<(), StoreError> {
    let Ok(presented) = PresentedKey::parse(presented) else {
        return Ok(());
    };
    let (Some(tenant), Ok(id)) = (directory.tenant_of(&presented, at.now()), presented.id().parse::<KeyId>()) else {
        return Ok(());
    };
    let Ok(grant) = local::itself(tenant, Actor::system("leak-report"), at).authorize::<RevokeLeakedKey>() else {
        return Ok(());
    };
    let revoked = db.write(grant, |tx| {
        let found = rows::keys::key(tx, &id)?.filter(|key| key.revoked_at.is_none());
        let key = Key { revoked_at: Some(at.now()), ..found.ok_or(LeakError::Over)? };
        let key = Key { revision: key.revision + 1, ..key };
        rows::keys::save_key(tx, &key)?;
        Ok((entries::credentials::key_leaked(&key), ()))
    });
    match revoked {
        Ok(()) | Err(LeakError::Over) => Ok(()),
        Err(LeakError::Database(error)) => Err(error),
    }
}
