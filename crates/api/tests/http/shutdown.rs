//! How a server stops.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use api::server::{Limits, RequestIds, Server, Summary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sample::{Running, router};

const HEALTH: &[u8] = b"GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn idle_connections_end_at_once_and_none_is_accepted_after() {
    let server = Running::start(Limits::default()).await;
    let address = server.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(HEALTH).await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    let task = server.stop();
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0, "the connection is closed");
    drop(stream);
    let summary = task.await.unwrap();
    assert_eq!(summary, Summary { accepted: 1, refused: 0, drained: 1, aborted: 0 });
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let server = Running::start(Limits { drain: Duration::from_millis(200), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    let summary = server.stop().await.unwrap();
    assert_eq!(summary, Summary { accepted: 1, refused: 0, drained: 0, aborted: 1 });
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered() {
    let server = Running::start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (first, rest) = HEALTH.split_at(30);
    stream.write_all(first).await.unwrap();
    let mut probe = TcpStream::connect(server.address).await.unwrap();
    probe.write_all(HEALTH).await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(probe.read(&mut answer).await.unwrap() > 0, "the server has seen what came before");
    drop(probe);
    let task = server.stop();
    stream.write_all(rest).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(task.await.unwrap().aborted, 0);
}

#[test]
fn several_cores_count_connections_together() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = RequestIds::new(Arc::new(kernel::FixedMoment::new(0)), Arc::new(kernel::SeededEntropy::new(1)));
    let limits = Limits { connections_per_ip: 1, ..Limits::default() };
    let first_core = runtime();
    let first = first_core.block_on(Server::bind((Ipv4Addr::LOCALHOST, 0), limits)).unwrap();
    let (second_up, second_address) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let until = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let second_core = {
        let (ids, stopped) = (ids.separate(), stopped.clone());
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        second_up.send(listener.local_addr().unwrap()).unwrap();
        let runtime = runtime();
        let second = runtime.block_on(async { first.beside(listener) }).unwrap();
        std::thread::spawn(move || runtime.block_on(second.serve(router(), ids, until(stopped))))
    };
    let first_address = first.local_addr().unwrap();
    let summaries = first_core.block_on(async {
        let serving = tokio::spawn(first.serve(router(), ids, until(stopped)));
        let mut held = TcpStream::connect(first_address).await.unwrap();
        held.write_all(HEALTH).await.unwrap();
        let mut answer = vec![0; 4096];
        assert!(held.read(&mut answer).await.unwrap() > 0);
        let mut other = TcpStream::connect(second_address.recv().unwrap()).await.unwrap();
        assert!(other.read(&mut answer).await.map_or(true, |read| read == 0), "one in all");
        stop.send(true).unwrap();
        drop(held);
        serving.await.unwrap()
    });
    assert_eq!((summaries.accepted, second_core.join().unwrap().refused), (1, 1));
}
