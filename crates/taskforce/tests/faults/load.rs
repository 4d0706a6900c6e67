//! Clients that create agents and call models as fast as they are answered, and note what they were told.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{Client, Heard};
use crate::upstream::Conduct;
use crate::world::{CHAT, World, call_to};

/// What a client asked, and what it heard.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) asked: Asked,
    pub(crate) heard: Heard,
}

#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// An agent of that name, with the name as idempotency key.
    Agent(String),
    /// A model call.
    Call,
}

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<Vec<Note>>,
    stop: Arc<AtomicBool>,
}

/// Which requests clients make.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    /// The agents that are called, in turn.
    pub(crate) agents: Vec<String>,
    pub(crate) conduct: Conduct,
    /// Whether a client goes on after an answer that is no success, or that did not come whole.
    pub(crate) goes_on: bool,
}

impl Mix {
    /// All kinds of requests, until the first that gets no answer.
    pub(crate) fn of(agents: &[&str]) -> Self {
        let agents = agents.iter().map(|agent| (*agent).to_owned()).collect();
        Self { agents, conduct: Conduct::Well, goes_on: false }
    }
}

impl Load {
    pub(crate) fn start(address: SocketAddr, world: &World, clients: usize, mix: &Mix) -> Self {
        let (mut set, stop) = (JoinSet::new(), Arc::default());
        for number in 0..clients {
            let worker = Worker {
                designer: Client::new(address, &world.alice),
                operator: Client::new(address, &world.olivia),
                mix: mix.clone(),
                stop: Arc::clone(&stop),
            };
            set.spawn(worker.work(number));
        }
        Self { clients: set, stop }
    }

    /// Lets every client finish what it has begun, and collects the notes.
    pub(crate) async fn stop(self) -> Vec<Note> {
        self.stop.store(true, Ordering::SeqCst);
        self.ended().await
    }

    /// Collects the notes when every client has ended by itself.
    pub(crate) async fn ended(mut self) -> Vec<Note> {
        let mut notes = Vec::new();
        while let Some(ended) = self.clients.join_next().await {
            notes.extend(ended.unwrap());
        }
        notes
    }
}

struct Worker {
    designer: Client,
    operator: Client,
    mix: Mix,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// Makes agents, plain calls and streams in turn; each client begins at another point.
    async fn work(mut self, number: usize) -> Vec<Note> {
        let mut notes = Vec::new();
        for turn in number.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let agent = self.mix.agents[turn / 4 % self.mix.agents.len()].clone();
            let note = match turn % 4 {
                0 | 2 => self.agent().await,
                1 => self.call(&agent, false).await,
                _ => self.call(&agent, true).await,
            };
            let heard = &note.heard;
            let ended = !heard.complete || heard.status.is_some_and(|status| status >= 500);
            notes.push(note);
            if ended && !self.mix.goes_on {
                break;
            }
            if ended {
                // Others may have something to say, too.
                tokio::task::yield_now().await;
            }
        }
        notes
    }

    async fn agent(&mut self) -> Note {
        let name = unique_name();
        let heard = create_agent(&mut self.designer, &name).await;
        Note { asked: Asked::Agent(name), heard }
    }

    async fn call(&mut self, agent: &str, stream: bool) -> Note {
        let body = call_to(agent, self.mix.conduct, stream);
        Note { asked: Asked::Call, heard: self.operator.post(CHAT, &body).await }
    }
}

/// Asks for an agent of that name, at most once.
pub(crate) async fn create_agent(designer: &mut Client, name: &str) -> Heard {
    let key = [("idempotency-key", name)];
    designer.ask(Method::POST, "/api/v1/agents", &key, Some(&json!({"name": name}))).await
}

/// A name that no other agent of the tenant has.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("agent-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A number that the environment sets.
pub(crate) fn asked_for<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var_os(variable)?.to_string_lossy().parse().ok()
}

/// Reproducible chance.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Seeded by `TASKFORCE_FAULTS_SEED`, or by chance; the seed is printed.
    pub(crate) fn thrown(what: &str) -> Self {
        let seed = asked_for("TASKFORCE_FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(what) % 1_000_000);
        println!("{what}: TASKFORCE_FAULTS_SEED={seed}");
        Self(seed)
    }

    /// A number from `least` to `most` (splitmix64).
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (mixed ^ (mixed >> 31)) % (most - least + 1)
    }
}
