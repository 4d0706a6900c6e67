//! A small HTTP/1.1 client for the demonstration: what any client would do, and nothing that only we could.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kernel::Secret;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection to one server, kept open between requests.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
    connections: JoinSet<()>,
}

/// What to ask.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a Secret<String>>,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: Option<&'a Value>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From sending the request to the last byte of the answer.
    pub(crate) took: Duration,
}

/// What came back in parts.
#[derive(Debug)]
pub(crate) struct Streamed {
    pub(crate) status: StatusCode,
    /// The data of each event.
    pub(crate) events: Vec<String>,
    /// From sending the request to the first event.
    pub(crate) first: Duration,
    pub(crate) took: Duration,
}

/// A server that does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot connect to {address}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("the request to {path} was not answered")]
    Exchange { path: String, source: hyper::Error },
    #[error("`{0}` cannot be requested")]
    Request(String, #[source] http::Error),
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None, connections: JoinSet::new() }
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let start = Instant::now();
        let response = self.send(ask).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|source| exchange(ask, source))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body, took: start.elapsed() })
    }

    /// Asks, and reads the answer's events as they come.
    pub(crate) async fn stream(&mut self, ask: &Ask<'_>) -> Result<Streamed, ClientError> {
        let start = Instant::now();
        let (parts, mut body) = self.send(ask).await?.into_parts();
        let (mut events, mut held, mut first) = (Vec::new(), Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|source| exchange(ask, source))?.into_data() else { continue };
            first.get_or_insert_with(|| start.elapsed());
            held.extend_from_slice(&data);
            while let Some(end) = held.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = held.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&event);
                events.extend(text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned));
            }
        }
        let took = start.elapsed();
        Ok(Streamed { status: parts.status, events, first: first.unwrap_or(took), took })
    }

    async fn send(&mut self, ask: &Ask<'_>) -> Result<http::Response<Incoming>, ClientError> {
        let Ask { method, path, key, headers, body } = ask;
        let mut request = Request::builder().method(method).uri(*path).header(HOST, self.address.to_string());
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| {
            let text = body.to_string();
            Bytes::from(text)
        });
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        let request = request.map_err(|source| ClientError::Request((*path).to_owned(), source))?;
        let sender = self.connected().await?;
        sender.send_request(request).await.map_err(|source| exchange(ask, source))
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        if let Some(sender) = &mut self.sender {
            // An answer that was read to its end leaves the connection free; one that the server closed is replaced.
            if sender.ready().await.is_err() {
                self.sender = None;
            }
        }
        if self.sender.is_none() {
            let address = self.address;
            let connect = |source| ClientError::Connect { address, source };
            let stream = TcpStream::connect(address).await.map_err(connect)?;
            stream.set_nodelay(true).map_err(connect)?;
            let shaken = http1::handshake(TokioIo::new(stream)).await;
            let (sender, connection) = shaken.map_err(|error| connect(io::Error::other(error)))?;
            self.connections.spawn(async move {
                // What goes wrong with the connection is told to whoever waits for an answer on it.
                let _ = connection.await;
            });
            self.sender = Some(sender);
        }
        self.sender
            .as_mut()
            .ok_or_else(|| ClientError::Connect { address: self.address, source: io::ErrorKind::NotConnected.into() })
    }
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn exchange(ask: &Ask<'_>, source: hyper::Error) -> ClientError {
    ClientError::Exchange { path: ask.path.to_owned(), source }
}
