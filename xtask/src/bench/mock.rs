//! The upstream of the measurements: answers at once, in one piece or as a stream, and does nothing else.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{find, io};

/// How many events a stream has, the one with usage and `[DONE]` included.
const EVENTS: usize = 22;

struct Canned {
    whole: Vec<u8>,
    head: &'static [u8],
    events: Vec<Vec<u8>>,
}

/// Serves on `port` until it is killed.
pub(super) fn run(port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(io)?;
        let canned = Arc::new(canned());
        loop {
            let (stream, _) = listener.accept().await.map_err(io)?;
            let canned = Arc::clone(&canned);
            tokio::spawn(async move { drop(serve(stream, &canned).await) });
        }
    })
}

async fn serve(mut stream: TcpStream, canned: &Canned) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::with_capacity(16 * 1024);
    loop {
        let Some(length) = request(&mut stream, &mut held).await? else {
            return Ok(());
        };
        if find(held.get(..length).unwrap_or_default(), b"\"stream\":true").is_some() {
            stream.write_all(canned.head).await?;
            for event in &canned.events {
                stream.write_all(event).await?;
            }
        } else {
            stream.write_all(&canned.whole).await?;
        }
        held.drain(..length);
    }
}

/// Reads until `held` begins with a whole request, and says how long that is; `None` when the client has gone.
async fn request(stream: &mut TcpStream, held: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(length) = complete(held) {
            return Ok(Some(length));
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}

fn complete(held: &[u8]) -> Option<usize> {
    let body = find(held, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(held.get(..body)?).to_ascii_lowercase();
    let length = match head.split_once("content-length:") {
        Some((_, rest)) => body + rest.split("\r\n").next()?.trim().parse::<usize>().ok()?,
        None if head.contains("transfer-encoding: chunked") => body + find(held.get(body..)?, b"0\r\n\r\n")? + 5,
        None => body,
    };
    (held.len() >= length).then_some(length)
}

fn canned() -> Canned {
    const USAGE: &str =
        r#"{"prompt_tokens":57,"completion_tokens":21,"total_tokens":78,"prompt_tokens_details":{"cached_tokens":0}}"#;
    let body = format!(
        r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":1770000000,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"The quick brown fox jumps over the lazy dog, and then it writes an evidence record about it."}},"finish_reason":"stop"}}],"usage":{USAGE}}}"#
    );
    let whole =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let event = |choices: &str, usage: &str| {
        chunk(&format!(
            "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1770000000,\"model\":\"gpt-4o-mini\",\"choices\":[{choices}]{usage}}}\n\n"
        ))
    };
    let mut events: Vec<Vec<u8>> = (0..EVENTS - 2)
        .map(|at| event(&format!(r#"{{"index":0,"delta":{{"content":"tok{at} "}},"finish_reason":null}}"#), ""))
        .collect();
    events.push(event("", &format!(",\"usage\":{USAGE}")));
    events.push([chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat());
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    Canned { whole: whole.into_bytes(), head, events }
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}
