//! Sessions: opened by signing in, presented with each request, renewed, listed, ended.

use authz::{Action, Caller, Forbidden, Makers, Permission, Request, Roles, Via};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{Cursor, Moment, Page, PageSize, ProviderId, Secret, SessionId, TenantId, Timestamp, UserId};
use store::{Database, StoreError, WriteTx};

use crate::directory::{Authenticated, Directory, Share, vouch};
use crate::form::{Fresh, PresentedSession};
use crate::listing::{ListError, Listing};
use crate::session::{Client, IDLE_SECONDS, IssuedSession, LIFETIME_SECONDS, Session};
use crate::store::sessions::Held;
use crate::{AuthError, KeyFormatError, Refusal, SessionRefusal, SignInMethod, User, entries, rules, store as rows};

/// How far apart two uses of a session are that are both written down, in seconds.
const USES_APART: i64 = 60;

/// For how many seconds a session is remembered after its time was over.
const REMEMBERED_SECONDS: i64 = 86_400;

/// What a request comes with that presents a session.
#[derive(Clone, Debug)]
pub struct Entered {
    /// Who makes it.
    pub authenticated: Authenticated,
    /// The session.
    pub session: Session,
    /// Whether what its holder may do has changed since it began: then it is to be renewed, so that a secret that was
    /// seen before does not have what came later. See [`renew_session`].
    pub renew: bool,
}

/// Why nobody entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The session is not good.
    #[error(transparent)]
    Refused(#[from] AuthError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// How a session begins.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) method: SignInMethod,
    pub(crate) provider: Option<ProviderId>,
    pub(crate) issued_by: Makers,
    pub(crate) client: Client,
}

/// Opens a session for a user who has just proved who they are.
pub(crate) fn open(
    tx: &mut WriteTx<'_>,
    user: &User,
    opening: Opening,
    at: &Moment<'_>,
) -> Result<IssuedSession, StoreError> {
    let Opening { id, method, provider, issued_by, client } = opening;
    let now = at.now();
    rows::sessions::forget(tx, now.plus_seconds(-REMEMBERED_SECONDS))?;
    let session = Session {
        id,
        user: user.id.clone(),
        method,
        provider,
        network: client.network(),
        agent: client.agent(),
        created_at: now,
        authenticated_at: now,
        seen_at: now,
        expires_at: now.plus_seconds(LIFETIME_SECONDS),
        ended_at: None,
    };
    insert(tx, session, (issued_by, user.epoch, user.roles.clone()), at)
}

fn insert(
    tx: &mut WriteTx<'_>,
    session: Session,
    (issued_by, epoch, roles): (Makers, u64, Roles),
    at: &Moment<'_>,
) -> Result<IssuedSession, StoreError> {
    let fresh = Fresh::session(at);
    let held = Held { session, secret_hash: fresh.secret_hash, issued_by, epoch, roles };
    rows::sessions::insert_session(tx, fresh.id.as_str(), &held)?;
    let secret = Secret::new(format!("{}.{}", fresh.text.expose(), tx.tenant()));
    Ok(IssuedSession { session: held.session, secret })
}

/// What a session's holder presents: the secret, and the tenant in which to look for it.
struct Presented<'a> {
    secret: PresentedSession<'a>,
    tenant: TenantId,
}

fn parse(text: &str) -> Result<Presented<'_>, KeyFormatError> {
    let (secret, tenant) = text.split_once('.').ok_or(KeyFormatError::Malformed)?;
    let secret = PresentedSession::parse(secret)?;
    Ok(Presented { secret, tenant: tenant.parse().map_err(|_| KeyFormatError::Malformed)? })
}

/// Looking at a session that is presented.
#[derive(Debug)]
struct Enter;

impl Action for Enter {
    const NAME: &'static str = "identity.session.enter";
    const PERMISSION: Option<Permission> = None;
}

/// Says who presents the session's secret, or refuses. It reads one row; the use is written down at most once a minute.
pub fn authenticate_session(
    db: &Database,
    directory: &Directory,
    presented: &str,
    request: Request,
    now: Timestamp,
) -> Result<Entered, EnterError> {
    let refused = |cause: Refusal, owner| AuthError { cause, key: None, owner };
    directory.check_fresh()?;
    let presented = parse(presented).map_err(|form| refused(form.into(), None))?;
    let hash = presented.secret.secret_hash();
    let share = directory.share(&presented.tenant);
    let share = share.ok_or_else(|| refused(SessionRefusal::Unknown.into(), None))?;
    let looking = crate::local::itself_in(presented.tenant.clone(), "sessions", request.clone());
    let Ok(grant) = looking.authorize::<Enter>() else {
        return Err(refused(SessionRefusal::Unknown.into(), None).into());
    };
    let found = db.read(&grant, |tx| rows::sessions::by_handle(tx, presented.secret.handle()))?;
    let held = found.filter(|held| verify_slices_are_equal(&hash, &held.secret_hash).is_ok());
    let held = held.ok_or_else(|| refused(SessionRefusal::Unknown.into(), None))?;
    let owner = Some((presented.tenant.clone(), held.session.user.clone()));
    let principal = share.users.get(&held.session.user);
    let principal = principal.ok_or_else(|| refused(SessionRefusal::Unknown.into(), owner.clone()))?;
    principal.admit().map_err(|cause| refused(cause, owner.clone()))?;
    if principal.epoch != held.epoch || !is_vouched_for(&share, &held.session) {
        return Err(refused(SessionRefusal::Ended.into(), owner).into());
    }
    held.session.admit(now).map_err(|cause| refused(cause.into(), owner.clone()))?;
    let Held { mut session, issued_by, roles, .. } = held;
    if now >= session.seen_at.plus_seconds(USES_APART) {
        session.seen_at = now;
        touch(db, &presented.tenant, &session)?;
    }
    let mut standing = principal.standing();
    standing.actor.via = Some(Via::Session(session.id.clone()));
    standing.fresh = session.is_fresh(now);
    standing.issued_by = issued_by;
    let renew = principal.roles != share.realm.effective(&roles).0;
    let authenticated = Authenticated { caller: vouch(standing.into(), request), agent: None };
    Ok(Entered { authenticated, session, renew })
}

/// Whether the provider that somebody signed in with still speaks for the tenant: who trusts it no longer does not trust
/// whom it let in.
fn is_vouched_for(share: &Share, session: &Session) -> bool {
    session.provider.as_ref().is_none_or(|id| share.providers.iter().any(|provider| provider.id == *id))
}

fn touch(db: &Database, tenant: &TenantId, session: &Session) -> Result<(), StoreError> {
    let job: store::Job<'_> = Box::new(move |tx| {
        rows::sessions::touch(tx, &session.id, session.seen_at)?;
        Ok(Vec::new())
    });
    db.write_shares(vec![(tenant.clone(), job)]).into_iter().try_for_each(|written| written.map(drop))
}

/// What a form must send along with the session, so that no other site can send it: it follows from the secret, and does
/// not lead to it.
pub fn csrf_token(presented: &str) -> Option<Secret<String>> {
    let presented = parse(presented).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, presented.secret.secret().as_bytes());
    Some(Secret::new(BASE64.encode(hmac::sign(&key, b"taskforce/csrf/1"))))
}

/// Whether `given` is what [`csrf_token`] says.
pub fn is_csrf_token(presented: &str, given: &str) -> bool {
    csrf_token(presented)
        .is_some_and(|right| verify_slices_are_equal(right.expose().as_bytes(), given.as_bytes()).is_ok())
}

/// Giving one's session another secret.
#[derive(Debug)]
pub struct RenewSession;

impl Action for RenewSession {
    const NAME: &'static str = "identity.session.renew";
    const PERMISSION: Option<Permission> = None;
}

/// Why a session was not renewed, or not ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The caller may not do that.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none that the caller may know of, or it is over.
    #[error("no session `{0}`")]
    NotFound(SessionId),
    /// The caller has no session.
    #[error("the request came with no session")]
    NoSession,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Ends the caller's session and opens another in its place, which ends when the one before would have.
pub fn renew_session(db: &Database, caller: &Caller, at: &Moment<'_>) -> Result<IssuedSession, SessionError> {
    let Some(Via::Session(id)) = caller.actor().via.clone() else {
        return Err(SessionError::NoSession);
    };
    let grant = caller.authorize_on::<RenewSession>(id.as_str())?;
    db.write_data(grant, |tx| {
        let held = rows::sessions::held(tx, &id)?.filter(|held| held.session.admit(at.now()).is_ok());
        let Held { session, issued_by, epoch, .. } = held.ok_or_else(|| SessionError::NotFound(id.clone()))?;
        let user = rows::users::user(tx, &session.user)?.filter(|user| user.epoch == epoch);
        let user = user.ok_or_else(|| SessionError::NotFound(id.clone()))?;
        rows::sessions::end_session(tx, &id, at.now())?;
        let session = Session { id: at.id(), seen_at: at.now(), ..session };
        let issued = insert(tx, session, (issued_by, epoch, user.roles), at)?;
        Ok((entries::credentials::session_renewed(&id, &issued.session), issued))
    })
}

/// Seeing one's own sessions.
#[derive(Debug)]
pub struct ReadOwnSessions;

impl Action for ReadOwnSessions {
    const NAME: &'static str = "identity.session.read";
    const PERMISSION: Option<Permission> = None;
}

/// Seeing anybody's sessions.
#[derive(Debug)]
pub struct ReadSessions;

impl Action for ReadSessions {
    const NAME: &'static str = "identity.session.read";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Ending a session that one may know of.
#[derive(Debug)]
pub struct EndSession;

impl Action for EndSession {
    const NAME: &'static str = "identity.session.end";
    const PERMISSION: Option<Permission> = None;
}

/// The sessions that are not over: those of `user`, or everybody's; the ones that began first come first.
pub fn sessions(
    db: &Database,
    caller: &Caller,
    user: Option<&UserId>,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Session>, ListError> {
    let listing = Listing::of(&("sessions", user));
    let after = listing.begin(after)?;
    let now = db.moment().now();
    let place = (after.as_str(), now, now.plus_seconds(-IDLE_SECONDS));
    let found = match user {
        Some(own) if rules::is_oneself(caller, own) => {
            db.read(&caller.authorize::<ReadOwnSessions>()?, |tx| rows::sessions::sessions(tx, user, place, size))
        }
        Some(_) | None => {
            db.read(&caller.authorize::<ReadSessions>()?, |tx| rows::sessions::sessions(tx, user, place, size))
        }
    };
    Ok(listing.page(found?, size, |session| session.id.to_string()))
}

/// Ends a session: one's own, or anybody's with `user:manage`.
pub fn end_session(db: &Database, caller: &Caller, id: &SessionId, at: &Moment<'_>) -> Result<Session, SessionError> {
    let grant = caller.authorize_on::<EndSession>(id.as_str())?;
    db.write_data(grant, |tx| {
        let found = rows::sessions::held(tx, id)?.map(|held| held.session);
        let found = found.filter(|session| may_know(caller, session) && session.admit(at.now()).is_ok());
        let session = found.ok_or_else(|| SessionError::NotFound(id.clone()))?;
        rows::sessions::end_session(tx, id, at.now())?;
        let session = Session { ended_at: Some(at.now()), ..session };
        Ok((entries::credentials::session_ended(&session), session))
    })
}

/// Whether the caller may know that the session exists.
fn may_know(caller: &Caller, session: &Session) -> bool {
    rules::is_oneself(caller, &session.user) || caller.authorize_on::<ReadSessions>(session.id.as_str()).is_ok()
}

/// Ending all of one's own sessions and tokens.
#[derive(Debug)]
pub struct SignOutEverywhere;

impl Action for SignOutEverywhere {
    const NAME: &'static str = "identity.user.sign-out";
    const PERMISSION: Option<Permission> = None;
}

/// Ending all of somebody's sessions and tokens.
#[derive(Debug)]
pub struct SignOutUser;

impl Action for SignOutUser {
    const NAME: &'static str = "identity.user.sign-out";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Why nothing was ended.
#[derive(Debug, thiserror::Error)]
pub enum SignOutError {
    /// The caller may not sign that user out.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has no such user.
    #[error("no user `{0}`")]
    NotFound(UserId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Ends every session and every token of a user, and says how many sessions there were: oneself, or anybody with
/// `user:manage`. Keys stay good.
pub fn sign_out_everywhere(
    db: &Database,
    caller: &Caller,
    user: &UserId,
    at: &Moment<'_>,
) -> Result<u64, SignOutError> {
    let end = |tx: &mut WriteTx<'_>| {
        rows::users::user(tx, user)?.ok_or_else(|| SignOutError::NotFound(user.clone()))?;
        rows::passwords::raise_epoch(tx, user, at.now())?;
        let sessions = rows::users::end_sessions_of(tx, user, at.now())?;
        Ok((entries::credentials::signed_out(user, sessions), sessions))
    };
    if rules::is_oneself(caller, user) {
        db.write(caller.authorize_on::<SignOutEverywhere>(user.as_str())?, end)
    } else {
        db.write(caller.authorize_on::<SignOutUser>(user.as_str())?, end)
    }
}
