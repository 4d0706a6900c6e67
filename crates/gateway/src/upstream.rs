//! Where calls go: model servers that an administrator has configured, and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use kernel::Secret;
use outbound::{Client, Reach, Refusal};

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
    /// An address that calls may not go to.
    #[error("the upstream `{name}` cannot be called: set `allow_private: true` if it lies in a private network")]
    Refused {
        /// The upstream's name.
        name: String,
        /// What is wrong with its address.
        #[source]
        source: Refusal,
    },
    /// A key that cannot stand in a header.
    #[error("the key of the upstream `{0}` contains characters that a header cannot carry")]
    Key(String),
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
        source: outbound::SendError,
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
            Self::Unreachable { name: _, source: outbound::SendError::Broken(_) } | Self::Timeout { .. } => true,
            Self::Unreachable { .. } => false,
        }
    }
}

/// The configured model servers, and the client that calls them.
#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Upstream>,
    client: Client,
    first_byte: Duration,
}

/// One model server.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    chat: Uri,
    authorization: Option<HeaderValue>,
    models: Vec<String>,
    reach: Reach,
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
        if chat.host().is_none() || !matches!(chat.scheme_str(), Some("http" | "https")) || chat.query().is_some() {
            return Err(wrong());
        }
        let reach = if *allow_private { Reach::Private } else { Reach::Public };
        reach.check(&chat).map_err(|source| UpstreamConfigError::Refused { name: name.clone(), source })?;
        let authorization = key.as_ref().map(|key| bearer(name, key)).transpose()?;
        Ok(Self { name: name.clone(), chat, authorization, models: models.clone(), reach })
    }
}

fn bearer(name: &str, key: &Secret<String>) -> Result<HeaderValue, UpstreamConfigError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
    let mut value = value.map_err(|_| UpstreamConfigError::Key(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Upstreams {
    /// The model servers, called through `client`. Each has `first_byte` to begin its answer.
    pub fn new(configs: &[UpstreamConfig], client: Client, first_byte: Duration) -> Result<Self, UpstreamConfigError> {
        let all = configs.iter().map(Upstream::parse).collect::<Result<_, _>>()?;
        Ok(Self { all, client, first_byte })
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
        let answer = self.client.send(request, upstream.reach);
        let name = || upstream.name.clone();
        match tokio::time::timeout(self.first_byte, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(SendError::Unreachable { name: name(), source: error }),
            Err(_) => Err(SendError::Timeout { name: name(), seconds: self.first_byte.as_secs() }),
        }
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
        for url in ["https://127.0.0.1:9", "http://[::1]:9/v1", "https://169.254.169.254/v1", "http://example.org/v1"] {
            assert!(matches!(Upstream::parse(&config(url, false)), Err(UpstreamConfigError::Refused { .. })), "{url}");
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
        let client = Client::new(outbound::Trust::Nobody).unwrap();
        let configs = [config("http://127.0.0.1:8", true), secret];
        let upstreams = Upstreams::new(&configs, client, Duration::from_secs(1)).unwrap();
        assert!(upstreams.leaks_a_key(b"Incorrect API key provided: sk-canary-1."));
        assert!(!upstreams.leaks_a_key(b"Incorrect API key provided: sk-can****1.") && !upstreams.leaks_a_key(b""));
    }
}
