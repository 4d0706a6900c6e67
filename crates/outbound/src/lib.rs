//! The one HTTP client of the project: where it may connect, how long it waits, how much it reads.
//!
//! [`Client::send`] hands back an answer that begins, for streams; [`Client::fetch`] a whole answer of bounded size in
//! bounded time, for everything else. Neither follows redirects, reads proxies from the environment, or undoes
//! compression.
//!
//! **Invariant:** no connection begins before its address was checked: literal addresses and odd forms of them as text,
//! names after each look-up. [`Reach::Private`] is the only way inside, and only an administrator's configuration
//! yields it.
//!
//! ```
//! use http::Uri;
//! use outbound::{Client, FetchError, Limits, Reach, Refusal, SendError, Trust};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let client = Client::new(Trust::Nobody).unwrap();
//! let mut request = http::Request::new(http_body_util::Full::default());
//! *request.uri_mut() = Uri::from_static("https://169.254.169.254/latest/meta-data/");
//! let answer = client.fetch(request, Limits::default(), Reach::Public).await;
//! assert!(matches!(answer, Err(FetchError::Send(SendError::Refused(Refusal::Private)))));
//! # });
//! ```

mod address;
mod connect;
mod target;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::connect::{Guard, Resolver};
pub use crate::target::{Reach, Refusal};

type Connector = HttpsConnector<Guard<HttpConnector<Resolver<GaiResolver>>>>;
type Pool = legacy::Client<Connector, Full<Bytes>>;

/// Whose certificates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those that the machine trusts.
    Machine,
    /// Nobody's: no `https` connection succeeds. For installations that need none, on machines without certificates.
    Nobody,
}

/// The machine's certificates cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the machine's certificate authorities cannot be read")]
pub struct TrustError(#[from] rustls::Error);

/// Why no answer began.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The request may not go there. Nothing was sent.
    #[error(transparent)]
    Refused(Refusal),
    /// No connection. Nothing was sent.
    #[error("no connection")]
    Unreachable(#[source] legacy::Error),
    /// The connection broke; the request may have arrived.
    #[error("the connection broke before an answer")]
    Broken(#[source] legacy::Error),
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer began.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It took too long.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// It is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It is compressed, though we did not ask for that.
    #[error("the answer is compressed")]
    Compressed,
    /// The connection broke in its middle.
    #[error("the connection broke in the middle of the answer")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What one exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first step to the answer's last byte.
    pub deadline: Duration,
    /// The size of the answer's body.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// 30 seconds, 10 MB.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), body_bytes: 10 * 1024 * 1024 }
    }
}

/// The client and its connections. A clone shares them.
#[derive(Debug, Clone)]
pub struct Client {
    public: Pool,
    private: Pool,
}

impl Client {
    /// A client without connections yet.
    pub fn new(trust: Trust) -> Result<Self, TrustError> {
        let tls = tls(trust)?;
        Ok(Self { public: pool(tls.clone(), Reach::Public), private: pool(tls, Reach::Private) })
    }

    /// Sends a request and returns when its answer begins. The caller watches time and size.
    pub async fn send(&self, request: Request<Full<Bytes>>, reach: Reach) -> Result<Response<Incoming>, SendError> {
        let pool = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        pool.request(request).await.map_err(SendError::from_pool)
    }

    /// Sends a request and returns its whole answer, whatever its status; a redirect is an answer like any other.
    pub async fn fetch(
        &self,
        mut request: Request<Full<Bytes>>,
        limits: Limits,
        reach: Reach,
    ) -> Result<Response<Bytes>, FetchError> {
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("taskforce"));
        let whole = async { whole(self.send(request, reach).await?, limits.body_bytes).await };
        let done = tokio::time::timeout(limits.deadline, whole).await;
        done.unwrap_or(Err(FetchError::Timeout(limits.deadline)))
    }
}

impl SendError {
    fn from_pool(error: legacy::Error) -> Self {
        if let Some(refusal) = refusal(&error) {
            return Self::Refused(refusal);
        }
        if error.is_connect() { Self::Unreachable(error) } else { Self::Broken(error) }
    }
}

/// The refusal of our own connector, from under what the client has wrapped around it.
fn refusal(error: &legacy::Error) -> Option<Refusal> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(*refusal);
        }
        cause = error.source();
    }
    None
}

async fn whole(response: Response<Incoming>, limit: usize) -> Result<Response<Bytes>, FetchError> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(FetchError::Compressed);
    }
    let (head, body) = response.into_parts();
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(FetchError::TooLarge(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(Response::from_parts(head, collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(limit)),
        Err(error) => Err(FetchError::Broken(error)),
    }
}

fn pool(tls: ClientConfig, reach: Reach) -> Pool {
    let mut http = HttpConnector::new_with_resolver(Resolver { lookup: GaiResolver::new(), reach });
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(10)));
    let guard = Guard { connector: http, reach };
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(guard);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_mins(1))
        .build(connector)
}

fn tls(trust: Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(match trust {
        Trust::Machine => builder.with_platform_verifier()?.with_no_client_auth(),
        Trust::Nobody => builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth(),
    })
}
