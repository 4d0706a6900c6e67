//! Two servers on one database.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::installation::{Engine, Installation, turn};
use crate::ledger::{Ledger, all, verify};
use crate::load::{Asked, Load, Mix};
use crate::upstream::{Conduct, Upstream};
use crate::world::{CHAT, World, budget, key_of, nanos, publish, text};

/// How long a revoked key may be accepted by another node.
const REVOKED: Duration = Duration::from_secs(1);
/// How long an agent's publication may take to be known to another node.
const PUBLISHED: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_keys_ledger_and_budgets() {
    let _turn = turn();
    let Some(engine) = Engine::postgres() else { return };
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(engine, upstream.address);
    let other_installation = installation.second_node();
    let (one, other) = (installation.serve(), other_installation.serve());
    let world = World::create(one.address, &installation.platform).await;
    let mut bob = Client::new(one.address, &world.bob);

    for _ in 0..5 {
        let key = key_of(&mut bob, &world.olivia_id).await;
        let mut there = Client::new(other.address, &text(&key, "/secret"));
        known(&mut there).await;
        let revoke = format!("/api/v1/admin/keys/{}/revoke", text(&key, "/id"));
        bob.post(&revoke, &json!({})).await.expect(200);
        Client::new(one.address, &text(&key, "/secret")).get("/v1/models").await.expect(401);
        let revoked = Instant::now();
        while there.get("/v1/models").await.status == Some(200) {
            assert!(revoked.elapsed() < REVOKED, "it is accepted {:?} after it was revoked", revoked.elapsed());
        }
        println!("a revoked key was refused by the other node after {:?}", revoked.elapsed());
    }

    let tight = publish(&mut bob, one.address, &world).await;
    let trial = budget(&mut bob, &json!({"type": "agent", "id": tight}), "0.002").await;
    let start = Instant::now();
    let mut olivia = Client::new(other.address, &world.olivia);
    while !olivia.get("/v1/models").await.text().contains(&tight) {
        assert!(start.elapsed() < PUBLISHED, "the other node does not know the agent");
    }
    let mix = Mix::of(&[&world.agent, &tight]);
    let loads = [&one, &other].map(|server| Load::start(server.address, &world, 8, &mix));
    // Long enough for the budget to be used up by both.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut exhausted = 0;
    for load in loads {
        for note in load.stop().await {
            let fine = match note.asked {
                Asked::Agent(_) => note.heard.status == Some(201),
                Asked::Call => note.heard.is_whole_answer() || note.heard.status == Some(429),
            };
            assert!(fine, "{:?} was answered with {}", note.asked, note.heard);
            exhausted += usize::from(note.heard.status == Some(429));
        }
    }
    assert!(exhausted > 0);
    let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
    let records = all(&mut bob, &format!("/api/v1/usage/records?agent_id={tight}")).await;
    let spent: i64 = records.iter().map(|record| nanos(record, "/cost/amount")).sum();
    assert_eq!(spent, nanos(&standing, "/spent/amount"), "{standing:#}");
    assert!(spent + nanos(&standing, "/held/amount") <= nanos(&standing, "/limit/amount"), "{standing:#}");

    let mut here = Ledger::new();
    let mut adam = Client::new(one.address, &world.adam);
    here.catch_up(&mut adam).await;
    let calls = here.calls();
    assert!(calls.values().all(|call| call.ends == ["completed"]));
    let mut there = Ledger::new();
    let mut adam_there = Client::new(other.address, &world.adam);
    there.catch_up(&mut adam_there).await;
    assert!(there.entries.len() >= here.entries.len());
    let report = verify(&installation, &mut adam_there).await;
    println!("{} entries from two nodes, {exhausted} calls past the budget", report["entries"]);

    // One node dies with calls open. The other goes on, and leaves them alone: they are closed by their own node.
    let load = Load::start(other.address, &world, 8, &Mix { conduct: Conduct::Slow, ..mix });
    let before = upstream.asked();
    while upstream.asked() < before + 4 {
        tokio::task::yield_now().await;
    }
    other.kill();
    drop(load.ended().await);
    let mut olivia = Client::new(one.address, &world.olivia);
    assert!(olivia.post(CHAT, &world.call(Conduct::Well, false)).await.is_whole_answer());
    let other = other_installation.serve();
    assert!(other.recovered > 0);
    here.catch_up(&mut adam).await;
    let calls = here.calls();
    assert!(calls.values().all(|call| call.ends.len() == 1), "{calls:?}");
    verify(&installation, &mut adam).await;
}

/// Waits until a node has heard of a key.
async fn known(client: &mut Client) {
    let start = Instant::now();
    while client.get("/v1/models").await.status != Some(200) {
        assert!(start.elapsed() < REVOKED, "a new key is not known to the other node");
    }
}
