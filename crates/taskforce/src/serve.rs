//! `taskforce serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::server::Server;
use identity::IssuedKey;
use kernel::OsEntropy;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::config::{DatabaseAt, Places, Settings};
use crate::edition::{self, Edition};
use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::keys::{self, Origin};
use crate::node::{Node, Started};
use crate::output::{Look, Output};
use crate::{logs, opening, signals};

/// How long `/readyz` says no before connections are refused, so that a load balancer can hear it.
const NOTICE: Duration = Duration::from_secs(2);

/// A configuration that a server does not start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(
        "without an `enterprise` section the server listens on loopback only, not on `{0}`: run `taskforce init`, or \
         add the section to the profile"
    )]
    CommunityBeyondLoopback(SocketAddr),
    #[error(
        "the profile switches the enterprise edition on, and this program was built without it: build it with the \
         feature `enterprise`, or remove the section"
    )]
    NotCompiled,
    #[error("there is no root key in {0}; it is made by `taskforce init`, or set in the environment")]
    NoRootKey(Origin),
    #[error("the root key in {0} is gone, and the database is sealed with it: restore it from its copy")]
    LostRootKey(Origin),
    #[error("the signing key in `{0}` is gone, and the checkpoints are signed with it: restore it from its copy")]
    LostSigningKey(PathBuf),
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// What to serve, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) places: Places,
    /// The address to listen on. Default: the profile's `listen`.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `taskforce serve`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let mut settings = Settings::read(&args.places, environment)?;
    if let Some(listen) = args.listen {
        settings.profile.listen = listen;
    }
    logs::start(&settings);
    let listen = settings.profile.listen;
    if !edition::COMPILED && settings.profile.enterprise().is_some() {
        return Err(ServeError::NotCompiled.into());
    }
    if Edition::of(&settings) == Edition::Community && !listen.ip().is_loopback() {
        return Err(ServeError::CommunityBeyondLoopback(listen).into());
    }
    opening::is_there(&settings)?;
    let development = prepare_keys(&settings, environment)?;
    let started = Node::start(&settings, environment)?;
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let stop = signals::stop()?;
        let limits = started.node.limits();
        let bound = Server::bind(listen, limits).await;
        let server = bound.map_err(|source| ServeError::Listen { address: listen, source })?;
        greet(&settings, &started, &Greeting { address: server.local_addr()?, development }, output);
        let notice = if listen.ip().is_loopback() { Duration::ZERO } else { NOTICE };
        Ok::<_, Failure>(started.node.serve(server, notice, stop).await)
    });
    // Whatever still runs of a request is over before the last records are written.
    runtime.shutdown_timeout(Duration::from_secs(5));
    started.node.finish()?;
    let summary = served?;
    tracing::info!(drained = summary.drained, aborted = summary.aborted, "stopped");
    Ok(Verdict::Well)
}

/// The runtime that requests run on.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build()
}

/// Makes keys where there are none, but only for a server that nobody else can reach and that has no data yet. Says
/// whether it did. A key that the data needs is never made anew: what the old one sealed would not open, and what it
/// signed would not fit together with what the new one signs.
fn prepare_keys(settings: &Settings, environment: &Environment) -> Result<bool, Failure> {
    let origin = keys::root_origin(settings, environment)?;
    let rootless = matches!(&origin, Origin::File(path) if !path.exists());
    let signing = settings.signing_file();
    if !rootless && signing.exists() {
        return Ok(false);
    }
    let fresh = match &settings.database {
        DatabaseAt::Sqlite(database) => !database.exists(),
        DatabaseAt::Postgres { .. } => false,
    };
    match (rootless, fresh) {
        (true, false) => return Err(ServeError::LostRootKey(origin).into()),
        (false, false) => return Err(ServeError::LostSigningKey(signing).into()),
        (true, true) if !settings.profile.listen.ip().is_loopback() => {
            return Err(ServeError::NoRootKey(origin).into());
        }
        (_, true) => {}
    }
    settings.home.create()?;
    keys::generate(settings, environment, &OsEntropy)?;
    Ok(rootless)
}

struct Greeting {
    address: SocketAddr,
    development: bool,
}

fn greet(settings: &Settings, started: &Started, greeting: &Greeting, output: &mut Output) {
    let url = format!("http://{}", greeting.address);
    let edition = Edition::of(settings).name();
    let key = started.first_key.as_ref().map(|key: &IssuedKey| key.secret.expose().as_str());
    tracing::info!(url, edition, database = settings.database.engine(), "serving {url}");
    let value = json!({
        "url": url,
        "edition": edition,
        "database": settings.database.engine(),
        "development": greeting.development,
        "admin_key": key,
        "recovered_calls": started.recovered,
    });
    output.json_or(&value, |output| {
        output.styled(Look::Bold, format_args!("Taskforce {} serves {url}", env!("CARGO_PKG_VERSION")));
        output.blank();
        let upstreams: Vec<_> = settings.profile.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let upstreams =
            if upstreams.is_empty() { "none: no model can be called".to_owned() } else { upstreams.join(", ") };
        output.facts(&[
            ("edition", &edition),
            ("database", &settings.database.engine()),
            ("data", &settings.home.path().display()),
            ("upstreams", &upstreams),
        ]);
        output.blank();
        if greeting.development {
            output.styled(
                Look::Note,
                "DEVELOPMENT MODE: there were no secrets, so new ones were made in the data directory.",
            );
            output.line("For anything that matters, run `taskforce init` and keep copies of its keys.");
            output.blank();
        }
        if !greeting.address.ip().is_loopback() {
            output.styled(
                Look::Note,
                "Others can reach this address, and it speaks no TLS: put a proxy that does in front of it.",
            );
            output.blank();
        }
        if started.recovered > 0 {
            output.line(format_args!("{} calls that a crash had left open were closed as unknown.", started.recovered));
            output.blank();
        }
        if let Some(key) = key {
            output.styled(Look::Bold, "The administrator's key. It is shown this once:");
            output.blank();
            output.line(format_args!("  {key}"));
            output.blank();
        }
    });
    let idle: Vec<_> = settings.without_effect().into_iter().map(|(setting, _)| setting).collect();
    if !idle.is_empty() {
        tracing::info!("settings that have no effect yet: {}; `taskforce doctor` says more", idle.join(", "));
    }
}
