//! Step 1: a server in a fresh data directory, and a model server for it to call.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use api::server::Server;
use kernel::{OsEntropy, Secret};
use tokio::sync::oneshot;

use super::Args;
use super::story::Story;
use crate::config::{DEFAULT, ENTERPRISE, Places, Settings};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::home::{self, Home, HomeError};
use crate::keys;
use crate::node::Node;
use crate::replay::Replay;
use crate::serve;

/// Where the server listens when it is to stay.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8070);
/// The pause before each chunk of the replay's streams.
const PACE: Duration = Duration::from_millis(10);

/// A server that runs beside the story, in this process but on threads of its own.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) folder: PathBuf,
    pub(super) address: SocketAddr,
    /// The platform administrator's key.
    pub(super) platform: Secret<String>,
    /// What the calls go to, in words.
    pub(super) upstream: String,
    pub(super) is_replay: bool,
    /// When it began.
    began: Instant,
    server: Player,
    replay: Option<Player>,
}

/// A thread that runs until it is told to stop.
#[derive(Debug)]
struct Player {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Scene {
    /// Starts everything.
    pub(super) fn set(args: &Args, folder: &Path, environment: &Environment) -> Result<Self, Failure> {
        let began = Instant::now();
        let home = Home::at(folder.to_owned());
        if let Some(path) = home.occupied().or_else(|| Some(folder.join("demo.json")).filter(|file| file.exists())) {
            return Err(HomeError::Exists(path).into());
        }
        home.create()?;
        let (replay, upstream) = match &args.upstream {
            Some(url) => (None, url.clone()),
            None => start_replay().map(|(player, address)| (Some(player), format!("http://{address}/v1")))?,
        };
        home::write_private(&home.profile(), &profile(args, &upstream))?;
        let places = Places { profile: Some(home.profile()), data: Some(folder.to_owned()) };
        let settings = Settings::read(&places, environment)?;
        keys::generate(&settings, environment, &OsEntropy)?;
        let started = Node::start(&settings, environment)?;
        let platform = started.first_key.ok_or("the demonstration needs a database that is empty")?.secret;
        let unnamed = if args.keep { USUAL } else { SocketAddr::from(([127, 0, 0, 1], 0)) };
        let (server, address) = start_server(started.node, args.listen.unwrap_or(unnamed))?;
        let is_replay = replay.is_some();
        let folder = fs::canonicalize(folder)?;
        Ok(Self { folder, address, platform, upstream, is_replay, began, server, replay })
    }

    /// Where clients find the server.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops everything, the server first.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.server.stop()?;
        self.replay.map_or(Ok(()), Player::stop)
    }
}

impl Player {
    fn stop(self) -> Result<(), Failure> {
        // It may have ended by itself; then joining it says why.
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| "a thread of the demonstration panicked")?
    }
}

fn start_server(node: Node, listen: SocketAddr) -> Result<(Player, SocketAddr), Failure> {
    start("server", move |stop, ready| {
        let runtime = serve::runtime()?;
        let served = runtime.block_on(async {
            let server = Server::bind(listen, node.limits())
                .await
                .map_err(|source| -> Failure { serve::ServeError::Listen { address: listen, source }.into() })?;
            let _ = ready.send(server.local_addr()?);
            node.serve(server, Duration::ZERO, stopped(stop)).await;
            Ok(())
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        node.finish()?;
        served
    })
}

fn start_replay() -> Result<(Player, SocketAddr), Failure> {
    start("replay", |stop, ready| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let replay = Replay::bind(SocketAddr::from(([127, 0, 0, 1], 0)), PACE).await?;
            let _ = ready.send(replay.address()?);
            replay.serve(stopped(stop)).await;
            Ok(())
        })
    })
}

/// Runs `play` on a thread and waits until it says where it listens.
fn start(
    name: &str,
    play: impl FnOnce(oneshot::Receiver<()>, mpsc::Sender<SocketAddr>) -> Result<(), Failure> + Send + 'static,
) -> Result<(Player, SocketAddr), Failure> {
    let (stop, stopped) = oneshot::channel();
    let (ready, listening) = mpsc::channel();
    let thread = Builder::new().name(name.to_owned()).spawn(move || play(stopped, ready))?;
    let player = Player { stop, thread };
    match listening.recv() {
        Ok(address) => Ok((player, address)),
        Err(_) => Err(player.stop().err().unwrap_or_else(|| "it ended before it listened".into())),
    }
}

async fn stopped(stop: oneshot::Receiver<()>) {
    // A sender that is gone wants the same.
    let _ = stop.await;
}

/// The default profile, with the only model server that the story needs.
fn profile(args: &Args, upstream: &str) -> String {
    let name = if args.upstream.is_some() { "upstream" } else { "replay" };
    let key = args.upstream_key_env.as_ref().map(|name| format!("    key_env: {name}\n")).unwrap_or_default();
    let url = serde_json::Value::from(upstream);
    let section =
        format!("upstreams:\n  - name: {name}\n    url: {url}\n{key}    models: [\"*\"]\n    allow_private: true\n");
    format!("{DEFAULT}{ENTERPRISE}")
        .replace("instance: taskforce.local\n", "instance: demo.taskforce.local\n")
        .replace("upstreams: []\n", &section)
}

/// Tells what was set up.
pub(super) fn open(story: &mut Story<'_>, scene: &Scene) {
    story.begin_at(
        scene.began,
        "A server, from nothing",
        "One executable, an embedded SQLite database and fresh keys in an empty directory. Nothing else is installed.",
    );
    let model = if scene.is_replay {
        format!("{} (a REPLAY of recorded conversations; no model is asked)", scene.upstream)
    } else {
        scene.upstream.clone()
    };
    story.output.facts(&[("server", &scene.url()), ("data", &scene.folder.display()), ("model server", &model)]);
    story.note("url", scene.url().into());
    story.note("replay", scene.is_replay.into());
    story.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_the_one_upstream() {
        let args = Args { upstream_key_env: Some("KEY".to_owned()), ..Args::default() };
        let profile = crate::config::parse_profile(Path::new("p"), &profile(&args, "http://127.0.0.1:1/v1")).unwrap();
        assert_eq!((profile.instance.as_str(), profile.upstreams[0].name.as_str()), ("demo.taskforce.local", "replay"));
        assert_eq!(profile.upstreams[0].key_env.as_deref(), Some("KEY"));
    }
}
