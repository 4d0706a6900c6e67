//! Two servers on one database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::installation::{Engine, Installation, Server, turn};
use crate::ledger::{Ledger, all, verify};
use crate::load::{Asked, Load, Mix};
use crate::upstream::{Conduct, Upstream};
use crate::world::{CHAT, World, budget, call_to, key_of, nanos, publish, text};

/// How long a revoked key may be accepted by another node, and how long what is new there may stay unknown.
const KNOWN: Duration = Duration::from_secs(1);

/// Two nodes of one installation, each with a data directory of its own.
struct Pair {
    installations: [Installation; 2],
    servers: [Server; 2],
    world: World,
    bob: Client,
    adam: Client,
}

impl Pair {
    async fn start(upstream: &Upstream) -> Option<Self> {
        let one = Installation::set_up(Engine::postgres()?, upstream.address);
        let installations = [one.second_node(), one];
        let servers = installations.each_ref().map(Installation::serve);
        let world = World::create(servers[0].address, &installations[0].platform).await;
        let (bob, adam) = (Client::new(servers[0].address, &world.bob), Client::new(servers[0].address, &world.adam));
        let pair = Self { installations, servers, world, bob, adam };
        pair.wait_for(&pair.world.agent).await;
        Some(pair)
    }

    /// Waits until the second node, too, knows olivia and an agent.
    async fn wait_for(&self, agent: &str) {
        let (mut olivia, start) = (self.olivia(1), Instant::now());
        while !olivia.get("/v1/models").await.text().contains(agent) {
            assert!(start.elapsed() < KNOWN, "the other node does not know the agent");
        }
    }

    fn olivia(&self, node: usize) -> Client {
        Client::new(self.servers[node].address, &self.world.olivia)
    }

    async fn standing(&mut self, budget: &str) -> Value {
        self.bob.get(&format!("/api/v1/admin/budgets/{budget}")).await.expect(200)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_on_one_node_is_soon_refused_on_the_other() {
    let _turn = turn();
    let Some(mut pair) = Pair::start(&Upstream::start().await).await else { return };
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let key = key_of(&mut pair.bob, &pair.world.olivia_id).await;
        let [mut here, mut there] =
            pair.servers.each_ref().map(|server| Client::new(server.address, &text(&key, "/secret")));
        let made = Instant::now();
        while there.get("/v1/models").await.status != Some(200) {
            assert!(made.elapsed() < KNOWN, "a new key is not known to the other node");
        }
        let revoke = format!("/api/v1/admin/api-keys/{}/revoke", text(&key, "/id"));
        pair.bob.post(&revoke, &json!({})).await.expect(200);
        let revoked = Instant::now();
        here.get("/v1/models").await.expect(401);
        while there.get("/v1/models").await.status == Some(200) {
            assert!(revoked.elapsed() < KNOWN, "it is accepted {:?} after it was revoked", revoked.elapsed());
        }
        slowest = slowest.max(revoked.elapsed());
    }
    println!("at most {slowest:?} after they were revoked, the keys were refused by the other node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_a_ledger_without_gaps_and_a_budget_that_is_not_passed() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let Some(mut pair) = Pair::start(&upstream).await else { return };
    let tight = publish(&mut pair.bob, pair.servers[0].address, &pair.world).await;
    let trial = budget(&mut pair.bob, &json!({"type": "agent", "id": tight}), "0.002").await;
    pair.wait_for(&tight).await;
    let mix = Mix::of(&[&pair.world.agent, &tight]);
    let loads = pair.servers.each_ref().map(|server| Load::start(server.address, &pair.world, 8, &mix));
    // Until both have used the budget up.
    for node in [0, 1] {
        while pair.olivia(node).post(CHAT, &call_to(&tight, Conduct::Well, false)).await.is_whole_answer() {}
    }
    for load in loads {
        for note in load.stop().await {
            let fine = match note.asked {
                Asked::Agent(_) => note.heard.status == Some(201),
                Asked::Call => note.heard.is_whole_answer() || note.heard.status == Some(429),
            };
            assert!(fine, "{:?} was answered with {}", note.asked, note.heard);
        }
    }
    let standing = pair.standing(&trial).await;
    let records = all(&mut pair.bob, &format!("/api/v1/usage/records?agent_id={tight}")).await;
    let spent: i64 = records.iter().map(|record| nanos(record, "/cost/amount")).sum();
    assert_eq!(spent, nanos(&standing, "/spent/amount"), "{standing:#}");
    assert!(spent + nanos(&standing, "/held/amount") <= nanos(&standing, "/limit/amount"), "{standing:#}");

    // Both nodes show the same ledger.
    let mut there = Client::new(pair.servers[1].address, &pair.world.adam);
    let mut ledger = Ledger::new();
    ledger.catch_up(&mut pair.adam).await;
    ledger.catch_up(&mut there).await;
    assert!(ledger.calls().values().all(|call| call.ends == ["completed"]));
    let report = verify(&pair.installations[1], &mut there).await;
    println!("{} entries from two nodes", report["entries"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_closes_its_calls_when_it_returns_and_the_other_goes_on() {
    let _turn = turn();
    let Some(mut pair) = Pair::start(&Upstream::start().await).await else { return };
    let mix = Mix { conduct: Conduct::Slow, ..Mix::of(&[&pair.world.agent]) };
    let load = Load::start(pair.servers[1].address, &pair.world, 8, &mix);
    let mut ledger = Ledger::new();
    while ledger.calls().values().all(|call| !call.ends.is_empty()) {
        ledger.catch_up(&mut pair.adam).await;
    }
    let mut olivia = pair.olivia(0);
    let [one, other] = pair.servers;
    other.kill();
    drop(load.ended().await);
    assert!(olivia.post(CHAT, &pair.world.call(Conduct::Well, false)).await.is_whole_answer());
    ledger.catch_up(&mut pair.adam).await;
    assert!(ledger.calls().values().any(|call| call.ends.is_empty()), "a node closes calls that are not its own");
    let other = pair.installations[1].serve();
    assert!(other.recovered > 0);
    ledger.catch_up(&mut pair.adam).await;
    let calls = ledger.calls();
    assert!(calls.values().all(|call| call.ends.len() == 1), "{calls:?}");
    verify(&pair.installations[0], &mut pair.adam).await;
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_taken_away_gives_back_what_it_had_at_hand_of_every_budget() {
    let _turn = turn();
    let Some(mut pair) = Pair::start(&Upstream::start().await).await else { return };
    let trial = budget(&mut pair.bob, &json!({"type": "tenant"}), "1").await;
    let stock = nanos(&pair.standing(&trial).await, "/limit/amount") / 20;
    let mut node = 0;
    while nanos(&pair.standing(&trial).await, "/held/amount") <= stock {
        assert!(pair.olivia(node).post(CHAT, &pair.world.call(Conduct::Well, false)).await.is_whole_answer());
        node = 1 - node;
    }
    let [one, other] = pair.servers;
    other.signal("TERM");
    assert!(other.ended(Duration::from_secs(10)).await.success());
    let mut bob = Client::new(one.address, &pair.world.bob);
    let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
    assert!(nanos(&standing, "/held/amount") <= stock, "{standing:#}");
}
