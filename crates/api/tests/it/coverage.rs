//! Coverage by enumeration: every operation of the document against every way to be refused.
//!
//! The lists here may only shrink. A new operation fails these tests until it has a sample in `operations`.

use std::fmt::Write as _;

use crate::operations::{Operation, Things, all};
use crate::world::{Answer, Ask, World, on_both_engines};

/// What needs no credentials.
const OPEN: [&str; 3] = ["healthz", "metrics", "readyz"];

/// Changes that leave more than one entry: a model call's request and its end are two.
const MORE_ENTRIES: [(&str, u64); 1] = [("create_chat_completion", 2)];

/// Reads that are recorded: whoever looks into the ledger stands in it.
const RECORDED_READS: [&str; 3] = ["get_entry", "get_proof", "list_entries"];

fn slug(answer: &Answer) -> String {
    let json = answer.json();
    let slug = json["type"].as_str().map(|path| path.replace("/problems/", ""));
    slug.or_else(|| json["error"]["code"].as_str().map(|code| code.replace('_', "-"))).unwrap_or_default()
}

#[test]
fn without_credentials_every_operation_is_refused_and_recorded() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let mut open = Vec::new();
        for operation in all() {
            let before = world.entry_count();
            let answer = world.ask(None, things.ask(&operation)).await;
            if operation.open {
                assert!(answer.status.is_success(), "{}", operation.id);
                open.push(operation.id);
                continue;
            }
            assert_eq!(answer.status, 401, "{}", operation.id);
            assert_eq!(slug(&answer), "unauthenticated", "{}", operation.id);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", operation.id);
            assert_eq!(world.entry_count(), before + 1, "{}", operation.id);
        }
        assert_eq!(open, OPEN);
    });
}

#[test]
fn another_tenant_finds_nothing_and_sees_nothing() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        for operation in all().into_iter().filter(|operation| !operation.open) {
            let ask = things.ask(&operation);
            let sent = format!("{} {}", ask.path, String::from_utf8_lossy(&ask.body));
            let answer = world.send("gina", ask).await;
            assert!(!answer.status.is_server_error(), "{}", operation.id);
            if operation.is_about_something() || operation.id == "create_chat_completion" {
                assert_eq!(answer.status, 404, "{}", operation.id);
            }
            let body = String::from_utf8_lossy(&answer.body);
            for id in things.ids().into_iter().chain([world.id("alice"), "acme-corp"]) {
                assert!(!body.contains(id) || sent.contains(id), "{} shows {id}: {body}", operation.id);
            }
        }
    });
}

#[test]
fn what_does_not_exist_and_what_is_not_ones_own_get_the_same_answer() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let nothing = Things {
            agent: "agt_00000000000070008000000000000000".to_owned(),
            version: "ver_00000000000070008000000000000000".to_owned(),
            approval: "apr_00000000000070008000000000000000".to_owned(),
            budget: "bud_00000000000070008000000000000000".to_owned(),
            key: "AAAAAAAAAAAA".to_owned(),
            user: "usr_00000000000070008000000000000000".to_owned(),
        };
        for operation in all().into_iter().filter(Operation::is_about_something) {
            let foreign = world.send("gina", things.ask(&operation)).await;
            let missing = world.send("gina", nothing.ask(&operation)).await;
            let told = |answer: &Answer, things: &Things| {
                let known =
                    things.ids().into_iter().fold(answer.text().to_owned(), |text, id| text.replace(id, "«id»"));
                let request = answer.header("x-request-id").unwrap();
                (answer.status, known.replace(request, "«request»"))
            };
            assert_eq!(told(&foreign, &things), told(&missing, &nothing), "{}", operation.id);
        }
    });
}

#[test]
fn who_may_do_what() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let people = ["nina", "vera", "olivia", "alice", "adam", "bob", "petra"];
        let mut table = format!("{:24}", "");
        for role in ["(none)", "viewer", "operator", "designer", "auditor", "admin", "platform"] {
            let _ = write!(table, " {role:9}");
        }
        for operation in all().into_iter().filter(|operation| !operation.open) {
            let _ = write!(table, "\n{:24}", operation.id);
            for name in people {
                let answer = world.send(name, things.ask(&operation)).await;
                let cell = match answer.status.as_u16() {
                    403 if slug(&answer) == "forbidden" => "-",
                    403 => "own",
                    404 => "404",
                    status if status < 500 => "yes",
                    status => panic!("{} as {name}: {status}", operation.id),
                };
                let _ = write!(table, " {cell:9}");
            }
        }
        let table = table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        insta::allow_duplicates! { insta::assert_snapshot!("permissions", table) }
    });
}

#[test]
fn a_change_leaves_exactly_one_entry_and_so_does_its_refusal() {
    on_both_engines(async |world| {
        for operation in all().into_iter().filter(Operation::changes) {
            let things = Things::of(world).await;
            let (name, ask) = things.permitted(world, &operation).await;
            let before = world.entry_count();
            let answer = world.send(name, ask).await;
            let entry = answer.header("taskforce-entry").map(str::to_owned);
            assert!(
                answer.status.is_success(),
                "{} as {name}: {}",
                operation.id,
                String::from_utf8_lossy(&answer.body)
            );
            let expected = MORE_ENTRIES.iter().find(|(id, _)| *id == operation.id).map_or(1, |(_, count)| *count);
            assert_eq!(world.entry_count(), before + expected, "{}", operation.id);
            assert!(entry.is_some(), "{}", operation.id);

            let before = world.entry_count();
            let refused = world.send("nina", things.ask(&operation)).await;
            assert!(refused.status.is_client_error(), "{}", operation.id);
            assert_eq!(world.entry_count(), before + 1, "{}", operation.id);
            let seq = refused.header("taskforce-entry").unwrap().to_owned();
            let entry = world.get("adam", &format!("/api/v1/audit/entries/{seq}")).await.expect(200).json();
            assert_eq!(entry["action"], "request.refused", "{}", operation.id);
            assert_eq!(entry["actor_id"], world.id("nina"), "{}", operation.id);
            assert_eq!(entry["payload"]["content"]["action"], operation.id.as_str());
            assert_eq!(entry["payload"]["content"]["problem"], slug(&refused).as_str());
            assert_eq!(entry["request_id"], refused.header("x-request-id").unwrap());
        }
    });
}

#[test]
fn a_read_leaves_an_entry_only_where_it_is_refused_or_looks_into_the_ledger() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let mut recorded = Vec::new();
        for operation in all().into_iter().filter(|operation| !operation.changes() && !operation.open) {
            let before = world.entry_count();
            let by = if operation.id == "list_tenants" { "petra" } else { "bob" };
            let answer = world.send(by, things.ask(&operation)).await.expect(200);
            if answer.header("taskforce-entry").is_some() {
                recorded.push(operation.id.clone());
            }
            assert_eq!(world.entry_count() - before, u64::from(answer.header("taskforce-entry").is_some()));

            let before = world.entry_count();
            let refused = world.send("nina", things.ask(&operation)).await;
            assert_eq!(world.entry_count() - before, u64::from(refused.status == 403), "{}", operation.id);
        }
        recorded.sort();
        assert_eq!(recorded, RECORDED_READS);
    });
}

#[test]
fn a_key_that_was_narrowed_expired_or_revoked_does_only_what_is_left() {
    on_both_engines(async |world| {
        let user = world.id("bob");
        let narrow = serde_json::json!({ "user_id": user, "name": "narrow", "scopes": ["agent:read"] });
        let narrow = world.new_key("bob", &narrow).await;
        let read = Ask::get("/api/v1/agents");
        let create = Ask::post("/api/v1/agents", &serde_json::json!({ "name": "x" }));
        world.ask(Some(&narrow), read.clone()).await.expect(200);
        world.ask(Some(&narrow), create).await.expect(403);

        let short = serde_json::json!({ "user_id": user, "name": "short", "expires_at": "2027-01-15T08:00:01Z" });
        let short = world.new_key("bob", &short).await;
        world.ask(Some(&short), read.clone()).await.expect(200);
        world.tester.clock.advance_micros(1_000_000);
        world.ask(Some(&short), read.clone()).await.expect(401);

        let made = serde_json::json!({ "user_id": user, "name": "third" });
        let made = world.post("bob", "/api/v1/admin/api-keys", made).await.expect(201);
        let third = kernel::Secret::new(made.get("/secret"));
        world.ask(Some(&third), read.clone()).await.expect(200);
        let revoke = format!("/api/v1/admin/api-keys/{}/revoke", made.get("/id"));
        world.send("bob", Ask::new(http::Method::POST, revoke)).await.expect(200);
        world.ask(Some(&third), read).await.expect(401);
    });
}

#[test]
fn a_suspended_tenant_and_a_deactivated_user_are_out_at_once() {
    on_both_engines(async |world: &World<'_>| {
        let read = || Ask::get("/api/v1/agents");
        world.send("vera", read()).await.expect(200);
        let deactivate = Ask::new(http::Method::PATCH, format!("/api/v1/admin/users/{}", world.id("vera")));
        let deactivate = deactivate.with("if-match", "\"1\"").json(&serde_json::json!({ "status": "deactivated" }));
        world.send("bob", deactivate).await.expect(200);
        world.send("vera", read()).await.expect(401);

        let suspend = Ask::new(http::Method::PATCH, "/api/v1/admin/tenants/acme-corp").with("if-match", "\"1\"");
        world.send("petra", suspend.json(&serde_json::json!({ "status": "suspended" }))).await.expect(200);
        world.send("bob", read()).await.expect(401);
        world.send("gina", read()).await.expect(200);
    });
}
