//! A client of HTTP/2 that writes frames without asking whether it may.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::ReadHalf;

use super::{Answer, Client, Target};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = length.get(1..).unwrap_or_default().to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A GET in HPACK, with nothing put into the table (RFC 7541 section 6.2.2).
fn get(path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap_or(126) & 0x7f;
        [&[index, length], text.as_bytes()].concat()
    };
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, "localhost")].concat()
}

/// Whether a header block begins with `:status: 200`, after changes of the table's size (RFC 7541 section 6.3).
fn is_200(mut block: &[u8]) -> bool {
    while let [first, rest @ ..] = block
        && first & 0xe0 == 0x20
    {
        let more =
            if first & 0x1f == 0x1f { rest.iter().position(|byte| byte & 0x80 == 0).map_or(0, |at| at + 1) } else { 0 };
        block = rest.get(more..).unwrap_or_default();
    }
    block.first() == Some(&0x88)
}

/// Reads frames until a response's headers on `stream`, the end of the connection, or a farewell.
async fn read_frames(mut reader: ReadHalf<'_>, stream: u32) -> Answer {
    let mut header = [0; 9];
    loop {
        if reader.read_exact(&mut header).await.is_err() {
            return Answer::Closed;
        }
        let [high, middle, low, kind, _, s0, s1, s2, s3] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let mut payload = vec![0; length];
        if reader.read_exact(&mut payload).await.is_err() {
            return Answer::Closed;
        }
        match kind {
            GOAWAY => return Answer::GoAway,
            HEADERS if u32::from_be_bytes([s0, s1, s2, s3]) == stream && is_200(&payload) => {
                return Answer::Status(200);
            }
            _ => {}
        }
    }
}

impl Target {
    /// Sends frames while reading what comes back.
    async fn frames(&self, frames: Vec<u8>, stream: u32) -> Result<Answer, String> {
        let mut client = Client::connect(self.address).await?;
        let (reader, mut writer) = client.stream.split();
        let send = async {
            let _ = writer.write_all(&opening()).await;
            let _ = writer.write_all(&frames).await;
            std::future::pending::<Answer>().await
        };
        tokio::select! {
            answer = send => Ok(answer),
            answer = read_frames(reader, stream) => Ok(answer),
            () = tokio::time::sleep(Duration::from_secs(10)) => Ok(Answer::Hung),
        }
    }

    pub(super) async fn rapid_reset(&self, p99_ms: u64) -> Result<Answer, String> {
        let block = get(&self.health);
        let cancel = 8_u32.to_be_bytes();
        let frames = (0..10_000).flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), frame(RST_STREAM, 0, stream, &cancel)].concat()
        });
        let (answer, slowest) = tokio::join!(self.frames(frames.collect(), 0), self.slowest_of(100));
        let slowest = slowest?;
        if slowest > Duration::from_millis(p99_ms) {
            return Err(format!("another client waited {slowest:?}"));
        }
        answer
    }

    /// The slowest but one of so many requests for health: their 99th percentile.
    async fn slowest_of(&self, requests: usize) -> Result<Duration, String> {
        let mut times = Vec::with_capacity(requests);
        for _ in 0..requests {
            let start = Instant::now();
            self.is_well().await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        times.pop();
        times.pop().ok_or_else(|| "too few requests".to_owned())
    }

    pub(super) async fn continuation_flood(&self) -> Result<Answer, String> {
        let mut frames = frame(HEADERS, END_STREAM, 1, &get(&self.health));
        let field = [&[0x00, 1, b'x', 120], [b'a'; 120].as_slice()].concat();
        for _ in 0..10_000 {
            frames.extend(frame(CONTINUATION, 0, 1, &field));
        }
        self.frames(frames, 0).await
    }

    pub(super) async fn control_flood(&self) -> Result<Answer, String> {
        let settings = self.frames(frame(SETTINGS, 0, 0, &[]).repeat(10_000), 0).await?;
        let pings = self.frames(frame(PING, 0, 0, &[7; 8]).repeat(10_000), 0).await?;
        if settings == Answer::Hung { Ok(settings) } else { Ok(pings) }
    }

    pub(super) async fn table_resize(&self) -> Result<Answer, String> {
        let resize = |size: u32| frame(SETTINGS, 0, 0, &[&[0, 1], size.to_be_bytes().as_slice()].concat());
        let mut frames: Vec<u8> = (0..1_000).flat_map(|number| resize(4096 * (number % 2))).collect();
        frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &get(&self.health)));
        self.frames(frames, 1).await
    }
}
