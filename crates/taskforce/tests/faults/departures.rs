//! Clients that leave in the middle, and model servers that fail: each call has its end, and its money is given back.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::installation::{Engine, Installation, turn};
use crate::ledger::{Ledger, verify};
use crate::upstream::{Conduct, USED, Upstream};
use crate::world::{CHAT, World, budget, nanos, text};

const CLIENTS: usize = 100;
/// How soon a departure is settled.
const SETTLED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_that_leave_mid_stream_are_charged_and_their_money_is_free_again() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let mut bob = Client::new(server.address, &world.bob);
    let trial = budget(&mut bob, &json!({"type": "tenant"}), "0.02").await;
    let mut leaving = JoinSet::new();
    for number in 0..CLIENTS {
        let (world, address) = (world.clone(), server.address);
        leaving.spawn(async move {
            let mut olivia = Client::new(address, &world.olivia);
            let body = world.call(Conduct::Endless, true);
            let events = 1 + number % 3;
            let heard = olivia
                .post_until(CHAT, &body, |read| read.windows(6).filter(|part| part == b"data: ").count() >= events)
                .await;
            assert_eq!(heard.status, Some(200), "{heard}");
            heard.call().unwrap()
        });
    }
    let left = leaving.join_all().await;
    let standing = settled(&mut bob, &trial).await;
    assert!(nanos(&standing, "/spent/amount") > 0, "{standing:#}");

    let mut ledger = Ledger::new();
    let mut adam = Client::new(server.address, &world.adam);
    ledger.catch_up(&mut adam).await;
    for call in &left {
        assert_eq!(ledger.end_of(call).as_deref(), Some("aborted"), "{call}");
    }
    let records = crate::ledger::all(&mut bob, "/api/v1/usage/records").await;
    assert_eq!(records.len(), CLIENTS);
    for record in &records {
        assert_eq!(text(record, "/measure"), "estimated", "{record:#}");
        assert!(nanos(record, "/cost/amount") > 0, "{record:#}");
    }
    // The budget was first seen at rest with a twentieth of it at hand, which a few last calls may have held.
    let standing = settled(&mut bob, &trial).await;
    let spent: i64 = records.iter().map(|record| nanos(record, "/cost/amount")).sum();
    assert_eq!(nanos(&standing, "/spent/amount"), spent);
    verify(&installation, &mut adam).await;
}

/// The budget when calls hold nothing of it any more: what is held is what the node keeps at hand, a twentieth.
async fn settled(bob: &mut Client, id: &str) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let standing = bob.get(&format!("/api/v1/admin/budgets/{id}")).await.expect(200);
        if nanos(&standing, "/held/amount") <= nanos(&standing, "/limit/amount") / 20 {
            return standing;
        }
        assert!(start.elapsed() < SETTLED, "{standing:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_a_plain_answer_is_charged_too() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let mut olivia = Client::new(server.address, &world.olivia);
    let body = world.call(Conduct::Slow, false);
    let call = olivia.post(CHAT, &body);
    let asked = async {
        while upstream.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        heard = call => panic!("it was answered at once: {heard}"),
        () = asked => {}
    }
    // Leaving closes the connection.
    drop(olivia);
    let mut adam = Client::new(server.address, &world.adam);
    let (start, mut ledger) = (Instant::now(), Ledger::new());
    while ledger.count("gateway.call.aborted") == 0 {
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", ledger.calls());
        ledger.catch_up(&mut adam).await;
    }
    assert!(ledger.calls().values().all(|call| call.ends == ["aborted"]));
}

/// How the server behaves, streamed or not, and what becomes of it: the status, and the end in the ledger.
const FAILURES: &[(Conduct, bool, u16, &str)] = &[
    (Conduct::Slow, false, 200, "completed"),
    (Conduct::Slow, true, 200, "completed"),
    (Conduct::Dies, false, 502, "failed"),
    (Conduct::Dies, true, 200, "failed"),
    (Conduct::HangsUp, false, 502, "failed"),
    (Conduct::HangsUp, true, 502, "failed"),
    (Conduct::Never, false, 504, "failed"),
    (Conduct::Never, true, 504, "failed"),
    (Conduct::Garbage, false, 502, "failed"),
    (Conduct::Garbage, true, 502, "failed"),
    (Conduct::Nonsense, false, 502, "failed"),
    (Conduct::Nonsense, true, 502, "failed"),
    (Conduct::Fails, false, 502, "failed"),
    (Conduct::Fails, true, 502, "failed"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_of_a_model_server_has_its_answer_and_its_end() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    installation.adjust("upstream_seconds: 120", "upstream_seconds: 1");
    let server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let mut olivia = Client::new(server.address, &world.olivia);
    let mut adam = Client::new(server.address, &world.adam);
    let mut ledger = Ledger::new();
    for (conduct, stream, status, end) in FAILURES.iter().copied() {
        let what = format!("{conduct:?}, streamed: {stream}");
        let before = ledger.count("gateway.call.requested");
        let heard = olivia.post(CHAT, &world.call(conduct, stream)).await;
        assert_eq!((heard.status, heard.complete), (Some(status), true), "{what}: {heard}");
        assert_eq!(heard.is_whole_answer(), end == "completed", "{what}: {heard}");
        if end == "failed" {
            assert!(heard.text().contains("\"error\""), "{what} is told in the protocol's own way: {heard}");
        }
        ledger.catch_up(&mut adam).await;
        assert_eq!(ledger.count("gateway.call.requested"), before + 1, "{what}");
        let last = ledger.entries.iter().rev().find(|entry| entry.action == "gateway.call.requested").unwrap();
        assert_eq!(ledger.end_of(&last.resource).as_deref(), Some(end), "{what}");
    }
    assert_eq!(upstream.asked(), FAILURES.len() as u64, "no call is made twice");
    // And then one that is as it should be, exactly charged.
    let well = olivia.post(CHAT, &world.call(Conduct::Well, false)).await;
    assert!(well.is_whole_answer(), "{well}");
    let mut bob = Client::new(server.address, &world.bob);
    let records = crate::ledger::all(&mut bob, "/api/v1/usage/records").await;
    let record = records.iter().find(|record| record["call_id"] == json!(well.call().unwrap())).unwrap();
    assert_eq!((record["input_tokens"].as_u64(), record["output_tokens"].as_u64()), (Some(USED.0), Some(USED.1)));
    verify(&installation, &mut adam).await;
}
