//! When the database fails, nothing is said of it, nothing is half done, and it is over when it is over.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::operations::{Things, all};
use crate::world::{Answer, Ask, on_both_engines};

/// What a problem never repeats: how things are stored, and where.
fn assert_discreet(answer: &Answer) {
    let text = answer.text().to_lowercase();
    for inner in ["sql", "postgres", "insert ", "constraint", "disk", "/tmp", "commit", "errno", "rust", "panick"] {
        assert!(!text.contains(inner), "{inner}: {text}");
    }
}

#[test]
fn a_change_that_cannot_be_recorded_does_not_happen_and_can_be_made_afterwards() {
    on_both_engines(async |world| {
        for operation in all().into_iter().filter(|operation| operation.changes() && !operation.open) {
            let things = Things::of(world).await;
            let (name, ask) = things.permitted(world, &operation).await;
            let before = world.entry_count();
            world.refuse_commits(true);
            let start = Instant::now();
            let failed = world.send(name, ask.clone()).await.expect(503);
            assert!(start.elapsed() < Duration::from_secs(2), "{}", operation.id);
            assert_discreet(&failed);
            world.refuse_commits(false);
            assert_eq!(world.entry_count(), before, "{}", operation.id);
            let made = world.send(name, ask).await;
            assert!(made.status.is_success(), "{}: {}", operation.id, made.text());
        }
    });
}

#[test]
fn a_refusal_that_cannot_be_recorded_is_no_refusal() {
    on_both_engines(async |world| {
        let create = || Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        world.refuse_commits(true);
        for answer in [world.send("vera", create()).await, world.ask(None, create()).await] {
            assert_eq!(answer.clone().expect(503).get("/type"), "/problems/audit-unavailable");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_discreet(&answer);
        }
        world.refuse_commits(false);
        world.send("vera", create()).await.expect(403);
        world.ask(None, create()).await.expect(401);
    });
}

#[test]
fn a_full_disk_stops_changes_and_nothing_else_until_there_is_room() {
    on_both_engines(async |world| {
        if world.tester.engine != "sqlite" {
            return;
        }
        let agent = world.agent().await;
        world.limit_pages(Some(1));
        let create =
            |n: usize| Ask::post("/api/v1/agents", &json!({ "name": "x", "description": "y".repeat(4_000 + n % 2) }));
        let mut made = 1;
        let failed = loop {
            let start = Instant::now();
            let answer = world.send("alice", create(made)).await;
            assert!(start.elapsed() < Duration::from_secs(2));
            match answer.status.as_u16() {
                201 => made += 1,
                _ => break answer,
            }
            assert!(made < 1_000, "the disk never fills");
        };
        assert_discreet(&failed.expect(503));
        world.get("alice", &format!("/api/v1/agents/{agent}")).await.expect(200);
        world.limit_pages(None);
        world.send("alice", create(made)).await.expect(201);
        let listed = world.get("alice", "/api/v1/agents?limit=1000").await.expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), made + 1);
    });
}
