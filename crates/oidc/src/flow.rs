//! One sign-in, from sending a person away to taking them back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use kernel::{Moment, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// A person has so many seconds to sign in.
const PATIENCE: u64 = 600;

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the person's browser goes.
    pub url: String,
    /// What the end of this sign-in needs. It belongs into that browser, sealed: whoever reads it can take the
    /// sign-in over, and whoever can write it can begin one for somebody else.
    pub flow: Flow,
}

/// What one sign-in is recognized by when it ends.
#[derive(Debug, Clone)]
pub struct Flow {
    pub(crate) issuer: String,
    pub(crate) state: Secret<String>,
    pub(crate) nonce: Secret<String>,
    pub(crate) verifier: Secret<String>,
    pub(crate) begun: Timestamp,
}

/// Bytes that are no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sign-in that was begun here")]
pub struct FlowError;

/// What the provider sends the person's browser back with, read from the query of the redirect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Callback<'c> {
    /// `state`
    pub state: Option<&'c str>,
    /// `code`
    pub code: Option<&'c str>,
    /// `iss` (RFC 9207)
    pub iss: Option<&'c str>,
    /// `error`
    pub error: Option<&'c str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    begun: i64,
}

impl Flow {
    pub(crate) fn new(issuer: &str, moment: &Moment<'_>) -> Self {
        let random = || Secret::new(URL_SAFE_NO_PAD.encode(moment.bytes::<32>()));
        let (state, nonce, verifier) = (random(), random(), random());
        Self { issuer: issuer.to_owned(), state, nonce, verifier, begun: moment.now() }
    }

    /// The flow as bytes, to be sealed.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let Self { issuer, state, nonce, verifier, begun } = self;
        let stored = serde_json::json!({
            "issuer": issuer, "state": state.expose(), "nonce": nonce.expose(), "verifier": verifier.expose(),
            "begun": begun.micros(),
        });
        Secret::new(stored.to_string().into_bytes())
    }

    /// The flow that `bytes` were made of.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FlowError> {
        let Stored { issuer, state, nonce, verifier, begun } = serde_json::from_slice(bytes).map_err(|_| FlowError)?;
        let (state, nonce, verifier) = (Secret::new(state), Secret::new(nonce), Secret::new(verifier));
        Ok(Self { issuer, state, nonce, verifier, begun: Timestamp::from_micros(begun) })
    }

    /// The issuer that this sign-in went to.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        crate::throttle::seconds_between(self.begun, now) >= PATIENCE
    }

    /// The address of the provider's page, with everything that this sign-in is about.
    pub(crate) fn address(&self, endpoint: &Uri, pairs: &[(&str, &str)]) -> String {
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier.expose().as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let own = [
            ("response_type", "code"),
            ("state", self.state.expose().as_str()),
            ("nonce", self.nonce.expose().as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let joint = if endpoint.query().is_some() { '&' } else { '?' };
        format!("{endpoint}{joint}{}&{}", crate::form::encode(&own), crate::form::encode(pairs))
    }
}

#[cfg(test)]
mod tests {
    use kernel::FixedMoment;

    use super::*;

    fn flow() -> Flow {
        Flow::new("https://idp.example", &FixedMoment::new(1_800_000_000_000_000).moment())
    }

    #[test]
    fn a_flow_survives_being_bytes_and_nothing_else_becomes_one() {
        let bytes = flow().to_bytes();
        let again = Flow::from_bytes(bytes.expose()).unwrap();
        assert_eq!(again.to_bytes().expose(), bytes.expose());
        assert_eq!(again.issuer(), "https://idp.example");
        for other in [&b""[..], b"{}", b"[1]", b"{\"issuer\":\"a\",\"state\":\"b\",\"nonce\":\"c\",\"verifier\":\"d\"}"]
        {
            assert!(Flow::from_bytes(other).is_err());
        }
    }

    #[test]
    fn its_three_secrets_differ_are_long_and_do_not_print() {
        let flow = flow();
        let secrets = [&flow.state, &flow.nonce, &flow.verifier].map(|secret| secret.expose().clone());
        assert!(secrets[0] != secrets[1] && secrets[1] != secrets[2] && secrets[0] != secrets[2]);
        let printed = format!("{flow:?}");
        assert!(secrets.iter().all(|secret| secret.len() == 43 && !printed.contains(secret.as_str())));
    }

    #[test]
    fn a_flow_ends_after_ten_minutes() {
        let flow = flow();
        assert!(!flow.is_over(flow.begun.plus_seconds(599)));
        assert!(flow.is_over(flow.begun.plus_seconds(600)));
        assert!(flow.is_over(flow.begun.plus_seconds(-600)));
    }

    #[test]
    fn the_address_carries_the_challenge_of_rfc_7636() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let flow = Flow { verifier, ..flow() };
        for (endpoint, beginning) in
            [("https://idp.example/auth", "/auth?response"), ("https://idp.example/a?b=c", "/a?b=c&response")]
        {
            let address = flow.address(&endpoint.parse().unwrap(), &[("client_id", "app")]);
            assert!(address.starts_with(&format!("https://idp.example{beginning}_type=code&state=")), "{address}");
            assert!(address.contains("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"), "{address}");
            assert!(address.ends_with("&code_challenge_method=S256&client_id=app"), "{address}");
        }
    }
}
