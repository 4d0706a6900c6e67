//! What every handler has at hand, and the one way from a handler to a use case.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use approvals::Followers;
use audit::{Refusals, Signer};
use authz::{Basis, Caller, Cause};
use axum::response::{IntoResponse, Response};
use gateway::Gateway;
use http::StatusCode;
use identity::Directory;
use kernel::{Moment, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use store::{Database, StoreError};

use crate::answer::Answer;
use crate::metrics::Metrics;
use crate::once::{Once, at_most_once};
use crate::problem::{Kind, Problem};
use crate::wire::Show;

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
    /// What the server says about itself.
    pub about: About,
}

/// What a server says about itself to its users.
#[derive(Debug, Clone)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// Which edition is active: `community` or `enterprise`.
    pub edition: &'static str,
    /// The parts of the enterprise edition that are active.
    pub parts: Vec<String>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) directory: Arc<Directory>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) followers: Followers,
    pub(crate) about: About,
    pub(crate) refusals: Refusals,
    pub(crate) metrics: Arc<Metrics>,
    draining: AtomicBool,
    /// When the ledger was last seen to be writable.
    written_at: Mutex<Option<Timestamp>>,
}

impl App {
    /// The application, counting the operations of `metrics`.
    pub(crate) fn with_metrics(parts: Parts, metrics: Metrics) -> Self {
        let Parts { db, directory, gateway, signer, followers, about } = parts;
        let app = Self(Arc::new(Inner {
            db,
            directory,
            gateway,
            signer,
            followers,
            about,
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
        app
    }

    /// Takes over what was changed by other nodes. Blocks; to be called every quarter of a second, which bounds how long
    /// a revoked key lives.
    pub fn refresh(&self) -> Result<(), StoreError> {
        // A tenant whose keys cannot be read does not keep the gateway from seeing what others have changed.
        let directory = self.0.directory.refresh_changed(&self.0.db).map(|_| ());
        let gateway = self.0.gateway.refresh();
        directory.and(gateway)
    }

    /// Records refusals that were only counted. Blocks; to be called each minute, and after the last request.
    pub fn flush_refusals(&self) -> Result<(), StoreError> {
        audit::flush_refusals(&self.0.db, &self.0.refusals, &self.0.db.moment())
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

    fn take_over(&self, tenant: &TenantId) {
        let refreshed = self.directory.refresh(&self.db, tenant).and_then(|()| self.gateway.refresh());
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
            Cause::NeedsApproval { reason: _, basis, shadow: _ } => (Kind::ApprovalRequired, basis.as_ref()),
        };
        let problem = Self::client(kind, &refusal);
        let Some(Basis { version, digest, rule }) = basis else { return problem };
        problem.with("rule", rule.as_str()).with("policy", json!({ "version": version, "digest": digest }))
    }
}
