//! A model server that behaves as the last message tells it to, well or badly.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What each answer says that it used.
pub(crate) const USED: (u64, u64) = (20, 10);

/// How the server behaves, named by a word of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    Well,
    /// Takes its time.
    Slow,
    /// A stream that goes on and on.
    Endless,
    /// The connection breaks in the middle of the answer.
    Dies,
    /// The connection breaks before the answer.
    HangsUp,
    Never,
    /// What it sends is not HTTP.
    Garbage,
    /// What it sends is HTTP, and a body that no client of the protocol can read.
    Nonsense,
    /// It fails by its own account.
    Fails,
}

impl Conduct {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Well => "#well",
            Self::Slow => "#slow",
            Self::Endless => "#endless",
            Self::Dies => "#dies",
            Self::HangsUp => "#hangs-up",
            Self::Never => "#never",
            Self::Garbage => "#garbage",
            Self::Nonsense => "#nonsense",
            Self::Fails => "#fails",
        }
    }

    fn of(request: &Value) -> Self {
        let said = request.pointer("/messages").map(Value::to_string).unwrap_or_default();
        let bad = [
            Self::Slow,
            Self::Endless,
            Self::Dies,
            Self::HangsUp,
            Self::Never,
            Self::Garbage,
            Self::Nonsense,
            Self::Fails,
        ];
        bad.into_iter().find(|conduct| said.contains(conduct.word())).unwrap_or(Self::Well)
    }

    /// The pause before a plain answer, and before each event.
    fn pauses(self) -> (Duration, Duration) {
        let (answer, event) = if self == Self::Slow { (700, 120) } else { (2, 2) };
        (Duration::from_millis(answer), Duration::from_millis(event))
    }
}

/// A model server that runs as long as its runtime.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&upstream.asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let asked = Arc::clone(&asked);
                // A connection that breaks is of no interest here: the server under test broke it, or was killed.
                tokio::spawn(async move { drop(converse(stream, &asked).await) });
            }
        });
        upstream
    }

    /// How many calls reached it.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn converse(mut stream: TcpStream, asked: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut read).await? {
        asked.fetch_add(1, Ordering::SeqCst);
        if !answer(&mut stream, &request).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The body of the next request.
async fn next_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Value>> {
    loop {
        if let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + 4 + length.map_or(0, |length| length.trim().parse().unwrap());
            if read.len() >= whole {
                let request: Vec<u8> = read.drain(..whole).collect();
                return Ok(Some(serde_json::from_slice(&request[end + 4..]).unwrap()));
            }
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

/// Answers, and says whether the connection is still good.
async fn answer(stream: &mut TcpStream, request: &Value) -> io::Result<bool> {
    let conduct = Conduct::of(request);
    let streamed = request["stream"] == true;
    match conduct {
        Conduct::HangsUp => return Ok(false),
        Conduct::Garbage => {
            stream.write_all(b"\0\0\x13BitTorrent protocol\r\n\r\n").await?;
            return Ok(false);
        }
        Conduct::Never => {
            // Until the server under test gives up.
            let mut sink = [0; 64];
            while stream.read(&mut sink).await? > 0 {}
            return Ok(false);
        }
        Conduct::Nonsense => whole(stream, "200 OK", "<html>Sign in to the hotel's network").await?,
        Conduct::Fails => {
            whole(stream, "500 Internal Server Error", r#"{"error": {"message": "out of GPUs"}}"#).await?;
        }
        Conduct::Well | Conduct::Slow | Conduct::Endless | Conduct::Dies if streamed => {
            return events(stream, conduct).await;
        }
        Conduct::Dies => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n")
                .await?;
            stream.write_all(br#"{"id": "1", "choices": [{"index": 0, "mess"#).await?;
            return Ok(false);
        }
        Conduct::Well | Conduct::Slow | Conduct::Endless => {
            tokio::time::sleep(conduct.pauses().0).await;
            let message = json!({"role": "assistant", "content": "It is."});
            let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
            let answer = json!({"id": "1", "object": "chat.completion", "choices": choices, "usage": usage()});
            whole(stream, "200 OK", &answer.to_string()).await?;
        }
    }
    Ok(true)
}

fn usage() -> Value {
    let (input, output) = USED;
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

async fn whole(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn events(stream: &mut TcpStream, conduct: Conduct) -> io::Result<bool> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    let mut said = 0;
    while conduct == Conduct::Endless || said < 5 {
        if conduct == Conduct::Dies && said == 2 {
            return Ok(false);
        }
        said += 1;
        let delta = json!([{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]);
        event(stream, &json!({"id": "1", "object": "chat.completion.chunk", "choices": delta}).to_string()).await?;
        tokio::time::sleep(conduct.pauses().1).await;
    }
    let last = json!({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage()});
    event(stream, &last.to_string()).await?;
    event(stream, "[DONE]").await?;
    stream.write_all(b"0\r\n\r\n").await?;
    Ok(true)
}

async fn event(stream: &mut TcpStream, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await
}
