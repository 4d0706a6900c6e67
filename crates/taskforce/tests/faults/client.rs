//! A client that notes how far each answer came.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long an answer may take in any test: longer than anything that is promised.
const PATIENCE: Duration = Duration::from_secs(40);

/// One user's way to one server, over one connection at a time.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    key: Option<String>,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    /// Whatever is left of the answer is not wanted: the socket closes.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The status, if the answer began.
    pub(crate) status: Option<u16>,
    pub(crate) headers: HeaderMap,
    /// The bytes of the body that came.
    pub(crate) body: Vec<u8>,
    /// Whether the answer came to its end.
    pub(crate) complete: bool,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: Some(key.to_owned()), connection: None }
    }

    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        Self { address, key: None, connection: None }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Heard {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Heard {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Heard {
        let request = self.request(method, path, headers, body);
        self.exchange(request, |_| false).await
    }

    /// Posts, reads until `enough` says so of the bytes that came, and hangs up.
    pub(crate) async fn post_until(&mut self, path: &str, body: &Value, enough: impl Fn(&[u8]) -> bool) -> Heard {
        let request = self.request(Method::POST, path, &[], Some(body));
        let heard = self.exchange(request, enough).await;
        self.connection = None;
        heard
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        request.body(Full::new(body)).unwrap()
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>, enough: impl Fn(&[u8]) -> bool) -> Heard {
        let start = Instant::now();
        let mut heard = Heard::default();
        let all = self.read(request, &mut heard, enough);
        let ended = tokio::time::timeout(PATIENCE, all).await;
        heard.complete = ended.expect("the server neither answered nor closed the connection").is_ok();
        heard.took = start.elapsed();
        if !heard.complete {
            self.connection = None;
        }
        heard
    }

    async fn read(
        &mut self,
        request: Request<Full<Bytes>>,
        heard: &mut Heard,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Gone> {
        let response = self.connected().await?.send_request(request).await.map_err(|_| Gone)?;
        let (head, mut body) = response.into_parts();
        (heard.status, heard.headers) = (Some(head.status.as_u16()), head.headers);
        while let Some(frame) = body.frame().await {
            heard.body.extend_from_slice(&frame.map_err(|_| Gone)?.into_data().unwrap_or_default());
            if enough(&heard.body) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Gone> {
        if let Some(connection) = &mut self.connection
            && connection.sender.ready().await.is_err()
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            let stream = TcpStream::connect(self.address).await.map_err(|_| Gone)?;
            stream.set_nodelay(true).map_err(|_| Gone)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Gone)?;
            let task = tokio::spawn(async move { drop(connection.await) });
            self.connection = Some(Connection { sender, task });
        }
        self.connection.as_mut().map(|connection| &mut connection.sender).ok_or(Gone)
    }
}

/// The connection broke, or there was none.
#[derive(Debug)]
struct Gone;

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The answer, which must have this status and have come whole.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!((self.status, self.complete), (Some(status), true), "{self}");
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The place of the entry that the request left.
    pub(crate) fn entry(&self) -> Option<u64> {
        self.header("taskforce-entry")?.parse().ok()
    }

    /// The id of the model call.
    pub(crate) fn call(&self) -> Option<String> {
        self.header("taskforce-call").map(str::to_owned)
    }

    /// Whether it is the whole answer to a model call, streamed or not.
    pub(crate) fn is_whole_answer(&self) -> bool {
        let streamed = self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        self.status == Some(200) && if streamed { self.text().ends_with("data: [DONE]\n\n") } else { self.complete }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, headers, complete, took, .. } = self;
        write!(f, "{status:?} complete={complete} after {took:?} {headers:?}\n{}", self.text())
    }
}
