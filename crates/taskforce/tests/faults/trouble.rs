//! A server that loses what it writes to, and gets it back, while clients go on asking.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Heard};
use crate::installation::{Installation, Server};
use crate::ledger::{Ledger, all, verify};
use crate::load::{Asked, Load, Mix, Note, create_agent, unique_name};
use crate::upstream::Upstream;
use crate::world::{World, budget, nanos, text};

const CLIENTS: usize = 6;
/// Within which time a request that cannot be granted is refused.
const REFUSED: Duration = Duration::from_secs(2);
/// Within which time requests are granted again.
const RECOVERED: Duration = Duration::from_secs(5);
/// How long it stays broken.
const BROKEN: Duration = Duration::from_secs(1);

/// What happens to a server.
pub(crate) struct Trouble<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) server: &'a mut Server,
    pub(crate) world: &'a World,
    pub(crate) upstream: &'a Upstream,
    /// Whether tenants' rows can still be read.
    pub(crate) readable: bool,
}

impl Trouble<'_> {
    /// Lets clients load the server; breaks it; mends it; and compares what clients were told with what is there.
    pub(crate) async fn endure(self, breaks: impl FnOnce(), mends: impl FnOnce()) {
        let address = self.server.address;
        let mix = Mix { goes_on: true, ..Mix::of(&[&self.world.agent]) };
        let mut alice = Client::new(address, &self.world.alice);
        let mut bob = Client::new(address, &self.world.bob);
        let trial = budget(&mut bob, &json!({"type": "tenant"}), "0.5").await;
        let load = Load::start(address, self.world, CLIENTS, &mix);
        for number in 0..20 {
            create_agent(&mut alice, &format!("before-{number}")).await.expect(201);
        }
        breaks();
        let refused = until(address, self.world, 503, Duration::from_secs(20)).await;
        self.while_broken(&mut alice).await;
        mends();
        let mended = Instant::now();
        let granted = until(address, self.world, 201, RECOVERED).await;
        is_ready(address, 200, RECOVERED).await;
        println!("granted again after {:?}", mended.elapsed());
        let mut notes = load.stop().await;
        notes.extend(refused);
        notes.extend(granted);
        assert!(self.server.is_running());
        self.compare(&mut alice, notes).await;
        let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
        let (held, limit) = (nanos(&standing, "/held/amount"), nanos(&standing, "/limit/amount"));
        assert!(held <= limit / 20, "calls that have ended hold money: {standing:#}");
    }

    /// Nothing is changed or called, and what needs neither goes on.
    async fn while_broken(&self, alice: &mut Client) {
        let address = self.server.address;
        is_ready(address, 503, Duration::from_secs(2)).await;
        let (start, asked) = (Instant::now(), self.upstream.asked());
        while start.elapsed() < BROKEN {
            Client::anonymous(address).get("/healthz").await.expect(200);
            let read = alice.get("/api/v1/agents").await;
            if self.readable {
                read.expect(200);
            } else {
                assert!(is_refusal(&read), "{read}");
            }
        }
        let asked = self.upstream.asked() - asked;
        println!("{asked} model calls were made that could not be recorded");
        assert!(asked <= 2 * CLIENTS as u64, "model calls go on: {asked}");
        let mut adam = Client::new(address, &self.world.adam);
        let audited = adam.get("/api/v1/audit/entries").await;
        assert!(is_refusal(&audited), "what cannot be recorded is not shown: {audited}");
        let mut nobody = Client::new(address, "tfk_nobody");
        let anonymous = nobody.post("/api/v1/agents", &json!({"name": "x"})).await;
        assert!(anonymous.status == Some(401) || is_refusal(&anonymous), "{anonymous}");
    }

    /// What was granted is there, what was refused is not, every call has its end, and the ledger verifies.
    async fn compare(&self, alice: &mut Client, notes: Vec<Note>) {
        let (mut granted, mut refused, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let mut slowest = Duration::ZERO;
        for Note { asked, heard } in notes {
            match (asked, heard.status) {
                (Asked::Agent(name), Some(201)) => granted.push((name, text(&heard.json(), "/id"))),
                (Asked::Agent(name), Some(503)) if is_refusal(&heard) => refused.push(name),
                (Asked::Call, Some(200)) if heard.is_whole_answer() => whole.push(heard.call().unwrap()),
                // A stream that had begun says so in its last event.
                (Asked::Call, Some(200)) if heard.text().contains("\"error\"") => {}
                (Asked::Call, Some(503)) if is_refusal(&heard) => {}
                (asked, _) => panic!("{asked:?} was answered with {heard}"),
            }
            if heard.status == Some(503) {
                slowest = slowest.max(heard.took);
            }
        }
        println!("{} granted, {} refused, the slowest refusal after {slowest:?}", granted.len(), refused.len());
        assert!(slowest <= REFUSED, "a refusal came after {slowest:?}");
        assert!(!refused.is_empty() && granted.len() > 10);
        let listed = all(alice, "/api/v1/agents").await;
        let ids = |name: &str| -> Vec<String> {
            let of_name = listed.iter().filter(|agent| agent["name"] == name);
            of_name.map(|agent| text(agent, "/id")).collect()
        };
        for (name, id) in granted {
            assert_eq!(ids(&name), [id], "{name}");
        }
        for name in refused {
            assert!(ids(&name).len() <= usize::from(!self.readable), "{name} was refused, and done");
        }
        let mut adam = Client::new(self.server.address, &self.world.adam);
        self.compare_ledger(&mut adam, &whole).await;
    }

    async fn compare_ledger(&self, adam: &mut Client, whole: &[String]) {
        let mut ledger = Ledger::new();
        let start = Instant::now();
        loop {
            ledger.catch_up(adam).await;
            let calls = ledger.calls();
            let open = calls.values().filter(|call| call.ends.is_empty()).count();
            if open == 0 {
                break;
            }
            assert!(start.elapsed() < RECOVERED, "{open} calls are still open");
        }
        let calls = ledger.calls();
        for id in whole {
            assert_eq!(calls.get(&**id).map(|call| &*call.ends), Some(&["completed".to_owned()][..]), "{id}");
        }
        verify(self.installation, adam).await;
    }
}

/// Whether it is the refusal of somebody who cannot write, and no other failure.
fn is_refusal(heard: &Heard) -> bool {
    let kind = heard.json();
    let said = ["/type", "/error/code"].iter().find_map(|place| kind.pointer(place)?.as_str()).unwrap_or_default();
    let slug = said.rsplit('/').next().unwrap_or_default().replace('_', "-");
    heard.status == Some(503) && heard.complete && ["audit-unavailable", "unavailable"].contains(&&*slug)
}

/// Asks for agents until one is answered so, and returns what was asked and heard.
async fn until(address: std::net::SocketAddr, world: &World, status: u16, within: Duration) -> Vec<Note> {
    let start = Instant::now();
    let mut alice = Client::new(address, &world.alice);
    let mut notes = Vec::new();
    loop {
        let name = unique_name();
        let heard = create_agent(&mut alice, &name).await;
        let done = heard.status == Some(status);
        assert!(done || start.elapsed() < within, "after {within:?} it is still {heard}");
        notes.push(Note { asked: Asked::Agent(name), heard });
        if done {
            return notes;
        }
    }
}

/// `/readyz` says so in time.
pub(crate) async fn is_ready(address: std::net::SocketAddr, status: u16, within: Duration) {
    let start = Instant::now();
    loop {
        let heard = Client::anonymous(address).get("/readyz").await;
        if heard.status == Some(status) {
            return;
        }
        assert!(start.elapsed() < within, "after {within:?} it is still {heard}");
    }
}
