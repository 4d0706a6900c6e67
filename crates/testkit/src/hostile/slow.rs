//! Clients that take their time, take too much, or come in crowds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::words;
use super::{Answer, Client, Target};

impl Target {
    pub(super) async fn encoded(&self, coding: &str, body: &[u8]) -> Result<Answer, String> {
        let path = self.posts.first().ok_or("no path to post to")?;
        let fields = format!(
            "content-type: application/json\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n",
            body.len()
        );
        self.exchange(&[self.head(path, &fields).as_bytes(), body].concat()).await
    }

    pub(super) async fn bomb(&self, growth_mb: u64) -> Result<Answer, String> {
        let before = self.resident_mb()?;
        let answer = self.encoded("gzip", &gzip_bomb(1_000_000)).await?;
        let growth = self.resident_mb()?.saturating_sub(before);
        if growth > growth_mb { Err(format!("grew by {growth} MB")) } else { Ok(answer) }
    }

    pub(super) async fn slow_headers(&self, close: Duration) -> Result<(), String> {
        let mut client = Client::connect(self.address).await?;
        let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\nx: ", self.health);
        self.trickle(&mut client, head.as_bytes(), b'a', close).await
    }

    pub(super) async fn slow_body(&self, close: Duration) -> Result<(), String> {
        let path = self.posts.first().ok_or("no path to post to")?;
        let mut client = Client::connect(self.address).await?;
        let head = self.head(path, "content-type: application/json\r\ncontent-length: 100000\r\n");
        client.send(head.as_bytes()).await;
        self.trickle(&mut client, b"", b' ', close).await
    }

    pub(super) async fn silent(&self, close: Duration) -> Result<(), String> {
        let mut client = Client::connect(self.address).await?;
        within(client.closed_within(close).await, close)
    }

    pub(super) async fn idle(&self, close: Duration) -> Result<(), String> {
        let mut client = Client::connect(self.address).await?;
        let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", self.health);
        let first = client.exchange(request.as_bytes()).await?;
        if first != Answer::Status(200) {
            return Err(format!("the first request got {first:?}"));
        }
        within(client.closed_within(close).await, close)
    }

    /// Sends a byte each beat until the server has had enough.
    async fn trickle(&self, client: &mut Client, start: &[u8], more: u8, close: Duration) -> Result<(), String> {
        let (mut reader, mut writer) = client.stream.split();
        let send = async {
            for byte in start.iter().copied().chain(std::iter::repeat(more)) {
                tokio::time::sleep(self.beat).await;
                // Whether the server still listens shows in its closing the other direction.
                let _ = writer.write_all(&[byte]).await;
            }
        };
        let receive = async {
            let mut sink = [0; 4096];
            while reader.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        };
        tokio::select! {
            () = send => Err("sent everything".to_owned()),
            () = receive => Ok(()),
            () = tokio::time::sleep(close) => within(false, close),
        }
    }

    pub(super) async fn pipelined(&self) -> Result<Answer, String> {
        const REQUESTS: usize = 10_000;
        let mut client = Client::connect(self.address).await?;
        let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", self.health);
        let requests = request.as_bytes().repeat(REQUESTS);
        let (mut reader, mut writer) = client.stream.split();
        let send = async {
            let _ = writer.write_all(&requests).await;
            std::future::pending::<Result<Answer, String>>().await
        };
        let receive = async {
            let (mut answers, mut read, mut start) = (0, Vec::new(), 0);
            loop {
                if reader.read_buf(&mut read).await.map_err(words)? == 0 {
                    return Ok(Answer::Closed);
                }
                let new = read.get(start..).unwrap_or_default();
                answers += new.windows(12).filter(|part| *part == b"HTTP/1.1 200").count();
                start = read.len().saturating_sub(11).max(start);
                if answers >= REQUESTS {
                    return Ok(Answer::Status(200));
                }
            }
        };
        tokio::select! {
            answer = send => answer,
            answer = receive => answer,
            () = tokio::time::sleep(Duration::from_secs(30)) => Ok(Answer::Hung),
        }
    }

    /// Opens connections from several addresses of this machine, each with a part of a header, and asks for health
    /// from another.
    pub(super) async fn half_open(&self, within: Duration) -> Result<(), String> {
        let mut open = Vec::new();
        for number in 0_u16..2_000 {
            let [_, host] = (2 + number / 250).to_be_bytes();
            let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0);
            let mut client = Client::connect_from(source, self.address).await?;
            client.send(b"GET / HTTP/1.1\r\nhost:").await;
            open.push(client);
        }
        let start = Instant::now();
        self.is_well().await?;
        let took = start.elapsed();
        let held = open.len();
        if took > within { Err(format!("with {held} half-open, health took {took:?}")) } else { Ok(()) }
    }

    fn resident_mb(&self) -> Result<u64, String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).map_err(words)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(words)?;
        Ok(kilobytes / 1024)
    }
}

fn within(closed: bool, time: Duration) -> Result<(), String> {
    if closed { Ok(()) } else { Err(format!("still open after {time:?}")) }
}

/// So many bytes of gzip, each of which becomes some 160: one literal, then copies of 258 bytes (RFC 1951, fixed
/// Huffman codes: 11000101 for the length, 00000 for the distance 1).
fn gzip_bomb(size: usize) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let start = [1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1];
    let copy = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let mut bits = start.into_iter().chain(copy.into_iter().cycle());
    while bytes.len() < size {
        bytes.push((0..8).zip(&mut bits).fold(0, |byte, (place, bit)| byte | (bit << place)));
    }
    bytes
}
