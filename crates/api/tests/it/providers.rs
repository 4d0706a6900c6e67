//! Identity providers: their REST, and people and programs who come by a real one.

use std::time::Duration;

use http::Method;
use kernel::Secret;
use serde_json::{Value, json};
use testkit::provider::{CLIENT_SECRET, Provider, Settings};

use crate::world::{Answer, Ask, PUBLIC_URL, World, cookie, on_both_engines};

const PROVIDERS: &str = "/api/v1/admin/identity-providers";

/// Runs `test` on each engine in a world that has the time of a provider of its own.
#[expect(clippy::needless_pass_by_value, reason = "a test reads better without the reference")]
fn with_a_provider(test: impl AsyncFn(&World<'_>, &Provider)) {
    testkit::on_both_engines(|tester| {
        let Some(provider) = Provider::start(&Settings::new(&format!("{PUBLIC_URL}/auth/callback"))) else { return };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let now = provider.now().await;
            tester.clock.advance_micros(now.micros() - tester.moment().now().micros());
            let world = World::start(tester, Duration::from_secs(30)).await;
            test(&world, &provider).await;
        });
    });
}

fn company(provider: &Provider) -> Value {
    json!({
        "name": "Company login",
        "issuer": provider.issuer(),
        "audiences": [PUBLIC_URL],
        "client_id": "basic",
        "client_secret": CLIENT_SECRET,
        "scopes": ["profile", "email", "groups"],
        "roles_claim": "groups",
        "role_map": { "engineers": ["operator"], "leads": ["agent_designer"] },
        "provision": true,
    })
}

/// The provider, registered by bob: its id.
async fn registered(world: &World<'_>, body: Value) -> String {
    world.post("bob", PROVIDERS, body).await.expect(201).get("/id")
}

/// A sign-in that has begun: where the browser is sent, and the cookie that it holds.
async fn begun(world: &World<'_>, id: &str, query: &str) -> (String, String) {
    let answer = world.ask(None, Ask::get(format!("/auth/login/acme-corp/{id}{query}"))).await.expect(302);
    let flow = cookie(&answer.headers, "__Host-taskforce-sign-in").unwrap();
    (answer.header("location").unwrap().to_owned(), flow)
}

/// What the browser makes of the address that the provider sends it back to.
async fn back(world: &World<'_>, address: &str, flow: &str) -> Answer {
    let path = address.strip_prefix(PUBLIC_URL).unwrap();
    world.ask(None, Ask::get(path).with("cookie", format!("__Host-taskforce-sign-in={flow}"))).await
}

/// The session of whoever has just come back.
async fn arrived(world: &World<'_>, answer: &Answer) -> Answer {
    let session = cookie(&answer.headers, "__Host-taskforce").unwrap();
    world.ask(None, Ask::get("/auth/session").with("cookie", format!("__Host-taskforce={session}"))).await.expect(200)
}

#[test]
fn a_person_signs_in_with_the_company_s_provider_and_has_the_roles_that_it_gives() {
    with_a_provider(async |world, provider| {
        let id = registered(world, company(provider)).await;
        let names = world.ask(None, Ask::get("/auth/providers?tenant=acme-corp")).await.expect(200);
        assert_eq!(names.json()["items"], json!([{ "id": id, "name": "Company login" }]));
        let nobody = world.ask(None, Ask::get("/auth/providers?tenant=nowhere")).await.expect(200);
        assert_eq!(nobody.json()["items"], json!([]));

        let (address, flow) = begun(world, &id, "?return_to=/agents%3Fq%3Dx").await;
        assert!(address.starts_with(provider.issuer()) && address.contains("code_challenge_method=S256"), "{address}");
        let callback = provider.browse(&address).await;
        let answer = back(world, &callback, &flow).await.expect(303);
        assert_eq!(answer.header("location"), Some("/agents?q=x"));
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(set.iter().any(|set| set.starts_with("__Host-taskforce-sign-in=;")), "{set:?}");
        let session = arrived(world, &answer).await;
        assert_eq!((session.get("/method"), session.get("/tenant_id")), ("oidc".to_owned(), "acme-corp".to_owned()));
        let user = world.get("bob", &format!("/api/v1/admin/users/{}", session.get("/user_id"))).await.expect(200);
        assert_eq!(
            (user.get("/username"), user.json()["roles"].clone()),
            ("alice-".to_owned() + &user.get("/username")[6..], json!(["operator"]))
        );

        // The next time it is the same user, in another session.
        let (address, flow) = begun(world, &id, "").await;
        let again = back(world, &provider.browse(&address).await, &flow).await.expect(303);
        assert_eq!(again.header("location"), Some("/"));
        let next = arrived(world, &again).await;
        assert_eq!(next.get("/user_id"), session.get("/user_id"));
        assert_ne!(next.get("/session_id"), session.get("/session_id"));
    });
}

#[test]
fn nobody_is_signed_in_by_an_answer_to_another_browser_s_flow() {
    with_a_provider(async |world, provider| {
        let id = registered(world, company(provider)).await;
        let (address, mine) = begun(world, &id, "").await;
        let (_, other) = begun(world, &id, "").await;
        let callback = provider.browse(&address).await;
        let refused = |answer: Answer| {
            let answer = answer.expect(401);
            assert_eq!(answer.get("/type"), "/problems/sign-in-failed");
            assert_eq!(cookie(&answer.headers, "__Host-taskforce"), None);
        };
        refused(back(world, &callback, &other).await);
        refused(back(world, &callback, "").await);
        refused(back(world, &callback, &format!("{mine}A")).await);
        refused(world.ask(None, Ask::get(callback.strip_prefix(PUBLIC_URL).unwrap())).await);
        refused(back(world, &callback.replace("state=", "state=x"), &mine).await);
        refused(back(world, &format!("{PUBLIC_URL}/auth/callback?error=access_denied"), &mine).await);
        back(world, &callback, &mine).await.expect(303);
        // A code serves once.
        refused(back(world, &callback, &mine).await);
        let entries = world.newest_entries(100).await;
        let failed = entries.iter().filter(|entry| entry.starts_with("identity.sign_in.failed")).count();
        assert_eq!(failed, 4, "{entries:?}");
    });
}

#[test]
fn a_request_says_which_tenant_its_token_is_for_where_two_take_it() {
    with_a_provider(async |world, provider| {
        registered(world, company(provider)).await;
        let token = Secret::new(provider.access_token(PUBLIC_URL).await);
        let mut dead = company(provider);
        dead["jwks_url"] = json!("http://127.0.0.1:9/jwks");
        // Whoever registers another's provider is not told that it is another's.
        let rival = world.post("gina", PROVIDERS, dead).await.expect(201);
        let read = || Ask::get("/api/v1/agents");
        world.ask(Some(&token), read()).await.expect(200);
        let path = format!("{PROVIDERS}/{}", rival.get("/id"));
        let change = json!({ "jwks_url": null });
        let patch = Ask::new(Method::PATCH, &path).bytes("application/json", change.to_string());
        world.send("gina", patch.with("if-match", "\"1\"")).await.expect(200);
        world.post("gina", &format!("{path}/check"), json!({})).await.expect(200);
        world.ask(Some(&token), read()).await.expect(401);
        world.ask(Some(&token), read().with("taskforce-tenant", "acme-corp")).await.expect(200);
        world.ask(Some(&token), read().with("taskforce-tenant", "nowhere")).await.expect(401);
        for bad in ["", "Acme Corp"] {
            world.ask(Some(&token), read().with("taskforce-tenant", bad)).await.expect(400);
        }
        let twice = read().with("taskforce-tenant", "acme-corp").with("taskforce-tenant", "acme-corp");
        world.ask(Some(&token), twice).await.expect(400);
    });
}

#[test]
fn one_comes_back_to_this_server_alone() {
    with_a_provider(async |world, provider| {
        let id = registered(world, company(provider)).await;
        for bad in ["//evil.example", "https://evil.example", "%5C%5Cevil.example", "/%5Cevil.example", "agents"] {
            let path = format!("/auth/login/acme-corp/{id}?return_to={bad}");
            world.ask(None, Ask::get(path)).await.expect(422);
        }
        world.ask(None, Ask::get(format!("/auth/login/globex/{id}"))).await.expect(404);
        world.ask(None, Ask::get("/auth/login/acme-corp/idp_00000000000070008000000000000000")).await.expect(404);
    });
}

#[test]
fn a_program_comes_with_a_token_of_the_provider_and_a_rotated_key_is_found_at_first_use() {
    with_a_provider(async |world, provider| {
        let id = registered(world, company(provider)).await;
        let token = async || Secret::new(provider.access_token(PUBLIC_URL).await);
        let read = || Ask::get("/api/v1/agents");
        let first = token().await;
        world.ask(Some(&first), read()).await.expect(200);
        let asked = provider.counts().await.jwks;
        for _ in 0..5 {
            world.ask(Some(&first), read()).await.expect(200);
        }
        assert_eq!(provider.counts().await.jwks, asked);

        world.tester.clock.advance_micros(11_000_000);
        provider.rotate().await;
        world.ask(Some(&token().await), read()).await.expect(200);
        assert_eq!(provider.counts().await.jwks, asked + 1);

        world
            .ask(Some(&Secret::new(provider.access_token("https://elsewhere.example").await)), read())
            .await
            .expect(401);
        let disable = Ask::new(Method::PATCH, format!("{PROVIDERS}/{id}")).with("if-match", "\"1\"");
        world.send("bob", disable.json(&json!({ "status": "disabled" }))).await.expect(200);
        world.ask(Some(&first), read()).await.expect(401);
    });
}

#[test]
fn a_check_says_what_a_provider_gives_and_what_is_wrong() {
    with_a_provider(async |world, provider| {
        let id = registered(world, company(provider)).await;
        let good = world.post("bob", &format!("{PROVIDERS}/{id}/check"), json!({})).await.expect(200);
        assert_eq!((good.json()["reachable"].clone(), good.json()["keys"].clone()), (json!(true), json!(["key-1"])));
        assert_eq!(good.json()["problem"], Value::Null);
        let nobody = json!({ "name": "Nobody", "issuer": "http://127.0.0.1:1", "audiences": ["x"] });
        let id = registered(world, nobody).await;
        let bad = world.post("bob", &format!("{PROVIDERS}/{id}/check"), json!({})).await.expect(200);
        assert_eq!(bad.json()["reachable"], json!(false));
        assert!(bad.get("/problem").contains("cannot be fetched"), "{}", bad.text());
        world.ask(None, Ask::get(format!("/auth/login/acme-corp/{id}"))).await.expect(404);
    });
}

#[test]
fn a_provider_is_registered_changed_and_removed_and_its_secret_never_shown() {
    on_both_engines(async |world| {
        let body = json!({
            "name": "Other", "issuer": "https://login.example", "audiences": ["taskforce"],
            "client_id": "app", "client_secret": "canary-secret", "jwks_url": "https://login.example/keys",
            "tenant": { "claim": "tid", "value": "acme" },
        });
        let made = world.post("bob", PROVIDERS, body.clone()).await.expect(201);
        assert_eq!(
            (made.json()["has_client_secret"].clone(), made.get("/jwks_url")),
            (json!(true), "https://login.example/keys".to_owned())
        );
        let path = made.header("location").unwrap().to_owned();
        let patch = |revision: u32, change: Value| {
            Ask::new(Method::PATCH, path.clone()).with("if-match", format!("\"{revision}\"")).json(&change)
        };
        let changed = world
            .send("bob", patch(1, json!({ "jwks_url": null, "tenant": null, "email_claim": null })))
            .await
            .expect(200);
        assert!(
            changed.json()["jwks_url"].is_null()
                && changed.json()["tenant"].is_null()
                && changed.json()["email_claim"].is_null()
        );
        assert_eq!(
            (changed.get("/issuer"), changed.get("/client_id")),
            ("https://login.example".to_owned(), "app".to_owned())
        );
        world.send("bob", patch(1, json!({ "name": "Late" }))).await.expect(412);
        let removed = world.send("bob", patch(2, json!({ "client_secret": null }))).await.expect(200);
        assert_eq!(removed.json()["has_client_secret"], json!(false));
        for bad in [
            json!({ "issuer": "http://login.example" }),
            json!({ "audiences": [] }),
            json!({ "algorithms": ["HS256"] }),
            json!({ "algorithms": ["none"] }),
            json!({ "jwks_url": "https://a.example", "jwks": { "keys": [] } }),
            json!({ "role_map": { "x": ["platform_admin"] }, "roles_claim": "groups" }),
            json!({ "surprise": 1 }),
        ] {
            world.send("bob", patch(3, bad.clone())).await.expect(422);
        }
        world.post("bob", PROVIDERS, body).await.expect(409);
        for ask in [Ask::get(PROVIDERS), Ask::get(path.clone())] {
            assert!(!world.send("bob", ask.clone()).await.expect(200).text().contains("canary"));
            world.send("vera", ask).await.expect(403);
        }
        world.send("gina", Ask::get(path.clone())).await.expect(404);
        world.send("bob", Ask::new(Method::DELETE, path.clone())).await.expect(428);
        world.send("bob", Ask::new(Method::DELETE, path.clone()).with("if-match", "\"3\"")).await.expect(204);
        world.send("bob", Ask::get(path.clone())).await.expect(404);
    });
}
