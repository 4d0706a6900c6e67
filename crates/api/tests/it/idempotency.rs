//! At most one effect for an idempotency key.

use std::collections::HashSet;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;

use crate::operations::{Things, all};
use crate::world::{Ask, on_both_engines};

fn create(name: &str) -> Ask {
    Ask::post("/api/v1/agents", &json!({ "name": name }))
}

/// Operations whose repetition is harmless: they read no idempotency key, and neither do those that only read.
/// Who signs out or in again leaves the session behind that would ask again.
const REPEATABLE: [&str; 7] = [
    "change_own_password",
    "create_chat_completion",
    "exchange_token",
    "export_package",
    "reauthenticate",
    "set_user_password",
    "sign_out",
];

#[test]
fn every_post_has_its_effect_once_and_is_answered_alike_again() {
    on_both_engines(async |world| {
        let posts = all()
            .into_iter()
            .filter(|operation| operation.method == Method::POST && operation.changes() && !operation.open);
        for operation in posts.filter(|operation| !REPEATABLE.contains(&operation.id.as_str())) {
            let things = Things::of(world).await;
            let (name, ask) = things.permitted(world, &operation).await;
            let ask = ask.with("idempotency-key", format!("once-{}", operation.id));
            let first = world.send(name, ask.clone()).await;
            assert!(first.status.is_success(), "{}: {}", operation.id, first.text());
            assert_eq!(first.header("idempotency-replayed"), None);

            let before = world.entry_count();
            let again = world.send(name, ask).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", operation.id);
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", operation.id);
            for header in ["etag", "location", "content-type"] {
                assert_eq!(again.header(header), first.header(header), "{} {header}", operation.id);
            }
            assert_eq!(world.entry_count(), before, "{}", operation.id);
        }
    });
}

#[test]
fn the_same_key_with_another_request_is_refused() {
    on_both_engines(async |world| {
        world.send("alice", create("One").with("idempotency-key", "k1")).await.expect(201);
        let other = world.send("alice", create("Two").with("idempotency-key", "k1")).await.expect(422);
        assert_eq!(other.get("/type"), "/problems/idempotency-mismatch");
        let elsewhere = Ask::post("/api/v1/agents?x=1", &json!({ "name": "One" })).with("idempotency-key", "k1");
        world.send("alice", elsewhere).await.expect(422);
        // Somebody else's key is another key.
        world.send("bob", create("Two").with("idempotency-key", "k1")).await.expect(201);
    });
}

#[test]
fn a_malformed_key_is_refused_and_a_refused_request_leaves_the_key_free() {
    on_both_engines(async |world| {
        let long = "k".repeat(256);
        for bad in ["", "a b", "\u{e4}", long.as_str()] {
            let ask = create("One").with("idempotency-key", bad);
            assert_eq!(world.send("alice", ask).await.expect(400).get("/type"), "/problems/malformed", "{bad:?}");
        }
        let twice = create("One").with("idempotency-key", "a").with("idempotency-key", "b");
        world.send("alice", twice).await.expect(400);

        world.send("alice", create("").with("idempotency-key", "k1")).await.expect(422);
        world.send("vera", create("One").with("idempotency-key", "k1")).await.expect(403);
        world.send("alice", create("One").with("idempotency-key", "k1")).await.expect(201);
    });
}

#[test]
fn of_sixty_four_at_the_same_time_one_has_its_effect_and_all_get_its_answer() {
    on_both_engines(async |world| {
        let before = world.entry_count();
        let asks = (0..64).map(|_| world.send("alice", create("Same").with("idempotency-key", "k1")));
        let answers = join_all(asks).await;
        let bodies: HashSet<_> = answers.iter().map(|answer| answer.clone().expect(201).body).collect();
        assert_eq!(bodies.len(), 1);
        let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count();
        assert_eq!(replayed, 63);
        assert_eq!(world.entry_count(), before + 1);
        assert_eq!(world.get("alice", "/api/v1/agents").await.json()["items"].as_array().unwrap().len(), 1);
    });
}
