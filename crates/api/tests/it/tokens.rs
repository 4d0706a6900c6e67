//! Bearer tokens: made, used, exchanged, revoked; and what is said to those who have none.

use http::Method;
use kernel::Secret;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, PUBLIC_URL, World, on_both_engines};

const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

async fn token(world: &World<'_>, name: &str, body: Value) -> Secret<String> {
    Secret::new(world.post(name, "/api/v1/tokens", body).await.expect(201).get("/token"))
}

async fn exchanged(world: &World<'_>, name: &str, subject: &Secret<String>, rest: &str) -> Answer {
    let body = format!("{GRANT}&subject_token={}{rest}", subject.expose());
    let ask = Ask::new(Method::POST, "/oauth/token").bytes("application/x-www-form-urlencoded", body);
    world.send(name, ask).await
}

#[test]
fn a_token_lets_its_holder_in_until_it_ends_or_is_revoked() {
    on_both_engines(async |world| {
        let mine = token(world, "olivia", json!({ "expires_in": 60, "scopes": ["agent:read"] })).await;
        let read = || Ask::get("/api/v1/agents");
        world.ask(Some(&mine), read()).await.expect(200);
        let create = Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        world.ask(Some(&mine), create).await.expect(403);
        world.ask(Some(&mine), Ask::post("/api/v1/tokens", &json!({}))).await.expect(409);
        world.tester.clock.advance_micros(91_000_000);
        world.ask(Some(&mine), read()).await.expect(401);

        let other = token(world, "olivia", json!({})).await;
        let revoke = json!({ "token": other.expose() });
        world.post("vera", "/api/v1/tokens/revoke", revoke.clone()).await.expect(404);
        world.post("gina", "/api/v1/tokens/revoke", revoke.clone()).await.expect(404);
        world.ask(Some(&other), read()).await.expect(200);
        world.post("olivia", "/api/v1/tokens/revoke", revoke).await.expect(200);
        world.ask(Some(&other), read()).await.expect(401);
        world.post("olivia", "/api/v1/tokens/revoke", json!({})).await.expect(422);
        world.post("olivia", "/api/v1/tokens", json!({ "expires_in": 86_401 })).await.expect(422);
        world.post("vera", "/api/v1/tokens", json!({ "scopes": ["agent:create"] })).await.expect(403);
    });
}

#[test]
fn an_exchange_narrows_names_who_acts_and_speaks_oauth() {
    on_both_engines(async |world| {
        let subject = token(world, "olivia", json!({})).await;
        let made = exchanged(world, "alice", &subject, "&scope=agent%3Aread&resource=https%3A%2F%2Ftaskforce.example")
            .await
            .expect(200);
        assert_eq!((made.get("/token_type"), made.get("/scope")), ("Bearer".to_owned(), "agent:read".to_owned()));
        assert_eq!(made.get("/issued_token_type"), "urn:ietf:params:oauth:token-type:access_token");
        assert_eq!(made.json()["expires_in"], 3600);
        let acting = Secret::new(made.get("/access_token"));
        let read = Ask::get("/api/v1/agents");
        world.ask(Some(&acting), read.clone()).await.expect(200);
        let refused = world.ask(Some(&acting), Ask::post("/api/v1/agents", &json!({ "name": "x" }))).await.expect(403);
        let entry = format!("/api/v1/audit/entries/{}", refused.header("taskforce-entry").unwrap());
        let entry = world.get("adam", &entry).await.expect(200).text().to_owned();
        assert!(entry.contains(world.id("olivia")) && entry.contains(world.id("alice")), "{entry}");

        let refusals = [
            (
                exchanged(world, "alice", &subject, "&audience=https%3A%2F%2Felsewhere.example").await,
                400,
                "invalid_target",
            ),
            (exchanged(world, "alice", &subject, "&scope=root").await, 400, "invalid_scope"),
            (exchanged(world, "alice", &Secret::new("a.b.c".to_owned()), "").await, 400, "invalid_request"),
            (exchanged(world, "gina", &subject, "").await, 400, "invalid_request"),
            (exchanged(world, "alice", &subject, "&scope=tenant%3Amanage").await, 400, "invalid_scope"),
        ];
        for (answer, status, error) in refusals {
            assert_eq!((answer.status.as_u16(), answer.get("/error")), (status, error.to_owned()));
            assert!(!answer.get("/error_description").is_empty());
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        let nobody = Ask::new(Method::POST, "/oauth/token").bytes("application/x-www-form-urlencoded", GRANT);
        assert_eq!(world.ask(None, nobody).await.expect(401).get("/error"), "invalid_client");

        let revoke = json!({ "token": subject.expose() });
        world.post("olivia", "/api/v1/tokens/revoke", revoke).await.expect(200);
        world.ask(Some(&acting), read).await.expect(401);
    });
}

#[test]
fn who_comes_without_credentials_or_with_bad_ones_is_told_where_to_read_on() {
    on_both_engines(async |world| {
        let metadata = format!("resource_metadata=\"{PUBLIC_URL}/.well-known/oauth-protected-resource\"");
        let missing = world.ask(None, Ask::get("/api/v1/agents")).await.expect(401);
        let challenge = format!("Bearer realm=\"taskforce\", {metadata}");
        assert_eq!(missing.header("www-authenticate"), Some(challenge.as_str()));
        let bad = world.ask(Some(&Secret::new("a.b.c".to_owned())), Ask::get("/api/v1/agents")).await.expect(401);
        let challenge = format!("Bearer realm=\"taskforce\", error=\"invalid_token\", {metadata}");
        assert_eq!(bad.header("www-authenticate"), Some(challenge.as_str()));

        let about = world.ask(None, Ask::get("/.well-known/oauth-protected-resource")).await.expect(200);
        assert_eq!(
            (about.get("/resource"), about.json()["bearer_methods_supported"][0].as_str()),
            (PUBLIC_URL.to_owned(), Some("header"))
        );
        assert!(about.text().contains("agent:execute") && !about.text().contains("acme"));
        let patterns = world.ask(None, Ask::get("/.well-known/secret-scanning.json")).await.expect(200);
        assert_eq!(patterns.get("/patterns/0/regex"), r"\btf[a-z]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b");
    });
}

#[test]
fn a_key_that_was_found_somewhere_is_revoked_and_the_finder_told_the_same_as_for_nothing() {
    on_both_engines(async |world| {
        let read = || Ask::get("/api/v1/agents");
        let report = |key: &str| Ask::post("/api/v1/leaked-keys", &json!({ "key": key }));
        let key = world.key("vera").expose().clone();
        let told = [key.as_str(), "nonsense", &key.replace("tfk_", "tfs_")].map(&report);
        let mut answers = Vec::new();
        world.send("vera", read()).await.expect(200);
        for ask in told {
            answers.push(world.ask(None, ask).await.expect(200).text().to_owned());
        }
        answers.dedup();
        assert_eq!(answers, [r#"{"status":"received"}"#]);
        world.send("vera", read()).await.expect(401);
        // Half a secret revokes nothing.
        let olivia = world.key("olivia").expose().clone();
        let (id, secret) = olivia.rsplit_once('_').unwrap();
        world.ask(None, report(&format!("{id}_{}", "0".repeat(secret.len())))).await.expect(200);
        world.send("olivia", read()).await.expect(200);
    });
}

#[test]
fn a_key_is_renamed_bound_to_networks_rotated_and_found() {
    on_both_engines(async |world| {
        let made = world
            .post("bob", "/api/v1/admin/api-keys", json!({ "user_id": world.id("olivia"), "name": "batch" }))
            .await
            .expect(201);
        let (id, old) = (made.get("/id"), Secret::new(made.get("/secret")));
        let path = format!("/api/v1/admin/api-keys/{id}");
        let shown = world.get("bob", &path).await.expect(200);
        assert_eq!((shown.get("/status"), shown.json()["used_at"].is_null()), ("active".to_owned(), true));
        let patch = |etag: &str| {
            let change = json!({ "name": "night batch", "networks": ["203.0.113.0/24"] });
            Ask::new(Method::PATCH, path.clone()).with("if-match", etag).json(&change)
        };
        let changed = world.send("bob", patch(shown.header("etag").unwrap())).await.expect(200);
        assert_eq!(changed.json()["networks"], json!(["203.0.113.0/24"]));
        world.send("bob", patch(shown.header("etag").unwrap())).await.expect(412);

        let rotated = world.post("olivia", &format!("{path}/rotate"), json!({ "overlap_hours": 1 })).await.expect(200);
        let new = Secret::new(rotated.get("/secret"));
        let read = || Ask::get("/api/v1/agents").from("203.0.113.5");
        world.ask(Some(&old), read()).await.expect(200);
        world.ask(Some(&new), read()).await.expect(200);
        world.tester.clock.advance_micros(3_600_000_000);
        world.ask(Some(&old), read()).await.expect(401);
        world.ask(Some(&new), read()).await.expect(200);
        world.post("olivia", &format!("{path}/rotate"), json!({ "overlap_hours": 169 })).await.expect(422);

        let list = |query: &str| format!("/api/v1/admin/api-keys?{query}");
        let found = world.get("bob", &list("q=night&sort=-created_at&status=active")).await.expect(200);
        assert_eq!(found.json()["items"].as_array().unwrap().len(), 1);
        world.get("bob", &list("sort=name")).await.expect(422);
        tokio::task::block_in_place(|| world.app().flush_uses().unwrap());
        assert!(world.get("bob", &path).await.expect(200).json()["used_at"].is_string());
    });
}
