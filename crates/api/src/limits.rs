//! What every request must satisfy and every response carries, in one function around the router.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request};
use kernel::RequestId;
use tower::Service;

use crate::problem::{Dialect, Kind, Problem, Report};

mod body;
mod ids;

pub(crate) use body::{BodyError, Bounded};
pub use ids::RequestIds;

/// How much of everything a client may use. The defaults are meant for production; tests use small values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections from one address (IPv6: from one /64 network).
    pub connections_per_ip: usize,
    /// From accepting a connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its header.
    pub headers: Duration,
    /// How many header fields a request may have.
    pub header_count: usize,
    /// How large they may be together, in bytes; also the largest HTTP/2 header list.
    pub header_bytes: u32,
    /// How long path and query may be, in bytes.
    pub uri_bytes: usize,
    /// How large a body may be, in bytes.
    pub body_bytes: u64,
    /// How large a body may be on the gateway's paths, in bytes.
    pub gateway_body_bytes: u64,
    /// From the start of a body until its rate counts.
    pub body_grace: Duration,
    /// How fast a body must arrive from then on, on average, in bytes per second.
    pub body_rate: u64,
    /// From the end of the header to the start of the response.
    pub request: Duration,
    /// The same on the gateway's paths and for what takes long, and from there to the end of any response's body.
    pub stream_total: Duration,
    /// How long a client may leave a response unread.
    pub stream_idle: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// HTTP/2: concurrent streams on a connection.
    pub h2_streams: u32,
    /// HTTP/2: streams that were reset before they were looked at.
    pub h2_pending_resets: usize,
    /// HTTP/2: frames other than requests, bodies and windows that may come at once; a tenth of it each second after.
    pub h2_control_frames: u32,
    /// From the wish to stop to the end of the last connection.
    pub drain: Duration,
}

/// Where what costs much is asked for, and waits for its turn: how often, is limited as well.
pub(crate) const SLOW: [&str; 6] = [
    "/api/v1/admin/policies",
    "/api/v1/admin/policies/backtest",
    "/api/v1/admin/policies/plan",
    "/api/v1/admin/policies/test",
    "/api/v1/admin/policies/validate",
    "/api/v1/audit/exports",
];

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_ip: 256,
            first_byte: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            header_count: 64,
            header_bytes: 16 * 1024,
            uri_bytes: 8 * 1024,
            body_bytes: 1024 * 1024,
            gateway_body_bytes: 16 * 1024 * 1024,
            body_grace: Duration::from_secs(30),
            body_rate: 1024,
            request: Duration::from_secs(30),
            stream_total: Duration::from_mins(10),
            stream_idle: Duration::from_mins(1),
            keep_alive: Duration::from_secs(75),
            h2_streams: 100,
            h2_pending_resets: 20,
            h2_control_frames: 2_000,
            drain: Duration::from_secs(25),
        }
    }
}

impl Limits {
    /// Whether `path` carries model or tool traffic, which is larger and slower.
    fn is_gateway(path: &str) -> bool {
        path.starts_with("/v1/") || path.starts_with("/mcp/")
    }

    fn body_limit(&self, path: &str) -> u64 {
        if Self::is_gateway(path) { self.gateway_body_bytes } else { self.body_bytes }
    }

    fn time_limit(&self, path: &str) -> Duration {
        if Self::is_gateway(path) || SLOW.contains(&path) { self.stream_total } else { self.request }
    }
}

/// The router behind everything that holds for each request: its limits, its id, the headers of its response.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::sync::Arc;
/// use api::limits::{Front, Limits, RequestIds};
/// use axum::{Router, body::Body, routing::get};
///
/// let clock = Arc::new(kernel::FixedMoment::new(1_800_000_000_000_000));
/// let ids = RequestIds::new(clock, Arc::new(kernel::SeededEntropy::new(1)));
/// let router = Router::new().route("/healthz", get(async || "ok"));
/// let front = Front::new(router, Limits::default(), ids);
///
/// let request = http::Request::get("/healthz").header("host", "localhost").body(Body::empty()).unwrap();
/// let response = front.answer(request).await;
/// assert_eq!(response.status(), 200);
/// assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
///
/// let request = http::Request::get("/healthz").body(Body::empty()).unwrap();
/// assert_eq!(front.answer(request).await.status(), 400);
/// # }
/// ```
#[derive(Debug)]
pub struct Front {
    router: Router,
    limits: Limits,
    ids: RequestIds,
}

impl Front {
    /// Puts `router` behind `limits`.
    pub fn new(router: Router, limits: Limits, ids: RequestIds) -> Self {
        Self { router, limits, ids }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let id = self.ids.next();
        let (mut parts, body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        let dialect = Dialect::of(parts.uri.path());
        let refused = check(&parts, &self.limits).and_then(|()| self.bound(&parts, body));
        let response = match refused {
            Ok(bounded) => {
                parts.extensions.insert(id.clone());
                let time = self.limits.time_limit(parts.uri.path());
                self.route(parts, bounded, time).await
            }
            Err(refusal) => Err(refusal),
        };
        let response = response.unwrap_or_else(|failure| failure.respond(dialect));
        finish(response, &id, head)
    }

    /// Bounds the body, or refuses it for the size that it announces.
    fn bound<B>(&self, parts: &Parts, body: B) -> Result<(Body, Option<Arc<AtomicBool>>), Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.is_end_stream() {
            return Ok((Body::empty(), None));
        }
        let limit = self.limits.body_limit(parts.uri.path());
        if body.size_hint().lower() > limit {
            return Err(Problem::client(Kind::TooLarge, &BodyError::TooLarge(limit)).into());
        }
        let arrived = Arc::new(AtomicBool::new(false));
        let bounded = Bounded::new(body, limit, &self.limits, Arc::clone(&arrived));
        Ok((Body::new(bounded), Some(arrived)))
    }

    async fn route(
        &self,
        parts: Parts,
        (body, arrived): (Body, Option<Arc<AtomicBool>>),
        time: Duration,
    ) -> Result<Response, Refusal> {
        let mut router = self.router.clone();
        let answer = async move { router.call(Request::from_parts(parts, body)).await };
        match tokio::time::timeout(time, caught(answer)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(panic)) => Err(Problem::server(Kind::Internal, panic).into()),
            Err(_) if arrived.is_some_and(|arrived| !arrived.load(Ordering::Relaxed)) => {
                Err(Problem::client(Kind::RequestTimeout, &BodyError::TooSlow).into())
            }
            Err(_) => Err(Problem::server(Kind::Unavailable, "no answer within the time limit").retry_after(5).into()),
        }
    }
}

/// A problem found in front of the router, with the header that some of them need.
struct Refusal {
    problem: Problem,
    header: Option<(HeaderName, &'static str)>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, header: None }
    }
}

impl Refusal {
    fn respond(self, dialect: Dialect) -> Response {
        let mut response = self.problem.said_in(dialect);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A handler that panics costs its request and nothing else.
async fn caught(answer: impl Future<Output = Result<Response, Infallible>>) -> Result<Response, String> {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(panic) => Err(format!("the handler panicked: {}", words(&*panic))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

fn check(parts: &Parts, limits: &Limits) -> Result<(), Refusal> {
    let length = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    if length > limits.uri_bytes {
        return Err(Problem::new(Kind::UriTooLong).into());
    }
    let size: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if parts.headers.len() > limits.header_count || size > usize::try_from(limits.header_bytes).unwrap_or(usize::MAX) {
        return Err(Problem::new(Kind::HeadersTooLarge).into());
    }
    if !METHODS.split(", ").any(|method| method == parts.method.as_str()) {
        return Err(Refusal { problem: Problem::new(Kind::MethodNotAllowed), header: Some((header::ALLOW, METHODS)) });
    }
    check_host(parts)?;
    let mut codings = parts.headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let problem = Problem::client(Kind::UnsupportedMediaType, &"a compressed body is not accepted");
        return Err(Refusal { problem, header: Some((header::ACCEPT_ENCODING, "identity")) });
    }
    Ok(())
}

/// There is one host, and all that name it agree (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
fn check_host(parts: &Parts) -> Result<(), Problem> {
    let refuse = |why: &'static str| Err(Problem::client(Kind::Malformed, &why));
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next().map(HeaderValue::as_bytes), hosts.next().is_some());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    if more {
        return refuse("more than one `host`");
    }
    let http2 = parts.version == http::Version::HTTP_2;
    let Some(named) = host.or(authority.filter(|_| http2)) else { return refuse("no `host`") };
    if !is_host(named) || authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(named)) {
        return refuse("not a valid `host`");
    }
    Ok(())
}

/// A name or address and perhaps a port, nothing else.
fn is_host(text: &[u8]) -> bool {
    let is_port = |port: &[u8]| port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
        let (address, rest) = rest.split_at(end);
        let inside = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let port = match rest {
            [_, b':', port @ ..] => is_port(port),
            rest => rest.len() == 1,
        };
        return port && address.len() >= 2 && address.iter().all(inside);
    }
    let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
    let (name, port) = text.split_at(colon);
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    !name.is_empty() && name.len() <= 255 && name.iter().all(inside) && port.strip_prefix(b":").is_none_or(is_port)
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// Logs what failed, names the request in the problem, and sets the headers that every response has.
fn finish(mut response: Response, id: &RequestId, head: bool) -> Response {
    if let Some(report) = response.extensions_mut().remove::<Report>() {
        report.problem().log(id);
        if let Some(body) = report.body_for(id).filter(|_| !head) {
            *response.body_mut() = body;
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
    }
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CSP));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.entry(X_REQUEST_ID).or_insert(id);
    }
    response
}

#[cfg(test)]
mod tests;
