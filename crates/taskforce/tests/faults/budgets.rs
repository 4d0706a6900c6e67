//! More calls at once than a budget pays for.

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{Client, Heard};
use crate::installation::{Engine, Installation, turn};
use crate::ledger::{Ledger, all, verify};
use crate::upstream::{Conduct, Upstream};
use crate::world::{CHAT, World, budget, nanos, text};

const CALLS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_calls_at_once_those_within_the_budget_are_answered_on_sqlite() {
    spend(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_calls_at_once_those_within_the_budget_are_answered_on_postgres() {
    let Some(engine) = Engine::postgres() else { return };
    spend(engine).await;
}

async fn spend(engine: Engine) {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(engine, upstream.address);
    installation.adjust("connections_per_ip: 256", "connections_per_ip: 2000");
    let server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let mut bob = Client::new(server.address, &world.bob);
    // A call costs 0.000009 USD: 20 tokens in, 10 out.
    let trial = budget(&mut bob, &json!({"type": "agent", "id": world.agent}), "0.0009").await;
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let (world, address) = (world.clone(), server.address);
        calls.spawn(async move {
            let body = world.call(Conduct::Well, number % 2 == 0);
            Client::new(address, &world.olivia).post(CHAT, &body).await
        });
    }
    let heard = calls.join_all().await;
    let (answered, refused): (Vec<Heard>, Vec<Heard>) = heard.into_iter().partition(Heard::is_whole_answer);
    println!("{} answered, {} refused", answered.len(), refused.len());
    assert!(!answered.is_empty() && answered.len() <= 100, "{} were answered", answered.len());
    for heard in &refused {
        let said = heard.expect(429);
        assert_eq!(text(&said, "/error/code"), "budget_exhausted", "{said:#}");
        assert_eq!(text(&said, "/error/budget"), trial, "{said:#}");
        assert!(text(&said, "/error/message").contains("Trial"), "{said:#}");
    }
    assert_eq!(upstream.asked(), answered.len() as u64, "what is refused goes nowhere");
    let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
    let records = all(&mut bob, "/api/v1/usage/records").await;
    let spent: i64 = records.iter().map(|record| nanos(record, "/cost/amount")).sum();
    assert_eq!((records.len(), spent), (answered.len(), nanos(&standing, "/spent/amount")), "{standing:#}");
    assert!(spent + nanos(&standing, "/held/amount") <= nanos(&standing, "/limit/amount"), "{standing:#}");
    // One after another, the rest of the budget is used up, to less than one more call could cost.
    let mut olivia = Client::new(server.address, &world.olivia);
    let mut last = olivia.post(CHAT, &world.call(Conduct::Well, false)).await;
    while last.is_whole_answer() {
        last = olivia.post(CHAT, &world.call(Conduct::Well, false)).await;
    }
    last.expect(429);
    let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
    let (spent, limit) = (nanos(&standing, "/spent/amount"), nanos(&standing, "/limit/amount"));
    assert!(spent <= limit && limit - spent < 100_000, "{standing:#}");

    let mut adam = Client::new(server.address, &world.adam);
    let mut ledger = Ledger::new();
    ledger.catch_up(&mut adam).await;
    assert!(ledger.calls().values().all(|call| call.ends == ["completed"]));
    verify(&installation, &mut adam).await;
}
