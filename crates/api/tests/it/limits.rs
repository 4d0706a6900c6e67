//! How often one may ask, and where a request is believed to come from.

use http::Method;
use kernel::Secret;
use serde_json::json;

use crate::world::{Ask, World, on_both_engines};

const ME: &str = "/api/v1/system";

async fn agree(world: &World<'_>, settings: serde_json::Value) {
    let tenant = world.get("petra", "/api/v1/admin/tenants/acme-corp").await.expect(200);
    let change = Ask::new(Method::PATCH, "/api/v1/admin/tenants/acme-corp")
        .with("if-match", tenant.header("etag").unwrap())
        .json(&json!({ "settings": settings }));
    world.send("petra", change).await.expect(200);
}

#[test]
fn a_tenant_is_limited_as_agreed_and_others_are_not() {
    on_both_engines(async |world| {
        assert_eq!(world.get("vera", ME).await.expect(200).header("ratelimit"), None);
        agree(world, json!({ "rate_limit_per_minute": 3 })).await;
        let first = world.get("vera", ME).await.expect(200);
        assert_eq!(first.header("ratelimit-policy"), Some("\"tenant\";q=3;w=60"));
        assert_eq!(first.header("ratelimit"), Some("\"tenant\";r=2;t=20"));
        world.get("olivia", ME).await.expect(200);
        world.get("vera", ME).await.expect(200);
        let refused = world.get("adam", ME).await.expect(429);
        assert_eq!(refused.get("/type"), "/problems/rate-limited");
        assert_eq!(refused.get("/detail"), "the limit `tenant` is 3 requests a minute");
        assert_eq!(
            (refused.header("retry-after"), refused.header("ratelimit")),
            (Some("20"), Some("\"tenant\";r=0;t=60"))
        );
        world.get("gina", ME).await.expect(200);
        world.tester.clock.advance_micros(20_000_000);
        world.get("vera", ME).await.expect(200);
        world.get("vera", ME).await.expect(429);
    });
}

#[test]
fn a_credential_is_limited_by_itself_and_the_gateway_says_so_in_openai_s_words() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        agree(world, json!({ "key_rate_limit_per_minute": 2, "rate_limit_per_minute": 100 })).await;
        let hello = json!({ "model": agent, "messages": [{ "role": "user", "content": "Hello" }] });
        for _ in 0..2 {
            world.post("olivia", "/v1/chat/completions", hello.clone()).await.expect(200);
        }
        let refused = world.post("olivia", "/v1/chat/completions", hello).await.expect(429);
        assert_eq!(refused.get("/error/type"), "rate_limit_error");
        assert_eq!(refused.get("/error/code"), "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("30"));
        let other = world.get("vera", ME).await.expect(200);
        assert_eq!(other.header("ratelimit"), Some("\"credential\";r=1;t=30, \"tenant\";r=97;t=2"));
    });
}

#[test]
fn more_tokens_are_not_more_requests() {
    on_both_engines(async |world| {
        let mut tokens = Vec::new();
        for _ in 0..2 {
            tokens.push(Secret::new(world.post("vera", "/api/v1/tokens", json!({})).await.expect(201).get("/token")));
        }
        agree(world, json!({ "key_rate_limit_per_minute": 2 })).await;
        for token in &tokens {
            world.ask(Some(token), Ask::get(ME)).await.expect(200);
        }
        for token in &tokens {
            world.ask(Some(token), Ask::get(ME)).await.expect(429);
        }
        world.get("vera", ME).await.expect(200);
    });
}

#[test]
fn what_costs_much_is_limited_without_any_agreement() {
    on_both_engines(async |world| {
        for n in 0..30 {
            let answer = world.post("adam", "/api/v1/audit/exports", json!({})).await.expect(200);
            let left = format!("\"heavy\";r={};t={}", 29 - n, 2 * (n + 1));
            assert_eq!(answer.header("ratelimit"), Some(left.as_str()));
        }
        world.post("adam", "/api/v1/audit/exports", json!({})).await.expect(429);
        assert_eq!(world.get("adam", ME).await.expect(200).header("ratelimit"), None);
    });
}

#[test]
fn a_network_that_guesses_is_told_to_wait_and_no_longer_recorded_while_good_keys_pass() {
    on_both_engines(async |world| {
        let guess = || Ask::get(ME).with("x-api-key", "tfk_guess").from("203.0.113.7");
        for _ in 0..60 {
            let answer = world.ask(None, guess()).await.expect(401);
            assert!(answer.header("ratelimit").unwrap().starts_with("\"failures\";r="));
        }
        let before = world.entry_count();
        let refused = world.ask(None, guess()).await.expect(429);
        assert_eq!(refused.get("/type"), "/problems/rate-limited");
        assert_eq!(refused.header("www-authenticate"), None);
        assert_eq!(world.entry_count(), before);
        // A whole company may stand behind one address: who can show a credential is not held back by who cannot.
        world.send("vera", Ask::get(ME).from("203.0.113.7")).await.expect(200);
        world.ask(None, Ask::get(ME).from("203.0.113.8")).await.expect(401);
    });
}

#[test]
fn a_key_for_a_network_is_good_there_alone_and_headers_are_believed_from_proxies_only() {
    on_both_engines(async |world| {
        let key = json!({ "user_id": world.id("vera"), "name": "office", "networks": ["198.51.100.0/24"] });
        let key = world.new_key("bob", &key).await;
        let from = |address: &str| Ask::get(ME).from(address);
        world.ask(Some(&key), from("198.51.100.9")).await.expect(200);
        world.ask(Some(&key), from("203.0.113.9")).await.expect(401);
        let lie = from("203.0.113.9").with("x-forwarded-for", "198.51.100.9");
        world.ask(Some(&key), lie).await.expect(401);
        let proxied = from("192.0.2.1").with("x-forwarded-for", "203.0.113.1, 198.51.100.9");
        world.ask(Some(&key), proxied).await.expect(200);
        let spoofed = from("192.0.2.1").with("x-forwarded-for", "198.51.100.9, 203.0.113.1");
        world.ask(Some(&key), spoofed).await.expect(401);
        let doubtful = from("192.0.2.1").with("x-forwarded-for", "203.0.113.1").with("forwarded", "for=198.51.100.9");
        world.ask(Some(&key), doubtful).await.expect(400);
    });
}

#[test]
fn a_node_that_has_not_heard_from_the_database_lets_nobody_in() {
    on_both_engines(async |world| {
        let before = world.entry_count();
        world.app().set_stale(true);
        let answer = world.get("vera", ME).await.expect(503);
        assert_eq!(world.entry_count(), before, "the answer does not wait for the database");
        assert_eq!(
            (answer.get("/type"), answer.header("retry-after")),
            ("/problems/unavailable".to_owned(), Some("1"))
        );
        world.ask(None, Ask::get("/healthz")).await.expect(200);
        world.app().set_stale(false);
        world.get("vera", ME).await.expect(200);
    });
}
