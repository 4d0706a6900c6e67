//! Signing in: with a password that is kept here, or with an identity provider.

use std::sync::Arc;

use authz::{Action, Actor, Caller, Makers, Permission, Request, Roles, Standing, Via};
use jose::Claims;
use kernel::{Moment, ProviderId, Secret, SessionId, TenantId, UserId};
use store::{Database, Entry, StoreError, WriteTx};

use crate::directory::{Directory, vouch};
use crate::failure::{Cause, Failure};
use crate::gate::{Gate, turn_away};
use crate::passwords::{Compared, Password, compare};
use crate::provider::{Newcomer, Provider, Subject};
use crate::session::{Client, IssuedSession};
use crate::sessions::{Opening, open};
use crate::throttle::Throttled;
use crate::users::fresh;
use crate::{
    AuthError, NewUser, ProviderStatus, SignInMethod, TenantStatus, User, UserKind, UserStatus, Username, entries,
    standing, store as rows,
};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Whatever it was, the outside is told no more than that.
    #[error("signing in failed")]
    Refused(Cause),
    /// It was tried too often.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// This node cannot say who may sign in.
    #[error(transparent)]
    Stale(#[from] AuthError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Signing in.
#[derive(Debug)]
struct SignIn;

impl Action for SignIn {
    const NAME: &'static str = "identity.sign-in";
    const PERMISSION: Option<Permission> = None;
}

/// Who wants to sign in with a password.
#[derive(Debug)]
pub struct PasswordSignIn {
    /// Where.
    pub tenant: TenantId,
    /// As whom.
    pub username: Username,
    /// With what.
    pub password: Secret<String>,
    /// From where.
    pub client: Client,
}

/// Signs somebody in with a password. Each failure looks the same, takes as long, and is recorded. Hashing takes its
/// time: run few of these at once.
pub fn sign_in_with_password(
    db: &Database,
    gate: &Gate,
    directory: &Directory,
    asked: PasswordSignIn,
    at: &Moment<'_>,
) -> Result<IssuedSession, SignInError> {
    directory.check_fresh()?;
    let PasswordSignIn { tenant, username, password, client } = asked;
    let failure = |cause, user| {
        let (tenant, method) = (tenant.clone(), SignInMethod::Password);
        Failure { tenant, user, method, provider: None, cause }
    };
    let attempt = match gate.begin(&tenant, &username, client.address, at.now()) {
        Ok(attempt) => attempt,
        Err(throttled) => {
            turn_away(db, gate, directory, &failure(Cause::Throttled, None), at)?;
            return Err(throttled.into());
        }
    };
    match checked(db, directory, (&tenant, &username), &password, at) {
        Ok(checked) => {
            gate.succeeded(attempt);
            let known = checked.user.id.clone();
            let issued_by = checked.set_by.but(known.as_str());
            let opening = Opening { id: at.id(), method: SignInMethod::Password, provider: None, issued_by, client };
            let entered = enter(db, tenant.clone(), &checked, opening, at);
            if let Err(SignInError::Refused(cause)) = &entered {
                turn_away(db, gate, directory, &failure(*cause, Some(known)), at)?;
            }
            entered
        }
        Err(Refused::For(cause, user)) => {
            turn_away(db, gate, directory, &failure(cause, user), at)?;
            Err(SignInError::Refused(cause))
        }
        Err(Refused::Database(error)) => Err(error.into()),
    }
}

/// Who has proved to be somebody.
struct Checked {
    user: User,
    set_by: Makers,
    /// The password hashed anew, where its hash is one of before.
    rehashed: Option<String>,
}

enum Refused {
    For(Cause, Option<UserId>),
    Database(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Database(error)
    }
}

/// Compares the password. The work is the same whether or not there is such a tenant, user or password.
fn checked(
    db: &Database,
    directory: &Directory,
    (tenant, username): (&TenantId, &Username),
    password: &Secret<String>,
    at: &Moment<'_>,
) -> Result<Checked, Refused> {
    let known = directory.share(tenant);
    // An unknown tenant's rows are looked for in the reserved one, where the name leads nowhere.
    let looked_in = if known.is_some() { tenant.clone() } else { TenantId::system() };
    let grant = crate::local::itself(looked_in, Actor::system("sign-in"), at).authorize::<SignIn>();
    let grant = grant.map_err(|_| Refused::For(Cause::NoTenant, None))?;
    let found = db.read(&grant, |tx| {
        let user = rows::users::user_named(tx, username)?;
        let kept = user.as_ref().map(|user| rows::passwords::password(tx, &user.id)).transpose()?.flatten();
        Ok::<_, StoreError>((user, kept))
    })?;
    let (user, kept) = if known.is_some() { found } else { (None, None) };
    let compared = compare(password.expose(), kept.as_ref().map(|kept| kept.hash.as_str()));
    let share = known.ok_or(Refused::For(Cause::NoTenant, None))?;
    let user = user.ok_or(Refused::For(Cause::NoUser, None))?;
    let refused = |cause| Err(Refused::For(cause, Some(user.id.clone())));
    let Some(kept) = kept else {
        return refused(Cause::NoPassword);
    };
    if compared == Compared::Wrong {
        return refused(Cause::WrongPassword);
    }
    if share.realm.suspended {
        return refused(Cause::Suspended);
    }
    if user.status == UserStatus::Deactivated {
        return refused(Cause::Deactivated);
    }
    let rehashed = match compared {
        Compared::RightAndDated => Some(Password::trusted(password).hash(at)?),
        Compared::Right | Compared::Wrong => None,
    };
    Ok(Checked { user, set_by: kept.set_by, rehashed })
}

/// Opens the session, if all that was checked still holds.
fn enter(
    db: &Database,
    tenant: TenantId,
    checked: &Checked,
    opening: Opening,
    at: &Moment<'_>,
) -> Result<IssuedSession, SignInError> {
    let Checked { user, rehashed, set_by: _ } = checked;
    let grant = arriving(tenant, &user.id, &opening.id, at)?;
    db.write_data(grant, |tx| {
        let now = rows::users::user(tx, &user.id)?.filter(|now| now.epoch == user.epoch);
        let user = now.ok_or(SignInError::Refused(Cause::Changed))?;
        may_enter(tx, &user)?;
        if let Some(hash) = rehashed {
            rows::passwords::rehash(tx, &user.id, hash)?;
        }
        let issued = open(tx, &user, opening, at)?;
        Ok((entries::credentials::session_started(&issued.session), issued))
    })
}

/// The grant of somebody who is about to have a session: its entry names them, and the session as their credential.
fn arriving(
    tenant: TenantId,
    user: &UserId,
    session: &SessionId,
    at: &Moment<'_>,
) -> Result<authz::Grant<SignIn>, SignInError> {
    let actor = Actor { via: Some(Via::Session(session.clone())), ..Actor::user(user.as_str()) };
    let arriving = vouch(Standing::new(tenant, actor, Roles::default()).into(), Request::made(at));
    arriving.authorize::<SignIn>().map_err(|_| SignInError::Refused(Cause::Changed))
}

fn may_enter(tx: &mut WriteTx<'_>, user: &User) -> Result<(), SignInError> {
    let tenant = rows::tenants::tenant(tx)?.ok_or(SignInError::Refused(Cause::NoTenant))?;
    if tenant.status == TenantStatus::Suspended {
        return Err(SignInError::Refused(Cause::Suspended));
    }
    if user.status == UserStatus::Deactivated {
        return Err(SignInError::Refused(Cause::Deactivated));
    }
    Ok(())
}

/// Who wants to sign in with what an identity provider says.
#[derive(Debug)]
pub struct ProviderSignIn<'a> {
    /// Where.
    pub tenant: TenantId,
    /// With which provider of that tenant.
    pub provider: ProviderId,
    /// What its identity token says: verified, and meant for this very sign-in.
    pub claims: &'a Claims,
    /// From where.
    pub client: Client,
}

/// Signs somebody in for whom a provider vouches: whoever is linked to its subject, or a new user where the provider
/// makes users. Where the provider decides about roles, the user has those that it gives now, no more and no fewer.
pub fn sign_in(
    db: &Database,
    gate: &Gate,
    directory: &Directory,
    asked: ProviderSignIn<'_>,
    at: &Moment<'_>,
) -> Result<IssuedSession, SignInError> {
    directory.check_fresh()?;
    let ProviderSignIn { tenant, provider, claims, client } = asked;
    let method = SignInMethod::Oidc;
    let signed_in = vouched_for(directory, &tenant, &provider, claims).and_then(|(known, subject)| {
        let opening =
            Opening { id: at.id(), method, provider: Some(provider.clone()), issued_by: Makers::default(), client };
        arrive(db, &known, &subject, opening, at)
    });
    if let Err(SignInError::Refused(cause)) = &signed_in {
        let (provider, cause) = (Some(provider), *cause);
        turn_away(db, gate, directory, &Failure { tenant, user: None, method, provider, cause }, at)?;
    }
    signed_in
}

/// Whom the claims are about, if they are the provider's, for us, and about its tenant.
fn vouched_for(
    directory: &Directory,
    tenant: &TenantId,
    id: &ProviderId,
    claims: &Claims,
) -> Result<(Arc<Provider>, Subject), SignInError> {
    let refused = |cause| Err(SignInError::Refused(cause));
    let Some(share) = directory.share(tenant) else {
        return refused(Cause::NoTenant);
    };
    let Some(provider) = share.providers.iter().find(|provider| provider.id == *id) else {
        return refused(Cause::NoProvider);
    };
    let settings = &provider.settings;
    let for_us = settings.client_id.as_ref().is_some_and(|client| claims.aud.contains(client));
    if claims.iss != settings.issuer || !for_us || !settings.is_for_tenant(claims) {
        return refused(Cause::OtherTenant);
    }
    Ok((Arc::clone(provider), Subject::of(provider, tenant, claims)))
}

/// What an arrival may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    /// Nothing that requests are decided by: the tenant's snapshots stay as they are.
    None,
    /// The user and its roles.
    Any,
}

/// Why an arrival did not happen.
#[derive(Debug, thiserror::Error)]
enum ArriveError {
    #[error("signing in failed")]
    Refused(Cause),
    #[error("the user must change")]
    MustChange,
    #[error(transparent)]
    Database(#[from] StoreError),
}

fn arrive(
    db: &Database,
    provider: &Provider,
    subject: &Subject,
    opening: Opening,
    at: &Moment<'_>,
) -> Result<IssuedSession, SignInError> {
    let looking = crate::local::itself(subject.tenant.clone(), Actor::system("sign-in"), at).authorize::<SignIn>();
    let looking = looking.map_err(|_| SignInError::Refused(Cause::NoTenant))?;
    let linked = db.read(&looking, |tx| rows::providers::linked(tx, &subject.provider, &subject.hash))?;
    let user = linked.unwrap_or_else(|| at.id());
    let grant = arriving(subject.tenant.clone(), &user, &opening.id, at)?;
    // Most sign-ins change nothing but the sessions: then no node rebuilds anything.
    let again = opening.clone();
    let arrived =
        db.write_data(grant.clone(), |tx| arrival(tx, (provider, subject), (&user, Changes::None), again, at));
    let arrived = match arrived {
        Err(ArriveError::MustChange) => {
            db.write(grant, |tx| arrival(tx, (provider, subject), (&user, Changes::Any), opening, at))
        }
        decided => decided,
    };
    arrived.map_err(|error| match error {
        ArriveError::Refused(cause) => SignInError::Refused(cause),
        ArriveError::MustChange => SignInError::Refused(Cause::Changed),
        ArriveError::Database(error) => error.into(),
    })
}

fn arrival(
    tx: &mut WriteTx<'_>,
    (provider, subject): (&Provider, &Subject),
    (id, changes): (&UserId, Changes),
    opening: Opening,
    at: &Moment<'_>,
) -> Result<(Entry, IssuedSession), ArriveError> {
    let refused = |cause| Err(ArriveError::Refused(cause));
    if rows::providers::provider(tx, &provider.id)?.as_ref() != Some(provider) {
        return refused(Cause::Changed);
    }
    let before = match rows::providers::linked(tx, &subject.provider, &subject.hash)? {
        Some(linked) if linked == *id => rows::users::user(tx, id)?,
        Some(_) => return refused(Cause::Changed),
        None => None,
    };
    let user = match &before {
        Some(user) => user.clone(),
        None if !provider.settings.provision => return refused(Cause::Unlinked),
        None if changes == Changes::None => return Err(ArriveError::MustChange),
        None => settle_newcomer(tx, subject, id, at)?,
    };
    may_enter(tx, &user).map_err(|error| match error {
        SignInError::Refused(cause) => ArriveError::Refused(cause),
        SignInError::Database(error) => error.into(),
        SignInError::Throttled(_) | SignInError::Stale(_) => ArriveError::Refused(Cause::Changed),
    })?;
    let user = match &subject.roles {
        Some(roles) => standing::set_provider_roles(tx, &user, roles, at)?,
        None => user,
    };
    if changes == Changes::None && before.as_ref() != Some(&user) {
        return Err(ArriveError::MustChange);
    }
    let issued = open(tx, &user, opening, at)?;
    Ok((entries::credentials::arrived(&issued.session, before.as_ref(), &user, subject), issued))
}

/// Makes a user of a newcomer, without roles, and links it.
fn settle_newcomer(tx: &mut WriteTx<'_>, subject: &Subject, id: &UserId, at: &Moment<'_>) -> Result<User, StoreError> {
    let username = free_username(tx, subject)?;
    let new = NewUser { email: subject.email.clone(), ..NewUser::named(UserKind::User, username) };
    let user = User { id: id.clone(), ..fresh(new, at) };
    rows::users::insert_user(tx, &user)?;
    rows::providers::link(tx, (&subject.provider, &subject.hash), id, at.now())?;
    Ok(user)
}

/// The name that the provider knows, or one like it, or one of the subject's hash.
fn free_username(tx: &mut WriteTx<'_>, subject: &Subject) -> Result<Username, StoreError> {
    let hash = kernel::hex(&subject.hash);
    let digits = |count: usize| hash.chars().take(count).collect::<String>();
    let known = subject.username.as_ref().map(|name| name.as_str().to_owned());
    let like = known.as_ref().map(|name| format!("{}-{}", name.chars().take(57).collect::<String>(), digits(6)));
    for name in known.into_iter().chain(like).chain([format!("u-{}", digits(12)), format!("u-{}", digits(60))]) {
        let name = name.parse().map_err(|_| StoreError::Decode("a username"))?;
        if rows::users::user_named(tx, &name)?.is_none() {
            return Ok(name);
        }
    }
    Err(StoreError::Conflict("no username is free".to_owned()))
}

/// Making a user of somebody for whom a provider vouched.
#[derive(Debug)]
struct Provision;

impl Action for Provision {
    const NAME: &'static str = "identity.user.provision";
    const PERMISSION: Option<Permission> = None;
}

/// Why nobody was made a user.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The provider is not registered any more, is disabled, or makes nobody a user.
    #[error("the provider makes no users")]
    Refused,
    /// They are a user already. It is no reason to refuse them: never returned by [`provision`].
    #[error("the subject is a user already")]
    Known,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes a user of somebody whose bearer token was refused only because they are no user yet, unless they have become
/// one meanwhile. Refresh the directory and try the token again.
pub fn provision(db: &Database, newcomer: &Newcomer, at: &Moment<'_>) -> Result<(), ProvisionError> {
    let Newcomer(subject) = newcomer;
    let itself: Caller = crate::local::itself(subject.tenant.clone(), Actor::system("provisioning"), at);
    let grant = itself.authorize::<Provision>().map_err(|_| ProvisionError::Refused)?;
    let linked = db.read(&grant, |tx| rows::providers::linked(tx, &subject.provider, &subject.hash))?;
    if linked.is_some() {
        return Ok(());
    }
    let made = db.write(grant, |tx| {
        let provider = rows::providers::provider(tx, &subject.provider)?;
        let makes = |provider: &Provider| provider.status == ProviderStatus::Active && provider.settings.provision;
        let tenant = rows::tenants::tenant(tx)?.filter(|tenant| tenant.status == TenantStatus::Active);
        if !provider.as_ref().is_some_and(makes) || tenant.is_none() {
            return Err(ProvisionError::Refused);
        }
        let user = match rows::providers::linked(tx, &subject.provider, &subject.hash)? {
            Some(_) => return Err(ProvisionError::Known),
            None => settle_newcomer(tx, subject, &at.id(), at)?,
        };
        let user = match &subject.roles {
            Some(roles) => standing::set_provider_roles(tx, &user, roles, at)?,
            None => user,
        };
        Ok((entries::credentials::user_provisioned(&user, subject), ()))
    });
    match made {
        Err(ProvisionError::Known) => Ok(()),
        made => made,
    }
}
