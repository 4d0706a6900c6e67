//! The administrators' part: who is in a tenant, what they may do, and the policies behind that.

use http::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, on_both_engines};

async fn listed(world: &World<'_>, by: &str, path: &str, field: &str) -> Vec<String> {
    let page = world.get(by, &format!("/api/v1/{path}")).await.expect(200).json();
    page["items"].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

async fn act(world: &World<'_>, by: &str, path: &str) -> Answer {
    world.send(by, Ask::new(Method::POST, format!("/api/v1/admin/{path}"))).await
}

#[test]
fn everybody_may_know_who_they_are_and_what_their_credential_is_good_for() {
    on_both_engines(async |world| {
        let me = world.get("olivia", "/api/v1/me").await.expect(200).json();
        assert_eq!((&me["tenant_id"], &me["user_id"]), (&json!("acme-corp"), &json!(world.id("olivia"))));
        assert_eq!((&me["kind"], &me["roles"], &me["acting"]), (&json!("user"), &json!(["operator"]), &json!([])));
        assert_eq!(me["credential"], json!({ "kind": "key", "id": world.key_id("olivia"), "scopes": null }));

        let narrow = json!({ "user_id": world.id("olivia"), "name": "narrow", "scopes": ["agent:read"] });
        let narrow = world.new_key("bob", &narrow).await;
        let me = world.ask(Some(&narrow), Ask::get("/api/v1/me")).await.expect(200).json();
        assert_eq!((&me["permissions"], &me["credential"]["scopes"]), (&json!(["agent:read"]), &json!(["agent:read"])));

        let group = json!({ "display_name": "Readers", "roles": ["viewer"], "members": [world.id("olivia")] });
        let group = world.post("bob", "/api/v1/admin/groups", group).await.expect(201).get("/id");
        let mine = world.get("olivia", "/api/v1/me/permissions").await.expect(200).json();
        let held = json!([
            { "role": "operator", "is_own": true, "groups": [] },
            { "role": "viewer", "is_own": false, "groups": [{ "id": group, "display_name": "Readers" }] },
        ]);
        let mut roles = mine["roles"].clone();
        for role in roles.as_array_mut().unwrap() {
            role.as_object_mut().unwrap().remove("permissions");
        }
        assert_eq!(roles, held);
        let same = format!("/api/v1/admin/users/{}/permissions", world.id("olivia"));
        assert_eq!(world.get("adam", &same).await.expect(200).json(), mine);
        world.get("vera", &same).await.expect(403);
    });
}

#[test]
fn users_are_filtered_and_sorted_and_read_page_by_page() {
    on_both_engines(async |world| {
        world.tester.clock.advance_micros(1_000);
        let bot = json!({ "kind": "service", "username": "robot", "display_name": "R2", "external_id": "e-1",
            "email": "Robot@Example.com", "attributes": { "department": "it", "level": 3 }, "roles": ["operator"] });
        let bot = world.post("bob", "/api/v1/admin/users", bot).await.expect(201).json();
        assert_eq!((&bot["attributes"]["level"], &bot["own_roles"]), (&json!(3), &json!(["operator"])));
        act(world, "bob", &format!("users/{}/deactivate", world.id("nina"))).await.expect(200);
        let users = async |query: &str| listed(world, "bob", &format!("admin/users?{query}"), "username").await;
        for (query, expected) in [
            ("kind=service", vec!["robot"]),
            ("role=operator", vec!["olivia", "robot"]),
            ("status=deactivated", vec!["nina"]),
            ("email=robot@example.com", vec!["robot"]),
            ("external_id=e-1", vec!["robot"]),
            ("username=vera&status=active", vec!["vera"]),
            ("q=o&sort=username", vec!["olivia"]),
            ("q=%25", vec![]),
        ] {
            assert_eq!(users(query).await, expected, "{query}");
        }
        let mut by_name = users("sort=username").await;
        assert!(by_name.is_sorted() && by_name.len() == 8);
        by_name.reverse();
        assert_eq!(users("sort=-username").await, by_name);
        let mut by_age = users("sort=created_at").await;
        by_age.reverse();
        assert_eq!(users("sort=-created_at").await, by_age);

        let (mut seen, mut query) = (Vec::new(), "sort=-username&limit=3".to_owned());
        loop {
            let page = world.get("bob", &format!("/api/v1/admin/users?{query}")).await.expect(200).json();
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next"].as_str() else { break };
            query = format!("sort=-username&limit=3&cursor={next}");
        }
        assert_eq!(seen, by_name);
    });
}

#[test]
fn a_page_is_continued_by_its_own_cursor_only() {
    on_both_engines(async |world| {
        let first = world.get("bob", "/api/v1/admin/users?limit=1&sort=username").await.expect(200).get("/next");
        let keys = world.get("bob", "/api/v1/admin/api-keys?limit=1").await.expect(200).get("/next");
        world.get("bob", &format!("/api/v1/admin/users?limit=1&sort=username&cursor={first}")).await.expect(200);
        for path in [
            format!("users?limit=1&cursor={first}"),
            format!("users?limit=1&sort=-username&cursor={first}"),
            format!("users?limit=1&sort=username&kind=user&cursor={first}"),
            format!("users?limit=1&sort=username&cursor={keys}"),
            format!("api-keys?limit=1&cursor={first}"),
            format!("groups?cursor={first}"),
            format!("roles?cursor={first}"),
            format!("policies?cursor={first}"),
            "users?cursor=garbage".to_owned(),
            "users?cursor=%00".to_owned(),
            "users?cursor=%27%20OR%201%3D1".to_owned(),
            "policies?cursor=-1".to_owned(),
            "users?sort=password".to_owned(),
            "users?limit=0".to_owned(),
            "users?limit=1001".to_owned(),
            "users?admin=true".to_owned(),
        ] {
            let answer = world.get("bob", &format!("/api/v1/admin/{path}")).await.expect(422);
            let (name, detail) = (path.split(['?', '&', '=']).rev().nth(1).unwrap(), answer.get("/detail"));
            assert!(detail.contains(name) || path.contains("%00"), "{path}: {detail}");
        }
        // Nor does another tenant's cursor open anything.
        let foreign = format!("/api/v1/admin/users?limit=1&sort=username&cursor={first}");
        let page = world.get("gina", &foreign).await.expect(200).json();
        assert!(page["items"].as_array().unwrap().iter().all(|user| user["username"] == "gina"), "{page}");
    });
}

#[test]
fn a_role_of_the_tenants_own_allows_what_it_says_and_never_more_than_its_maker_may() {
    on_both_engines(async |world| {
        let role =
            |name: &str, permissions: Value| json!({ "name": name, "description": "D", "permissions": permissions });
        let create = async |by: &str, role: Value| world.post(by, "/api/v1/admin/roles", role).await;
        let made = create("bob", role("release-manager", json!(["agent:read", "agent:publish", "role:manage"]))).await;
        assert_eq!(made.expect(201).header("location"), Some("/api/v1/admin/roles/release-manager"));
        let patch = Ask::new(Method::PATCH, format!("/api/v1/admin/users/{}", world.id("nina")));
        let give = patch.with("if-match", "\"1\"").json(&json!({ "roles": ["release-manager"] }));
        world.send("bob", give).await.expect(200);
        world.get("nina", "/api/v1/agents").await.expect(200);

        create("nina", role("reader", json!(["agent:read"]))).await.expect(201);
        create("nina", role("writer", json!(["agent:create"]))).await.expect(403);
        create("bob", role("platform", json!(["tenant:manage"]))).await.expect(422);
        create("bob", role("admin", json!([]))).await.expect(422);
        create("bob", role("reader", json!([]))).await.expect(409);
        let names = listed(world, "nina", "admin/roles", "name").await;
        assert_eq!(names, ["admin", "agent_designer", "operator", "viewer", "auditor", "reader", "release-manager"]);
        assert_eq!(listed(world, "nina", "admin/roles?q=re", "name").await, ["reader", "release-manager"]);

        let change = |name: &str, tag: &str, body: Value| {
            Ask::new(Method::PATCH, format!("/api/v1/admin/roles/{name}")).with("if-match", tag).json(&body)
        };
        let widened = change("release-manager", "\"1\"", json!({ "permissions": ["user:manage", "role:manage"] }));
        world.send("nina", widened).await.expect(403);
        let narrowed = change("release-manager", "\"1\"", json!({ "permissions": ["agent:publish"] }));
        world.send("bob", narrowed).await.expect(200);
        world.get("nina", "/api/v1/agents").await.expect(403);
        world.send("bob", change("admin", "\"0\"", json!({ "permissions": [] }))).await.expect(409);

        let delete = |name: &str, tag: &str| {
            Ask::new(Method::DELETE, format!("/api/v1/admin/roles/{name}")).with("if-match", tag)
        };
        world.send("bob", delete("release-manager", "\"2\"")).await.expect(409);
        world.send("bob", delete("reader", "\"2\"")).await.expect(412);
        world.send("bob", delete("reader", "\"1\"")).await.expect(204);
        world.send("bob", delete("reader", "\"1\"")).await.expect(404);
        world.send("bob", delete("viewer", "\"0\"")).await.expect(409);
    });
}

const POLICY: &str = r#"
@id("reading") permit (principal, action == Action::"agent:read", resource);
@id("retired") @reason("it is retired") forbid (principal, action == Action::"agent:read", resource == Agent::"agt_2");
"#;

async fn version(world: &World<'_>, source: &str) -> u64 {
    let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": source })).await.expect(201);
    made.json()["number"].as_u64().unwrap()
}

#[test]
fn an_explanation_names_the_role_or_the_rule() {
    on_both_engines(async |world| {
        let number = version(world, POLICY).await;
        act(world, "bob", &format!("policies/{number}/activate")).await.expect(200);
        let why = async |by: &str, about: &str, query: &str| {
            let path = format!("/api/v1/admin/users/{}/explain?{query}", world.id(about));
            let mut json = world.get(by, &path).await.expect(200).json();
            if let Some(digest) = json.pointer_mut("/policy/rule/digest") {
                *digest = json!("d");
            }
            json.to_string()
        };
        let said = [
            why("bob", "olivia", "permission=agent:read&resource=agt_1").await,
            why("adam", "olivia", "permission=agent:read&resource=agt_2").await,
            why("olivia", "olivia", "permission=agent:delete").await,
            why("bob", "olivia", "permission=agent:execute&agent=agt_1&model=gpt-4o&tool=t").await,
        ];
        insta::allow_duplicates! { insta::assert_snapshot!(said.join("\n"), @r#"
        {"is_allowed":true,"given_by":["operator"],"would_be_given_by":[],"obstacles":[],"policy":{"outcome":"allow","reason":"the rule permits it","rule":{"version":1,"digest":"d","rule":"reading"},"obligations":[],"shadow":null}}
        {"is_allowed":false,"given_by":["operator"],"would_be_given_by":[],"obstacles":["policy"],"policy":{"outcome":"deny","reason":"it is retired","rule":{"version":1,"digest":"d","rule":"retired"},"obligations":[],"shadow":null}}
        {"is_allowed":false,"given_by":[],"would_be_given_by":["admin","agent_designer"],"obstacles":["no_role"],"policy":null}
        {"is_allowed":true,"given_by":["operator"],"would_be_given_by":[],"obstacles":[],"policy":{"outcome":"allow","reason":"no policy speaks of such an action","rule":null,"obligations":[],"shadow":null}}
        "#) }
        let path = format!("/api/v1/admin/users/{}/explain", world.id("olivia"));
        world.get("bob", &format!("{path}?permission=agent:*")).await.expect(422);
        world.get("vera", &format!("{path}?permission=agent:read")).await.expect(403);
        world.get("gina", &format!("{path}?permission=agent:read")).await.expect(404);
    });
}

#[test]
fn policies_are_checked_planned_tested_and_activated() {
    on_both_engines(async |world| {
        let wrong = json!({ "source": "@id(\"a\") permit (principal, action == Action::\"agent:fly\", resource);\n\nnonsense" });
        let refused = world.post("bob", "/api/v1/admin/policies/validate", wrong.clone()).await.expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], "/source");
        assert!(refused["errors"][0]["detail"].as_str().unwrap().starts_with("line 3, column 9: "), "{refused}");
        world.post("bob", "/api/v1/admin/policies", wrong).await.expect(422);
        let valid = world.post("bob", "/api/v1/admin/policies/validate", json!({ "source": POLICY })).await.expect(200);
        assert_eq!(valid.json(), json!({ "governs": ["agent:read"] }));
        let schema = world.get("bob", "/api/v1/admin/policies/schema").await.expect(200);
        assert!(schema.text().contains("entity User, Service"), "{}", schema.text());

        let plan =
            world.post("adam", "/api/v1/admin/policies/plan", json!({ "source": POLICY })).await.expect(200).json();
        assert_eq!((&plan["base"], &plan["changes"]["added"]), (&Value::Null, &json!(["reading", "retired"])));

        let tests = "- name: reading\n  principal: { roles: [viewer] }\n  action: agent:read\n  resource: agt_2\n  expect: allow\n";
        let tested = json!({ "source": POLICY, "tests": tests });
        let report = world.post("bob", "/api/v1/admin/policies/test", tested.clone()).await.expect(200).json();
        assert_eq!((&report["passed"], &report["tests"][0]["rule"]), (&json!(false), &json!("retired")));
        let failed = world.post("bob", "/api/v1/admin/policies", tested).await.expect(422).json();
        assert_eq!(failed["errors"][0]["pointer"], "/tests");

        let (first, second) = (version(world, POLICY).await, version(world, &POLICY.replace("agt_2", "agt_3")).await);
        assert_eq!(listed(world, "bob", "admin/policies", "created_by").await, [world.id("bob"), world.id("bob")]);
        let detail = world.get("bob", &format!("/api/v1/admin/policies/{first}")).await.expect(200);
        assert_eq!(detail.get("/source"), POLICY);
        world.get("bob", "/api/v1/admin/policies/99").await.expect(404);
        world.get("bob", "/api/v1/admin/policies/x").await.expect(404);
        let diff = format!("/api/v1/admin/policies/diff?from={first}&to={second}");
        assert_eq!(world.get("bob", &diff).await.expect(200).json()["changed"], json!(["retired"]));

        let done = act(world, "bob", &format!("policies/{first}/activate")).await.expect(200).json();
        assert_eq!((&done["status"], &done["state"]["active"]), (&json!("done"), &json!(first)));
        act(world, "bob", &format!("policies/{first}/activate")).await.expect(409);
        let refused = world.get("vera", "/api/v1/agents/agt_00000000000070008000000000000000").await;
        assert_eq!(refused.status, 404, "reading is still allowed");
        act(world, "bob", &format!("policies/{second}/activate")).await.expect(200);
        let back = act(world, "bob", "policies/rollback").await.expect(200).json();
        assert_eq!((&back["state"]["active"], &back["state"]["previous"]), (&json!(first), &json!(second)));

        let shadow = |tag: &str| {
            let ask = Ask::new(Method::PUT, "/api/v1/admin/policies/shadow").with("if-match", tag);
            ask.json(&json!({ "version": second }))
        };
        world.send("bob", shadow("\"0\"")).await.expect(412);
        let state = world.get("bob", "/api/v1/admin/policies/state").await.expect(200);
        let tried = world.send("bob", shadow(state.header("etag").unwrap())).await.expect(200).json();
        assert_eq!((&tried["active"], &tried["shadow"]), (&json!(first), &json!(second)));
        let stale = Ask::new(Method::POST, "/api/v1/admin/policies/deactivate").with("if-match", "\"1\"");
        world.send("bob", stale).await.expect(412);
        act(world, "bob", "policies/deactivate").await.expect(200);
        world.post("alice", "/api/v1/admin/policies", json!({ "source": POLICY })).await.expect(403);
    });
}

#[test]
fn where_the_tenant_wants_it_so_policies_wait_for_approval() {
    on_both_engines(async |world| {
        let workflow =
            json!({ "name": "Two", "required_approvers": 1, "approver_roles": ["admin"], "expire_hours": 24 });
        let workflow = Ask::new(Method::PUT, "/api/v1/admin/workflows/policy_activate").json(&workflow);
        world.send("bob", workflow.with("if-match", "\"0\"")).await.expect(200);
        let number = version(world, POLICY).await;
        let asked = act(world, "bob", &format!("policies/{number}/activate")).await.expect(202).json();
        assert_eq!((&asked["status"], &asked["state"]), (&json!("pending"), &Value::Null));
        let state =
            async || world.get("bob", "/api/v1/admin/policies/state").await.expect(200).json()["active"].clone();
        assert_eq!(state().await, Value::Null);
        let approve = format!("/api/v1/approvals/{}/approve", asked["approval_id"].as_str().unwrap());
        world.post("bob", &approve, json!({})).await.expect(403);
        world.post("carol", &approve, json!({})).await.expect(200);
        assert_eq!(state().await, number);
    });
}

#[test]
fn a_tenants_settings_bind_and_it_is_suspended_and_resumed() {
    on_both_engines(async |world| {
        let settings = json!({ "max_agents": 1, "features": ["beta"], "rate_limit_per_minute": 600,
            "key_rate_limit_per_minute": 60, "default_budget": { "amount": "10.00", "currency": "USD" },
            "default_role": "viewer" });
        let patch =
            |body: Value| Ask::new(Method::PATCH, "/api/v1/admin/tenants/globex").with("if-match", "\"1\"").json(&body);
        let changed = world.send("petra", patch(json!({ "settings": settings }))).await.expect(200).json();
        assert_eq!(
            changed["settings"],
            json!({ "max_agents": 1, "features": ["beta"], "rate_limit_per_minute": 600,
            "key_rate_limit_per_minute": 60, "default_budget": { "amount": "10.00", "currency": "USD" },
            "default_role": "viewer" })
        );
        let zed = world.post("gina", "/api/v1/admin/users", json!({ "username": "zed" })).await.expect(201).json();
        assert_eq!(zed["roles"], json!(["viewer"]));
        world.post("gina", "/api/v1/agents", json!({ "name": "One" })).await.expect(201);
        world.post("gina", "/api/v1/agents", json!({ "name": "Two" })).await.expect(409);
        for (wrong, pointer) in [
            (json!({ "settings": { "default_role": "platform_admin" } }), "/settings/default_role"),
            (json!({ "settings": { "rate_limit_per_minute": 0 } }), "/settings/rate_limit_per_minute"),
            (json!({ "status": "suspended" }), "/status"),
        ] {
            let refused = world.send("petra", patch(wrong)).await.expect(422);
            assert_eq!(refused.get("/errors/0/pointer"), pointer);
        }

        act(world, "petra", "tenants/globex/suspend").await.expect(200);
        act(world, "petra", "tenants/globex/suspend").await.expect(409);
        world.get("gina", "/api/v1/me").await.expect(401);
        assert_eq!(listed(world, "petra", "admin/tenants?status=suspended", "id").await, ["globex"]);
        assert_eq!(listed(world, "petra", "admin/tenants?q=ac", "id").await, ["acme-corp"]);
        act(world, "petra", "tenants/globex/resume").await.expect(200);
        world.get("gina", "/api/v1/me").await.expect(200);
        for (by, path) in [("gina", "tenants/globex/suspend"), ("bob", "tenants/acme-corp/resume")] {
            act(world, by, path).await.expect(403);
        }
        // The platform sees that tenants are, and nothing inside them.
        for path in ["admin/users", "agents", "admin/groups", "admin/policies", "audit/entries"] {
            let answer = world.get("petra", &format!("/api/v1/{path}")).await;
            assert_eq!(answer.status, 403, "{path}");
        }
    });
}

#[test]
fn a_tenant_starts_with_the_budget_and_the_role_that_its_settings_say() {
    on_both_engines(async |world| {
        let new = |id: &str, settings: Value| json!({ "id": id, "name": id, "admin": "ada", "settings": settings });
        let refused = world.post("petra", "/api/v1/admin/tenants", new("initech", json!({ "default_role": "clerk" })));
        assert_eq!(refused.await.expect(422).get("/errors/0/pointer"), "/settings/default_role");
        let settings = json!({ "default_role": "auditor", "default_budget": { "amount": "25.00", "currency": "USD" } });
        let made = world.post("petra", "/api/v1/admin/tenants", new("initech", settings)).await.expect(201);
        let key = kernel::Secret::new(made.get("/key/secret"));
        let budgets = world.ask(Some(&key), Ask::get("/api/v1/admin/budgets")).await.expect(200).json();
        assert_eq!(budgets["items"].as_array().unwrap().len(), 1);
        assert_eq!(budgets["items"][0]["limit"]["amount"], "25.00");
        assert_eq!(budgets["items"][0]["period"], "month");
        let bare = world.post("petra", "/api/v1/admin/tenants", new("hooli", json!({}))).await.expect(201);
        let key = kernel::Secret::new(bare.get("/key/secret"));
        let none = world.ask(Some(&key), Ask::get("/api/v1/admin/budgets")).await.expect(200).json();
        assert_eq!(none["items"], json!([]));

        let patch = |revision: u64, role: &str| {
            let body = json!({ "settings": { "default_role": role } });
            let ask = Ask::new(Method::PATCH, "/api/v1/admin/tenants/acme-corp");
            ask.with("if-match", format!("\"{revision}\"")).json(&body)
        };
        let refused = world.send("petra", patch(1, "clerk")).await.expect(422);
        assert_eq!(refused.get("/errors/0/pointer"), "/settings/default_role");
        let role = json!({ "name": "clerk", "description": "Reads", "permissions": ["agent:read"] });
        world.post("bob", "/api/v1/admin/roles", role).await.expect(201);
        world.send("petra", patch(1, "clerk")).await.expect(200);
    });
}

#[test]
fn a_tenant_uses_what_its_features_list() {
    on_both_engines(async |world| {
        let browser = world.browser("olivia").await;
        let paths = [
            ("/api/v1/admin/policies", "policies"),
            ("/api/v1/admin/identity-providers", "sign_in"),
            ("/api/v1/admin/sessions", "sign_in"),
            ("/scim/v2/Users", "scim"),
        ];
        let lists: [(&[&str], &[&str]); 4] = [
            (&[], &["policies", "sign_in", "scim", "tokens"]),
            (&["basic"], &[]),
            (&["beta", "scim", "tokens"], &["scim", "tokens"]),
            (&["basic", "enterprise"], &["policies", "sign_in", "scim", "tokens"]),
        ];
        for (revision, (features, allowed)) in (1..).zip(lists) {
            let patch = Ask::new(Method::PATCH, "/api/v1/admin/tenants/acme-corp");
            let patch = patch.with("if-match", format!("\"{revision}\""));
            world.send("petra", patch.json(&json!({ "settings": { "features": features } }))).await.expect(200);
            let status = |feature: &str| if allowed.contains(&feature) { 200 } else { 403 };
            for (path, feature) in paths {
                let answer = world.get("bob", path).await.expect(status(feature));
                assert!(answer.status == 200 || answer.get("/detail").contains(feature), "{path}");
            }
            let token = world.post("bob", "/api/v1/tokens", json!({})).await;
            assert_eq!(token.status, if allowed.contains(&"tokens") { 201 } else { 403 });
            let session = world.ask(None, browser.sends(Ask::get("/api/v1/agents"))).await;
            assert_eq!(session.status, status("sign_in"));
            world.get("bob", "/api/v1/agents").await.expect(200);
            world.get("gina", "/api/v1/admin/policies").await.expect(200);
        }
    });
}

#[test]
fn an_installation_of_one_tenant_makes_no_other() {
    on_both_engines(async |world| {
        let alone = world.lone_node();
        let new = || Ask::post("/api/v1/admin/tenants", &json!({ "id": "initech", "name": "x", "admin": "ada" }));
        let refused = alone.ask(Some(world.key("petra")), new()).await.expect(409);
        assert!(refused.get("/detail").contains("one tenant"));
        alone.ask(Some(world.key("bob")), new()).await.expect(403);
        world.get("petra", "/api/v1/admin/tenants/initech").await.expect(404);
    });
}
