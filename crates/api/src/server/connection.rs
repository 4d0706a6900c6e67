//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::marks::{End, InFlight, Marks};
use super::wire::Wire;
use crate::limits::{Front, Limits};

/// How much of a connection HTTP/1 keeps in memory at once: a header, or a part of a body.
const BUFFER: usize = 64 * 1024;
/// HTTP/2: how much of one body, and of all bodies of a connection, may wait to be read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// How long a client has to leave after it was told to.
const POLITE: Duration = Duration::from_secs(2);

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Protocols {
    front: Front,
    builder: auto::Builder<Streams>,
}

impl Protocols {
    pub(super) fn new(front: Front) -> Self {
        let limits = front.limits();
        // A stream is a request and its response, each of which has its own limit; this one holds for a client that
        // keeps both and never opens its window.
        let mut builder = auto::Builder::new(Streams { longest: limits.stream_total * 2 });
        builder.http1().header_read_timeout(None).max_buf_size(BUFFER);
        builder
            .http2()
            .max_concurrent_streams(limits.h2_streams)
            .max_pending_accept_reset_streams(limits.h2_pending_resets)
            .max_header_list_size(limits.header_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(BUFFER);
        Self { front, builder }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(protocols: Arc<Protocols>, stream: TcpStream, peer: SocketAddr, marks: Arc<Marks>) {
    // Without it, small parts of a stream wait for acknowledgements. A socket that refuses it is about to fail.
    let _ = stream.set_nodelay(true);
    let limits = protocols.front.limits();
    let wire = Wire::new(stream, Arc::clone(&marks), limits);
    let service = service_fn(|request| answer(Arc::clone(&protocols), Arc::clone(&marks), peer, request));
    let mut connection = pin!(protocols.builder.serve_connection(wire, service));
    let mut watch = Watch { marks: &marks, limits, timer: pin!(tokio::time::sleep(limits.first_byte)), asked: None };
    let mut told = false;
    poll_fn(|cx| {
        if !told && marks.closing(cx.waker()) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended: {error}");
                }
                return Poll::Ready(());
            }
            match std::task::ready!(watch.poll(cx)) {
                End::Cut => return Poll::Ready(()),
                End::Close => connection.as_mut().graceful_shutdown(),
            }
        }
    })
    .await;
}

/// Waits for the moment at which a connection has taken too long.
struct Watch<'a> {
    marks: &'a Marks,
    limits: &'a Limits,
    timer: Pin<&'a mut Sleep>,
    asked: Option<Instant>,
}

impl Watch<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let Some((mut at, mut end)) = self.marks.due(self.limits) else { return Poll::Pending };
            if let Some(asked) = self.asked.filter(|_| end == End::Close) {
                (at, end) = (asked + POLITE, End::Cut);
            }
            // A timer that goes off too early costs nothing but a look; setting it for each request would.
            if at < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(at);
            }
            std::task::ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= at {
                self.asked = Some(Instant::now());
                return Poll::Ready(end);
            }
        }
    }
}

async fn answer(
    protocols: Arc<Protocols>,
    marks: Arc<Marks>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Tracked>, Infallible> {
    let guard = marks.begin();
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = protocols.front.answer(request).await;
    let ends = Instant::now() + protocols.front.limits().stream_total;
    Ok(response.map(|body| Tracked { body, guard, ends, timer: None }))
}

/// A response's body, which keeps the connection busy until it is sent, and has an end.
struct Tracked {
    body: Body,
    guard: InFlight,
    ends: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        this.guard.asked();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if !this.body.is_end_stream() {
                    this.guard.handed_over();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into_inner()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let ends = this.ends;
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
                timer.as_mut().poll(cx).map(|()| Some(Err("the response took too long".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the streams of HTTP/2, each for so long at most.
#[derive(Debug, Clone)]
struct Streams {
    longest: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let bounded = tokio::time::timeout(self.longest, stream);
        tokio::spawn(async move {
            let _ = bounded.await;
        });
    }
}
