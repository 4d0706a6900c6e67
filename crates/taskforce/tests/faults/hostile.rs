//! Hostile HTTP against the real server and its real paths.

use std::time::Duration;

use testkit::hostile::{Cases, Report, Target};

use crate::client::Client;
use crate::installation::{Engine, Installation, Server, turn};
use crate::ledger::{Ledger, verify};
use crate::upstream::Upstream;
use crate::world::World;

/// Behaviors that take longer than a test may. The same server, with shorter limits, meets them in the tests of `api`.
const LONG: [&str; 2] = ["slow body 1 byte/s", "idle keep-alive"];
/// Behaviors that consist of waiting: they are waited for together.
const PATIENT: [&str; 2] = ["slow headers 1 byte/s", "silent connection"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_by_the_real_server_and_nobody_else_notices() {
    let Some(path) = testkit::shared("vectors/taskforce-http") else { return };
    let cases = Cases::read(&path.join("cases.json")).unwrap();
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let mut server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let target = target(&server, &world);
    let raw = target.raw(&cases.raw).await;
    let bodies = target.bodies(&cases.bodies).await;
    let mut behaviors = Report::default();
    let mut waiting = Vec::new();
    for behavior in cases.behaviors {
        let name = behavior.name.clone();
        if LONG.contains(&&*name) {
            println!("not run here: {name}");
        } else if PATIENT.contains(&&*name) {
            let target = target.clone();
            waiting.push((name, tokio::spawn(async move { target.behave(&behavior).await })));
        } else {
            note(&mut behaviors, &name, target.behave(&behavior).await);
        }
    }
    for (name, behavior) in waiting {
        note(&mut behaviors, &name, behavior.await.unwrap());
    }
    for (report, run) in [(raw, 85), (bodies, 53 * target.posts.len()), (behaviors, 11)] {
        assert_eq!(report.run, run);
        assert!(
            report.failures.is_empty(),
            "{} of {run} failed:\n{}",
            report.failures.len(),
            report.failures.join("\n")
        );
    }
    assert!(server.is_running());
    assert_eq!(server.pid(), target.pid);
    assert_eq!(upstream.asked(), 0, "none of it is a model call");
    let mut ledger = Ledger::new();
    let mut adam = Client::new(server.address, &world.adam);
    ledger.catch_up(&mut adam).await;
    verify(&installation, &mut adam).await;
}

fn target(server: &Server, world: &World) -> Target {
    let versions = format!("/api/v1/agents/{}/versions", world.agent);
    let posts = [
        "/api/v1/agents",
        &versions,
        "/api/v1/admin/users",
        "/api/v1/admin/api-keys",
        "/api/v1/admin/budgets",
        "/api/v1/admin/prices",
        "/api/v1/admin/tenants",
        "/api/v1/audit/exports",
        "/v1/chat/completions",
    ];
    Target {
        address: server.address,
        health: "/healthz".to_owned(),
        paths: vec![("/api/v1/health".to_owned(), "/healthz".to_owned())],
        posts: posts.map(str::to_owned).to_vec(),
        authorization: format!("Bearer {}", world.bob),
        beat: Duration::from_secs(1),
        pid: server.pid(),
    }
}

fn note(report: &mut Report, name: &str, outcome: Result<(), String>) {
    report.run += 1;
    report.failures.extend(outcome.err().map(|failure| format!("{name}: {failure}")));
}
