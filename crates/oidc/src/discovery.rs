//! What an issuer says about itself (OpenID Connect Discovery 1.0, RFC 8414).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::Uri;
use kernel::Timestamp;
use outbound::{Client, Reach, Refusal};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::exchange::{self, AnswerError};
use crate::throttle::{Throttle, seconds_between};

/// After so many seconds an issuer's configuration is asked for again.
const FRESH: u64 = 3_600;

/// An issuer's configuration: asked for when first needed, then kept.
///
/// When it cannot be renewed, what was known goes on holding. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Discovery(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    issuer: String,
    document: Uri,
    reach: Reach,
    runtime: Handle,
    known: ArcSwapOption<Known>,
    // Held while asking, so that one asks for all.
    asking: Mutex<Throttle>,
}

#[derive(Debug)]
struct Known {
    metadata: Arc<Metadata>,
    since: Timestamp,
}

/// The parts of an issuer's configuration that a relying party needs. Each address was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Where a person's browser goes.
    pub authorization_endpoint: Uri,
    /// Where codes become tokens.
    pub token_endpoint: Uri,
    /// Where the keys are.
    pub jwks_uri: Uri,
    /// Whether answers to a sign-in say whose they are (RFC 9207).
    pub names_issuer: bool,
}

/// A text that cannot be an issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// No address, or one with a query.
    #[error("the issuer `{0}` must be an `https://` address without query")]
    Address(String),
    /// An address that may not be asked.
    #[error("the issuer `{issuer}` cannot be asked: set `allow_private: true` if it lies in a private network")]
    Refused {
        /// The issuer.
        issuer: String,
        /// Why not.
        #[source]
        source: Refusal,
    },
}

/// Why an issuer's configuration is not known.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// It did not come.
    #[error("the configuration of the issuer `{issuer}` cannot be fetched")]
    Answer {
        /// The issuer.
        issuer: String,
        /// Why not.
        #[source]
        source: AnswerError,
    },
    /// It could not be had a moment ago; that is not tried again at once.
    #[error("the configuration of the issuer `{0}` could not be fetched a moment ago")]
    MomentAgo(String),
    /// It belongs to another issuer.
    #[error("the configuration of the issuer `{0}` is that of another issuer")]
    OtherIssuer(String),
    /// One of its addresses may not be asked.
    #[error("the configuration of the issuer `{issuer}` names a forbidden `{endpoint}`")]
    Endpoint {
        /// The issuer.
        issuer: String,
        /// Which address.
        endpoint: &'static str,
        /// Why it may not be asked.
        #[source]
        source: Refusal,
    },
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    /// The configuration of `issuer`, asked for through `client`. A request, once begun, is finished on `runtime`
    /// whether or not anybody still waits for it.
    pub fn new(client: Client, issuer: &str, reach: Reach, runtime: Handle) -> Result<Self, IssuerError> {
        let wrong = || IssuerError::Address(issuer.to_owned());
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Uri = document.parse().map_err(|_| wrong())?;
        if document.query().is_some() || issuer.contains('#') {
            return Err(wrong());
        }
        reach.check(&document).map_err(|source| IssuerError::Refused { issuer: issuer.to_owned(), source })?;
        let (issuer, known, asking) = (issuer.to_owned(), ArcSwapOption::empty(), Mutex::default());
        Ok(Self(Arc::new(Shared { client, issuer, document, reach, runtime, known, asking })))
    }

    /// The issuer, as tokens must name it.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// How far requests to this issuer may go.
    pub(crate) fn reach(&self) -> Reach {
        self.0.reach
    }

    /// The configuration as it was at most an hour ago, or whenever the issuer last gave it.
    pub async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, DiscoveryError> {
        if let Some(metadata) = self.0.fresh(now) {
            return Ok(metadata);
        }
        let shared = Arc::clone(&self.0);
        // A request that is given up must not leave undone what others wait for.
        let done = self.0.runtime.spawn(async move { shared.renew(now).await }).await;
        done.unwrap_or_else(|_| Err(DiscoveryError::MomentAgo(self.0.issuer.clone())))
    }
}

impl Shared {
    fn fresh(&self, now: Timestamp) -> Option<Arc<Metadata>> {
        let known = self.known.load();
        let known = known.as_ref().filter(|known| seconds_between(known.since, now) < FRESH)?;
        Some(Arc::clone(&known.metadata))
    }

    async fn renew(&self, now: Timestamp) -> Result<Arc<Metadata>, DiscoveryError> {
        let mut throttle = self.asking.lock().await;
        // Another may have asked while this one waited for the lock.
        if let Some(metadata) = self.fresh(now) {
            return Ok(metadata);
        }
        let asked =
            if throttle.admit(now) { self.ask().await } else { Err(DiscoveryError::MomentAgo(self.issuer.clone())) };
        match (asked, self.known.load_full()) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                self.known.store(Some(Arc::new(Known { metadata: Arc::clone(&metadata), since: now })));
                Ok(metadata)
            }
            (Err(_), Some(known)) => Ok(Arc::clone(&known.metadata)),
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self) -> Result<Metadata, DiscoveryError> {
        let answer = |source| DiscoveryError::Answer { issuer: self.issuer.clone(), source };
        let body = exchange::get(&self.client, &self.document, self.reach).await.map_err(answer)?;
        let document: Document = exchange::parse(&body).map_err(answer)?;
        if document.issuer != self.issuer {
            return Err(DiscoveryError::OtherIssuer(self.issuer.clone()));
        }
        let checked = |endpoint, text: &str| {
            let uri: Uri = text.parse().map_err(|_| answer(AnswerError::Document))?;
            let refused = |source| DiscoveryError::Endpoint { issuer: self.issuer.clone(), endpoint, source };
            self.reach.check(&uri).map_err(refused)?;
            Ok(uri)
        };
        Ok(Metadata {
            authorization_endpoint: checked("authorization_endpoint", &document.authorization_endpoint)?,
            token_endpoint: checked("token_endpoint", &document.token_endpoint)?,
            jwks_uri: checked("jwks_uri", &document.jwks_uri)?,
            names_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}
