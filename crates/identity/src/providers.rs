//! Identity providers: registered, changed, removed, and linked to users. Whoever decides whom a provider vouches for
//! gives roles: nobody gives what they do not have.

use authz::{Action, Actor, Caller, Forbidden, Permission, Permissions, Roles};
use kernel::{Moment, ProviderId, Secret, TenantId, Text, UserId};
use store::{Database, ReadTx, StoreError};

use crate::listing::ListError;
use crate::provider::{Provider, ProviderSettings, ProviderSettingsError, subject_hash};
use crate::{Beyond, ProviderStatus, RolesRefused, entries, local, rules, store as rows};

/// A provider to be.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// What people call it.
    pub name: Text<100>,
    /// How its tokens are read.
    pub settings: ProviderSettings,
    /// What we prove ourselves with where people sign in with it.
    pub client_secret: Option<Secret<String>>,
}

/// What becomes different about a provider; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct ProviderChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What people call it.
    pub name: Option<Text<100>>,
    /// How its tokens are read, in whole.
    pub settings: Option<ProviderSettings>,
    /// What we prove ourselves with.
    pub client_secret: SecretEdit,
    /// Whether it is believed.
    pub status: Option<ProviderStatus>,
}

/// What becomes of a client secret.
#[derive(Clone, Debug, Default)]
pub enum SecretEdit {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Remove,
    /// It becomes another.
    Set(Secret<String>),
}

/// Managing providers: they make users.
#[derive(Debug)]
pub struct ManageProviders;

impl Action for ManageProviders {
    const NAME: &'static str = "identity.provider.manage";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// Deciding what a provider gives: they give roles.
#[derive(Debug)]
pub struct GiveByProvider;

impl Action for GiveByProvider {
    const NAME: &'static str = "identity.provider.manage";
    const PERMISSION: Option<Permission> = Some(Permission::RoleManage);
    const SENSITIVE: bool = true;
}

/// Seeing providers.
#[derive(Debug)]
pub struct ReadProviders;

impl Action for ReadProviders {
    const NAME: &'static str = "identity.provider.read";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Why a provider was not registered, changed, removed or linked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The caller may not manage providers.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The provider would give roles that the caller cannot give.
    #[error(transparent)]
    Roles(#[from] RolesRefused),
    /// The provider vouches for users who may do what the caller cannot.
    #[error("the provider vouches for users who may do more than the caller: {0}")]
    Beyond(#[from] Beyond),
    /// There is none.
    #[error("no provider `{0}`")]
    NotFound(ProviderId),
    /// The tenant has no such user.
    #[error("no user `{0}`")]
    UserNotFound(UserId),
    /// Another one is called so.
    #[error("the name `{0}` is taken")]
    NameTaken(Text<100>),
    /// It was changed meanwhile.
    #[error("the provider is at revision {0}")]
    Stale(u64),
    /// Its settings cannot be.
    #[error(transparent)]
    Settings(#[from] ProviderSettingsError),
    /// The subject is somebody already.
    #[error("the subject is linked to a user already")]
    Linked,
    /// A text that no provider calls anybody.
    #[error("a subject has 1 to 255 characters")]
    Subject,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Registers a provider in the caller's tenant.
pub fn create_provider(
    db: &Database,
    caller: &Caller,
    new: NewProvider,
    at: &Moment<'_>,
) -> Result<Provider, ProviderError> {
    let _granted = caller.authorize::<GiveByProvider>()?;
    let grant = caller.authorize::<ManageProviders>()?;
    let NewProvider { name, settings, client_secret } = new;
    settings.check()?;
    let (id, status, created_at) = (at.id(), ProviderStatus::Active, at.now());
    let has_secret = client_secret.is_some();
    let provider = Provider { id, name, settings, has_secret, status, created_at, revision: 1 };
    db.write(grant, |tx| {
        may_map(tx, caller, &provider.settings, &Roles::default())?;
        refuse_taken(tx, &provider)?;
        rows::providers::insert_provider(tx, &provider)?;
        rows::providers::save_client_secret(tx, &provider.id, bytes(client_secret.as_ref()))?;
        Ok((entries::credentials::provider_created(&provider), provider))
    })
}

/// Changes a provider of the caller's tenant.
pub fn update_provider(
    db: &Database,
    caller: &Caller,
    id: &ProviderId,
    change: ProviderChange,
) -> Result<Provider, ProviderError> {
    let _granted = caller.authorize_on::<GiveByProvider>(id.as_str())?;
    let grant = caller.authorize_on::<ManageProviders>(id.as_str())?;
    let ProviderChange { expected_revision, name, settings, client_secret, status } = change;
    settings.as_ref().map_or(Ok(()), ProviderSettings::check)?;
    db.write(grant, |tx| {
        let found = rows::providers::provider(tx, id)?;
        let before = found.ok_or_else(|| ProviderError::NotFound(id.clone()))?;
        if before.revision != expected_revision {
            return Err(ProviderError::Stale(before.revision));
        }
        let after = Provider {
            name: name.unwrap_or_else(|| before.name.clone()),
            settings: settings.unwrap_or_else(|| before.settings.clone()),
            has_secret: match &client_secret {
                SecretEdit::Keep => before.has_secret,
                SecretEdit::Remove => false,
                SecretEdit::Set(_) => true,
            },
            status: status.unwrap_or(before.status),
            revision: before.revision + 1,
            ..before.clone()
        };
        // A secret is shown to the issuer that it was given for, and to no other.
        if after.settings.issuer != before.settings.issuer
            && before.has_secret
            && matches!(client_secret, SecretEdit::Keep)
        {
            let wrong = "is that of another issuer: give this one's, or remove it";
            return Err(ProviderSettingsError { field: "client_secret", wrong }.into());
        }
        // Whoever decides what is believed of a provider could become anybody for whom it vouches.
        if after.settings != before.settings || after.status != before.status {
            rules::within(caller, spoken_for(tx, id)?)?;
            let given = before.settings.role_map.values().fold(Roles::default(), |all, roles| all.union(roles));
            may_map(tx, caller, &after.settings, &given)?;
        }
        refuse_taken(tx, &after)?;
        rows::providers::save_provider(tx, &after)?;
        match &client_secret {
            SecretEdit::Keep => {}
            SecretEdit::Remove => rows::providers::save_client_secret(tx, id, None)?,
            SecretEdit::Set(secret) => rows::providers::save_client_secret(tx, id, bytes(Some(secret)))?,
        }
        Ok((entries::credentials::provider_updated(&before, &after), after))
    })
}

/// Removes a provider and its links, if it is at that revision still. Those who came by it stay users; their sessions
/// end in their time.
pub fn delete_provider(
    db: &Database,
    caller: &Caller,
    id: &ProviderId,
    expected_revision: u64,
) -> Result<(), ProviderError> {
    let _granted = caller.authorize_on::<GiveByProvider>(id.as_str())?;
    let grant = caller.authorize_on::<ManageProviders>(id.as_str())?;
    db.write(grant, |tx| {
        let found = rows::providers::provider(tx, id)?;
        let provider = found.ok_or_else(|| ProviderError::NotFound(id.clone()))?;
        if provider.revision != expected_revision {
            return Err(ProviderError::Stale(provider.revision));
        }
        rows::providers::delete_provider(tx, id)?;
        Ok((entries::credentials::provider_deleted(&provider), ()))
    })
}

/// The providers of the caller's tenant.
pub fn providers(db: &Database, caller: &Caller) -> Result<Vec<Provider>, ListError> {
    let grant = caller.authorize::<ReadProviders>()?;
    Ok(db.read(&grant, rows::providers::providers)?)
}

/// One provider of the caller's tenant.
pub fn provider(db: &Database, caller: &Caller, id: &ProviderId) -> Result<Provider, ProviderError> {
    let grant = caller.authorize_on::<ReadProviders>(id.as_str())?;
    let found = db.read(&grant, |tx| rows::providers::provider(tx, id))?;
    found.ok_or_else(|| ProviderError::NotFound(id.clone()))
}

/// Who somebody is at a provider.
#[derive(Clone)]
pub struct Link {
    /// The provider.
    pub provider: ProviderId,
    /// The user.
    pub user: UserId,
    /// What the provider calls them: its `sub`.
    pub subject: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({} at {})", self.user, self.provider)
    }
}

/// Says that a subject of a provider is a user who is here already.
pub fn link_user(db: &Database, caller: &Caller, link: &Link, at: &Moment<'_>) -> Result<(), ProviderError> {
    let Link { provider, user, subject } = link;
    let _granted = caller.authorize_on::<GiveByProvider>(provider.as_str())?;
    let grant = caller.authorize_on::<ManageProviders>(provider.as_str())?;
    if subject.is_empty() || subject.chars().count() > 255 {
        return Err(ProviderError::Subject);
    }
    db.write(grant, |tx| {
        let found = rows::providers::provider(tx, provider)?;
        let found = found.ok_or_else(|| ProviderError::NotFound(provider.clone()))?;
        let linked = rows::users::user(tx, user)?.ok_or_else(|| ProviderError::UserNotFound(user.clone()))?;
        // Whoever is that subject becomes the user.
        rules::within(caller, rows::roles::book(tx)?.permissions(&linked.roles))?;
        let hash = subject_hash(&found.settings.issuer, subject);
        if rows::providers::linked(tx, provider, &hash)?.is_some() {
            return Err(ProviderError::Linked);
        }
        rows::providers::link(tx, (provider, &hash), user, at.now())?;
        Ok((entries::credentials::user_linked(provider, user, &hash), ()))
    })
}

/// Forgets who a user is at a provider, and says of how many subjects.
pub fn unlink_user(db: &Database, caller: &Caller, provider: &ProviderId, user: &UserId) -> Result<u64, ProviderError> {
    let grant = caller.authorize_on::<ManageProviders>(provider.as_str())?;
    db.write(grant, |tx| {
        rows::providers::provider(tx, provider)?.ok_or_else(|| ProviderError::NotFound(provider.clone()))?;
        let subjects = rows::providers::unlink(tx, provider, user)?;
        Ok((entries::credentials::user_unlinked(provider, user, subjects), subjects))
    })
}

/// Proving ourselves to a provider.
#[derive(Debug)]
struct UseSecret;

impl Action for UseSecret {
    const NAME: &'static str = "identity.provider.use";
    const PERMISSION: Option<Permission> = None;
}

/// What we prove ourselves to a provider with, for the flow of somebody who is nobody yet.
pub fn client_secret(
    db: &Database,
    tenant: &TenantId,
    id: &ProviderId,
    at: &Moment<'_>,
) -> Result<Option<Secret<String>>, StoreError> {
    let itself = local::itself(tenant.clone(), Actor::system("sign-in"), at);
    let Ok(grant) = itself.authorize::<UseSecret>() else {
        return Ok(None);
    };
    let secret = db.read(&grant, |tx| rows::providers::client_secret(tx, id))?;
    let text = |secret| String::from_utf8(secret).map_err(|_| StoreError::Decode("a client secret"));
    secret.map(|secret| text(secret).map(Secret::new)).transpose()
}

fn bytes(secret: Option<&Secret<String>>) -> Option<&[u8]> {
    secret.map(|secret| secret.expose().as_bytes())
}

/// What those may do together for whom the provider vouches.
fn spoken_for(tx: &mut ReadTx<'_>, id: &ProviderId) -> Result<Permissions, StoreError> {
    let book = rows::roles::book(tx)?;
    let all = rows::providers::roles_spoken_for(tx, id)?;
    Ok(all.iter().fold(Permissions::NONE, |all, roles| all.union(book.permissions(roles))))
}

/// Whether the caller could give all that the provider will.
fn may_map(
    tx: &mut ReadTx<'_>,
    caller: &Caller,
    settings: &ProviderSettings,
    already: &Roles,
) -> Result<(), ProviderError> {
    let book = rows::roles::book(tx)?;
    let given = settings.role_map.values().fold(Roles::default(), |all, roles| all.union(roles));
    Ok(rules::may_give(caller, &given, already, &book)?)
}

fn refuse_taken(tx: &mut ReadTx<'_>, provider: &Provider) -> Result<(), ProviderError> {
    if rows::providers::is_named(tx, provider.name.as_str(), &provider.id)? {
        return Err(ProviderError::NameTaken(provider.name.clone()));
    }
    Ok(())
}
