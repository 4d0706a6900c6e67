//! What every handler has at hand, and the one way from a handler to a use case.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use approvals::Followers;
use audit::{Refusals, Signer};
use authz::{Basis, Caller, Cause, RoleName};
use axum::response::{IntoResponse, Response};
use gateway::Gateway;
use http::{HeaderValue, StatusCode};
use identity::{Directory, Gate, Provider, TokenSettings, Tokens, Verifier};
use kernel::{Moment, Secret, TenantId, Timestamp};
use parking_lot::Mutex;
use policy::Policies;
use serde_json::json;
use store::{Database, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::Answer;
use crate::issuers::Issuers;
use crate::metrics::Metrics;
use crate::once::{Once, at_most_once};
use crate::place::{Edition, PROTECTED_RESOURCE, Place};
use crate::problem::{Kind, Problem};
use crate::rate::Rates;
use crate::sealed::{CookieKeyError, Sealer};
use crate::wire::Show;

/// How many passwords are hashed at once.
const HASHES: usize = 2;
/// How many policies are tested, compared or replayed at once.
const STUDIES: usize = 1;

/// The application behind the router. Cheap to clone.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Inner>);

/// What an application is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub db: Database,
    /// Who holds which key.
    pub directory: Arc<Directory>,
    /// The way to the models.
    pub gateway: Arc<Gateway>,
    /// Signs the heads of the logs.
    pub signer: Arc<Signer>,
    /// What follows the end of a request for approval.
    pub followers: Followers,
    /// The policies of the tenants. The directory asks them.
    pub policies: Arc<Policies>,
    /// The way to identity providers.
    pub outbound: outbound::Client,
    /// Where the server stands.
    pub place: Place,
    /// What the server's own credentials are signed and sealed with.
    pub signing: Signing,
    /// What a user may do who is created without roles, where its tenant does not say.
    pub default_role: RoleName,
    /// Whether tenants can be created.
    pub multi_tenant: bool,
    /// What the server says about itself.
    pub about: About,
}

/// What the server's own credentials are signed and sealed with.
#[derive(Debug, Clone)]
pub struct Signing {
    /// Signs tokens.
    pub tokens: Secret<Vec<u8>>,
    /// Who issues them.
    pub issuer: String,
    /// Seals what a browser holds while somebody signs in: 32 bytes.
    pub cookies: Secret<Vec<u8>>,
}

/// What a server says about itself to its users.
#[derive(Debug, Clone)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// Which edition is active.
    pub edition: Edition,
    /// The parts of the enterprise edition that are active.
    pub parts: Vec<String>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) directory: Arc<Directory>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) followers: Followers,
    pub(crate) policies: Arc<Policies>,
    pub(crate) place: Place,
    pub(crate) about: About,
    pub(crate) default_role: RoleName,
    pub(crate) multi_tenant: bool,
    pub(crate) rates: Rates,
    pub(crate) refusals: Refusals,
    pub(crate) gate: Gate,
    pub(crate) issuers: Issuers,
    pub(crate) tokens: Tokens,
    pub(crate) sealer: Sealer,
    /// The right to hash a password.
    hashing: Arc<Semaphore>,
    /// The right to work at policies, which can take seconds.
    studying: Arc<Semaphore>,
    challenges: Challenges,
    pub(crate) metrics: Arc<Metrics>,
    draining: AtomicBool,
    /// When the ledger was last seen to be writable.
    written_at: Mutex<Option<Timestamp>>,
}

/// Secrets that nothing can be signed or sealed with.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The secret of tokens.
    #[error("the secret of tokens")]
    Tokens(#[from] jose::KeyError),
    /// The key of cookies.
    #[error(transparent)]
    Cookies(#[from] CookieKeyError),
}

/// How to come back with credentials (RFC 6750 section 3, RFC 9728 section 5.1).
struct Challenges {
    missing: HeaderValue,
    invalid: HeaderValue,
}

impl Challenges {
    fn of(public_url: &str) -> Self {
        let resource = format!("resource_metadata=\"{public_url}{PROTECTED_RESOURCE}\"");
        let challenge = |error: &str| {
            let text = format!("Bearer realm=\"taskforce\", {error}{resource}");
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
        };
        Self { missing: challenge(""), invalid: challenge("error=\"invalid_token\", ") }
    }
}

impl App {
    /// The application, counting the operations of `metrics`.
    pub(crate) fn with_metrics(parts: Parts, metrics: Metrics) -> Result<Self, SigningError> {
        let Parts {
            db,
            directory,
            gateway,
            signer,
            followers,
            policies,
            outbound,
            place,
            signing,
            default_role,
            multi_tenant,
            about,
        } = parts;
        let Signing { tokens, issuer, cookies } = signing;
        let app = Self(Arc::new(Inner {
            sealer: Sealer::new(&cookies)?,
            tokens: Tokens::new(&TokenSettings { secret: tokens, issuer, audience: None })?,
            issuers: Issuers::new(outbound, &place),
            db,
            directory,
            gateway,
            signer,
            followers,
            policies,
            challenges: Challenges::of(&place.public_url),
            place,
            default_role,
            multi_tenant,
            about,
            rates: Rates::default(),
            gate: Gate::default(),
            hashing: Arc::new(Semaphore::new(HASHES)),
            studying: Arc::new(Semaphore::new(STUDIES)),
            refusals: Refusals::default(),
            metrics: Arc::new(metrics),
            draining: AtomicBool::new(false),
            written_at: Mutex::default(),
        }));
        // The database keeps its listeners; a listener that kept the application would keep the database for ever.
        let weak = Arc::downgrade(&app.0);
        app.0.db.on_change(move |tenant| {
            if let Some(inner) = weak.upgrade() {
                inner.take_over(tenant);
            }
        });
        Ok(app)
    }

    /// Takes over what was changed by other nodes. Blocks; to be called every quarter of a second, which bounds how long
    /// a revoked key lives.
    pub fn refresh(&self) -> Result<(), StoreError> {
        // A tenant that cannot be read does not keep the gateway from seeing what others have changed.
        let people = self.0.refresh();
        let gateway = self.0.gateway.refresh();
        people.and(gateway)
    }

    /// Whether the database still tells what other nodes change. Blocks.
    pub fn hears(&self) -> bool {
        self.0.directory.changed(&self.0.db).is_ok()
    }

    /// Says that this node has not heard from the database for too long, or that it has again. Meanwhile nobody is let in.
    pub fn set_stale(&self, stale: bool) {
        self.0.directory.set_stale(stale);
    }

    /// Writes down when keys were last used. Blocks; to be called each minute, and after the last request.
    pub fn flush_uses(&self) -> Result<(), StoreError> {
        self.0.directory.flush_uses(&self.0.db)
    }

    /// What a request without valid credentials is answered with, beside its problem.
    pub(crate) fn challenge(&self, presented: bool) -> HeaderValue {
        let Challenges { missing, invalid } = &self.0.challenges;
        if presented { invalid.clone() } else { missing.clone() }
    }

    /// Records refusals that were only counted in minutes that have ended. Blocks; to be called each minute.
    pub fn flush_refusals(&self) -> Result<(), StoreError> {
        let at = self.0.db.moment();
        let refusals = audit::flush_refusals(&self.0.db, &self.0.refusals, &at);
        refusals.and(identity::flush_failures(&self.0.db, &self.0.gate, &at))
    }

    /// Records all refusals that were only counted. Blocks; to be called after the last request.
    pub fn finish_refusals(&self) -> Result<(), StoreError> {
        let at = self.0.db.moment();
        let refusals = audit::finish_refusals(&self.0.db, &self.0.refusals, &at);
        refusals.and(identity::finish_failures(&self.0.db, &self.0.gate, &at))
    }

    /// Makes `/readyz` say that no more requests should come.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Ends the streams that still run, each with a last event that says why.
    pub fn end_streams(&self) {
        self.0.gateway.end_streams();
    }

    /// Runs a use case that changes nothing, and answers with what it returned.
    pub(crate) async fn read<T: Show, E: Into<Problem>>(
        &self,
        caller: Caller,
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        let answer = self.run(move |inner| {
            let value = use_case(&inner.db, &caller, &inner.db.moment()).map_err(Into::into)?;
            Answer::of(StatusCode::OK, &value)
        });
        Ok(answer.await?.into_response())
    }

    /// Runs a use case that creates something, at most once if the client wants it so.
    pub(crate) async fn create<T: Show, E: Into<Problem>>(
        &self,
        by: (Caller, Option<Once>),
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.change(by, StatusCode::CREATED, use_case).await
    }

    /// Runs a use case that changes something, at most once if the client wants it so.
    pub(crate) async fn act<T: Show, E: Into<Problem>>(
        &self,
        by: (Caller, Option<Once>),
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.change(by, StatusCode::OK, use_case).await
    }

    async fn change<T: Show, E: Into<Problem>>(
        &self,
        by: (Caller, Option<Once>),
        status: StatusCode,
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.run(move |inner| {
            at_most_once(&inner.db, by, status, |caller| use_case(&inner.db, caller, &inner.db.moment()))
        })
        .await
    }

    /// Runs `work`, which may wait for the database, where waiting does no harm.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(Problem::server(Kind::Internal, error)))
    }
}

impl App {
    /// Waits for the right to do what takes long. However many want it, only so much is done at once, so that others are
    /// served meanwhile. To be given back by the work itself: it goes on when the one who asked for it has left.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = Arc::clone(&self.0.studying).acquire_owned().await;
        permit.map_err(|error| Problem::server(Kind::Internal, error))
    }

    /// Reads as [`App::read`] does, when it is its turn.
    pub(crate) async fn study<T: Show, E: Into<Problem>>(
        &self,
        caller: Caller,
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        let turn = self.turn().await?;
        self.read(caller, move |db, caller, at| {
            let done = use_case(db, caller, at);
            drop(turn);
            done
        })
        .await
    }

    /// Runs `work`, which hashes a password. However many ask, only so many are hashed at once, so that others are served
    /// meanwhile.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.0.hashing).acquire_owned().await;
        let permit = permit.map_err(|error| Problem::server(Kind::Internal, error))?;
        self.run(move |inner| {
            let done = work(inner);
            drop(permit);
            done
        })
        .await
    }
}

impl Inner {
    /// Whether requests can be served. However often this is asked, the ledger is tried once a second.
    pub(crate) fn ready(&self) -> Result<(), Problem> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Problem::client(Kind::Unavailable, &"the server is stopping"));
        }
        self.db.ping()?;
        if !self.gateway.is_recording() {
            return Err(Problem::client(Kind::AuditUnavailable, &"calls cannot be recorded").retry_after(1));
        }
        let (mut written_at, now) = (self.written_at.lock(), self.db.moment().now());
        if written_at.is_some_and(|at| now < at.plus_seconds(1)) {
            return Ok(());
        }
        *written_at = None;
        audit::writable(&self.db).map_err(|error| Problem::server(Kind::AuditUnavailable, error).retry_after(1))?;
        *written_at = Some(now);
        Ok(())
    }

    /// Judges tokens as they are to be judged now.
    pub(crate) fn verifying<T>(&self, now: Timestamp, judge: impl FnOnce(&Verifier<'_>) -> T) -> T {
        let keys = |provider: &Provider, key: Option<&str>| self.issuers.keys(provider, key, now);
        judge(&Verifier { tokens: &self.tokens, directory: &self.directory, keys: &keys })
    }

    /// Takes over what other nodes have changed about who may do what. A tenant that cannot be read does not keep the
    /// others from being read.
    pub(crate) fn refresh(&self) -> Result<(), StoreError> {
        let changed = self.directory.changed(&self.db)?;
        let refreshed: Vec<_> = changed.iter().map(|tenant| self.refresh_tenant(tenant)).collect();
        refreshed.into_iter().collect()
    }

    /// Policies first: whoever the directory lets in afterwards is under them.
    fn refresh_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let policies = self.policies.refresh(&self.db, tenant);
        let refreshed = policies.and(self.directory.refresh(&self.db, tenant));
        self.issuers.forget_all_but(|| self.directory.believed());
        refreshed
    }

    fn take_over(&self, tenant: &TenantId) {
        let refreshed = self.refresh_tenant(tenant).and_then(|()| self.gateway.refresh());
        if let Err(error) = refreshed {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, tenant.id = %tenant, "a change is not in force yet: it will be read again");
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("about", &self.0.about).finish_non_exhaustive()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::server(Kind::Unavailable, error).retry_after(1),
            StoreError::Conflict(_) => Self::server(Kind::WrongState, error),
            StoreError::Repeated => Self::new(Kind::IdempotencyInFlight).retry_after(1),
            StoreError::OtherTenant
            | StoreError::Decode(_)
            | StoreError::Sealed(_)
            | StoreError::WrongKey { .. }
            | StoreError::EntryTooLarge(_)
            | StoreError::Schema(_)
            | StoreError::UnsafeRole { .. } => Self::server(Kind::Internal, error),
        }
    }
}

impl From<authz::Forbidden> for Problem {
    fn from(refusal: authz::Forbidden) -> Self {
        let (kind, basis) = match &refusal.cause {
            Cause::Missing { permission: _, roles: _ } => (Kind::Forbidden, None),
            Cause::NotFresh => (Kind::ReauthenticationRequired, None),
            Cause::Policy { reason: _, basis, shadow: _ } => (Kind::PolicyDenied, basis.as_ref()),
            Cause::NeedsApproval { basis, .. } => (Kind::ApprovalRequired, basis.as_ref()),
        };
        let problem = Self::client(kind, &refusal);
        let Some(Basis { version, digest, rule }) = basis else { return problem };
        problem.with("rule", rule.as_str()).with("policy", json!({ "version": version, "digest": digest }))
    }
}
