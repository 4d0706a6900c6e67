//! One running node: the crates put together, and the work beside the requests.

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use api::server::{Limits, RequestIds, Server, Summary};
use api::{About, App, Parts, Place};
use approvals::{Followers, RequestType};
use audit::Signer;
use gateway::{Gateway, Sequencer};
use identity::{Directory, Guards, IssuedKey};
use kernel::{Id as _, NodeId, OsEntropy};
use outbound::Reach;
use parking_lot::Mutex;
use policy::Policies;
use store::{Database, StoreError};
use tokio::sync::Notify;
use usage::Purse;

use crate::chores::Chores;
use crate::config::Settings;
use crate::edition::{self, Edition};
use crate::environment::{Environment, SystemClock};
use crate::failure::Failure;
use crate::home;
use crate::{doctor, keys, opening, upstreams};

/// How often other nodes' changes are looked for. It bounds how long a revoked key lives.
const WATCH: Duration = Duration::from_millis(250);
/// How long a node goes on without hearing from the database: from then on it lets nobody in, because a credential may
/// have been revoked elsewhere.
const STALE: Duration = Duration::from_millis(4_500);
/// How often heads are signed. An entry is covered at most a second after it was written.
const SIGN: Duration = Duration::from_millis(750);
/// How often refusals that were only counted are written down.
const SUMMARIZE: Duration = Duration::from_mins(1);
/// How many of each ledger's last entries are checked when the node starts.
const SELF_CHECK: u64 = 10_000;
/// How long the last events of streams may take to leave.
const LAST_EVENTS: Duration = Duration::from_secs(1);
/// How long the sequencer may take to write what is left.
const LAST_RECORDS: Duration = Duration::from_secs(10);

/// A node that is ready to serve.
#[derive(Debug)]
pub(crate) struct Node {
    id: NodeId,
    app: App,
    db: Database,
    signer: Arc<Signer>,
    chores: Chores,
    sequencer: Receiver<()>,
    limits: Limits,
    /// Held while the node runs: two nodes with one name would close each other's calls.
    _lock: File,
}

/// A node's start: the node, and what its operator should be told.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) node: Node,
    /// The first administrator's key, on the first start.
    pub(crate) first_key: Option<IssuedKey>,
    /// How many calls a crash had left open.
    pub(crate) recovered: usize,
}

impl Node {
    /// Opens the database, closes what a crash left open, and starts the work beside the requests.
    pub(crate) fn start(settings: &Settings, environment: &Environment) -> Result<Started, Failure> {
        let lock = home::lock(&settings.home)?;
        let db = opening::open(settings, environment)?;
        let signer = Arc::new(opening::signer(settings, &db)?);
        opening::publish_key(settings, &db)?;
        let first_key = edition::first_key(settings, &db)?;
        let outbound = upstreams::client(settings)?;
        let upstreams = upstreams::all(settings, environment, outbound.clone())?;
        let id = node_id(settings, &db)?;
        let purse = Purse::new(id.clone());
        let recovered = gateway::recover(&db, &purse)?;
        let policies = Arc::new(Policies::load(&db)?);
        let directory = Arc::new(Directory::load(&db, guards(&policies))?);
        let edition = Edition::of(settings);
        let (gateway, sequencer) = Gateway::new(db.clone(), upstreams, purse)?;
        let app = App::new(Parts {
            db: db.clone(),
            directory,
            gateway: Arc::clone(&gateway),
            signer: Arc::clone(&signer),
            followers: Followers::new()
                .on(RequestType::AgentPublish, catalog::follow_decision)
                .on(RequestType::PolicyActivate, policy::follow_activation),
            policies,
            outbound,
            place: place(settings),
            signing: keys::signing_secrets(settings, environment)?,
            default_role: settings.profile.enterprise().unwrap_or_default().rbac.default_role.into(),
            multi_tenant: edition.is_multi_tenant(),
            about: About { version: env!("CARGO_PKG_VERSION"), edition: edition.kind(), parts: edition.parts() },
        })?;
        let sequencer = sequence(sequencer)?;
        let chores = chores(&db, &app, gateway, &signer)?;
        let node = Self { id, app, db, signer, chores, sequencer, limits: limits(settings), _lock: lock };
        Ok(Started { node, first_key, recovered })
    }

    /// Serves until `stop` resolves: says so at `/readyz` for `notice`, accepts nothing more, and lets requests end.
    pub(crate) async fn serve(&self, server: Server, notice: Duration, stop: impl Future<Output = ()>) -> Summary {
        let draining = Notify::new();
        let stopping = async {
            stop.await;
            tracing::info!("stopping: no more requests are wanted");
            self.app.drain();
            tokio::time::sleep(notice).await;
            draining.notify_one();
        };
        let ids = RequestIds::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        let served = server.serve(api::router(self.app.clone()), ids, stopping);
        tokio::select! {
            summary = served => summary,
            never = self.end_streams(&draining) => match never {},
        }
    }

    /// Ends the streams a moment before their connections are cut, so that their readers learn why.
    async fn end_streams(&self, draining: &Notify) -> Infallible {
        draining.notified().await;
        tokio::time::sleep(self.limits.drain.saturating_sub(LAST_EVENTS)).await;
        self.app.end_streams();
        std::future::pending().await
    }

    /// The limits that the profile sets.
    pub(crate) fn limits(&self) -> Limits {
        self.limits.clone()
    }

    /// Writes what is left, gives back what the node leased of budgets, and signs the last heads. To be called when no
    /// request is open any more.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let Self { app, db, signer, chores, sequencer, id, .. } = self;
        chores.stop();
        app.finish_refusals()?;
        app.flush_uses()?;
        drop(app);
        if sequencer.recv_timeout(LAST_RECORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("records of calls were left unwritten; their calls are closed at the next start");
        } else {
            gateway::recover(&db, &Purse::new(id))?;
        }
        audit::integrate(&db, &signer, &db.moment()).map(|_| ())
    }
}

/// Runs the sequencer on its thread. The channel closes when it has written everything.
fn sequence(sequencer: Sequencer) -> std::io::Result<Receiver<()>> {
    let (ended, wait) = channel();
    Builder::new().name("sequencer".to_owned()).spawn(move || {
        sequencer.run();
        drop(ended);
    })?;
    Ok(wait)
}

fn chores(db: &Database, app: &App, gateway: Arc<Gateway>, signer: &Arc<Signer>) -> std::io::Result<Chores> {
    let mut chores = Chores::default();
    let (watched, heard) = (app.clone(), Arc::new(Mutex::new(Instant::now())));
    let last_heard = Arc::clone(&heard);
    chores.repeat("watching for changes", WATCH, move || {
        // What one cannot do does not keep the other from being done.
        let (refreshed, renewed) = (watched.refresh(), gateway.renew());
        // One tenant that cannot be read is no silence: the others go on.
        if refreshed.is_ok() || watched.hears() {
            *last_heard.lock() = Instant::now();
        }
        refreshed.and(renewed)
    })?;
    // On a thread of its own: the watch itself may hang on a database that does not answer.
    let bounded = app.clone();
    chores.repeat("bounding what is known of credentials", WATCH, move || {
        let silent = heard.lock().elapsed();
        bounded.set_stale(silent > STALE);
        Ok(())
    })?;
    let (signed, signer) = (db.clone(), Arc::clone(signer));
    chores.repeat("signing checkpoints", SIGN, move || {
        for (tenant, refused) in audit::integrate(&signed, &signer, &signed.moment())?.refused {
            tracing::error!(tenant.id = %tenant, error = %refused, "a checkpoint of {tenant} is not signed: {refused}");
        }
        Ok(())
    })?;
    let checked = db.clone();
    chores.once("checking the ledgers", move || doctor::self_check(&checked, SELF_CHECK))?;
    let refusing = app.clone();
    chores.repeat("summing up refusals", SUMMARIZE, move || refusing.flush_refusals())?;
    let used = app.clone();
    chores.repeat("noting when keys were used", SUMMARIZE, move || used.flush_uses())?;
    Ok(chores)
}

/// The policies of a tenant, for those who want to act in it.
fn guards(policies: &Arc<Policies>) -> Guards {
    let policies = Arc::clone(policies);
    Arc::new(move |tenant| policies.guard_for(tenant))
}

fn place(settings: &Settings) -> Place {
    let profile = &settings.profile;
    let reach = if profile.private_identity_providers { Reach::Private } else { Reach::Public };
    Place {
        public_url: profile.public_url.clone().unwrap_or_else(|| format!("http://{}", profile.listen)),
        trusted_proxies: profile.trusted_proxies.clone(),
        provider_reach: reach,
    }
}

/// The name of this node: made once, kept in its data directory.
fn node_id(settings: &Settings, db: &Database) -> Result<NodeId, Failure> {
    let path = settings.home.node();
    if path.exists() {
        return Ok(home::read_private(&path)?.expose().trim().parse()?);
    }
    let id = NodeId::generate(&db.moment());
    home::write_private(&path, &format!("{id}\n"))?;
    Ok(id)
}

fn limits(settings: &Settings) -> Limits {
    let set = &settings.profile.limits;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        connections: count(set.connections),
        connections_per_ip: count(set.connections_per_ip),
        body_bytes: set.body_bytes,
        gateway_body_bytes: set.gateway_body_bytes,
        request: Duration::from_secs(set.request_seconds),
        stream_total: Duration::from_secs(set.stream_seconds),
        stream_idle: Duration::from_secs(set.stream_idle_seconds),
        drain: Duration::from_secs(set.drain_seconds),
        ..Limits::default()
    }
}
