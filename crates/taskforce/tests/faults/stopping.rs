//! SIGTERM under load.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::installation::{Engine, Installation, Server, turn};
use crate::ledger::{Ledger, verify};
use crate::load::{Asked, Load, Mix, Note};
use crate::trouble::is_ready;
use crate::upstream::{Conduct, Upstream};
use crate::world::{CHAT, World, text};

/// Within which time a server has stopped.
const STOPPED: Duration = Duration::from_secs(30);
const STOPS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_says_so_finishes_what_it_has_begun_and_ends_well() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let mut server = installation.serve_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let world = World::create(server.address, &installation.platform).await;
    let mut ledger = Ledger::new();
    for _ in 0..STOPS {
        let address = server.address;
        let mix = Mix { conduct: Conduct::Slow, ..Mix::of(&[&world.agent]) };
        let load = Load::start(address, &world, 12, &mix);
        in_flight(&upstream, 6).await;
        server.signal("TERM");
        let told = Instant::now();
        is_ready(address, 503, Duration::from_secs(1)).await;
        let notes = load.ended().await;
        let status = server.ended(STOPPED).await;
        println!("stopped after {:?}", told.elapsed());
        assert_eq!(status.code(), Some(0), "it ended with {status}");

        server = installation.serve_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        assert_eq!(server.recovered, 0, "calls were left open");
        let mut adam = Client::new(server.address, &world.adam);
        ledger.catch_up(&mut adam).await;
        compare(&notes, &ledger);
    }
    verify(&installation, &mut Client::new(server.address, &world.adam)).await;
}

/// Waits until so many calls more have reached the model server.
async fn in_flight(upstream: &Upstream, calls: u64) {
    let before = upstream.asked();
    while upstream.asked() < before + calls {
        tokio::task::yield_now().await;
    }
}

/// What was begun was answered, and what was answered is recorded.
fn compare(notes: &[Note], ledger: &Ledger) {
    for Note { asked, heard } in notes {
        match (asked, heard.status) {
            // The connection was closed between two requests, or not accepted any more.
            (_, None) => assert!(heard.body.is_empty()),
            (Asked::Agent(_), Some(201)) => {
                let entry = &ledger.entries[usize::try_from(heard.entry().unwrap()).unwrap()];
                assert_eq!(entry.resource, text(&heard.json(), "/id"));
            }
            (Asked::Call, Some(200)) => {
                assert!(heard.is_whole_answer(), "what was in flight was cut: {heard}");
                assert_eq!(ledger.end_of(&heard.call().unwrap()).as_deref(), Some("completed"));
            }
            (_, Some(503)) => {}
            _ => panic!("{asked:?} was answered with {heard}"),
        }
    }
    // Nobody was left without an answer in the middle of a model call.
    let cut: Vec<_> = ledger.calls().into_iter().filter(|(_, call)| call.ends != ["completed"]).collect();
    assert!(cut.is_empty(), "{cut:?}");
}

/// A server with an endless stream open, and the stream's client.
async fn busy(
    installation: &Installation,
    world: &mut Option<World>,
) -> (Server, tokio::task::JoinHandle<crate::client::Heard>) {
    let server = installation.serve();
    if world.is_none() {
        *world = Some(World::create(server.address, &installation.platform).await);
    }
    let (world, address) = (world.clone().unwrap(), server.address);
    let (begun, wait) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let stream = tokio::spawn(async move {
        let body = world.call(Conduct::Endless, true);
        let noted = |_: &[u8]| {
            if let Some(begun) = begun.lock().unwrap().take() {
                begun.send(()).unwrap();
            }
            false
        };
        Client::new(address, &world.olivia).post_until(CHAT, &body, noted).await
    });
    wait.await.unwrap();
    (server, stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_end_is_cut_in_time_and_has_its_end() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    installation.adjust("drain_seconds: 25", "drain_seconds: 2");
    let mut world = None;
    let (server, stream) = busy(&installation, &mut world).await;
    server.signal("TERM");
    let status = server.ended(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "it ended with {status}");
    let heard = stream.await.unwrap();
    assert!(heard.complete && !heard.is_whole_answer(), "{heard}");
    let last = heard.text();
    let last = last.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.contains("\"error\"") && last.contains("stopped"), "the stream says why it ends: {last}");
    let server = installation.serve();
    assert_eq!(server.recovered, 0, "the call was left open");
    let mut ledger = Ledger::new();
    ledger.catch_up(&mut Client::new(server.address, &world.unwrap().adam)).await;
    let ends: Vec<_> = ledger.calls().into_values().flat_map(|call| call.ends).collect();
    assert_eq!(ends, ["failed"], "its client did not leave");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_it_at_once_and_loses_nothing() {
    let _turn = turn();
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let mut world = None;
    let (server, stream) = busy(&installation, &mut world).await;
    server.signal("TERM");
    // The first signal is heeded when the server says so, or accepts nothing more.
    while Client::anonymous(server.address).get("/readyz").await.status == Some(200) {}
    let again = Instant::now();
    server.signal("TERM");
    let status = server.ended(Duration::from_secs(3)).await;
    println!("ended {:?} after the second signal: {status}", again.elapsed());
    assert_eq!(status.code(), Some(143), "an end that was forced is not a good one: {status}");
    drop(stream.await.unwrap());
    let server = installation.serve();
    let mut ledger = Ledger::new();
    let mut adam = Client::new(server.address, &world.unwrap().adam);
    ledger.catch_up(&mut adam).await;
    assert!(ledger.calls().values().all(|call| call.ends.len() == 1), "{:?}", ledger.calls());
    verify(&installation, &mut adam).await;
}
