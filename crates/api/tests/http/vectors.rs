//! The vectors: requests, bodies and behaviors.

use std::time::Duration;

use api::server::Limits;
use testkit::hostile::{Answer, Cases, Client, Report};

use crate::sample::Running;

fn cases() -> Option<Cases> {
    let path = testkit::shared("vectors/taskforce-http")?;
    Some(Cases::read(&path.join("cases.json")).unwrap())
}

fn assert_fine(report: &Report, run: usize) {
    assert_eq!(report.run, run);
    assert!(report.failures.is_empty(), "{} of {run} failed:\n{}", report.failures.len(), report.failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_refused_and_nobody_else_notices() {
    let Some(cases) = cases() else { return };
    let server = Running::start(Limits::default()).await;
    assert_fine(&server.target().raw(&cases.raw).await, 85);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bodies_are_refused_and_nobody_else_notices() {
    let Some(cases) = cases() else { return };
    let server = Running::start(Limits::default()).await;
    // Bad credentials would be an acceptable answer to every body, and then none of them would be read.
    let good = "POST /api/v1/agents HTTP/1.1\r\nhost: a\r\nauthorization: Bearer good\r\n\
                content-type: application/json\r\ncontent-length: 12\r\n\r\n{\"name\":\"x\"}";
    let mut client = Client::connect(server.address).await.unwrap();
    assert_eq!(client.exchange(good.as_bytes()).await, Ok(Answer::Status(200)));
    assert_fine(&server.target().bodies(&cases.bodies).await, 53);
}

/// The production limits, with times short enough for a test.
fn hasty() -> Limits {
    Limits {
        first_byte: Duration::from_secs(1),
        headers: Duration::from_secs(1),
        body_grace: Duration::from_secs(1),
        request: Duration::from_secs(2),
        keep_alive: Duration::from_secs(1),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bombing_and_flooding_clients_are_cut() {
    let Some(cases) = cases() else { return };
    let (hasty, patient) = (Running::start(hasty()).await, Running::start(Limits::default()).await);
    assert_eq!(cases.behaviors.len(), 13);
    let mut report = Report::default();
    for behavior in &cases.behaviors {
        let slow = ["slow headers 1 byte/s", "silent connection", "slow body 1 byte/s", "idle keep-alive"];
        let server = if slow.contains(&behavior.name.as_str()) { &hasty } else { &patient };
        report.run += 1;
        if let Err(failure) = server.target().behave(behavior).await {
            report.failures.push(format!("{}: {failure}", behavior.name));
        }
    }
    assert_fine(&report, 13);
}
