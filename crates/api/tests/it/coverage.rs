//! Coverage by enumeration: every operation of the document against every way to be refused.
//!
//! The lists here may only shrink. A new operation fails these tests until it has a sample in `operations`.

use std::fmt::Write as _;

use crate::operations::{Things, all};
use crate::world::{Answer, Ask, World, on_both_engines};

/// What needs no credentials.
const OPEN: [&str; 11] = [
    "begin_sign_in",
    "finish_sign_in",
    "get_authzen_configuration",
    "get_protected_resource",
    "get_secret_patterns",
    "healthz",
    "list_sign_in_providers",
    "metrics",
    "readyz",
    "report_leaked_key",
    "sign_in_with_password",
];

/// What needs no credentials and does not succeed without a provider that answers.
const OPEN_AND_REFUSED: [(&str, u16); 2] = [("begin_sign_in", 404), ("finish_sign_in", 401)];

/// What every caller may do with what belongs to it, or was handed to it.
const EVERYBODY: [&str; 2] = ["exchange_token", "issue_token"];

/// Changes that leave more than one entry: a model call's request and its end are two, and so are the end of
/// one session and the beginning of the next.
const MORE_ENTRIES: [(&str, u64); 2] = [("create_chat_completion", 2), ("reauthenticate", 2)];

/// Reads that are recorded: whoever looks into the ledger stands in it.
const RECORDED_READS: [&str; 4] = ["backtest_policy", "get_entry", "get_proof", "list_entries"];

fn slug(answer: &Answer) -> String {
    let json = answer.json();
    let slug = json["type"].as_str().map(|path| path.replace("/problems/", ""));
    let slug = slug.or_else(|| json["error"]["code"].as_str().map(|code| code.replace('_', "-")));
    // The errors of SCIM and of OAuth have no place for it.
    let in_scim = match json["status"].as_str().or(json["error"].as_str()) {
        Some("401" | "invalid_client") => "unauthenticated",
        Some("403" | "unauthorized_client") => "forbidden",
        Some("404") => "not-found",
        _ => "",
    };
    slug.unwrap_or_else(|| in_scim.to_owned())
}

#[test]
fn without_credentials_every_operation_is_refused_and_recorded() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let mut open = Vec::new();
        for operation in all() {
            // More than a hundred a minute are only counted.
            world.tester.clock.advance_micros(1_000_000);
            let before = world.entry_count();
            let answer = world.ask(None, things.ask(&operation)).await;
            if operation.open {
                let refused = OPEN_AND_REFUSED.iter().find(|(id, _)| *id == operation.id);
                let status = answer.status.as_u16();
                assert!(refused.map_or((200..300).contains(&status), |(_, is)| *is == status), "{}", operation.id);
                open.push(operation.id);
                continue;
            }
            assert_eq!(answer.status, 401, "{}", operation.id);
            assert_eq!(slug(&answer), "unauthenticated", "{}", operation.id);
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer realm=\"taskforce\", resource_metadata="), "{}", operation.id);
            assert_eq!(world.entry_count(), before + 1, "{}", operation.id);
        }
        open.sort();
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
fn who_may_do_what() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let people = ["nina", "vera", "olivia", "alice", "adam", "bob", "petra"];
        let mut table = format!("{:24}", "");
        for role in ["(none)", "viewer", "operator", "designer", "auditor", "admin", "platform"] {
            let _ = write!(table, " {role:9}");
        }
        // What is deleted is gone for those who come after.
        let mut operations: Vec<_> = all().into_iter().filter(|operation| !operation.open).collect();
        operations.sort_by_key(|operation| operation.method == http::Method::DELETE);
        for operation in operations {
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
        for operation in all().into_iter().filter(|operation| operation.changes() && !operation.open) {
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
            if EVERYBODY.contains(&operation.id.as_str()) {
                continue;
            }

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
            let (by, ask) = match operation.id.as_str() {
                "list_tenants" => ("petra", things.ask(&operation)),
                "get_own_session" => things.permitted(world, &operation).await,
                _ => ("bob", things.ask(&operation)),
            };
            let before = world.entry_count();
            let answer = world.send(by, ask).await.expect(200);
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
        let deactivate = format!("/api/v1/admin/users/{}/deactivate", world.id("vera"));
        world.send("bob", Ask::new(http::Method::POST, deactivate)).await.expect(200);
        world.send("vera", read()).await.expect(401);

        let suspend = Ask::new(http::Method::POST, "/api/v1/admin/tenants/acme-corp/suspend");
        world.send("petra", suspend).await.expect(200);
        world.send("bob", read()).await.expect(401);
        world.send("gina", read()).await.expect(200);
    });
}
