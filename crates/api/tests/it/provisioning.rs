//! Directories provision people and groups.

use std::path::PathBuf;
use std::process::Command;

use api::server::{Limits, RequestIds, Server};
use http::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, on_both_engines};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The SCIM tester, or `None` where it was not installed; that is said aloud.
#[expect(clippy::print_stdout, reason = "a suite that is not run is named")]
fn tester() -> Option<PathBuf> {
    let Some(tester) = std::env::var_os("TASKFORCE_TEST_SCIM") else {
        assert!(std::env::var_os("CI").is_none(), "the SCIM tester is absent, and in CI every suite runs");
        println!("not run: the SCIM tester (`cargo xtask test` installs it)");
        return None;
    };
    Some(tester.into())
}

#[test]
fn the_scim_tester_finds_nothing_wrong() {
    let Some(tester) = tester() else { return };
    on_both_engines(async |world| {
        let server = Server::bind("127.0.0.1:0", Limits::default()).await.unwrap();
        let url = format!("http://{}/scim/v2", server.local_addr().unwrap());
        let clock = std::sync::Arc::clone(&world.tester.clock);
        let ids = RequestIds::new(std::sync::Arc::clone(&clock) as _, clock);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = api::router(world.app().clone());
        let serving = tokio::spawn(server.serve(router, ids, async {
            let _ = stopped.await;
        }));
        let mut scim2 = Command::new(&tester);
        scim2.env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {}", world.key("bob").expose()));
        scim2.args(["--url", &url, "test"]);
        let done = tokio::task::spawn_blocking(move || scim2.output()).await.unwrap().unwrap();
        let _ = stop.send(());
        serving.await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{said}");
        let passed = said.lines().filter(|line| line.starts_with("SUCCESS ")).count();
        assert!(passed > 80, "only {passed} checks: {said}");
    });
}

fn scim(method: Method, path: &str, body: &Value) -> Ask {
    Ask::new(method, format!("/scim/v2{path}")).bytes("application/scim+json", body.to_string().into_bytes())
}

async fn created(world: &World<'_>, name: &str) -> Answer {
    let body = json!({ "schemas": [USER], "userName": name, "externalId": format!("e-{name}") });
    world.send("bob", scim(Method::POST, "/Users", &body)).await.expect(201)
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

#[test]
fn a_person_is_made_found_changed_and_removed() {
    on_both_engines(async |world| {
        let body = json!({
            "schemas": [USER, ENTERPRISE],
            "userName": "Zoe@Example.com",
            "name": { "givenName": "Zoe", "familyName": "Z" },
            "emails": [{ "primary": true, "type": "work", "value": "zoe@example.com" }],
            ENTERPRISE: { "department": "R&D", "manager": { "value": world.id("carol") } },
        });
        let made = world.send("bob", scim(Method::POST, "/Users", &body)).await.expect(201);
        let id = made.get("/id");
        let place = format!("https://taskforce.example/scim/v2/Users/{id}");
        assert_eq!(made.header("location"), Some(place.as_str()));
        assert_eq!(made.header("content-type"), Some("application/scim+json"));
        assert_eq!(made.header("etag"), Some("\"1\""));
        let mut shown = made.json();
        for (name, expected) in [("id", id.as_str()), ("userName", "zoe@example.com"), ("displayName", "Zoe Z")] {
            assert_eq!(shown[name].take(), expected);
        }
        assert_eq!(shown["meta"]["version"], "\"1\"");
        assert_eq!(shown[ENTERPRISE], json!({ "department": "R&D", "manager": { "value": world.id("carol") } }));

        // As an administrator sees them: without roles, and with attributes.
        let user = world.get("bob", &format!("/api/v1/admin/users/{id}")).await.expect(200).json();
        assert_eq!((&user["roles"], &user["attributes"]["department"]), (&json!([]), &json!("R&D")));

        for filter in [
            "userName eq \"ZOE@example.com\"",
            "emails[type eq \"work\"].value eq \"zoe@example.com\"",
            &format!("id eq \"{id}\" and active eq true"),
        ] {
            let path = format!("/scim/v2/Users?filter={}", filter.replace(' ', "%20").replace('"', "%22"));
            let found = world.get("bob", &path).await.expect(200).json();
            assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&json!(1), &json!(id)), "{filter}");
        }

        let path = format!("/Users/{id}");
        let again = json!({ "schemas": [USER], "userName": "zoe", "displayName": "Zoe" });
        let replaced = world.send("bob", scim(Method::PUT, &path, &again)).await.expect(200).json();
        assert_eq!((&replaced["userName"], replaced.get("emails")), (&json!("zoe"), None));
        assert_eq!(replaced[ENTERPRISE]["department"], "R&D", "what is not spoken of stays");

        world.send("bob", Ask::new(Method::DELETE, format!("/scim/v2{path}"))).await.expect(204);
        for ask in [
            Ask::get(format!("/scim/v2{path}")),
            scim(Method::PUT, &path, &again),
            Ask::new(Method::DELETE, format!("/scim/v2{path}")),
        ] {
            world.send("bob", ask).await.expect(404);
        }
        let gone = world.get("bob", &format!("/api/v1/admin/users/{id}")).await.expect(200).json();
        assert_eq!(
            (&gone["status"], &gone["username"], &gone["email"]),
            (&json!("deactivated"), &json!(id), &Value::Null)
        );
        // The name is free, and whoever has it next is somebody else.
        assert_ne!(created(world, "zoe").await.get("/id"), id);
    });
}

#[test]
fn whoever_is_deprovisioned_is_out_at_once_with_all_that_was_theirs() {
    on_both_engines(async |world| {
        let id = world.id("alice").to_owned();
        let agent = world.agent().await;
        let pending = world.submit(&world.draft(&agent, "1.0.0").await).await;
        let before = world.entry_count();
        let inactive = patch(&json!([{ "op": "Replace", "path": "active", "value": "False" }]));
        let left = world.send("bob", scim(Method::PATCH, &format!("/Users/{id}"), &inactive)).await.expect(200);
        assert_eq!(left.json()["active"], false);
        assert_eq!(world.entry_count(), before + 1, "one entry for all of it");

        world.get("alice", "/api/v1/agents").await.expect(401);
        let approval = world.get("bob", &format!("/api/v1/approvals/{pending}")).await.expect(200);
        assert_eq!(approval.get("/status"), "cancelled");
        let keys = world.get("bob", &format!("/api/v1/admin/api-keys?user_id={id}")).await.expect(200).json();
        assert!(keys["items"].as_array().unwrap().iter().all(|key| !key["revoked_at"].is_null()));

        let back = patch(&json!([{ "op": "replace", "value": { "active": true } }]));
        world.send("bob", scim(Method::PATCH, &format!("/Users/{id}"), &back)).await.expect(200);
        world.get("alice", "/api/v1/agents").await.expect(401);
    });
}

#[test]
fn the_last_administrator_stays() {
    on_both_engines(async |world| {
        let inactive = patch(&json!([{ "op": "replace", "path": "active", "value": false }]));
        let leave = |name: &str| scim(Method::PATCH, &format!("/Users/{}", world.id(name)), &inactive);
        world.send("bob", leave("carol")).await.expect(200);
        let refused = world.send("bob", leave("bob")).await.expect(409);
        assert_eq!((refused.get("/scimType"), refused.get("/status")), ("mutability".to_owned(), "409".to_owned()));
        let remove = Ask::new(Method::DELETE, format!("/scim/v2/Users/{}", world.id("bob")));
        world.send("bob", remove).await.expect(409);
        world.get("bob", "/api/v1/me").await.expect(200);
    });
}

#[test]
fn a_change_is_made_to_the_state_that_was_read() {
    on_both_engines(async |world| {
        let path = format!("/Users/{}", created(world, "zoe").await.get("/id"));
        let change = |name: &str| {
            let body = patch(&json!([{ "op": "replace", "path": "displayName", "value": name }]));
            scim(Method::PATCH, &path, &body)
        };
        world.send("bob", change("One").with("if-match", "\"7\"")).await.expect(412);
        world.send("bob", change("One").with("if-match", "W/\"1\"")).await.expect(200);
        world.send("bob", change("Two").with("if-match", "\"1\"")).await.expect(412);
        world.send("bob", change("Two").with("if-match", "*")).await.expect(200);
        let last = world.send("bob", change("Three")).await.expect(200);
        assert_eq!((last.header("etag"), last.json()["displayName"].as_str()), (Some("\"4\""), Some("Three")));
        let delete = || Ask::new(Method::DELETE, format!("/scim/v2{path}"));
        world.send("bob", delete().with("if-match", "\"1\"")).await.expect(412);
        world.send("bob", delete().with("if-match", "\"4\"")).await.expect(204);
    });
}

#[test]
fn a_group_gives_its_members_the_roles_that_an_administrator_gave_it() {
    on_both_engines(async |world| {
        let zoe = created(world, "zoe").await.get("/id");
        let body = json!({ "schemas": [GROUP], "displayName": "Operators", "members": [{ "value": zoe }] });
        let group = world.send("bob", scim(Method::POST, "/Groups", &body)).await.expect(201);
        let (id, member) = (group.get("/id"), group.json()["members"][0].clone());
        let address = format!("https://taskforce.example/scim/v2/Users/{zoe}");
        assert_eq!(member, json!({ "value": zoe, "$ref": address, "type": "User" }));

        let roles = json!({ "roles": ["operator"] });
        let admin = Ask::new(Method::PATCH, format!("/api/v1/admin/groups/{id}")).with("if-match", "\"1\"");
        world.send("bob", admin.json(&roles)).await.expect(200);
        let shown = async |user: &str| {
            let user = world.get("bob", &format!("/api/v1/admin/users/{user}")).await.expect(200).json();
            user["roles"].clone()
        };
        assert_eq!(shown(&zoe).await, json!(["operator"]));

        // Who may manage users, and nothing else, gives nobody what they do not have.
        let role = json!({ "name": "directory", "description": "SCIM", "permissions": ["user:manage"] });
        world.post("bob", "/api/v1/admin/roles", role).await.expect(201);
        let account = json!({ "kind": "service", "username": "scim", "roles": ["directory"] });
        let account = world.post("bob", "/api/v1/admin/users", account).await.expect(201).get("/id");
        let key = world.new_key("bob", &json!({ "user_id": account, "name": "scim" })).await;
        let yan = created(world, "yan").await.get("/id");
        let add = patch(&json!([{ "op": "Add", "path": "members", "value": [{ "value": yan }] }]));
        let add = || scim(Method::PATCH, &format!("/Groups/{id}"), &add);
        let refused = world.ask(Some(&key), add()).await.expect(403);
        assert!(refused.get("/detail").contains("more than the caller may do"), "{}", refused.text());
        let attributes = json!({ "schemas": [USER, ENTERPRISE], "userName": "x", ENTERPRISE: { "division": "R" } });
        world.ask(Some(&key), scim(Method::POST, "/Users", &attributes)).await.expect(403);
        world
            .ask(Some(&key), scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "x" })))
            .await
            .expect(201);
        // Neither service accounts are seen, nor can they be made.
        world.ask(Some(&key), Ask::get(format!("/scim/v2/Users/{account}"))).await.expect(404);

        world.send("bob", add()).await.expect(200);
        assert_eq!(shown(&yan).await, json!(["operator"]));
        let remove = patch(&json!([{ "op": "remove", "path": format!("members[value eq \"{zoe}\"]") }]));
        let left = world.send("bob", scim(Method::PATCH, &format!("/Groups/{id}"), &remove)).await.expect(200);
        assert_eq!(left.json()["members"].as_array().unwrap().len(), 1);
        assert_eq!(shown(&zoe).await, json!([]));
        let stranger = patch(&json!([{ "op": "add", "path": "members", "value": [{ "value": world.id("gina") }] }]));
        world.send("bob", scim(Method::PATCH, &format!("/Groups/{id}"), &stranger)).await.expect(400);
        world.send("bob", Ask::new(Method::DELETE, format!("/scim/v2/Groups/{id}"))).await.expect(204);
        assert_eq!(shown(&yan).await, json!([]));
        world.get("bob", &format!("/scim/v2/Groups/{id}")).await.expect(404);
    });
}

#[test]
fn lists_are_read_by_number_and_say_how_many_there_are() {
    on_both_engines(async |world| {
        for n in 0..5 {
            created(world, &format!("person-{n}")).await;
        }
        let page = async |query: &str| world.get("bob", &format!("/scim/v2/Users?{query}")).await.expect(200).json();
        let whole = page("").await;
        let total = whole["totalResults"].as_u64().unwrap();
        assert_eq!((total, &whole["itemsPerPage"]), (12, &json!(12)), "bob, six more, and five new ones");
        let names = |list: &Value| -> Vec<String> {
            list["Resources"].as_array().unwrap().iter().map(|user| user["userName"].to_string()).collect()
        };
        let (first, second) = (page("count=7").await, page("startIndex=8&count=7").await);
        assert_eq!(
            (&first["itemsPerPage"], &second["itemsPerPage"], &second["startIndex"]),
            (&json!(7), &json!(5), &json!(8))
        );
        assert_eq!([names(&first), names(&second)].concat(), names(&whole));
        for (query, items) in [("count=0", 0), ("count=-1", 0), ("startIndex=0&count=1", 1), ("startIndex=99", 0)] {
            let page = page(query).await;
            assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(12), &json!(items)), "{query}");
        }
        let only = page("attributes=userName&count=1").await;
        assert_eq!(only["Resources"][0].as_object().unwrap().len(), 3);
    });
}

#[test]
fn what_a_directory_cannot_do_is_refused_in_its_own_words() {
    on_both_engines(async |world| {
        let zoe = created(world, "zoe").await.get("/id");
        let put = |body: Value| scim(Method::PUT, &format!("/Users/{zoe}"), &body);
        let change = |operation: Value| scim(Method::PATCH, &format!("/Users/{zoe}"), &patch(&json!([operation])));
        let asks = [
            scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "ZOE" })),
            scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "no spaces" })),
            scim(Method::POST, "/Users", &json!({ "schemas": [USER] })),
            scim(Method::POST, "/Users", &json!({ "userName": "x" })),
            scim(Method::POST, "/Users", &json!({ "schemas": [GROUP], "userName": "x" })),
            put(json!({ "schemas": [USER, "urn:other"], "userName": "x" })),
            put(json!({ "schemas": [USER], "userName": "zoe", "own_roles": ["admin"] })),
            change(json!({ "op": "replace", "path": "own_roles", "value": ["admin"] })),
            change(json!({ "op": "remove", "path": "userName" })),
            change(json!({ "op": "remove" })),
            change(json!({ "op": "replace", "path": "emails", "value": "no" })),
            Ask::get("/scim/v2/Users?filter=userName%20sw%20%22z%22"),
            Ask::get("/scim/v2/Users?filter=password%20eq%20%22z%22"),
            Ask::get("/scim/v2/Users?attributes=a&excludedAttributes=b"),
            Ask::get("/scim/v2/Users?color=red"),
            Ask::new(Method::POST, "/scim/v2/Users").bytes("text/plain", "{}"),
            Ask::new(Method::POST, "/scim/v2/Users").bytes("application/scim+json", "{\"a\":1,\"a\":2}"),
            Ask::get("/scim/v2/Nothing"),
            Ask::new(Method::POST, "/scim/v2/Schemas"),
        ];
        let mut said = Vec::new();
        for ask in asks {
            let answer = world.send("bob", ask).await;
            assert_eq!(answer.header("content-type"), Some("application/scim+json"));
            let body = answer.json();
            assert_eq!(body["status"], answer.status.as_u16().to_string());
            assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
            let detail = body["detail"].as_str().unwrap();
            said.push(format!("{} {} {detail}", answer.status.as_u16(), body["scimType"].as_str().unwrap_or("-")));
        }
        insta::allow_duplicates! { insta::assert_snapshot!(said.join("\n"), @"
        409 uniqueness the username `zoe` is taken
        400 invalidValue `userName`: not a username: expected 1 to 64 lower-case letters, digits and `.`, `_`, `-`, `+`, `@`, starting with a letter or digit
        400 invalidValue `userName` is required
        400 invalidSyntax `schemas` must name `urn:ietf:params:scim:schemas:core:2.0:User`, and no schema that is not known
        400 invalidSyntax `schemas` must name `urn:ietf:params:scim:schemas:core:2.0:User`, and no schema that is not known
        400 invalidSyntax `schemas` must name `urn:ietf:params:scim:schemas:core:2.0:User`, and no schema that is not known
        400 invalidPath no attribute of a user is at `urn:ietf:params:scim:schemas:core:2.0:User:own_roles`
        400 invalidPath no attribute of a user is at `own_roles`
        400 mutability `username` is required
        400 noTarget `remove` needs a `path`
        400 invalidValue `emails`: not an email address, such as `alice@example.com`
        400 invalidFilter `sw` is not supported: filters compare with `eq` and join with `and`
        400 invalidFilter people cannot be filtered by `password`
        400 invalidValue `attributes` and `excludedAttributes` exclude each other
        400 invalidValue the query: color: unknown field `color`, expected one of `filter`, `startIndex`, `count`, `attributes`, `excludedAttributes`, `sortBy`, `sortOrder`
        415 invalidSyntax expected `content-type: application/json`
        400 invalidSyntax duplicate field `a` at line 1 column 10
        404 - There is no such thing
        405 - The method is not allowed here
        ") }
    });
}
