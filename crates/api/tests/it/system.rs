//! What the server says about itself.

use serde_json::json;

use crate::world::{Ask, on_both_engines};

#[test]
fn the_server_is_ready_while_the_ledger_can_be_written_and_it_is_not_stopping() {
    on_both_engines(async |world| {
        let ready = || world.ask(None, Ask::get("/readyz"));
        world.refuse_commits(true);
        assert_eq!(ready().await.expect(503).get("/type"), "/problems/audit-unavailable");
        world.ask(None, Ask::get("/healthz")).await.expect(200);
        world.refuse_commits(false);
        assert_eq!(ready().await.expect(200).json(), json!({ "status": "ok" }));

        // Tried once a second, however often it is asked.
        let commits = world.tester.db.commits();
        for _ in 0..10 {
            ready().await.expect(200);
        }
        assert_eq!(world.tester.db.commits(), commits);
        world.tester.clock.advance_micros(1_000_000);
        ready().await.expect(200);
        assert_eq!(world.tester.db.commits(), commits + 1);

        world.app().drain();
        assert_eq!(ready().await.expect(503).get("/detail"), "the server is stopping");
        world.ask(None, Ask::get("/healthz")).await.expect(200);
    });
}

#[test]
fn counters_name_routes_and_nothing_that_a_client_sent() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let hello = json!({ "model": agent, "messages": [{ "role": "user", "content": "Hello" }] });
        world.post("olivia", "/v1/chat/completions", hello).await.expect(200);
        world.get("alice", &format!("/api/v1/agents/{agent}")).await.expect(200);
        world.get("alice", "/api/v1/secrets/canary").await.expect(404);
        let count = world.entry_count();
        let metrics = world.ask(None, Ask::get("/metrics")).await.expect(200);
        assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = metrics.text();
        for line in [
            r#"taskforce_http_requests_total{method="GET",route="/api/v1/agents/{agent_id}",status="2xx"} 1"#,
            r#"taskforce_http_requests_total{method="POST",route="/v1/chat/completions",status="2xx"} 1"#,
            r#"taskforce_http_requests_total{method="GET",route="",status="4xx"} 1"#,
            r#"taskforce_gateway_calls_total{end="answered"} 1"#,
            &format!("taskforce_ledger_entries_total {count}"),
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
        assert!(!text.contains("canary") && !text.contains(&agent) && !text.contains("acme"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with("taskforce_") && value.parse::<f64>().is_ok(), "{line}");
        }
    });
}

#[test]
fn the_document_the_problems_and_the_system_can_be_read() {
    on_both_engines(async |world| {
        let document = world.ask(None, Ask::get("/openapi.json")).await.expect(200);
        assert_eq!(document.json(), serde_json::to_value(api::openapi()).unwrap());
        world.ask(None, Ask::get("/problems")).await.expect(200);
        world.ask(None, Ask::get("/problems/stale")).await.expect(200);
        let system = world.get("nina", "/api/v1/system").await.expect(200).json();
        assert_eq!((&system["edition"], &system["instance"]), (&json!("enterprise"), &json!("test")));
        assert!(system["vkey"].as_str().unwrap().starts_with("test+"), "{system}");
        let roles = world.get("bob", "/api/v1/admin/roles").await.expect(200).json();
        assert_eq!(roles["items"].as_array().unwrap().len(), 5);
    });
}

#[test]
fn a_package_that_was_exported_verifies_without_the_server() {
    on_both_engines(async |world| {
        let agent = world.callable().await;
        let hello = json!({ "model": agent, "messages": [{ "role": "user", "content": "Hello" }] });
        world.post("olivia", "/v1/chat/completions", hello).await.expect(200);
        let package = world.post("adam", "/api/v1/audit/exports", json!({})).await.expect(200);
        assert_eq!(package.header("content-type"), Some("application/zip"));
        assert!(package.body.starts_with(b"PK"));
        let digest = package.header("taskforce-package-sha256").unwrap();
        assert_eq!(digest, kernel::hex(tlog::sha256(&package.body).as_bytes()));
        let vkey = world.get("adam", "/api/v1/system").await.expect(200).get("/vkey");

        let checkpoint = world.get("adam", "/api/v1/audit/checkpoint").await.expect(200);
        assert!(checkpoint.text().starts_with("test/taskforce/t/acme-corp\n"), "{}", checkpoint.text());
        let proof = world.get("adam", "/api/v1/audit/entries/0/proof").await.expect(200);
        assert!(proof.text().starts_with("c2sp.org/tlog-proof@v1\n"), "{}", proof.text());
        assert!(checkpoint.text().contains(vkey.split('+').next().unwrap()));
    });
}

#[test]
fn a_change_of_a_tenant_on_one_node_holds_on_the_other_after_a_refresh() {
    on_both_engines(async |world| {
        let node = world.second_node();
        let ask = || Ask::get("/api/v1/agents");
        node.ask(Some(world.key("vera")), ask()).await.expect(200);
        let revoke = format!("/api/v1/admin/api-keys/{}/revoke", world.key_id("vera"));
        world.send("bob", Ask::new(http::Method::POST, revoke)).await.expect(200);
        world.send("vera", ask()).await.expect(401);
        node.refresh();
        node.ask(Some(world.key("vera")), ask()).await.expect(401);
    });
}
