//! Signing people in: the authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636, RFC 9207, RFC 9700).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use jose::{Algorithm, Claims, Expected, KeySet, TokenError};
use kernel::{Moment, Secret, Timestamp};
use outbound::Client;
use serde::Deserialize;

use crate::discovery::{Discovery, DiscoveryError, Metadata};
use crate::exchange::{self, AnswerError};
use crate::flow::{Begun, Callback, Flow};
use crate::form;
use crate::keys::{KeySource, KeysUnavailable, VerifyError};

/// What was agreed with a provider.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Our name there.
    pub client_id: String,
    /// How we prove to be that client.
    pub auth: ClientAuth,
    /// Where people come back to.
    pub redirect_uri: String,
    /// What is asked for: `openid` and more.
    pub scopes: Vec<String>,
}

/// How a client proves to the token endpoint who it is.
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// Not at all: PKCE alone holds the code to this sign-in.
    Public,
    /// `client_secret_basic`: its secret in a header.
    Basic(Secret<String>),
    /// `client_secret_post`: its secret in the form.
    Post(Secret<String>),
}

/// The relying party of one issuer.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    client: Client,
    discovery: Discovery,
    keys: KeySource,
    registration: Registration,
}

/// Why a sign-in cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The provider's configuration is not known.
    #[error("the identity provider cannot be used")]
    Provider(#[from] DiscoveryError),
}

/// Why a sign-in ended without anybody being signed in. No message says what the provider said.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The answer does not belong to this browser's sign-in.
    #[error("this answer does not belong to the sign-in that was begun")]
    State,
    /// It took too long.
    #[error("the sign-in took too long; begin again")]
    Expired,
    /// The answer is another provider's.
    #[error("the answer came from another identity provider")]
    Issuer,
    /// The provider signed nobody in.
    #[error("the identity provider did not sign you in")]
    Denied(#[source] ProviderSays),
    /// Neither a code nor an error.
    #[error("the answer holds no code")]
    NoCode,
    /// The code is used up, too old or not for this sign-in.
    #[error("the identity provider refused the code; begin again")]
    Code(#[source] ProviderSays),
    /// The provider does not accept this server as its client.
    #[error("the identity provider does not accept this server's registration")]
    Registration(#[source] ProviderSays),
    /// The provider cannot be used at the moment.
    #[error("the identity provider cannot be used")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It says who signed in, but not so that it can be believed.
    #[error("the identity provider's word about you is not acceptable")]
    IdToken(#[from] IdTokenError),
}

/// What is wrong with an identity token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// What would be wrong with any token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It was issued for another sign-in.
    #[error("the token's `nonce` is not that of this sign-in")]
    Nonce,
    /// It was issued to another client.
    #[error("the token's `azp` is another client, or absent though there are several audiences")]
    AuthorizedParty,
    /// It came with another access token.
    #[error("the token's `at_hash` is not that of the access token beside it")]
    AccessTokenHash,
}

/// The short code of an error that a provider gave, such as `access_denied`. For logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider said `{0}`")]
pub struct ProviderSays(String);

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl RelyingParty {
    /// The relying party of `discovery`'s issuer, whose identity tokens `keys` verify.
    pub const fn new(client: Client, discovery: Discovery, keys: KeySource, registration: Registration) -> Self {
        Self { client, discovery, keys, registration }
    }

    /// The issuer whose people it signs in.
    pub fn issuer(&self) -> &str {
        self.discovery.issuer()
    }

    /// Begins a sign-in.
    pub async fn begin(&self, moment: &Moment<'_>) -> Result<Begun, BeginError> {
        let metadata = self.discovery.metadata(moment.now()).await?;
        let Registration { client_id, auth: _, redirect_uri, scopes } = &self.registration;
        let flow = Flow::new(self.issuer(), moment);
        let scope = scopes.join(" ");
        let pairs = [("client_id", client_id.as_str()), ("redirect_uri", redirect_uri), ("scope", &scope)];
        Ok(Begun { url: flow.address(&metadata.authorization_endpoint, &pairs), flow })
    }

    /// Ends a sign-in: the claims of whoever signed in. A flow and a code serve once; the provider sees to the code.
    pub async fn finish(&self, flow: &Flow, callback: &Callback<'_>, now: Timestamp) -> Result<Claims, FinishError> {
        let metadata = self.discovery.metadata(now).await.map_err(provider)?;
        let code = self.code(flow, callback, &metadata, now)?;
        let tokens = self.tokens(flow, code, &metadata).await?;
        self.believed(flow, &tokens, now).await
    }

    /// The code, if the callback answers this very sign-in.
    fn code<'c>(
        &self,
        flow: &Flow,
        callback: &Callback<'c>,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<&'c str, FinishError> {
        let &Callback { state, code, iss, error } = callback;
        if flow.issuer != self.issuer() || !state.is_some_and(|state| same(state, flow.state.expose())) {
            return Err(FinishError::State);
        }
        if flow.is_over(now) {
            return Err(FinishError::Expired);
        }
        if iss.map_or(metadata.names_issuer, |iss| iss != self.issuer()) {
            return Err(FinishError::Issuer);
        }
        if let Some(error) = error {
            return Err(FinishError::Denied(ProviderSays::new(error)));
        }
        code.filter(|code| !code.is_empty()).ok_or(FinishError::NoCode)
    }

    async fn tokens(&self, flow: &Flow, code: &str, metadata: &Metadata) -> Result<Tokens, FinishError> {
        let request = self.registration.exchange(flow, code, metadata);
        let response = exchange::ask(&self.client, request, self.discovery.reach()).await.map_err(provider)?;
        if response.status() == StatusCode::OK {
            return exchange::parse(response.body()).map_err(provider);
        }
        Err(refused(&response))
    }

    async fn believed(&self, flow: &Flow, tokens: &Tokens, now: Timestamp) -> Result<Claims, FinishError> {
        let client_id = &self.registration.client_id;
        let mut expected = Expected::new(self.issuer(), client_id);
        // An access token of the same issuer for the same audience is no identity token.
        expected.types = vec![None, Some("JWT".to_owned())];
        expected.required = vec!["iat".to_owned()];
        let token = jose::peek(&tokens.id_token).map_err(IdTokenError::from)?;
        let id = token.key_id().map(str::to_owned);
        let claims = match self.keys.verify(&tokens.id_token, &expected, now).await {
            Ok(claims) => claims,
            Err(VerifyError::Token(error)) => return Err(IdTokenError::from(error).into()),
            Err(VerifyError::Unavailable(error)) => return Err(provider(error)),
        };
        if !claims.text("nonce").is_some_and(|nonce| same(nonce, flow.nonce.expose())) {
            return Err(IdTokenError::Nonce.into());
        }
        let party = claims.rest.get("azp");
        if party.map_or(claims.aud.len() > 1, |party| party.as_str() != Some(client_id)) {
            return Err(IdTokenError::AuthorizedParty.into());
        }
        if let Some(hash) = claims.rest.get("at_hash") {
            let keys = self.keys.keys(id.as_deref(), now).ok_or_else(|| provider(KeysUnavailable))?;
            let right = algorithm(&keys, id.as_deref()).map(|algorithm| half_hash(algorithm, &tokens.access_token));
            if right.is_none() || hash.as_str() != right.as_deref() {
                return Err(IdTokenError::AccessTokenHash.into());
            }
        }
        Ok(claims)
    }
}

impl Registration {
    /// The request that turns a code into tokens.
    fn exchange(&self, flow: &Flow, code: &str, metadata: &Metadata) -> Request<Full<Bytes>> {
        let Self { client_id, auth, redirect_uri, scopes: _ } = self;
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", flow.verifier.expose()),
        ];
        let mut authorization = None;
        match auth {
            ClientAuth::Public => pairs.push(("client_id", client_id)),
            ClientAuth::Post(secret) => {
                pairs.extend([("client_id", client_id.as_str()), ("client_secret", secret.expose())]);
            }
            ClientAuth::Basic(secret) => authorization = Some(basic(client_id, secret)),
        }
        let mut request = Request::new(Full::from(form::encode(&pairs)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = metadata.token_endpoint.clone();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        request
    }
}

/// Both parts are encoded as in a form first (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &Secret<String>) -> HeaderValue {
    let pair = Secret::new(format!("{}:{}", form::encoded(client_id), form::encoded(secret.expose())));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    // Base64 has no character that a header cannot carry.
    let mut value = HeaderValue::from_str(text.expose()).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

impl ProviderSays {
    /// Codes of errors are short words; anything else is not repeated, not even in a log.
    fn new(error: &str) -> Self {
        let word = error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Self(if word { error } else { "something unusual" }.to_owned())
    }
}

fn refused(response: &Response<Bytes>) -> FinishError {
    let status = response.status();
    let Ok(Refused { error }) = exchange::parse(response.body()) else {
        return provider(AnswerError::Status(status));
    };
    let says = ProviderSays::new(&error);
    match error.as_str() {
        _ if !status.is_client_error() => provider(AnswerError::Status(status)),
        "invalid_grant" => FinishError::Code(says),
        _ => FinishError::Registration(says),
    }
}

fn provider(error: impl std::error::Error + Send + Sync + 'static) -> FinishError {
    FinishError::Provider(Box::new(error))
}

fn same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// The algorithm of the key that verified a token.
fn algorithm(keys: &KeySet, id: Option<&str>) -> Option<Algorithm> {
    let mut named = keys.keys().iter().filter(|key| id.is_none() || key.id() == id);
    named.next().map(jose::Key::algorithm)
}

/// The left half of a token's digest, by the hash of the identity token's algorithm (OpenID Connect Core 3.1.3.6).
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Hs256 | Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Hs384 | Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Hs512 | Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &digest::SHA512,
    };
    let digest = digest::digest(hash, token.as_bytes());
    let whole = digest.as_ref();
    URL_SAFE_NO_PAD.encode(whole.get(..whole.len() / 2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_s_words_are_repeated_only_if_they_are_a_code() {
        assert_eq!(ProviderSays::new("access_denied").to_string(), "the provider said `access_denied`");
        for other in ["<script>", "Bearer canary", "a\nb", &"a".repeat(65)] {
            assert_eq!(ProviderSays::new(other).to_string(), "the provider said `something unusual`");
        }
    }

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_example() {
        // OpenID Connect Core 1.0, appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(Algorithm::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn a_client_s_name_and_secret_are_encoded_before_they_are_joined() {
        let value = basic("a:b", &Secret::new("c d:é".to_owned()));
        assert!(value.is_sensitive());
        assert_eq!(value, format!("Basic {}", STANDARD.encode("a%3Ab:c%20d%3A%C3%A9")).as_str());
    }
}
