//! What is malformed, absurd or forged is refused, says where, and leaves nothing half done.

use http::Method;
use serde_json::{Value, json};
use testkit::hostile::Cases;

use crate::operations::{Operation, Things, all};
use crate::world::{Ask, World, on_both_engines};

/// Everything that a change could have changed, as its readers see it.
async fn state(world: &World<'_>, things: &Things) -> Vec<Value> {
    let version = format!("/api/v1/agents/{}/versions?limit=1000", things.agent);
    let mut state = Vec::new();
    for path in [
        "/api/v1/agents?limit=1000",
        &version,
        "/api/v1/approvals?limit=1000",
        "/api/v1/admin/users?limit=1000",
        "/api/v1/admin/groups?limit=1000",
        "/api/v1/admin/roles?limit=1000",
        "/api/v1/admin/policies?limit=1000",
        "/api/v1/admin/policies/state",
        "/api/v1/admin/api-keys?limit=1000",
        "/api/v1/admin/prices?limit=1000",
        "/api/v1/admin/budgets?limit=1000",
        "/api/v1/admin/workflows/agent_publish",
        "/api/v1/usage",
    ] {
        state.push(world.get("bob", path).await.expect(200).json());
    }
    state.push(world.get("petra", "/api/v1/admin/tenants").await.expect(200).json());
    state
}

#[test]
fn hostile_bodies_are_refused_everywhere_and_change_nothing() {
    let Some(path) = testkit::shared("vectors/taskforce-http") else { return };
    let cases = Cases::read(&path.join("cases.json")).unwrap();
    assert_eq!(cases.bodies.len(), 53);
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let mut tried = 0;
        // What takes no body does not look at one.
        let takes_a_body = |operation: &Operation| operation.changes() && operation.method != Method::DELETE;
        for operation in all().into_iter().filter(takes_a_body) {
            let by = if operation.id.ends_with("_tenant") { "petra" } else { "bob" };
            let mut before = state(world, &things).await;
            for case in &cases.bodies {
                // What costs much may be asked every two seconds.
                world.tester.clock.advance_micros(2_000_000);
                let headers = things.ask(&operation).headers.into_iter().filter(|(name, _)| name != "content-type");
                let ask = Ask { headers: headers.collect(), ..things.ask(&operation) };
                let answer = world.send(by, ask.bytes(&case.content_type, case.bytes())).await;
                tried += 1;
                let (status, name) = (answer.status.as_u16(), &case.name);
                assert!(status < 500, "{} {name}: {status} {}", operation.id, answer.text());
                if status < 400 {
                    // What says nothing is acceptable where nothing need be said.
                    before = state(world, &things).await;
                    continue;
                }
                // What was ended at the first request is not there for the second.
                let gone = status == 404 && operation.id == "end_session";
                let refused = gone || [400, 409, 412, 413, 415, 422].contains(&status);
                assert!(refused, "{} {name}: {status}", operation.id);
                assert!(answer.text().len() < 2_000, "{} {name}", operation.id);
            }
            assert_eq!(before, state(world, &things).await, "{}", operation.id);
        }
        assert_eq!(tried, 53 * all().into_iter().filter(takes_a_body).count());
    });
}

#[test]
fn a_field_that_is_not_acceptable_is_pointed_at() {
    on_both_engines(async |world| {
        let agent = world.agent().await;
        let versions = format!("/api/v1/agents/{agent}/versions");
        let dollars = |amount: &str| json!({ "amount": amount, "currency": "USD" });
        let budget =
            |limit: Value, scope: Value| json!({ "name": "B", "scope": scope, "period": "day", "limit": limit });
        let tenant_scope = json!({ "type": "tenant" });
        let mut lines = Vec::new();
        for (path, body) in [
            ("/api/v1/agents", json!({})),
            ("/api/v1/agents", json!({ "name": "" })),
            ("/api/v1/agents", json!({ "name": "a\u{202e}b" })),
            ("/api/v1/agents", json!({ "name": "x".repeat(129) })),
            ("/api/v1/agents", json!({ "name": "x", "tags": ["ok", "Not ok"] })),
            ("/api/v1/agents", json!({ "name": "x", "owner_id": "usr_1" })),
            ("/api/v1/agents", json!({ "name": "x", "category": 1 })),
            (versions.as_str(), json!({ "number": "1.0", "definition": {} })),
            (versions.as_str(), json!({ "number": "1.0.0", "definition": [] })),
            (versions.as_str(), json!({ "number": "1.0.0", "definition": { "tools": ["a", "b c"] } })),
            ("/api/v1/admin/users", json!({ "username": "Zoe", "roles": [] })),
            ("/api/v1/admin/users", json!({ "username": "zoe", "roles": ["viewer", "root"] })),
            ("/api/v1/admin/users", json!({ "username": "zoe", "roles": ["platform_admin"] })),
            ("/api/v1/admin/users", json!({ "username": "zoe", "roles": [], "email": "no" })),
            ("/api/v1/admin/api-keys", json!({ "user_id": "alice", "name": "k" })),
            ("/api/v1/admin/api-keys", json!({ "user_id": world.id("vera"), "name": "k", "scopes": ["agent:*"] })),
            (
                "/api/v1/admin/api-keys",
                json!({ "user_id": world.id("vera"), "name": "k", "expires_at": "2020-01-01T00:00:00Z" }),
            ),
            ("/api/v1/admin/budgets", budget(dollars("-1"), tenant_scope.clone())),
            ("/api/v1/admin/budgets", budget(json!("1.00"), tenant_scope.clone())),
            ("/api/v1/admin/budgets", budget(json!({ "amount": 1, "currency": "USD" }), tenant_scope)),
            ("/api/v1/admin/budgets", budget(dollars("1"), json!({ "type": "agent" }))),
            (
                "/api/v1/admin/budgets",
                budget(dollars("1"), json!({ "type": "agent", "id": "agt_00000000000070008000000000000000" })),
            ),
        ] {
            let answer = world.send("bob", Ask::post(path, &body)).await.expect(422).json();
            let error = &answer["errors"][0];
            lines.push(format!("{} {}", error["pointer"], error["detail"]));
        }
        let lines = crate::world::named(&lines.join("\n")).replace(&"x".repeat(129), "«129 x»");
        insta::allow_duplicates! { insta::assert_snapshot!("pointers", lines) }
    });
}

#[test]
fn an_address_or_query_that_cannot_be_meant_is_refused() {
    on_both_engines(async |world| {
        for nowhere in [
            "/api/v1/agents/x",
            "/api/v1/agents/usr_00000000000070008000000000000000",
            "/api/v1/agents/agt_%00",
            "/api/v1/agents/..%2f..%2fadmin",
            "/api/v1/audit/entries/-1",
            "/api/v1/audit/entries/99999999999999999999999",
            "/api/v1/admin/workflows/delete_all",
            "/api/v1/nothing",
        ] {
            assert_eq!(world.get("bob", nowhere).await.expect(404).get("/type"), "/problems/not-found", "{nowhere}");
        }
        for query in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "limit=-1",
            "cursor=%00",
            "cursor=a%20b",
            "owner=me",
            "limit=1&limit=2",
        ] {
            let answer = world.get("bob", &format!("/api/v1/agents?{query}")).await.expect(422);
            assert_eq!(answer.get("/type"), "/problems/invalid", "{query}");
        }
        for query in ["cursor=list.99", "cursor=zzz"] {
            let status = world.get("bob", &format!("/api/v1/admin/prices?{query}")).await.status.as_u16();
            assert!([200, 422].contains(&status), "{query}: {status}");
        }
        let answer = world.send("bob", Ask::new(Method::DELETE, "/api/v1/agents")).await.expect(405);
        assert_eq!(answer.header("allow"), Some("POST,GET,HEAD"));
    });
}

#[test]
fn what_follows_a_question_mark_or_a_cursor_never_breaks_a_list() {
    on_both_engines(async |world| {
        world.agent().await;
        let junk = ["%25", "%27%20OR%201%3D1--", "%F0%9F%92%A9", "%C2%AD", "a%5Cb", "_", "%", "%zz"];
        for list in
            all().into_iter().filter(|operation| operation.id.starts_with("list_") && !operation.path.contains('{'))
        {
            let by = if list.id == "list_tenants" { "petra" } else { "bob" };
            for text in junk {
                for field in ["cursor", "q", "tag", "category", "action", "actor_id", "resource_id", "model", "status"]
                {
                    let answer = world.get(by, &format!("{}?{field}={text}", list.path)).await;
                    let status = answer.status.as_u16();
                    assert!([200, 404, 422].contains(&status), "{} {field}={text}: {status}", list.id);
                }
            }
        }
    });
}
