//! No key, token, password, cookie or client secret reaches a log, an error, a metric, an entry or the disk.

use std::fmt::{Debug, Write as _};
use std::sync::Mutex;

use http::Method;
use kernel::Secret;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::world::{Ask, Browser, PASSWORD, World, on_both_engines};

/// Everything that was logged by any test of this program.
static LOG: Mutex<String> = Mutex::new(String::new());

/// Writes all that is logged, at every level, with every field.
struct Listener;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut LOG.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut LOG.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut log = LOG.lock().unwrap();
        log.push_str(event.metadata().target());
        event.record(&mut Line(&mut log));
        log.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The secrets of a world, used well and badly; and what was said meanwhile to those who should not be told.
async fn used(world: &World<'_>) -> (Vec<String>, String) {
    let mut said = String::new();
    let mut told = |answer: crate::world::Answer| {
        let _ = write!(said, "{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    };
    let key = world.key("vera").expose().clone();
    let token = world.post("vera", "/api/v1/tokens", json!({})).await.expect(201).get("/token");
    let Browser { cookie, csrf } = world.browser("olivia").await;
    let made_up = "tfk_canary000000_canarycanarycanarycanarycanarycanarycanary0000000".to_owned();
    let password = "canary bicycle 9".to_owned();
    let client_secret = "canary-client-secret".to_owned();
    let (code, state) = ("canary-code".to_owned(), "canary-state".to_owned());

    for shown in [&key, &token, &made_up, &cookie] {
        let shown = Secret::new(shown.clone());
        told(world.ask(Some(&shown), Ask::get("/api/v1/agents")).await);
        told(world.ask(Some(&shown), Ask::get("/api/v1/nowhere")).await);
        told(world.ask(Some(&shown), Ask::post("/api/v1/agents", &json!({ "name": "" }))).await);
        let path = format!("/api/v1/admin/api-keys/{}", shown.expose());
        let answer = world.ask(Some(world.key("bob")), Ask::get(path)).await;
        assert_eq!(answer.status, 404);
    }
    let session = format!("__Host-taskforce={cookie}");
    told(world.ask(None, Ask::new(Method::POST, "/auth/logout").with("cookie", &session)).await);
    told(world.ask(None, Ask::get("/api/v1/agents").with("cookie", format!("{session}x"))).await);
    let wrong = json!({ "tenant": "acme-corp", "username": "olivia", "password": password });
    told(world.ask(None, Ask::post("/auth/password", &wrong)).await);
    told(world.ask(None, Ask::post("/auth/password", &json!({ "tenant": 1, "password": password }))).await);
    let change = json!({ "current": password, "new": "short" });
    told(world.post("vera", "/api/v1/me/password", change).await);
    let provider = json!({
        "name": "Login", "issuer": "http://127.0.0.1:1", "audiences": ["x"], "client_id": "app",
        "client_secret": client_secret,
    });
    let provider = world.post("bob", "/api/v1/admin/identity-providers", provider).await.expect(201).get("/id");
    told(world.ask(None, Ask::get(format!("/auth/login/acme-corp/{provider}"))).await);
    let callback = format!("/auth/callback?code={code}&state={state}");
    told(world.ask(None, Ask::get(callback).with("cookie", "__Host-taskforce-sign-in=canary-flow")).await);
    told(world.ask(None, Ask::post("/api/v1/leaked-keys", &json!({ "key": made_up }))).await);
    told(world.ask(None, Ask::get("/metrics")).await);
    told(world.get("adam", "/api/v1/audit/entries?limit=1000").await.expect(200));
    let canaries = [key, token, made_up, cookie, csrf, password, PASSWORD.to_owned(), client_secret, code, state];
    (canaries.into_iter().chain(["canary-flow".to_owned()]).collect(), said)
}

#[test]
fn no_secret_is_said_logged_counted_or_kept_in_clear() {
    // Whoever comes second in this program finds the listener there.
    let _ = tracing::subscriber::set_global_default(Listener);
    on_both_engines(async |world| {
        let (canaries, said) = used(world).await;
        let logged = LOG.lock().unwrap().clone();
        assert!(logged.contains("credentials refused"), "the listener hears nothing");
        for canary in &canaries {
            assert!(!said.contains(canary.as_str()), "{canary} was said: {said}");
            assert!(!logged.contains(canary.as_str()), "{canary} was logged");
        }
        let Some(folder) = world.tester.data_directory() else { return };
        for file in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for canary in &canaries {
                let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} is on the disk");
            }
        }
    });
}
