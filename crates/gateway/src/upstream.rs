//! Where calls go: model servers that an administrator has configured, and nowhere else.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kernel::Secret;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tower::Service;

use crate::address::is_public;

/// One model server, as configured.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// What the ledger and errors call it.
    pub name: String,
    /// Where its API starts, such as `https://api.openai.com/v1`.
    pub url: String,
    /// The key it wants, if it wants one.
    pub key: Option<Secret<String>>,
    /// The models it serves: names, or beginnings of names followed by `*`.
    pub models: Vec<String>,
    /// Whether it may lie in a private network or on this machine.
    pub allow_private: bool,
}

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamConfigError {
    /// Not an `http` or `https` address.
    #[error("the upstream `{0}` needs an `http://` or `https://` url without query")]
    Url(String),
    /// An address inside, without permission to be there.
    #[error("the upstream `{0}` lies in a private network: set `allow_private: true` if it should")]
    Private(String),
    /// A key that cannot stand in a header.
    #[error("the key of the upstream `{0}` contains characters that a header cannot carry")]
    Key(String),
    /// The machine's certificates cannot be read.
    #[error("the machine's certificate authorities cannot be read")]
    Certificates(#[source] rustls::Error),
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, or it broke.
    #[error("the upstream `{name}` cannot be reached")]
    Unreachable {
        /// Its name.
        name: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("the upstream `{name}` did not answer within {seconds} s")]
    Timeout {
        /// Its name.
        name: String,
        /// How long it had.
        seconds: u64,
    },
}

impl SendError {
    /// Whether the upstream may have got the call, and charge for it. Only without a connection it surely did not.
    pub(crate) fn was_sent(&self) -> bool {
        match self {
            Self::Unreachable { name: _, source } => !source.downcast_ref().is_some_and(legacy::Error::is_connect),
            Self::Timeout { .. } => true,
        }
    }
}

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// The configured model servers and the connections to them.
#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Upstream>,
    public: Client<Connector, Full<Bytes>>,
    private: Client<Connector, Full<Bytes>>,
    first_byte: Duration,
}

/// One model server.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    chat: Uri,
    authorization: Option<HeaderValue>,
    models: Vec<String>,
    allow_private: bool,
}

impl Upstream {
    /// What the ledger and errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn serves(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => pattern == model,
        })
    }

    fn parse(config: &UpstreamConfig) -> Result<Self, UpstreamConfigError> {
        let UpstreamConfig { name, url, key, models, allow_private } = config;
        let wrong = || UpstreamConfigError::Url(name.clone());
        let chat: Uri = format!("{}/chat/completions", url.trim_end_matches('/')).parse().map_err(|_| wrong())?;
        let host = chat.host().ok_or_else(wrong)?;
        if !matches!(chat.scheme_str(), Some("http" | "https")) || chat.query().is_some() {
            return Err(wrong());
        }
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        if !allow_private && literal.is_ok_and(|address| !is_public(address)) {
            return Err(UpstreamConfigError::Private(name.clone()));
        }
        let authorization = key.as_ref().map(|key| bearer(name, key)).transpose()?;
        let models = models.clone();
        Ok(Self { name: name.clone(), chat, authorization, models, allow_private: *allow_private })
    }
}

fn bearer(name: &str, key: &Secret<String>) -> Result<HeaderValue, UpstreamConfigError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
    let mut value = value.map_err(|_| UpstreamConfigError::Key(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Upstreams {
    /// Prepares the connections. An upstream has `first_byte` to begin its answer.
    pub fn new(configs: &[UpstreamConfig], first_byte: Duration) -> Result<Self, UpstreamConfigError> {
        let all: Vec<Upstream> = configs.iter().map(Upstream::parse).collect::<Result<_, _>>()?;
        let tls = tls(all.iter().any(|upstream| upstream.chat.scheme_str() == Some("https")))?;
        let client = |public_only| client(tls.clone(), Resolver { lookup: GaiResolver::new(), public_only });
        Ok(Self { all, public: client(true), private: client(false), first_byte })
    }

    /// The first upstream that serves `model`.
    pub fn serving(&self, model: &str) -> Option<&Upstream> {
        self.all.iter().find(|upstream| upstream.serves(model))
    }

    /// Whether `text` holds the key of an upstream: some echo in an error what they were sent.
    pub fn leaks_a_key(&self, text: &[u8]) -> bool {
        let keys =
            self.all.iter().filter_map(|upstream| upstream.authorization.as_ref()?.as_bytes().strip_prefix(b"Bearer "));
        // A key that short is none, and would be found everywhere.
        keys.filter(|key| key.len() >= 8).any(|key| text.windows(key.len()).any(|part| part == key))
    }

    /// Sends a chat request and returns when the answer begins.
    pub async fn send(&self, upstream: &Upstream, body: Bytes, stream: bool) -> Result<Response<Incoming>, SendError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = upstream.chat.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(authorization) = &upstream.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let answer = if upstream.allow_private { self.private.request(request) } else { self.public.request(request) };
        let name = || upstream.name.clone();
        match tokio::time::timeout(self.first_byte, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(SendError::Unreachable { name: name(), source: Box::new(error) }),
            Err(_) => Err(SendError::Timeout { name: name(), seconds: self.first_byte.as_secs() }),
        }
    }
}

/// A client whose connections begin at addresses that `resolver` lets through.
fn client(tls: ClientConfig, resolver: Resolver) -> Client<Connector, Full<Bytes>> {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(10)));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_mins(1))
        .build(connector)
}

/// Trusts what the machine trusts; nothing where no upstream speaks TLS, so that none is needed then.
fn tls(needed: bool) -> Result<ClientConfig, UpstreamConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(UpstreamConfigError::Certificates)?;
    if needed {
        return Ok(builder.with_platform_verifier().map_err(UpstreamConfigError::Certificates)?.with_no_client_auth());
    }
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// Looks names up, and drops addresses that a public upstream has no business at: checked after the lookup and before
/// the connection, every time.
#[derive(Clone, Debug)]
struct Resolver {
    lookup: GaiResolver,
    public_only: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.lookup.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (lookup, public_only) = (self.lookup.call(name), self.public_only);
        Box::pin(async move {
            let all = lookup.await?;
            let kept: Vec<SocketAddr> = all.filter(|address| !public_only || is_public(address.ip())).collect();
            if kept.is_empty() {
                return Err(std::io::Error::other("the name leads to no address outside private networks"));
            }
            Ok(kept.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, allow_private: bool) -> UpstreamConfig {
        let models = vec!["gpt-4o*".to_owned(), "o3".to_owned()];
        UpstreamConfig { name: "openai".to_owned(), url: url.to_owned(), key: None, models, allow_private }
    }

    #[test]
    fn a_private_address_needs_permission() {
        for url in ["http://127.0.0.1:9", "http://[::1]:9/v1", "http://169.254.169.254/v1"] {
            assert!(matches!(Upstream::parse(&config(url, false)), Err(UpstreamConfigError::Private(_))), "{url}");
            assert!(Upstream::parse(&config(url, true)).is_ok(), "{url}");
        }
        for url in ["", "ftp://example.org", "example.org/v1", "https://example.org/v1?x=1"] {
            assert!(matches!(Upstream::parse(&config(url, true)), Err(UpstreamConfigError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_model_goes_to_the_first_upstream_that_serves_it() {
        let upstream = Upstream::parse(&config("https://example.org/v1", false)).unwrap();
        assert_eq!(upstream.chat, "https://example.org/v1/chat/completions");
        assert!(upstream.serves("gpt-4o-mini") && upstream.serves("o3") && !upstream.serves("o3-mini"));
    }

    #[test]
    fn a_key_does_not_print() {
        let secret =
            UpstreamConfig { key: Some(Secret::new("sk-canary".to_owned())), ..config("https://example.org", false) };
        let upstream = Upstream::parse(&secret).unwrap();
        assert!(!format!("{secret:?}{upstream:?}").contains("canary"));
    }

    #[test]
    fn an_echoed_key_is_noticed() {
        let secret =
            UpstreamConfig { key: Some(Secret::new("sk-canary-1".to_owned())), ..config("http://127.0.0.1:9", true) };
        let upstreams = Upstreams::new(&[config("http://127.0.0.1:8", true), secret], Duration::from_secs(1)).unwrap();
        assert!(upstreams.leaks_a_key(b"Incorrect API key provided: sk-canary-1."));
        assert!(!upstreams.leaks_a_key(b"Incorrect API key provided: sk-can****1.") && !upstreams.leaks_a_key(b""));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let mut resolver = Resolver { lookup: GaiResolver::new(), public_only: true };
        let name: Name = "localhost".parse().unwrap();
        assert!(resolver.call(name).await.is_err());
    }
}
