//! The client of the measurements: closed loops over kept-alive connections, in blocks that alternate between targets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{find, io};

/// Where requests go.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) pid: u32,
    /// The bytes of one request.
    pub(super) request: Vec<u8>,
}

/// What one block of requests showed.
#[derive(Default, Clone)]
pub(super) struct Block {
    /// Until the whole answer was there, in microseconds, sorted.
    pub(super) whole: Vec<f64>,
    /// Until the first byte of its body was there.
    pub(super) first: Vec<f64>,
    pub(super) failed: u64,
    pub(super) seconds: f64,
    /// Processor time of the target in microseconds.
    pub(super) processor: f64,
}

impl Block {
    pub(super) fn rate(&self) -> f64 {
        count(self.whole.len()) / self.seconds
    }

    pub(super) fn processor_each(&self) -> f64 {
        self.processor / count(self.whole.len()).max(1.0)
    }
}

/// A count as a number to divide by.
pub(super) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// The value below which the given share of sorted `values` lies.
pub(super) fn quantile(values: &[f64], percent: usize) -> f64 {
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// The middle value.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 50)
}

/// One request to a chat completion of about a kilobyte.
pub(super) fn request(port: u16, key: &str, model: &str, stream: bool) -> Vec<u8> {
    let text = "Summarize the change request and list the risks. ".repeat(16);
    let stream = if stream { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
    let body = format!(
        r#"{{"model":"{model}","messages":[{{"role":"system","content":"Answer briefly and cite sources."}},{{"role":"user","content":"{text}"}}],"temperature":0.2{stream}}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Runs blocks against every target in turn, the order reversed each round; the first round warms up and does not count.
pub(super) fn rounds(targets: &[Target], connections: usize, each: Duration) -> Result<Vec<Vec<Block>>, String> {
    const ROUNDS: usize = 5;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let mut blocks: Vec<Vec<Block>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        let mut order: Vec<(&Target, &mut Vec<Block>)> = targets.iter().zip(&mut blocks).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (target, blocks) in order {
            let block = runtime.block_on(block(target, connections, each))?;
            if round > 0 {
                blocks.push(block);
            }
        }
    }
    Ok(blocks)
}

async fn block(target: &Target, connections: usize, each: Duration) -> Result<Block, String> {
    let (before, started) = (super::processor(target.pid), Instant::now());
    let request = Arc::new(target.request.clone());
    let loops: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(closed_loop(target.port, Arc::clone(&request), started + each)))
        .collect();
    let mut block = Block::default();
    for one in loops {
        let part = one.await.map_err(|error| error.to_string())??;
        block.whole.extend(part.whole);
        block.first.extend(part.first);
        block.failed += part.failed;
    }
    block.seconds = started.elapsed().as_secs_f64();
    block.processor = super::processor(target.pid) - before;
    block.whole.sort_by(f64::total_cmp);
    block.first.sort_by(f64::total_cmp);
    if block.whole.is_empty() {
        return Err(format!("{}: no request succeeded", target.name));
    }
    Ok(block)
}

async fn closed_loop(port: u16, request: Arc<Vec<u8>>, until: Instant) -> Result<Block, String> {
    let mut block = Block::default();
    let mut held = Vec::with_capacity(64 * 1024);
    let mut stream: Option<TcpStream> = None;
    while Instant::now() < until {
        let mut connection = match stream.take() {
            Some(open) => open,
            None => TcpStream::connect(("127.0.0.1", port)).await.map_err(io)?,
        };
        connection.set_nodelay(true).map_err(io)?;
        let started = Instant::now();
        match exchange(&mut connection, &request, &mut held, started).await {
            Ok(first) => {
                block.first.push(first);
                block.whole.push(micros(started));
                stream = Some(connection);
            }
            Err(_) => block.failed += 1,
        }
    }
    Ok(block)
}

/// Sends one request and reads its answer; says when the first byte of the body was there.
async fn exchange(stream: &mut TcpStream, request: &[u8], held: &mut Vec<u8>, started: Instant) -> Result<f64, String> {
    held.clear();
    stream.write_all(request).await.map_err(io)?;
    let mut first = None;
    loop {
        if stream.read_buf(held).await.map_err(io)? == 0 {
            return Err("the connection was closed".to_owned());
        }
        let Some(body) = find(held, b"\r\n\r\n").map(|end| end + 4) else {
            continue;
        };
        if held.len() > body {
            first.get_or_insert_with(|| micros(started));
        }
        if ended(held, body) {
            let fine = held.starts_with(b"HTTP/1.1 200");
            return if fine { Ok(first.unwrap_or_else(|| micros(started))) } else { Err("not answered".to_owned()) };
        }
    }
}

fn ended(held: &[u8], body: usize) -> bool {
    let head = String::from_utf8_lossy(held.get(..body).unwrap_or_default()).to_ascii_lowercase();
    let length: Option<usize> =
        head.split_once("content-length:").and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse().ok());
    match length {
        Some(length) => held.len() >= body + length,
        None => held.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}
