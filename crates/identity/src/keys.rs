//! API keys: everybody manages their own; `key:manage` is for those of others.

use authz::{Action, Caller, Forbidden, Permission, Permissions};
use kernel::{AgentId, Cursor, KeyId, Moment, Page, PageSize, Text, Timestamp, UserId};
use store::{Database, StoreError, WriteTx};

use crate::key::FreshKey;
use crate::listing::ListError;
use crate::{Beyond, IssuedKey, Key, User, UserStatus, entries, rules, store as rows};

/// A key to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose it will be.
    pub user: UserId,
    /// What it is for.
    pub name: Text<100>,
    /// What it is narrowed to; `None` for all that its owner may do at each moment.
    pub scopes: Option<Permissions>,
    /// From when on it is refused; `None` for 90 days from now.
    pub expires_at: Option<Timestamp>,
    /// The agent that calls with this key are for, unless they name another.
    pub agent: Option<AgentId>,
}

/// Making a key of one's own.
#[derive(Debug)]
pub struct CreateOwnKey;

impl Action for CreateOwnKey {
    const NAME: &'static str = "identity.key.create";
    const PERMISSION: Option<Permission> = None;
}

/// Making a key for anybody.
#[derive(Debug)]
pub struct CreateKey;

impl Action for CreateKey {
    const NAME: &'static str = "identity.key.create";
    const PERMISSION: Option<Permission> = Some(Permission::KeyManage);
}

/// Seeing one's own keys.
#[derive(Debug)]
pub struct ReadOwnKeys;

impl Action for ReadOwnKeys {
    const NAME: &'static str = "identity.key.read";
    const PERMISSION: Option<Permission> = None;
}

/// Seeing anybody's keys.
#[derive(Debug)]
pub struct ReadKeys;

impl Action for ReadKeys {
    const NAME: &'static str = "identity.key.read";
    const PERMISSION: Option<Permission> = Some(Permission::KeyManage);
}

/// Revoking a key that one may know of.
#[derive(Debug)]
pub struct RevokeKey;

impl Action for RevokeKey {
    const NAME: &'static str = "identity.key.revoke";
    const PERMISSION: Option<Permission> = None;
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// The caller may not make keys for that user.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The key could do what the caller cannot.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// The tenant has no such user.
    #[error("no user `{0}`")]
    UserNotFound(UserId),
    /// A deactivated user gets no key.
    #[error("the user `{0}` is deactivated")]
    Deactivated(UserId),
    /// The key would have ended before it began.
    #[error("`{0}` has passed")]
    Expired(Timestamp),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes a key for a user of the caller's tenant. Its secret is known here and nowhere else ever after.
pub fn create_key(db: &Database, caller: &Caller, new: NewKey, at: &Moment<'_>) -> Result<IssuedKey, CreateKeyError> {
    if rules::is_oneself(caller, &new.user) {
        let grant = caller.authorize::<CreateOwnKey>()?;
        db.write(grant, |tx| create(tx, caller, new, at))
    } else {
        let grant = caller.authorize::<CreateKey>()?;
        db.write(grant, |tx| create(tx, caller, new, at))
    }
}

fn create(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    new: NewKey,
    at: &Moment<'_>,
) -> Result<(store::Entry, IssuedKey), CreateKeyError> {
    let owner = rows::users::user(tx, &new.user)?.ok_or_else(|| CreateKeyError::UserNotFound(new.user.clone()))?;
    if owner.status == UserStatus::Deactivated {
        return Err(CreateKeyError::Deactivated(owner.id));
    }
    rules::may_issue(caller, &owner, new.scopes)?;
    let asked = new.expires_at;
    let expires_at = rules::expiry(asked, at.now()).ok_or(CreateKeyError::Expired(asked.unwrap_or(at.now())))?;
    let issued = issue(tx, new, expires_at, at)?;
    Ok((entries::credentials::key_created(&issued.key), issued))
}

/// A key that no caller asks for: it comes with a user, or is made on the server's own machine.
pub(crate) fn issue_unasked(
    tx: &mut WriteTx<'_>,
    owner: &User,
    name: &str,
    agent: Option<AgentId>,
    at: &Moment<'_>,
) -> Result<IssuedKey, StoreError> {
    let name = Text::new(name).map_err(|_| StoreError::Decode("a key's name"))?;
    let new = NewKey { user: owner.id.clone(), name, scopes: None, expires_at: None, agent };
    issue(tx, new, at.now().plus_seconds(rules::KEY_LIFETIME_SECONDS), at)
}

fn issue(tx: &mut WriteTx<'_>, new: NewKey, expires_at: Timestamp, at: &Moment<'_>) -> Result<IssuedKey, StoreError> {
    let NewKey { user, name, scopes, expires_at: _, agent } = new;
    let FreshKey { id, text, secret_hash, last4 } = FreshKey::generate(at);
    let created_at = at.now();
    let key = Key { id, user, name, last4, scopes, agent, created_at, expires_at, revoked_at: None };
    rows::keys::insert_key(tx, &key, &secret_hash)?;
    Ok(IssuedKey { key, secret: text })
}

/// The keys of `user`, or of the whole tenant, by id.
pub fn keys(
    db: &Database,
    caller: &Caller,
    user: Option<&UserId>,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Key>, ListError> {
    let found = match user {
        Some(user) if rules::is_oneself(caller, user) => {
            db.read(&caller.authorize::<ReadOwnKeys>()?, |tx| rows::keys::keys_of(tx, user, after, size))
        }
        Some(user) => db.read(&caller.authorize::<ReadKeys>()?, |tx| rows::keys::keys_of(tx, user, after, size)),
        None => db.read(&caller.authorize::<ReadKeys>()?, |tx| rows::keys::keys(tx, after, size)),
    };
    Ok(Page::of(found?, size, |key| key.id.to_string()))
}

/// Why a key was not shown.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The caller may not see keys.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none that the caller may know of.
    #[error("no key `{0}`")]
    NotFound(KeyId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One key: one's own, or anybody's with `key:manage`.
pub fn key(db: &Database, caller: &Caller, id: &KeyId) -> Result<Key, KeyError> {
    let grant = caller.authorize::<ReadOwnKeys>()?;
    let found = db.read(&grant, |tx| rows::keys::key(tx, id))?;
    found.filter(|key| may_know(caller, key)).ok_or_else(|| KeyError::NotFound(id.clone()))
}

/// Whether the caller may know that the key exists.
fn may_know(caller: &Caller, key: &Key) -> bool {
    rules::is_oneself(caller, &key.user) || caller.authorize::<ReadKeys>().is_ok()
}

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// The caller may not revoke keys.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none that the caller may know of.
    #[error("no key `{0}`")]
    NotFound(KeyId),
    /// It is revoked already.
    #[error("the key was revoked at {0}")]
    AlreadyRevoked(Timestamp),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Revokes a key for good: one's own, or anybody's with `key:manage`.
pub fn revoke_key(db: &Database, caller: &Caller, id: &KeyId, at: &Moment<'_>) -> Result<Key, RevokeKeyError> {
    let grant = caller.authorize::<RevokeKey>()?;
    db.write(grant, |tx| {
        let found = rows::keys::key(tx, id)?.filter(|key| may_know(caller, key));
        let key = found.ok_or_else(|| RevokeKeyError::NotFound(id.clone()))?;
        if let Some(since) = key.revoked_at {
            return Err(RevokeKeyError::AlreadyRevoked(since));
        }
        let key = Key { revoked_at: Some(at.now()), ..key };
        rows::keys::save_revocation(tx, &key)?;
        Ok((entries::credentials::key_revoked(&key), key))
    })
}
