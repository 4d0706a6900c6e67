//! People who sign in with a password: their sessions, and what other sites can make of them.

use http::Method;
use serde_json::json;

use crate::world::{Answer, Ask, Browser, PASSWORD, World, cookie, on_both_engines, sign_in};

async fn session(world: &World<'_>, browser: &Browser) -> Answer {
    world.ask(None, browser.sends(Ask::get("/auth/session"))).await
}

#[test]
fn a_person_signs_in_acts_and_signs_out() {
    on_both_engines(async |world| {
        let browser = world.browser("vera").await;
        let known = session(world, &browser).await.expect(200);
        assert_eq!(
            (known.get("/user_id"), known.get("/tenant_id")),
            (world.id("vera").to_owned(), "acme-corp".to_owned())
        );
        assert_eq!((known.get("/method"), known.get("/csrf_token")), ("password".to_owned(), browser.csrf.clone()));
        world.ask(None, browser.sends(Ask::get("/api/v1/agents"))).await.expect(200);

        let out = world.ask(None, browser.sends(Ask::new(Method::POST, "/auth/logout"))).await.expect(204);
        let cleared = out.header("set-cookie").unwrap();
        assert_eq!(cleared, "__Host-taskforce=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
        session(world, &browser).await.expect(401);
        let newest = world.newest_entries(2).await;
        assert!(
            newest[0].starts_with("request.refused") || newest.iter().any(|entry| entry.contains("session")),
            "{newest:?}"
        );
    });
}

#[test]
fn the_cookie_is_for_this_host_and_for_no_script_and_differs_each_time() {
    on_both_engines(async |world| {
        let first = world.browser("vera").await;
        let again = world.ask(None, Ask::post("/auth/password", &sign_in("vera"))).await.expect(200);
        let text = again.header("set-cookie").unwrap();
        assert!(text.starts_with("__Host-taskforce=tfs_"), "{text}");
        assert!(text.ends_with("; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax"), "{text}");
        assert_ne!(cookie(&again.headers, "__Host-taskforce").unwrap(), first.cookie);
        assert!(!again.text().contains("tfs_"));
        session(world, &first).await.expect(200);
    });
}

#[test]
fn no_other_site_changes_anything_with_the_cookie() {
    on_both_engines(async |world| {
        let browser = world.browser("alice").await;
        let create = || Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        let with = |ask: Ask| ask.with("cookie", format!("__Host-taskforce={}", browser.cookie));
        let foreign = [
            with(create()),
            with(create()).with("x-csrf-token", &browser.csrf),
            with(create()).with("origin", crate::world::PUBLIC_URL),
            with(create()).with("x-csrf-token", &browser.csrf).with("origin", "https://evil.example"),
            with(create()).with("x-csrf-token", &browser.csrf).with("origin", "null"),
            with(create()).with("x-csrf-token", &browser.csrf).with("sec-fetch-site", "cross-site"),
            with(create()).with("x-csrf-token", "AAAA").with("sec-fetch-site", "same-origin"),
        ];
        let before = world.entry_count();
        let count = u64::try_from(foreign.len()).unwrap();
        for ask in foreign {
            let answer = world.ask(None, ask.clone()).await.expect(403);
            assert_eq!(answer.get("/type"), "/problems/csrf-refused", "{ask:?}");
        }
        assert_eq!(world.entry_count(), before + count);
        world
            .ask(None, with(create()).with("x-csrf-token", &browser.csrf).with("sec-fetch-site", "same-origin"))
            .await
            .expect(201);
        world.ask(None, browser.sends(create())).await.expect(201);
        // Reading needs no more than the cookie.
        world.ask(None, with(Ask::get("/api/v1/agents"))).await.expect(200);
        // Nor does another site sign anybody in.
        let login = Ask::post("/auth/password", &sign_in("alice")).with("origin", "https://evil.example");
        assert_eq!(world.ask(None, login).await.expect(403).get("/type"), "/problems/csrf-refused");
    });
}

#[test]
fn whatever_is_wrong_with_a_password_the_answer_is_the_same() {
    on_both_engines(async |world| {
        world.browser("vera").await;
        let mut told = Vec::new();
        for (tenant, username, password) in [
            ("acme-corp", "vera", "mountain bicycle 8"),
            ("acme-corp", "nobody", PASSWORD),
            ("acme-corp", "olivia", PASSWORD),
            ("nowhere", "vera", PASSWORD),
            ("globex", "vera", PASSWORD),
        ] {
            let body = json!({ "tenant": tenant, "username": username, "password": password });
            let answer = world.ask(None, Ask::post("/auth/password", &body)).await.expect(401);
            assert_eq!(answer.header("set-cookie"), None);
            let mut json = answer.json();
            json["instance"] = json!(null);
            told.push((json, answer.header("www-authenticate").map(str::to_owned)));
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0["type"], "/problems/sign-in-failed");
    });
}

#[test]
fn ten_wrong_passwords_a_minute_are_allowed_from_one_network() {
    on_both_engines(async |world| {
        world.browser("vera").await;
        let attempt = |password: &str, from: &str| {
            let body = json!({ "tenant": "acme-corp", "username": "vera", "password": password });
            Ask::post("/auth/password", &body).from(from)
        };
        for _ in 0..10 {
            world.ask(None, attempt("mountain bicycle 8", "203.0.113.1")).await.expect(401);
        }
        let refused = world.ask(None, attempt(PASSWORD, "203.0.113.1")).await.expect(429);
        assert_eq!(
            (refused.get("/type"), refused.header("retry-after")),
            ("/problems/rate-limited".to_owned(), Some("60"))
        );
        world.ask(None, attempt(PASSWORD, "203.0.113.2")).await.expect(200);
        world.tester.clock.advance_micros(60_000_000);
        world.ask(None, attempt(PASSWORD, "203.0.113.1")).await.expect(200);
    });
}

#[test]
fn what_outlives_a_session_needs_a_fresh_one() {
    on_both_engines(async |world| {
        let browser = world.browser("vera").await;
        let make = || Ask::post("/api/v1/admin/api-keys", &json!({ "user_id": world.id("vera"), "name": "mine" }));
        world.ask(None, browser.sends(make())).await.expect(201);
        world.tester.clock.advance_micros(600_000_000);
        let refused = world.ask(None, browser.sends(make())).await.expect(403);
        assert_eq!(refused.get("/type"), "/problems/reauthentication-required");
        world.ask(None, browser.sends(Ask::get("/api/v1/agents"))).await.expect(200);

        let wrong = browser.sends(Ask::post("/auth/reauthenticate", &json!({ "password": "mountain bicycle 8" })));
        world.ask(None, wrong).await.expect(401);
        let again = browser.sends(Ask::post("/auth/reauthenticate", &json!({ "password": PASSWORD })));
        let fresh = Browser::of(&world.ask(None, again).await.expect(200));
        world.ask(None, fresh.sends(make())).await.expect(201);
        session(world, &browser).await.expect(401);
    });
}

#[test]
fn a_session_ends_when_idle_when_old_when_ended_and_when_its_password_changes() {
    on_both_engines(async |world| {
        let idle = world.browser("vera").await;
        world.tester.clock.advance_micros(1_800_000_000);
        session(world, &idle).await.expect(401);

        let ended = world.browser("vera").await;
        let id = session(world, &ended).await.expect(200).get("/session_id");
        let own = format!("/api/v1/admin/sessions?user_id={}", world.id("vera"));
        assert_eq!(world.get("vera", &own).await.expect(200).json()["items"][0]["id"], id.as_str());
        world.get("vera", "/api/v1/admin/sessions").await.expect(403);
        assert!(world.get("bob", "/api/v1/admin/sessions").await.expect(200).text().contains(&id));
        world.get("gina", "/api/v1/admin/sessions").await.expect(200);
        world.post("gina", &format!("/api/v1/admin/sessions/{id}/end"), json!({})).await.expect(404);
        world.post("bob", &format!("/api/v1/admin/sessions/{id}/end"), json!({})).await.expect(200);
        session(world, &ended).await.expect(401);

        let browser = world.browser("vera").await;
        let wrong = json!({ "current": "mountain bicycle 8", "new": "another bicycle 7" });
        world.ask(None, browser.sends(Ask::post("/api/v1/me/password", &wrong))).await.expect(422);
        let common = json!({ "current": PASSWORD, "new": "password1234" });
        world.ask(None, browser.sends(Ask::post("/api/v1/me/password", &common))).await.expect(422);
        let right = json!({ "current": PASSWORD, "new": "another bicycle 7" });
        world.ask(None, browser.sends(Ask::post("/api/v1/me/password", &right))).await.expect(204);
        session(world, &browser).await.expect(401);
        world.ask(None, Ask::post("/auth/password", &sign_in("vera"))).await.expect(401);
    });
}

#[test]
fn a_session_whose_holder_got_other_roles_gets_another_secret() {
    on_both_engines(async |world| {
        let browser = world.browser("vera").await;
        let path = format!("/api/v1/admin/users/{}", world.id("vera"));
        let etag = world.get("bob", &path).await.expect(200).header("etag").unwrap().to_owned();
        let change = Ask::new(Method::PATCH, path).with("if-match", etag).json(&json!({ "roles": ["operator"] }));
        world.send("bob", change).await.expect(200);
        let answer = session(world, &browser).await.expect(200);
        let renewed = Browser::of(&answer);
        assert_ne!(renewed.cookie, browser.cookie);
        session(world, &browser).await.expect(401);
        let same = session(world, &renewed).await.expect(200);
        assert_eq!(cookie(&same.headers, "__Host-taskforce"), None);
    });
}

#[test]
fn one_request_has_one_credential() {
    on_both_engines(async |world| {
        let browser = world.browser("vera").await;
        let both = browser.sends(Ask::get("/api/v1/agents"));
        world.ask(Some(world.key("vera")), both.clone()).await.expect(401);
        world.ask(None, both.with("x-api-key", world.key("vera").expose())).await.expect(401);
        let bearer = Ask::get("/api/v1/agents").with("authorization", format!("Bearer {}", browser.cookie));
        world.ask(None, bearer).await.expect(401);
        world.get("vera", "/auth/session").await.expect(409);
    });
}
