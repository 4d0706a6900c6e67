//! What the vectors do not say: that limits are neither late nor early, and who they concern.

use std::time::{Duration, Instant};

use api::server::Limits;
use testkit::hostile::{Answer, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sample::Running;

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn until_closed(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut sink = Vec::new();
    let _ = stream.read_to_end(&mut sink).await;
    start.elapsed()
}

#[tokio::test]
async fn too_many_connections_are_closed_at_once() {
    let limits = Limits { connections_per_ip: 2, ..Limits::default() };
    let server = Running::start(limits).await;
    let _first = TcpStream::connect(server.address).await.unwrap();
    let second = TcpStream::connect(server.address).await.unwrap();
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert!(until_closed(&mut third).await < Duration::from_secs(5));
    drop(second);
    // The room that the second leaves is noticed when the server has read its end.
    let mut client = Client::connect(server.address).await.unwrap();
    let request = b"GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n";
    while client.exchange(request).await != Ok(Answer::Status(200)) {
        client = Client::connect(server.address).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_closed_when_it_has_been_idle_and_not_before() {
    let limits = Limits { keep_alive: Duration::from_secs(1), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answer = [0; 4096];
    for _ in 0..3 {
        stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut answer).await.unwrap() > 0);
    }
    let idle = until_closed(&mut stream).await;
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&idle), "{idle:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = Limits { stream_idle: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    let mut stopped = Box::pin(server.stop());
    let summary = tokio::time::timeout(Duration::from_secs(5), &mut stopped).await.unwrap().unwrap();
    assert_eq!((summary.drained, summary.aborted), (1, 0), "the server did not wait for it");
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    assert!(read.len() < 65_536_000, "all of it fits into the sockets");
}

#[tokio::test]
async fn a_response_has_an_end() {
    let limits = Limits { stream_total: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let took = until_closed(&mut stream).await;
    assert!((Duration::from_millis(250)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Running::start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = "a".repeat(2_000_000);
    let request = format!("POST /api/v1/agents HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = ask(&mut stream, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""type":"/problems/too-large""#), "{answer}");
}

#[tokio::test]
async fn an_endless_request_line_is_answered_414() {
    let server = Running::start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(&mut stream, &format!("GET /{}", "a".repeat(200_000))).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let server = Running::start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let panics = "GET /panics HTTP/1.1\r\nhost: a\r\n\r\n";
    let health = "GET /api/v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = ask(&mut stream, &[panics, health].concat()).await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 "), "{answers}");
}

#[tokio::test]
async fn a_model_call_may_take_longer_than_other_requests() {
    let limits =
        Limits { request: Duration::from_millis(50), stream_total: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let start = Instant::now();
    let answer =
        ask(&mut stream, "POST /v1/never HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    assert!(start.elapsed() >= Duration::from_millis(290));
    assert!(
        answer.contains(r#"{"error":{"message":"The service cannot do this now","type":"server_error""#),
        "{answer}"
    );
}
