//! What is said to those whom a policy holds back, and to those who ask for what cannot be.

use http::Method;
use serde_json::json;

use crate::world::{Ask, on_both_engines};

const POLICY: &str = r#"
@id("roles-decide")
permit (principal, action, resource);

@id("no-new-agents")
@reason("No agent is made this month")
forbid (principal, action == Action::"agent:create", resource);
"#;

#[test]
fn a_policy_s_refusal_names_its_rule_its_version_and_its_reason() {
    on_both_engines(async |world| {
        let create = || Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        world.send("alice", create()).await.expect(201);
        let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": POLICY })).await.expect(201);
        let number = &made.json()["number"];
        let activate = format!("/api/v1/admin/policies/{number}/activate");
        world.send("bob", Ask::new(Method::POST, activate)).await.expect(200);
        let before = world.entry_count();
        let refused = world.send("alice", create()).await.expect(403);
        assert_eq!(
            (refused.get("/type"), refused.get("/rule")),
            ("/problems/policy-denied".into(), "no-new-agents".into())
        );
        assert_eq!(refused.json()["policy"]["version"], *number);
        assert!(refused.get("/detail").contains("No agent is made this month"), "{}", refused.text());
        assert_eq!(world.entry_count(), before + 1);
        // Whom the roles refuse, the roles refuse.
        assert_eq!(world.send("vera", create()).await.expect(403).get("/type"), "/problems/forbidden");
        world.get("alice", "/api/v1/agents").await.expect(200);
        world.send("bob", Ask::new(Method::POST, "/api/v1/admin/policies/deactivate")).await.expect(200);
        world.send("alice", create()).await.expect(201);
    });
}

#[test]
fn what_no_key_user_or_role_can_be_is_refused_at_its_field() {
    on_both_engines(async |world| {
        let user = world.id("olivia");
        let key = |field: &str, value: serde_json::Value| {
            let mut body = json!({ "user_id": user, "name": "wrong" });
            body[field] = value;
            body
        };
        let own = |field: &str, value: serde_json::Value| {
            let mut body = json!({ "name": "wrong" });
            body[field] = value;
            body
        };
        let role =
            |name: &str, permission: &str| json!({ "name": name, "description": "x", "permissions": [permission] });
        let person = |roles: serde_json::Value| json!({ "username": "zoe", "roles": roles });
        let before = world.entry_count();
        let cases = [
            ("api-keys", key("expires_at", json!("2027-06-01T00:00:00")), "/expires_at"),
            ("api-keys", key("expires_at", json!("2027-06-01")), "/expires_at"),
            ("api-keys", key("scopes", json!(["agent:rule"])), "/scopes/0"),
            ("api-keys", key("scopes", json!("agent:read")), "/scopes"),
            ("roles", role("admin", "agent:read"), "/name"),
            ("roles", role("platform_admin", "agent:read"), "/name"),
            ("roles", role("clerk", "agent:rule"), "/permissions/0"),
            ("users", person(json!(["nobody-knows"])), "/roles"),
            ("users", person(json!(["platform_admin"])), "/roles"),
            ("users", person(json!([""])), "/roles/0"),
        ];
        let tried = u64::try_from(cases.len()).unwrap();
        for (what, body, pointer) in cases {
            let refused = world.post("bob", &format!("/api/v1/admin/{what}"), body.clone()).await;
            assert_eq!(refused.status, 422, "{body}: {}", refused.text());
            assert_eq!(refused.get("/errors/0/pointer"), pointer, "{body}");
        }
        assert_eq!(world.entry_count(), before + tried, "each leaves its entry, and nothing else");
        world.post("olivia", "/api/v1/tokens", own("scopes", json!(["agent:rule"]))).await.expect(422);
    });
}

#[test]
fn a_key_for_nothing_does_nothing() {
    on_both_engines(async |world| {
        let key = world.new_key("bob", &json!({ "user_id": world.id("bob"), "name": "none", "scopes": [] })).await;
        let me = world.ask(Some(&key), Ask::get("/api/v1/me")).await.expect(200).json();
        assert_eq!(me["permissions"], json!([]));
        for path in ["agents", "admin/users", "admin/api-keys", "admin/policies", "audit/entries", "admin/budgets"] {
            world.ask(Some(&key), Ask::get(format!("/api/v1/{path}"))).await.expect(403);
        }
        world.ask(Some(&key), Ask::post("/api/v1/agents", &json!({ "name": "x" }))).await.expect(403);
        // What it makes for itself is no wider.
        let wide = json!({ "name": "wide", "scopes": ["agent:read"] });
        let made = world.ask(Some(&key), Ask::post("/api/v1/admin/api-keys", &wide)).await;
        assert!(made.status.is_client_error(), "{}", made.text());
    });
}

#[test]
fn an_upgrade_is_no_way_around_credentials() {
    on_both_engines(async |world| {
        let upgrade = |path: &str| {
            let ask = Ask::get(path).with("connection", "upgrade").with("upgrade", "websocket");
            ask.with("sec-websocket-version", "13").with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        };
        for path in ["/api/v1/agents", "/v1/models", "/access/v1/evaluation", "/scim/v2/Users"] {
            let refused = world.ask(None, upgrade(path)).await;
            assert!([400, 401, 405].contains(&refused.status.as_u16()), "{path}: {}", refused.status);
            assert!(refused.header("upgrade").is_none());
        }
        // With credentials it is the request that it is without.
        let answer = world.send("vera", upgrade("/api/v1/agents")).await.expect(200);
        assert!(answer.header("upgrade").is_none());
    });
}

#[test]
fn a_server_that_starts_anew_and_one_beside_it_know_what_was_made() {
    on_both_engines(async |world| {
        let agent = world.agent().await;
        let role = json!({ "name": "clerk", "description": "Reads", "permissions": ["agent:read"] });
        world.post("bob", "/api/v1/admin/roles", role).await.expect(201);
        let user = json!({ "username": "zoe", "roles": ["clerk"] });
        let user = world.post("bob", "/api/v1/admin/users", user).await.expect(201).get("/id");
        let key = world.new_key("bob", &json!({ "user_id": user, "name": "first" })).await;
        let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": POLICY })).await.expect(201);
        let activate = format!("/api/v1/admin/policies/{}/activate", made.json()["number"]);
        world.send("bob", Ask::new(Method::POST, activate)).await.expect(200);

        let other = world.second_node();
        let read = || Ask::get(format!("/api/v1/agents/{agent}"));
        assert_eq!(other.ask(Some(&key), read()).await.expect(200).get("/id"), agent);
        let create = Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        let denied = other.ask(Some(world.key("alice")), create).await.expect(403);
        assert_eq!(denied.get("/type"), "/problems/policy-denied");
        // What one changes, the other knows after its next look.
        let leave = format!("/api/v1/admin/users/{user}/deactivate");
        other.ask(Some(world.key("bob")), Ask::post(leave, &json!({}))).await.expect(200);
        tokio::task::block_in_place(|| world.app().refresh().unwrap());
        world.ask(Some(&key), read()).await.expect(401);
    });
}
