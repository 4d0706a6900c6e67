//! The replay upstream: an OpenAI-compatible server that repeats recorded conversations and asks no model.
//!
//! It lets the demonstration and a first look run without an account anywhere. Everything that speaks of it calls it
//! a replay.

mod conversation;
mod wire;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kernel::Clock as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::environment::SystemClock;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Output};
use crate::signals;
use conversation::Conversations;
use wire::ChatIn;

/// The model that `/v1/models` names. A request may name any other.
pub(crate) const MODEL: &str = "gpt-4o-mini";
/// The largest request that is read.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A replay upstream that listens.
#[derive(Debug)]
pub(crate) struct Replay {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conversations: Conversations,
    pace: Duration,
    answered: AtomicU64,
}

/// Recordings that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the recording `{name}` cannot be read")]
    Recording { name: &'static str, source: serde_json::Error },
}

impl Replay {
    /// Listens on `address`. Streams send a chunk each `pace`, as a model would.
    pub(crate) async fn bind(address: SocketAddr, pace: Duration) -> Result<Self, ReplayError> {
        let conversations = Conversations::bundled()?;
        let listener = TcpListener::bind(address).await.map_err(|source| ReplayError::Listen { address, source })?;
        Ok(Self { listener, shared: Arc::new(Shared { conversations, pace, answered: AtomicU64::new(0) }) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What it can answer.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.shared.conversations.titles()
    }

    /// Answers until `stop` resolves.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) {
        let mut open = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(_) = open.join_next(), if !open.is_empty() => {}
                accepted = self.listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let _ = stream.set_nodelay(true);
                    let shared = Arc::clone(&self.shared);
                    open.spawn(async move {
                        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                        let mut http = http1::Builder::new();
                        let _ = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            }
        }
    }
}

/// Where the replay listens.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8071")]
    pub(crate) listen: SocketAddr,
    /// The pause before each chunk of a stream, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub(crate) pace_ms: u64,
}

/// `taskforce replay`.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Verdict, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let replay = Replay::bind(args.listen, Duration::from_millis(args.pace_ms)).await?;
        let url = format!("http://{}/v1", replay.address()?);
        output.json_or(&serde_json::json!({"url": url, "replay": true}), |output| {
            output.line(format_args!("A replay of recorded conversations listens on {url}; no model is asked."));
            output.line("It has recordings of:");
            for title in replay.titles() {
                output.line(format_args!("  - {title}"));
            }
            output.styled(Look::Dim, "Stop it with Ctrl-C.");
        });
        replay.serve(signals::stop()?).await;
        Ok(Verdict::Well)
    })
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Paced>, Infallible> {
    let mut response = match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/chat/completions") => chat(&shared, request.into_body()).await,
        (&Method::GET, "/v1/models") => json(StatusCode::OK, &wire::models()),
        (&Method::GET, "/healthz") => json(StatusCode::OK, &serde_json::json!({"status": "ok", "replay": true})),
        _ => json(StatusCode::NOT_FOUND, &wire::error("the replay has no such path", "not_found")),
    };
    response.headers_mut().insert(SERVER, HeaderValue::from_static("taskforce-replay"));
    Ok(response)
}

async fn chat(shared: &Shared, body: Incoming) -> Response<Paced> {
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return json(StatusCode::PAYLOAD_TOO_LARGE, &wire::error("the body cannot be read", "invalid_request_error"));
    };
    let chat: ChatIn = match serde_json::from_slice(&body.to_bytes()) {
        Ok(chat) => chat,
        Err(error) => {
            return json(StatusCode::BAD_REQUEST, &wire::error(&error.to_string(), "invalid_request_error"));
        }
    };
    let said = shared.conversations.answer(&chat);
    let number = shared.answered.fetch_add(1, Ordering::Relaxed);
    let created = SystemClock.now().micros() / 1_000_000;
    let head = wire::Head { number, created, model: &chat.model };
    if !chat.stream {
        return json(StatusCode::OK, &head.completion(&said));
    }
    let mut chunks: VecDeque<Bytes> =
        head.chunks(&said, chat.wants_usage()).iter().map(|chunk| format!("data: {chunk}\n\n").into()).collect();
    chunks.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    let mut response = Response::new(Paced { chunks, pace: shared.pace, timer: None });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<Paced> {
    let chunks = VecDeque::from([Bytes::from(value.to_string())]);
    let mut response = Response::new(Paced { chunks, pace: Duration::ZERO, timer: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body that is sent chunk by chunk, with a pause before each but the first.
struct Paced {
    chunks: VecDeque<Bytes>,
    pace: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(timer) = &mut self.timer {
            std::task::ready!(timer.as_mut().poll(cx));
        }
        let chunk = self.chunks.pop_front();
        let pause = !self.chunks.is_empty() && !self.pace.is_zero();
        self.timer = pause.then(|| Box::pin(tokio::time::sleep(self.pace)));
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }
}

#[cfg(test)]
mod tests;
