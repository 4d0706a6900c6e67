//! A change names the state that it was made for.

use http::Method;
use serde_json::json;

use crate::operations::{Things, all};
use crate::world::on_both_engines;

#[test]
fn every_update_needs_the_present_revision() {
    on_both_engines(async |world| {
        let updates = all().into_iter().filter(|operation| [Method::PATCH, Method::PUT].contains(&operation.method));
        // Of directories it is not demanded: `provisioning` tries what becomes of those who do it.
        for operation in updates.filter(|operation| !operation.id.starts_with("scim_")) {
            let things = Things::of(world).await;
            let (name, ask) = things.permitted(world, &operation).await;
            let read = if operation.id == "set_shadow_policy" { "/api/v1/admin/policies/state" } else { &ask.path };
            let read = read.to_owned();
            let state = world.get(name, &read).await.expect(200);
            let tag = state.header("etag").unwrap().to_owned();
            assert_eq!(tag, format!("\"{}\"", state.json()["revision"]), "{}", operation.id);

            let with = |value: Option<&str>| {
                let mut ask = ask.clone();
                ask.headers.retain(|(name, _)| name != "if-match");
                match value {
                    Some(value) => ask.with("if-match", value),
                    None => ask,
                }
            };
            let missing = world.send(name, with(None)).await.expect(428);
            assert_eq!(missing.get("/type"), "/problems/precondition-required");
            world.send(name, with(Some("*"))).await.expect(428);
            let weak = format!("W/{tag}");
            for stale in ["\"4711\"", "\"\"", "1", "\"x\"", "\"-1\"", "\"99999999999999999999\"", &weak, "\"1\", \"2\""]
            {
                let answer = world.send(name, with(Some(stale))).await.expect(412);
                assert_eq!(answer.get("/type"), "/problems/stale", "{} {stale}", operation.id);
            }
            let changed = world.send(name, with(Some(&tag))).await.expect(200);
            assert_ne!(changed.header("etag"), Some(tag.as_str()), "{}", operation.id);
            assert_eq!(world.get(name, &read).await.header("etag"), changed.header("etag"), "{}", operation.id);
            world.send(name, with(Some(&tag))).await.expect(412);
        }
    });
}

#[test]
fn of_many_updates_of_one_state_one_is_made() {
    on_both_engines(async |world| {
        let things = Things::of(world).await;
        let patch = |n: u32| {
            let ask = crate::world::Ask::new(Method::PATCH, format!("/api/v1/agents/{}", things.agent));
            ask.with("if-match", "\"1\"").json(&json!({ "description": format!("Version {n}") }))
        };
        let before = world.entry_count();
        let answers = futures_util::future::join_all((0..16).map(|n| world.send("alice", patch(n)))).await;
        let made = answers.iter().filter(|answer| answer.status == 200).count();
        let stale = answers.iter().filter(|answer| answer.status == 412).count();
        assert_eq!((made, stale), (1, 15));
        assert_eq!(world.entry_count(), before + 16, "one change and fifteen refusals");
    });
}

#[test]
fn a_list_is_read_page_by_page_without_gaps_or_repeats() {
    on_both_engines(async |world| {
        let mut made = Vec::new();
        for n in 0..7 {
            let body = json!({ "name": format!("Agent {n}") });
            made.push(world.post("alice", "/api/v1/agents", body).await.expect(201).get("/id"));
            world.tester.clock.advance_micros(1_000);
        }
        let (mut seen, mut path) = (Vec::new(), "/api/v1/agents?limit=3".to_owned());
        let mut pages = 0;
        loop {
            let page = world.get("alice", &path).await.expect(200).json();
            pages += 1;
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/v1/agents?limit=3&cursor={next}");
        }
        assert_eq!((seen, pages), (made, 3));
    });
}
