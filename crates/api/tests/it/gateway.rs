//! Model calls through the door: what goes upstream, what comes back, and what the ledger holds when.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testkit::upstream::{Reply, chunk, usage_chunk};
use tokio::time::timeout;

use crate::world::{Answer, Ask, World, on_both_engines, on_both_engines_with};

const CHAT: &str = "/v1/chat/completions";

fn hello(agent: &str) -> Value {
    json!({ "model": agent, "messages": [{ "role": "user", "content": "Hello" }] })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn streamed(agent: &str) -> Value {
    with(hello(agent), "stream", true.into())
}

async fn chat(world: &World<'_>, body: &Value) -> Answer {
    world.send("olivia", Ask::post(CHAT, body)).await
}

/// The next frame of a body.
async fn frame(body: &mut Body) -> Option<Bytes> {
    let frame = timeout(Duration::from_secs(10), body.frame()).await.expect("a frame in time")?;
    Some(frame.unwrap().into_data().unwrap())
}

/// Waits until the logs have so many entries.
async fn entries(world: &World<'_>, count: u64) {
    let reached = async {
        while world.entry_count() < count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.expect("the entries in time");
    assert_eq!(world.entry_count(), count);
}

fn upstream_got(world: &World<'_>) -> Value {
    serde_json::from_slice(&world.upstream.received().last().unwrap().body).unwrap()
}

#[test]
fn a_call_goes_upstream_as_the_published_version_says_and_comes_back_untouched() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let before = world.entry_count();
        let answer = chat(world, &hello(&agent)).await.expect(200);
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello there");
        assert!(answer.header("taskforce-call").unwrap().starts_with("cal_"));
        assert!(answer.header("taskforce-entry").is_some());
        assert_eq!(world.entry_count(), before + 2);

        let received = world.upstream.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].headers["authorization"], "Bearer sk-upstream");
        assert!(!format!("{:?}", received[0].headers).contains("tfk_"));
        let expected = json!({
            "model": "gpt-4o-mini",
            "messages": [
                { "role": "system", "content": "You help customers." },
                { "role": "user", "content": "Hello" },
            ],
            "temperature": 0.5,
            "max_tokens": 200,
        });
        assert_eq!(upstream_got(world), expected);
        let entries = world.newest_entries(2).await;
        assert_eq!(entries, ["gateway.call.completed call ok", "gateway.call.requested call ok"]);
        let records = world.get("vera", "/api/v1/usage/records").await.expect(200).json();
        let record = &records["items"][0];
        assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&json!(1_000), &json!(500)));
        assert_eq!(record["cost"], json!({ "amount": "0.00045", "currency": "USD" }));
        assert_eq!(record["call_id"], answer.header("taskforce-call").unwrap());
    });
}

#[test]
fn fields_that_nobody_here_knows_pass_untouched() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let odd = r#""x_vendor": {"b": [1.0, 2e0 ,3], "a": "\u00e9"},  "seed": 12345678901234567890, "user":"é""#;
        let body = format!(r#"{{"model": "{agent}", "messages": [{{"role":"user","content":"Hi"}}], {odd}}}"#);
        let ask = Ask::new(http::Method::POST, CHAT).bytes("application/json", body);
        world.send("olivia", ask).await.expect(200);
        let received = world.upstream.received().pop().unwrap();
        let text = std::str::from_utf8(&received.body).unwrap();
        for kept in [r#"{"b": [1.0, 2e0 ,3], "a": "\u00e9"}"#, "12345678901234567890", r#""é""#] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    });
}

#[test]
fn the_usage_chunk_is_asked_for_and_shown_only_to_who_asked() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let answer = chat(world, &streamed(&agent)).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert!(answer.text().contains("Hello") && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        assert!(!answer.text().contains("prompt_tokens"), "{}", answer.text());
        assert_eq!(upstream_got(world)["stream_options"], json!({ "include_usage": true }));

        let asking = with(streamed(&agent), "stream_options", json!({ "include_usage": true }));
        let answer = chat(world, &asking).await.expect(200);
        assert_eq!(answer.text().matches("prompt_tokens").count(), 1);

        let usage = world.get("vera", "/api/v1/usage").await.expect(200).json();
        assert_eq!((&usage["total"]["calls"], &usage["total"]["output_tokens"]), (&json!(2), &json!(1_000)));
    });
}

#[test]
fn every_chunk_leaves_when_it_comes_and_the_evidence_before_it() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        let before = world.entry_count();
        let mut answer = world.begin("olivia", Ask::post(CHAT, &streamed(&agent))).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(world.entry_count(), before + 1, "the request's entry is there before the first byte");
        for word in ["One", "Two", "Three"] {
            pen.event(&chunk(word));
            let bytes = frame(answer.body_mut()).await.unwrap();
            assert_eq!(bytes, format!("data: {}\n\n", chunk(word)));
        }
        assert_eq!(world.entry_count(), before + 1);
        pen.event(&usage_chunk());
        pen.done();
        assert_eq!(frame(answer.body_mut()).await.unwrap(), "data: [DONE]\n\n");
        assert_eq!(world.entry_count(), before + 2, "the outcome's entry is there before the last byte");
        assert!(frame(answer.body_mut()).await.is_none());
    });
}

#[test]
fn a_client_that_goes_away_leaves_an_aborted_call() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        let before = world.entry_count();
        let mut answer = world.begin("olivia", Ask::post(CHAT, &streamed(&agent))).await;
        pen.event(&chunk("One"));
        frame(answer.body_mut()).await.unwrap();
        drop(answer);
        timeout(Duration::from_secs(10), pen.unread()).await.expect("the upstream's connection is let go");
        entries(world, before + 2).await;
        assert_eq!(world.newest_entries(1).await, ["gateway.call.aborted call aborted"]);
        let records = world.get("vera", "/api/v1/usage/records").await.expect(200).json();
        assert_eq!(records["items"][0]["measure"], "estimated");
    });
}

#[test]
fn a_stream_that_breaks_off_says_so_and_is_a_failed_call() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        let mut answer = world.begin("olivia", Ask::post(CHAT, &streamed(&agent))).await;
        pen.event(&chunk("One"));
        frame(answer.body_mut()).await.unwrap();
        pen.reset();
        let rest = answer.into_body().collect().await.unwrap().to_bytes();
        let rest = std::str::from_utf8(&rest).unwrap();
        assert!(rest.contains("\"error\"") && !rest.contains("[DONE]"), "{rest}");
        assert_eq!(world.newest_entries(1).await, ["gateway.call.failed call failed"]);
    });
}

#[test]
fn an_upstream_that_fails_is_a_failed_call() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let secret = "account 4711 is overdue";
        for (reply, status, passed) in [
            (Reply::error(http::StatusCode::INTERNAL_SERVER_ERROR, secret), 502, false),
            (Reply::error(http::StatusCode::UNAUTHORIZED, secret), 502, false),
            (Reply::error(http::StatusCode::NOT_FOUND, secret), 502, false),
            (Reply::error(http::StatusCode::BAD_REQUEST, "too many tokens"), 400, true),
            (Reply::error(http::StatusCode::TOO_MANY_REQUESTS, "slow down"), 429, true),
        ] {
            world.upstream.will(reply);
            let before = world.entry_count();
            let answer = chat(world, &hello(&agent)).await.expect(status);
            assert_eq!(world.entry_count(), before + 2, "{status}: {}", answer.text());
            assert!(!answer.text().contains(secret), "{}", answer.text());
            assert_eq!(answer.json()["error"]["code"] == "upstream_failed", !passed, "{}", answer.text());
            assert_eq!(world.newest_entries(1).await, ["gateway.call.failed call failed"]);
        }
        let usage = world.get("vera", "/api/v1/usage").await.expect(200).json();
        assert_eq!(usage["total"]["cost"]["amount"], "0.00", "what the upstream did not take costs nothing");
    });
}

#[test]
fn an_upstream_that_breaks_the_connection_is_a_failed_call() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        world.upstream.will(Reply::Hangup);
        let before = world.entry_count();
        let answer = chat(world, &hello(&agent)).await.expect(502);
        assert_eq!(answer.get("/error/code"), "upstream_failed");
        assert_eq!(world.entry_count(), before + 2);
        assert_eq!(world.newest_entries(1).await, ["gateway.call.failed call failed"]);
    });
}

#[test]
fn an_upstream_that_is_silent_is_given_up() {
    on_both_engines_with(Duration::from_millis(200), &async |world: &World<'_>| {
        let agent = world.callable().await;
        world.upstream.will(Reply::Silence);
        let answer = chat(world, &hello(&agent)).await.expect(504);
        assert_eq!(answer.get("/error/code"), "upstream_timeout");
        assert_eq!(world.newest_entries(1).await, ["gateway.call.failed call failed"]);
    });
}

#[test]
fn the_agent_is_named_by_the_body_or_a_header_or_the_key() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let by_name = hello("gpt-4o");
        let unnamed = chat(world, &by_name).await.expect(422);
        assert_eq!(unnamed.get("/error/param"), "model");
        let header = |agent: &str| Ask::post(CHAT, &by_name).with("taskforce-agent", agent);
        world.send("olivia", header(&agent)).await.expect(200);
        world.send("olivia", header("me")).await.expect(422);

        let bound = json!({ "user_id": world.id("olivia"), "name": "bound", "agent_id": agent });
        let bound = world.new_key("bob", &bound).await;
        world.ask(Some(&bound), Ask::post(CHAT, &by_name)).await.expect(200);
        let me = world.ask(Some(&bound), Ask::get("/api/v1/me")).await.expect(200);
        assert_eq!(me.get("/agent_id"), agent);

        // What the body names goes before the header, and the header before the key.
        let draft = world.agent().await;
        world.ask(Some(&bound), header(&draft)).await.expect(404);
        world.ask(Some(&bound), Ask::post(CHAT, &hello(&draft))).await.expect(404);
        world.ask(Some(&bound), Ask::post(CHAT, &hello(&agent)).with("taskforce-agent", &*draft)).await.expect(200);
    });
}

#[test]
fn only_the_version_that_is_published_now_runs() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let draft = world.draft_of(&agent, "2.0.0", &json!({ "model": "gpt-4o", "tools": [] })).await;
        chat(world, &hello(&agent)).await.expect(200);
        assert_eq!(upstream_got(world)["model"], "gpt-4o-mini");
        world.publish(&draft).await;
        chat(world, &hello(&agent)).await.expect(200);
        assert_eq!(upstream_got(world)["model"], "gpt-4o");
        world.post("alice", &format!("{draft}/deprecate"), json!({})).await.expect(200);
        chat(world, &hello(&agent)).await.expect(404);
        assert_eq!(world.upstream.received().len(), 2);
    });
}

#[test]
fn what_would_lead_a_call_elsewhere_is_refused_and_nobody_is_asked() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        for field in ["api_base", "base_url", "api_key", "extra_headers", "extra_body", "proxy"] {
            let before = world.entry_count();
            let answer = chat(world, &with(hello(&agent), field, "http://elsewhere".into())).await.expect(400);
            assert_eq!(answer.get("/error/param"), field);
            assert_eq!(world.entry_count(), before + 1);
        }
        let tool = json!([{ "type": "function", "function": { "name": "delete_everything" } }]);
        let answer = chat(world, &with(hello(&agent), "tools", tool)).await.expect(403);
        assert!(answer.get("/error/message").contains("delete_everything"), "{}", answer.text());
        let known = json!([{ "type": "function", "function": { "name": "semantic_search" } }]);
        assert!(world.upstream.received().is_empty());
        chat(world, &with(hello(&agent), "tools", known)).await.expect(200);
    });
}

#[test]
fn a_call_past_the_budget_is_refused_with_the_budget_and_its_reset() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let limit = json!({ "amount": "0.0001", "currency": "USD" });
        let scope = json!({ "type": "agent", "id": agent });
        let budget = json!({ "name": "Support desk", "scope": scope, "period": "day", "limit": limit });
        let budget = world.post("bob", "/api/v1/admin/budgets", budget).await.expect(201).get("/id");
        let before = world.entry_count();
        let answer = chat(world, &hello(&agent)).await.expect(429);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "budget_exhausted");
        assert_eq!(error["budget"], budget.as_str());
        assert_eq!((&error["limit"], &error["reset"]), (&limit, &json!("2027-01-16T00:00:00.000Z")));
        assert_eq!(error["spent"]["amount"], "0.00");
        assert_eq!(answer.header("retry-after"), Some("57600"));
        assert!(error["message"].as_str().unwrap().contains("Support desk"), "{error}");
        assert_eq!(world.entry_count(), before + 1);
        assert!(world.upstream.received().is_empty());

        // Raised, it lets calls pass again, and says what they cost.
        let raise = Ask::new(http::Method::PATCH, format!("/api/v1/admin/budgets/{budget}")).with("if-match", "\"1\"");
        let raise = raise.json(&json!({ "limit": { "amount": "1.00", "currency": "USD" } }));
        world.send("bob", raise).await.expect(200);
        chat(world, &hello(&agent)).await.expect(200);
        let stands = world.get("vera", &format!("/api/v1/admin/budgets/{budget}")).await.expect(200).json();
        assert_eq!(stands["spent"]["amount"], "0.00045");
    });
}

#[test]
fn without_a_ledger_there_is_no_call_and_no_answer() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        for body in [hello(&agent), streamed(&agent)] {
            world.refuse_commits(true);
            let answer = chat(world, &body).await.expect(503);
            assert_eq!(answer.get("/error/code"), "audit_unavailable");
            assert!(!answer.text().contains("Hello"), "{}", answer.text());
            world.refuse_commits(false);
            // Calls are taken again once the end of the failed one is written.
            let taken = async { while chat(world, &body).await.status != 200 {} };
            timeout(Duration::from_secs(10), taken).await.expect("calls in time");
        }
    });
}

#[test]
fn a_ledger_that_fails_in_the_middle_of_a_stream_keeps_its_end_back() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        let before = world.entry_count();
        let mut answer = world.begin("olivia", Ask::post(CHAT, &streamed(&agent))).await;
        pen.event(&chunk("One"));
        frame(answer.body_mut()).await.unwrap();
        world.refuse_commits(true);
        pen.event(&usage_chunk());
        pen.done();
        let rest = answer.into_body().collect().await.unwrap().to_bytes();
        let rest = std::str::from_utf8(&rest).unwrap();
        assert!(rest.contains("\"error\"") && !rest.contains("[DONE]"), "{rest}");
        // The end of the call is kept, and written as soon as it can be.
        world.refuse_commits(false);
        entries(world, before + 2).await;
    });
}

#[test]
fn the_agents_that_can_be_called_are_listed_as_models() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        world.agent().await;
        let models = world.get("olivia", "/v1/models").await.expect(200).json();
        let expected = json!({
            "object": "list",
            "data": [{ "id": agent, "object": "model", "name": "Customer Support Agent", "owned_by": "acme-corp" }],
        });
        assert_eq!(models, expected);
        assert_eq!(world.get("gina", "/v1/models").await.expect(200).json()["data"], json!([]));
    });
}

#[test]
fn callers_of_the_gateway_read_openai_error_objects() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let refusals = [
            world.ask(None, Ask::post(CHAT, &hello(&agent))).await.expect(401),
            world.send("vera", Ask::post(CHAT, &hello(&agent))).await.expect(403),
            world.send("gina", Ask::post(CHAT, &hello(&agent))).await.expect(404),
            world.send("olivia", Ask::new(http::Method::POST, CHAT).bytes("application/json", "{")).await.expect(400),
            world.send("olivia", Ask::new(http::Method::POST, CHAT).bytes("text/plain", "hi")).await.expect(415),
            world.send("olivia", Ask::post(CHAT, &json!({ "model": agent, "messages": [] }))).await.expect(422),
            world.send("olivia", Ask::get(CHAT)).await.expect(405),
            world.get("olivia", "/v1/embeddings").await.expect(404),
        ];
        let lines: Vec<String> = refusals
            .iter()
            .map(|answer| {
                assert_eq!(answer.header("content-type"), Some("application/json"));
                format!("{} {}", answer.status.as_u16(), answer.text())
            })
            .collect();
        let lines = crate::world::named(&lines.join("\n"));
        insta::allow_duplicates! { insta::assert_snapshot!("openai", lines) }
    });
}
