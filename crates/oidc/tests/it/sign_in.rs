//! Signing in with a certified provider, and with one that has other ideas.

use jose::{Claims, TokenError};
use kernel::{FixedMoment, Secret, Timestamp};
use oidc::{
    Begun, Callback, ClientAuth, Discovery, FinishError, Flow, IdTokenError, KeyOrigin, KeySource, Registration,
    RelyingParty,
};
use outbound::{Client, Reach, Trust};
use serde_json::{Value, json};
use testkit::provider::{CLIENT_SECRET, Provider, Settings};
use tokio::runtime::Handle;

const REDIRECT: &str = "https://app.example.org/callback";

struct World {
    provider: Provider,
    party: RelyingParty,
    moment: FixedMoment,
}

type Wrong = fn(&FinishError) -> bool;

/// An answer of the provider, as a server reads it from the redirect.
#[derive(Debug, Clone)]
struct Answer {
    state: String,
    code: String,
    iss: String,
}

impl Answer {
    fn read(url: &str) -> Self {
        let query = url.strip_prefix(REDIRECT).unwrap().strip_prefix('?').unwrap();
        let field = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().replace("%3A", ":").replace("%2F", "/")
        };
        Self { state: field("state"), code: field("code"), iss: field("iss") }
    }

    fn callback(&self) -> Callback<'_> {
        Callback { state: Some(&self.state), code: Some(&self.code), iss: Some(&self.iss), error: None }
    }
}

impl World {
    async fn start(client_id: &str, auth: ClientAuth) -> Option<Self> {
        let provider = Provider::start(&Settings::new(REDIRECT))?;
        let party = party(provider.issuer(), client_id, auth);
        let moment = FixedMoment::new(provider.now().await.micros());
        Some(Self { provider, party, moment })
    }

    async fn basic() -> Option<Self> {
        Self::start("basic", ClientAuth::Basic(Secret::new(CLIENT_SECRET.to_owned()))).await
    }

    fn now(&self) -> Timestamp {
        self.moment.moment().now()
    }

    /// A person who has signed in at the provider and comes back.
    async fn came_back(&self) -> (Flow, Answer) {
        let Begun { url, flow } = self.party.begin(&self.moment.moment()).await.unwrap();
        (flow, Answer::read(&self.provider.browse(&url).await))
    }

    async fn sign_in(&self) -> Result<Claims, FinishError> {
        let (flow, answer) = self.came_back().await;
        self.party.finish(&flow, &answer.callback(), self.now()).await
    }

    /// What is wrong with an identity token that says something else.
    async fn tampered(&self, claims: &Value) -> Option<IdTokenError> {
        self.provider.tamper(claims).await;
        let Err(error) = self.sign_in().await else { return None };
        assert!(matches!(error, FinishError::IdToken(_)), "{claims}: {error:?}");
        std::error::Error::source(&error)?.downcast_ref().cloned()
    }
}

fn party(issuer: &str, client_id: &str, auth: ClientAuth) -> RelyingParty {
    let client = Client::new(Trust::Nobody).unwrap();
    let discovery = Discovery::new(client.clone(), issuer, Reach::Private, Handle::current()).unwrap();
    let keys = KeySource::new(client.clone(), KeyOrigin::Issuer(discovery.clone()), Handle::current());
    let scopes = ["openid", "email", "groups"].map(str::to_owned).to_vec();
    let registration =
        Registration { client_id: client_id.to_owned(), auth, redirect_uri: REDIRECT.to_owned(), scopes };
    RelyingParty::new(client, discovery, keys, registration)
}

#[tokio::test]
async fn a_person_signs_in_and_brings_their_groups() {
    let secret = || Secret::new(CLIENT_SECRET.to_owned());
    for (id, auth) in
        [("basic", ClientAuth::Basic(secret())), ("post", ClientAuth::Post(secret())), ("public", ClientAuth::Public)]
    {
        let Some(world) = World::start(id, auth).await else { return };
        world.provider.person("bob").await;
        let claims = world.sign_in().await.unwrap();
        assert_eq!((claims.sub.as_str(), claims.text("email")), ("bob", Some("bob@example.org")), "{id}");
        assert_eq!(claims.texts("groups"), Some(vec!["engineers", "leads"]), "{id}");
    }
}

#[tokio::test]
async fn a_flow_that_was_bytes_in_between_still_ends() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let flow = Flow::from_bytes(flow.to_bytes().expose()).unwrap();
    let claims = world.party.finish(&flow, &answer.callback(), world.now()).await.unwrap();
    assert_eq!(claims.sub, "alice");
}

#[tokio::test]
async fn an_answer_that_is_not_for_this_sign_in_reaches_no_token_endpoint() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let (_, other) = world.came_back().await;
    let right = answer.callback();
    let elsewhere = party("http://127.0.0.1:1", "basic", ClientAuth::Public);
    assert!(elsewhere.finish(&flow, &right, world.now()).await.is_err());
    let cases: [(Callback<'_>, i64, Wrong); 9] = [
        (other.callback(), 0, |error| matches!(error, FinishError::State)),
        (Callback { state: None, ..right }, 0, |error| matches!(error, FinishError::State)),
        (Callback { state: Some(""), ..right }, 0, |error| matches!(error, FinishError::State)),
        (right, 600, |error| matches!(error, FinishError::Expired)),
        (Callback { iss: Some("https://evil.example"), ..right }, 0, |error| matches!(error, FinishError::Issuer)),
        (Callback { iss: None, ..right }, 0, |error| matches!(error, FinishError::Issuer)),
        (Callback { code: None, ..right }, 0, |error| matches!(error, FinishError::NoCode)),
        (Callback { code: Some(""), ..right }, 0, |error| matches!(error, FinishError::NoCode)),
        (Callback { error: Some("access_denied"), ..right }, 0, |error| matches!(error, FinishError::Denied(_))),
    ];
    for (callback, seconds, wrong) in cases {
        let error = world.party.finish(&flow, &callback, world.now().plus_seconds(seconds)).await.unwrap_err();
        assert!(wrong(&error), "{callback:?}: {error:?}");
    }
    assert_eq!(world.provider.counts().await.token, 0);
}

#[tokio::test]
async fn a_code_serves_once() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    world.party.finish(&flow, &answer.callback(), world.now()).await.unwrap();
    let again = world.party.finish(&flow, &answer.callback(), world.now()).await;
    assert!(matches!(again, Err(FinishError::Code(_))), "{again:?}");
}

#[tokio::test]
async fn a_code_without_its_verifier_is_worth_nothing() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let (other, _) = world.came_back().await;
    // A thief has the code and the state, and a sign-in of their own.
    let mut stolen: Value = serde_json::from_slice(other.to_bytes().expose()).unwrap();
    let own: Value = serde_json::from_slice(flow.to_bytes().expose()).unwrap();
    stolen["state"] = own["state"].clone();
    stolen["nonce"] = own["nonce"].clone();
    let stolen = Flow::from_bytes(stolen.to_string().as_bytes()).unwrap();
    let refused = world.party.finish(&stolen, &answer.callback(), world.now()).await;
    assert!(matches!(refused, Err(FinishError::Code(_))), "{refused:?}");
}

#[tokio::test]
async fn a_code_injected_into_another_sign_in_is_refused() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let (_, other) = world.came_back().await;
    let injected = Callback { code: Some(&other.code), ..answer.callback() };
    let refused = world.party.finish(&flow, &injected, world.now()).await;
    assert!(matches!(refused, Err(FinishError::Code(_))), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_the_provider_does_not_know_so_is_told_apart() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let wrong = ClientAuth::Basic(Secret::new("not the secret".to_owned()));
    let refused = party(world.provider.issuer(), "basic", wrong).finish(&flow, &answer.callback(), world.now()).await;
    assert!(matches!(refused, Err(FinishError::Registration(_))), "{refused:?}");
    // The code is another client's.
    let other = party(world.provider.issuer(), "public", ClientAuth::Public);
    let refused = other.finish(&flow, &answer.callback(), world.now()).await;
    assert!(matches!(refused, Err(FinishError::Code(_))), "{refused:?}");
}

#[tokio::test]
async fn what_an_identity_token_says_must_fit_this_sign_in() {
    let Some(world) = World::basic().await else { return };
    let now = world.now().micros() / 1_000_000;
    for (claims, error) in [
        (json!({ "nonce": "of another sign-in" }), IdTokenError::Nonce),
        (json!({ "nonce": null }), IdTokenError::Nonce),
        (json!({ "aud": ["basic", "other"] }), IdTokenError::AuthorizedParty),
        (json!({ "azp": "other" }), IdTokenError::AuthorizedParty),
        (json!({ "azp": 7 }), IdTokenError::AuthorizedParty),
        (json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), IdTokenError::AccessTokenHash),
        (json!({ "at_hash": null }), IdTokenError::AccessTokenHash),
        (json!({ "iss": "https://evil.example" }), TokenError::Issuer.into()),
        (json!({ "aud": "other" }), TokenError::Audience.into()),
        (json!({ "exp": now - 31 }), TokenError::Expired.into()),
        (json!({ "iat": now + 300 }), TokenError::IssuedInFuture.into()),
    ] {
        assert_eq!(world.tampered(&claims).await, Some(error), "{claims}");
    }
    for fitting in [json!({ "aud": ["basic", "other"], "azp": "basic" }), json!({ "at_hash": "right" })] {
        assert_eq!(world.tampered(&fitting).await, None, "{fitting}");
    }
}

#[tokio::test]
async fn a_key_that_is_new_to_us_signs_people_in_at_once() {
    let Some(world) = World::basic().await else { return };
    world.sign_in().await.unwrap();
    world.provider.rotate().await;
    world.moment.advance_micros(10_000_000);
    assert_eq!(world.sign_in().await.unwrap().sub, "alice");
}

#[tokio::test]
async fn a_provider_that_is_down_is_an_error_of_its_own() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    world.provider.silence(true).await;
    let error = world.party.finish(&flow, &answer.callback(), world.now()).await.unwrap_err();
    assert!(matches!(error, FinishError::Provider(_)), "{error:?}");
    let unheard = party(world.provider.issuer(), "basic", ClientAuth::Public);
    assert!(unheard.begin(&world.moment.moment()).await.is_err());
}

#[tokio::test]
async fn no_error_shows_a_secret_or_what_the_provider_said() {
    let Some(world) = World::basic().await else { return };
    let (flow, answer) = world.came_back().await;
    let wrong = ClientAuth::Basic(Secret::new("canary".to_owned()));
    let party = party(world.provider.issuer(), "basic", wrong);
    let error = party.finish(&flow, &answer.callback(), world.now()).await.unwrap_err();
    let all = format!("{error} {error:?} {party:?} {flow:?}");
    let secrets = flow.to_bytes();
    let secrets: Value = serde_json::from_slice(secrets.expose()).unwrap();
    for secret in ["canary", &answer.code, secrets["verifier"].as_str().unwrap(), "client authentication failed"] {
        assert!(!all.contains(secret), "{all}");
    }
}
