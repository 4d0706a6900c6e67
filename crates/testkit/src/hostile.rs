//! Hostile HTTP: the vectors of malformed requests and bodies, and clients that are slow, bombing or flooding, against
//! a server that listens. Nothing here knows whose server it is.

mod client;
mod h2;
mod slow;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

pub use client::{Answer, Client};

/// A server to attack.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// A path that answers 200 to anybody.
    pub health: String,
    /// Paths of the vectors and what stands for them here, the longest first.
    pub paths: Vec<(String, String)>,
    /// Paths that take JSON by `POST`.
    pub posts: Vec<String>,
    /// The value of `authorization` that may post.
    pub authorization: String,
    /// The time between the bytes of a slow client.
    pub beat: Duration,
    /// The server's process.
    pub pid: u32,
}

/// The vectors.
#[derive(Debug, Deserialize)]
pub struct Cases {
    /// Whole requests.
    pub raw: Vec<Case>,
    /// Bodies.
    pub bodies: Vec<Case>,
    /// Behaviors.
    #[serde(rename = "dynamic")]
    pub behaviors: Vec<Behavior>,
}

/// One request or body.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// The content type of a body.
    #[serde(default)]
    pub content_type: String,
    parts: Vec<(String, usize)>,
    allowed: Vec<Value>,
}

/// One behavior, described in words.
#[derive(Debug, Deserialize)]
pub struct Behavior {
    /// What the client does.
    pub name: String,
    #[serde(default)]
    allowed: Vec<Value>,
    #[serde(default)]
    closed_within_s: u64,
    #[serde(default)]
    rss_growth_max_mb: u64,
    #[serde(default)]
    other_client_p99_ms_max: u64,
    #[serde(default)]
    health_must_answer_within_ms: u64,
}

/// What a server did that it must not do: empty is good.
#[derive(Debug, Default)]
pub struct Report {
    /// How many cases were run.
    pub run: usize,
    /// The cases that failed, with what happened.
    pub failures: Vec<String>,
}

impl Report {
    fn note(&mut self, name: &str, outcome: Result<(), String>) {
        self.run += 1;
        if let Err(failure) = outcome {
            self.failures.push(format!("{name}: {failure}"));
        }
    }
}

impl Cases {
    /// Reads `cases.json`.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

impl Case {
    /// The bytes of the request or body.
    pub fn bytes(&self) -> Vec<u8> {
        let decode = |text: &String| base64::prelude::BASE64_STANDARD.decode(text).unwrap_or_default();
        self.parts.iter().flat_map(|(text, times)| decode(text).repeat(*times)).collect()
    }
}

impl Answer {
    fn among(self, allowed: &[Value]) -> Result<(), String> {
        let fits = |allowed: &Value| match self {
            Self::Status(status) => allowed.as_u64() == Some(u64::from(status)),
            Self::Closed => allowed == "close",
            Self::GoAway => allowed == "GOAWAY",
            Self::Hung => false,
        };
        // Who sends hundreds of bad requests may be told to wait.
        let fine = matches!(self, Self::Status(200)) && allowed.iter().any(|allowed| allowed == "ok")
            || matches!(self, Self::Status(429));
        if fine || allowed.iter().any(fits) {
            return Ok(());
        }
        Err(format!("{self:?} is not among {}", Value::from(allowed)))
    }
}

impl Target {
    /// Sends every malformed request.
    pub async fn raw(&self, cases: &[Case]) -> Report {
        let mut report = Report::default();
        for case in cases {
            let request = self.mapped(case.bytes());
            let outcome = self.exchange(&request).await.and_then(|answer| answer.among(&case.allowed));
            report.note(&case.name, outcome.and(self.is_well().await));
        }
        report
    }

    /// Posts every body to every path, with credentials.
    pub async fn bodies(&self, cases: &[Case]) -> Report {
        let mut report = Report::default();
        for path in &self.posts {
            for case in cases {
                let outcome = self.post(path, &case.content_type, &case.bytes()).await;
                let outcome = outcome.and_then(|answer| answer.among(&case.allowed));
                report.note(&format!("{} to {path}", case.name), outcome.and(self.is_well().await));
            }
        }
        report
    }

    /// Behaves badly in one of the ways described.
    pub async fn behave(&self, behavior: &Behavior) -> Result<(), String> {
        let Behavior { name, allowed, closed_within_s, .. } = behavior;
        let close = Duration::from_secs(*closed_within_s);
        let answer = match name.as_str() {
            "gzip bomb 1 MB -> 1 GB with Content-Encoding: gzip" => self.bomb(behavior.rss_growth_max_mb).await?,
            "Content-Encoding: gzip, gzip, gzip" => self.encoded("gzip, gzip, gzip", &[0; 10]).await?,
            "Content-Encoding: unknown" => self.encoded("unknown", b"{}").await?,
            "slow headers 1 byte/s" => return self.slow_headers(close).await,
            "silent connection" => return self.silent(close).await,
            "slow body 1 byte/s" => return self.slow_body(close).await,
            "idle keep-alive" => return self.idle(close).await,
            "h2 rapid reset 10,000 streams" => self.rapid_reset(behavior.other_client_p99_ms_max).await?,
            "h2 CONTINUATION flood" => self.continuation_flood().await?,
            "h2 SETTINGS/PING flood" => self.control_flood().await?,
            "h2 1,000 header table resize" => self.table_resize().await?,
            "pipelined 10,000 requests" => self.pipelined().await?,
            "2,000 half-open connections" => {
                return self.half_open(Duration::from_millis(behavior.health_must_answer_within_ms)).await;
            }
            other => return Err(format!("`{other}` is not known here")),
        };
        answer.among(allowed)?;
        self.is_well().await
    }

    /// The server answers others as if nothing had happened.
    pub async fn is_well(&self) -> Result<(), String> {
        let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", self.health);
        let answer = self.exchange(request.as_bytes()).await?;
        if answer == Answer::Status(200) { Ok(()) } else { Err(format!("afterwards, health is {answer:?}")) }
    }

    async fn exchange(&self, request: &[u8]) -> Result<Answer, String> {
        let mut client = Client::connect(self.address).await?;
        client.exchange(request).await
    }

    async fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer, String> {
        let content_type =
            if content_type.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") };
        let head = self.head(path, &format!("{content_type}content-length: {}\r\n", body.len()));
        self.exchange(&[head.as_bytes(), body].concat()).await
    }

    fn head(&self, path: &str, fields: &str) -> String {
        let authorization = &self.authorization;
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n{fields}\r\n")
    }

    /// Puts the server's own paths where the vectors have examples.
    fn mapped(&self, request: Vec<u8>) -> Vec<u8> {
        let find = |(example, own): &(String, String)| {
            let at = request.windows(example.len()).position(|part| part == example.as_bytes())?;
            let (before, after) = (request.get(..at)?, request.get(at + example.len()..)?);
            Some([before, own.as_bytes(), after].concat())
        };
        self.paths.iter().find_map(find).unwrap_or(request)
    }
}
