//! Servers that misbehave on loopback, and what the client makes of them.

#![expect(clippy::unwrap_used, reason = "tests stop at what they do not expect")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use outbound::{Client, FetchError, Limits, Reach, SendError, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that answers every connection's first request with `head`, then with `body` again and again.
struct Server {
    address: String,
    connections: tokio::sync::mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(head: &str, body: &'static [u8], repeat: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let head = head.replace("SELF", &address);
        let (seen, connections) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (head, seen) = (head.clone(), seen.clone());
                served.spawn(async move {
                    // A client that cuts the answer off is what some tests are about.
                    let _ = answer(stream, &head, body, repeat, seen).await;
                });
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    async fn fetch(&self, limits: Limits) -> Result<http::Response<Bytes>, FetchError> {
        let client = Client::new(Trust::Nobody).unwrap();
        let request = Request::get(&self.address).header("authorization", "Bearer canary").body(Full::default());
        client.fetch(request.unwrap(), limits, Reach::Private).await
    }

    /// The requests so far.
    fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.connections.try_recv().ok()).collect()
    }
}

async fn answer(
    mut stream: TcpStream,
    head: &str,
    body: &[u8],
    repeat: Option<usize>,
    seen: tokio::sync::mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    seen.send(String::from_utf8_lossy(&request).into_owned()).unwrap();
    stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await?;
    match repeat {
        Some(times) => {
            for _ in 0..times {
                stream.write_all(body).await?;
            }
            Ok(())
        }
        // Nothing more, and no end.
        None => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_whole_answer_within_its_limits_arrives() {
    let mut server = Server::start("200 OK\r\ncontent-length: 8", b"answered", Some(1)).await;
    let response = server.fetch(Limits { body_bytes: 8, ..Limits::default() }).await.unwrap();
    assert_eq!((response.status(), response.body().as_ref()), (StatusCode::OK, &b"answered"[..]));
    assert!(server.requests()[0].contains("accept-encoding: identity"));
}

#[tokio::test]
async fn a_redirect_is_handed_back_and_not_followed() {
    for (status, location) in
        [(302, "http://169.254.169.254/"), (307, "SELF"), (301, "http://example.org/"), (308, "https://example.org/")]
    {
        let head = format!("{status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0");
        let mut server = Server::start(&head, b"", Some(1)).await;
        let response = server.fetch(Limits::default()).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(server.requests().len(), 1, "{location}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_at_the_deadline() {
    let server = Server::start("200 OK\r\ncontent-length: 8", b"", None).await;
    let deadline = Duration::from_millis(50);
    let cut = server.fetch(Limits { deadline, ..Limits::default() }).await;
    assert!(matches!(cut, Err(FetchError::Timeout(after)) if after == deadline), "{cut:?}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut() {
    // One says how much it has, the other only sends.
    for head in ["200 OK\r\ncontent-length: 10000000000", "200 OK\r\nconnection: close"] {
        let server = Server::start(head, &[b'x'; 16_000], Some(625_000)).await;
        let cut = server.fetch(Limits { body_bytes: 1_000_000, ..Limits::default() }).await;
        assert!(matches!(cut, Err(FetchError::TooLarge(1_000_000))), "{cut:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    let server = Server::start("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4", b"\x1f\x8b..", Some(1)).await;
    let refused = server.fetch(Limits::default()).await;
    assert!(matches!(refused, Err(FetchError::Compressed)), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let server = Server::start("200 OK\r\ncontent-length: 8", b"half", Some(1)).await;
    let broken = server.fetch(Limits::default()).await;
    assert!(matches!(broken, Err(FetchError::Broken(_))), "{broken:?}");
}

#[tokio::test]
async fn what_was_sent_and_what_was_not_are_told_apart() {
    let client = Client::new(Trust::Nobody).unwrap();
    let to = |uri: &str| {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri.parse::<Uri>().unwrap();
        request
    };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = client.send(to(&format!("http://{free}/")), Reach::Private).await;
    assert!(matches!(nobody, Err(SendError::Unreachable(_))), "{nobody:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hangup = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    };
    let (broken, ()) = tokio::join!(client.send(to(&format!("http://{address}/")), Reach::Private), hangup);
    assert!(matches!(broken, Err(SendError::Broken(_))), "{broken:?}");

    let refused = client.send(to(&format!("http://{address}/")), Reach::Public).await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
}

const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"];

/// Runs itself once more, with a proxy in the environment that nobody listens at.
#[tokio::test]
async fn a_proxy_that_the_environment_names_is_not_used() {
    if std::env::var_os(PROXIES[0]).is_some_and(|proxy| proxy == "http://127.0.0.1:1") {
        let server = Server::start("200 OK\r\ncontent-length: 2", b"ok", Some(1)).await;
        assert_eq!(server.fetch(Limits::default()).await.unwrap().body().as_ref(), b"ok");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let again = std::process::Command::new(own)
        .args(["--exact", "a_proxy_that_the_environment_names_is_not_used"])
        .envs(PROXIES.map(|name| (name, "http://127.0.0.1:1")))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}
