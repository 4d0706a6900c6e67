//! API keys: everybody manages their own; `key:manage` is for those of others.

use authz::{Action, Caller, Forbidden, Makers, Permission, Permissions};
use kernel::{AgentId, Cursor, KeyId, Moment, Page, PageSize, Text, Timestamp, UserId};
use store::{Database, StoreError, WriteTx};

use crate::form::Fresh;
use crate::key::{IssuedKey, Key, KeyFilter};
use crate::listing::{ListError, Listing};
use crate::networks::Networks;
use crate::store::keys::Place;
use crate::{Beyond, User, UserStatus, entries, rules, store as rows};

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
    /// Where it may be used from.
    pub networks: Networks,
}

impl NewKey {
    /// A key with all that its owner may do, for 90 days, from anywhere, for no agent.
    pub fn named(user: UserId, name: Text<100>) -> Self {
        Self { user, name, scopes: None, expires_at: None, agent: None, networks: Networks::default() }
    }
}

/// Making a key of one's own.
#[derive(Debug)]
pub struct CreateOwnKey;

impl Action for CreateOwnKey {
    const NAME: &'static str = "identity.key.create";
    const PERMISSION: Option<Permission> = None;
    const SENSITIVE: bool = true;
}

/// Making a key for anybody.
#[derive(Debug)]
pub struct CreateKey;

impl Action for CreateKey {
    const NAME: &'static str = "identity.key.create";
    const PERMISSION: Option<Permission> = Some(Permission::KeyManage);
    const SENSITIVE: bool = true;
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

/// Changing a key that one may know of: what it is called, and where it may be used from.
#[derive(Debug)]
pub struct UpdateKey;

impl Action for UpdateKey {
    const NAME: &'static str = "identity.key.update";
    const PERMISSION: Option<Permission> = None;
    const SENSITIVE: bool = true;
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
    /// The tenant has no such agent.
    #[error("no agent `{0}`")]
    AgentNotFound(AgentId),
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
    let owned = rows::roles::book(tx)?.permissions(&owner.roles);
    rules::may_issue(caller, owned, new.scopes)?;
    let asked = new.expires_at;
    let expires_at = rules::expiry(asked, at.now()).ok_or(CreateKeyError::Expired(asked.unwrap_or(at.now())))?;
    let agent = new.agent.clone();
    let issued = issue(tx, new, expires_at, rules::makers(caller), at);
    let issued = issued.map_err(|error| match (error, agent) {
        // The user's row was just read: what the schema does not find is the agent.
        (StoreError::Conflict(_), Some(agent)) => CreateKeyError::AgentNotFound(agent),
        (error, _) => error.into(),
    })?;
    Ok((entries::credentials::key_created(&issued.key), issued))
}

/// A key that no caller asks for: it comes with a user, or is made on the server's own machine.
#[derive(Clone, Debug)]
pub(crate) struct Unasked {
    pub(crate) name: &'static str,
    pub(crate) agent: Option<AgentId>,
    /// The actors that will have held its secret.
    pub(crate) issued_by: Makers,
}

pub(crate) fn issue_unasked(
    tx: &mut WriteTx<'_>,
    owner: &User,
    unasked: Unasked,
    at: &Moment<'_>,
) -> Result<IssuedKey, StoreError> {
    let Unasked { name, agent, issued_by } = unasked;
    let name = Text::new(name).map_err(|_| StoreError::Decode("a key's name"))?;
    let new = NewKey { agent, ..NewKey::named(owner.id.clone(), name) };
    issue(tx, new, at.now().plus_seconds(rules::KEY_LIFETIME_SECONDS), issued_by, at)
}

fn issue(
    tx: &mut WriteTx<'_>,
    new: NewKey,
    expires_at: Timestamp,
    issued_by: Makers,
    at: &Moment<'_>,
) -> Result<IssuedKey, StoreError> {
    let NewKey { user, name, scopes, expires_at: _, agent, networks } = new;
    let Fresh { id, text, secret_hash, last4 } = Fresh::key(at);
    let key = Key {
        id,
        user,
        name,
        last4,
        scopes,
        agent,
        networks,
        issued_by,
        previous_until: None,
        created_at: at.now(),
        expires_at,
        used_at: None,
        revoked_at: None,
        revision: 1,
    };
    rows::keys::insert_key(tx, &key, &secret_hash)?;
    Ok(IssuedKey { key, secret: text })
}

/// The keys that `filter` lets through, in its order.
pub fn keys(
    db: &Database,
    caller: &Caller,
    filter: &KeyFilter,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Key>, ListError> {
    let listing = Listing::of(&("keys", filter));
    let begin = listing.begin(after)?;
    let place = if begin.is_empty() {
        Place { rank: i64::MIN, key: String::new() }
    } else {
        let (rank, key) = begin.split_once('/').ok_or(ListError::ForeignCursor)?;
        Place { rank: rank.parse().map_err(|_| ListError::ForeignCursor)?, key: key.to_owned() }
    };
    let now = db.moment().now();
    let found = match &filter.user {
        Some(user) if rules::is_oneself(caller, user) => {
            db.read(&caller.authorize::<ReadOwnKeys>()?, |tx| rows::keys::keys(tx, filter, &place, now, size))
        }
        Some(_) | None => {
            db.read(&caller.authorize::<ReadKeys>()?, |tx| rows::keys::keys(tx, filter, &place, now, size))
        }
    };
    Ok(listing.page(found?, size, |(rank, key)| format!("{rank}/{}", key.id)).map(|(_, key)| key))
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
    let grant = caller.authorize_on::<ReadOwnKeys>(id.as_str())?;
    let found = db.read(&grant, |tx| rows::keys::key(tx, id))?;
    found.filter(|key| may_know(caller, key)).ok_or_else(|| KeyError::NotFound(id.clone()))
}

/// Whether the caller may know that the key exists.
pub(crate) fn may_know(caller: &Caller, key: &Key) -> bool {
    rules::is_oneself(caller, &key.user) || caller.authorize_on::<ReadKeys>(key.id.as_str()).is_ok()
}

/// What becomes different about a key; `None` leaves as it is.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What it is for.
    pub name: Option<Text<100>>,
    /// Where it may be used from, in whole.
    pub networks: Option<Networks>,
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateKeyError {
    /// The caller may not change keys.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none that the caller may know of.
    #[error("no key `{0}`")]
    NotFound(KeyId),
    /// It was changed meanwhile.
    #[error("the key is at revision {0}")]
    Stale(u64),
    /// It is revoked, and stays as it is.
    #[error("the key was revoked at {0}")]
    Revoked(Timestamp),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes what a key is called and where it may be used from: one's own, or anybody's with `key:manage`.
pub fn update_key(db: &Database, caller: &Caller, id: &KeyId, change: KeyChange) -> Result<Key, UpdateKeyError> {
    let grant = caller.authorize_on::<UpdateKey>(id.as_str())?;
    db.write(grant, |tx| {
        let found = rows::keys::key(tx, id)?.filter(|key| may_know(caller, key));
        let before = found.ok_or_else(|| UpdateKeyError::NotFound(id.clone()))?;
        if before.revision != change.expected_revision {
            return Err(UpdateKeyError::Stale(before.revision));
        }
        if let Some(since) = before.revoked_at {
            return Err(UpdateKeyError::Revoked(since));
        }
        let after = Key {
            name: change.name.unwrap_or_else(|| before.name.clone()),
            networks: change.networks.unwrap_or_else(|| before.networks.clone()),
            revision: before.revision + 1,
            ..before.clone()
        };
        rows::keys::save_key(tx, &after)?;
        Ok((entries::credentials::key_updated(&before, &after), after))
    })
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

/// Revokes a key for good, all its secrets and the tokens made with it: one's own, or anybody's with `key:manage`.
pub fn revoke_key(db: &Database, caller: &Caller, id: &KeyId, at: &Moment<'_>) -> Result<Key, RevokeKeyError> {
    let grant = caller.authorize_on::<RevokeKey>(id.as_str())?;
    db.write(grant, |tx| {
        let found = rows::keys::key(tx, id)?.filter(|key| may_know(caller, key));
        let key = found.ok_or_else(|| RevokeKeyError::NotFound(id.clone()))?;
        if let Some(since) = key.revoked_at {
            return Err(RevokeKeyError::AlreadyRevoked(since));
        }
        let key = Key { revoked_at: Some(at.now()), revision: key.revision + 1, ..key };
        rows::keys::save_key(tx, &key)?;
        Ok((entries::credentials::key_revoked(&key), key))
    })
}
