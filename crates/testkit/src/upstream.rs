//! A model server that does what a test says, and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// A model server on a loopback port. It goes away when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
}

/// What the server does with one request. Without an order it answers as [`Reply::completion`] or
/// [`Reply::stream`] does, as the request wishes.
#[derive(Debug)]
pub enum Reply {
    /// An answer in one piece.
    Whole(StatusCode, Value),
    /// A stream of events: what comes through the channel, until it is closed.
    Events(UnboundedReceiver<Part>),
    /// No answer, ever.
    Silence,
    /// The connection is closed without an answer.
    Hangup,
}

/// A part of a stream.
#[derive(Debug)]
pub enum Part {
    /// Bytes, sent as one frame.
    Bytes(Bytes),
    /// The connection breaks.
    Reset,
}

/// A request that the server got.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// Sends the parts of a stream, one by one. The stream ends when this is dropped.
#[derive(Debug, Clone)]
pub struct Pen(UnboundedSender<Part>);

impl Pen {
    /// Sends one event with `data`.
    pub fn event(&self, data: &Value) {
        self.bytes(format!("data: {data}\n\n"));
    }

    /// Sends the end of a stream.
    pub fn done(&self) {
        self.bytes("data: [DONE]\n\n");
    }

    /// Sends bytes as one frame. Nobody may be there to read them any more.
    pub fn bytes(&self, bytes: impl Into<Bytes>) {
        drop(self.0.send(Part::Bytes(bytes.into())));
    }

    /// Breaks the connection.
    pub fn reset(&self) {
        drop(self.0.send(Part::Reset));
    }

    /// Resolves when nobody reads the stream any more.
    pub async fn unread(&self) {
        self.0.closed().await;
    }
}

/// The usage that [`Reply::completion`] and [`Reply::stream`] report.
pub fn usage() -> Value {
    json!({ "prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500 })
}

/// A chunk of a streamed answer that says `content`.
pub fn chunk(content: &str) -> Value {
    let delta = json!({ "role": "assistant", "content": content });
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta }] })
}

/// The chunk that reports usage.
pub fn usage_chunk() -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage() })
}

impl Reply {
    /// A whole answer that says `content` and reports [`usage`].
    pub fn completion(content: &str) -> Self {
        let message = json!({ "role": "assistant", "content": content });
        let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        let body = json!({ "id": "chatcmpl-1", "object": "chat.completion", "choices": choices, "usage": usage() });
        Self::Whole(StatusCode::OK, body)
    }

    /// A refusal or failure.
    pub fn error(status: StatusCode, message: &str) -> Self {
        let error = json!({ "message": message, "type": "error", "code": null, "param": null });
        Self::Whole(status, json!({ "error": error }))
    }

    /// A stream of which the test writes each part when it wants to.
    pub fn events() -> (Pen, Self) {
        let (sender, receiver) = unbounded_channel();
        (Pen(sender), Self::Events(receiver))
    }

    /// A stream that says `words`, one chunk for each, then reports [`usage`] and ends.
    pub fn stream(words: &[&str]) -> Self {
        let (pen, reply) = Self::events();
        for word in words {
            pen.event(&chunk(word));
        }
        pen.event(&usage_chunk());
        pen.done();
        reply
    }
}

impl Upstream {
    /// Listens on a free port, on the runtime that this is called on.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// Where its API starts.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What to do with the next request that has no order yet.
    pub fn will(&self, reply: Reply) {
        lock(&self.shared.replies).push_back(reply);
    }

    /// What was asked so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // What goes wrong with a connection is what the test wanted, or what it will notice.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// Closes the connection: hyper does so when a service fails.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the test wanted it so")
    }
}

impl std::error::Error for Closed {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Scripted>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let streamed =
        serde_json::from_slice(&body).is_ok_and(|body: Value| body.get("stream") == Some(&Value::Bool(true)));
    lock(&shared.received).push(Received { headers: parts.headers, body });
    let ordered = lock(&shared.replies).pop_front();
    let reply = ordered.unwrap_or_else(|| {
        if streamed { Reply::stream(&["Hello", " there"]) } else { Reply::completion("Hello there") }
    });
    let (status, kind, body) = match reply {
        Reply::Whole(status, value) => (status, "application/json", Scripted::Whole(Some(value.to_string().into()))),
        Reply::Events(parts) => (StatusCode::OK, "text/event-stream", Scripted::Events(parts)),
        Reply::Silence => std::future::pending::<Result<_, Infallible>>().await.map_err(|_| Closed)?,
        Reply::Hangup => return Err(Closed),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

enum Scripted {
    Whole(Option<Bytes>),
    Events(UnboundedReceiver<Part>),
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(parts) => parts.poll_recv(context).map(|part| match part? {
                Part::Bytes(bytes) => Some(Ok(Frame::data(bytes))),
                Part::Reset => Some(Err(Closed)),
            }),
        }
    }
}
