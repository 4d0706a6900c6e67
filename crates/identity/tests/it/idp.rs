//! An identity provider with a key of its own, and tokens as it signs them.

use std::borrow::Borrow;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use identity::{
    AuthError, Authenticated, Bearer, ProviderKeys, ProviderSettings, Refusal, TokenRefusal, TokenSettings, Tokens,
    Verifier,
};
use jose::{Algorithm, Claims, Expected, KeySet};
use kernel::{ProviderId, Secret, Timestamp};
use serde_json::{Value, json};

use crate::world::World;

pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const AUDIENCE: &str = "taskforce-api";
pub(crate) const CLIENT: &str = "taskforce-web";
/// What our own tokens are signed with.
pub(crate) const SECRET: [u8; 32] = *b"canary-of-the-installation-token";

pub(crate) struct Idp {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Idp {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), id }
    }

    pub(crate) fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..65]));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": self.id, "alg": "ES256", "x": x, "y": y }] }).to_string()
    }

    pub(crate) fn key_set(&self) -> Arc<KeySet> {
        Arc::new(KeySet::from_jwks(self.jwks().as_bytes(), &[Algorithm::Es256]).unwrap())
    }

    /// Settings with the provider's keys in them.
    pub(crate) fn settings(&self) -> ProviderSettings {
        let keys = ProviderKeys::Inline(self.jwks());
        ProviderSettings { keys, client_id: Some(CLIENT.to_owned()), ..ProviderSettings::new(ISSUER, AUDIENCE) }
    }

    /// Signs claims as they are.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.id }).to_string();
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }

    /// A token about `subject`, for an hour, with `more` claims.
    pub(crate) fn token(&self, world: &World<'_>, subject: &str, more: impl Borrow<Value>) -> String {
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": seconds(world) + 3_600 });
        claims.as_object_mut().unwrap().extend(more.borrow().as_object().unwrap().clone());
        self.sign(&claims)
    }

    /// What an identity token about `subject` says, verified.
    pub(crate) fn claims(&self, world: &World<'_>, subject: &str, more: impl Borrow<Value>) -> Claims {
        let mut all = json!({ "aud": CLIENT });
        all.as_object_mut().unwrap().extend(more.borrow().as_object().unwrap().clone());
        let issuer = all.get("iss").and_then(Value::as_str).unwrap_or(ISSUER).to_owned();
        let mut expected = Expected::new(issuer, CLIENT);
        expected.audiences.push("another-client".to_owned());
        let token = self.token(world, subject, all);
        jose::verify(&token, &self.key_set(), &expected, world.tester.moment().now()).unwrap()
    }
}

/// Now, in whole seconds since 1970.
pub(crate) fn seconds(world: &World<'_>) -> i64 {
    world.tester.moment().now().micros() / 1_000_000
}

pub(crate) fn tokens() -> Tokens {
    let secret = Secret::new(SECRET.to_vec());
    Tokens::new(&TokenSettings { secret, issuer: "https://taskforce.example".to_owned(), audience: None }).unwrap()
}

/// No provider's keys are known but those in its settings.
pub(crate) fn no_keys(_: &identity::Provider, _: Option<&str>) -> Option<Arc<KeySet>> {
    None
}

/// Presents a token, the directory being up to date.
pub(crate) fn present(world: &World<'_>, token: &str) -> Result<Authenticated, AuthError> {
    present_from(world, token, None)
}

pub(crate) fn present_from(
    world: &World<'_>,
    token: &str,
    from: Option<std::net::IpAddr>,
) -> Result<Authenticated, AuthError> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    present_as_is(world, token, from, world.tester.moment().now())
}

/// What is the matter with a token that is presented.
pub(crate) fn refusal(world: &World<'_>, token: &str) -> TokenRefusal {
    let cause = present(world, token).unwrap_err().cause;
    let refusal = if let Refusal::Token(refusal) = &cause { Some(refusal.clone()) } else { None };
    refusal.ok_or(cause).unwrap()
}

/// Presents a token to the directory as it is.
pub(crate) fn present_as_is(
    world: &World<'_>,
    token: &str,
    from: Option<std::net::IpAddr>,
    now: Timestamp,
) -> Result<Authenticated, AuthError> {
    let tokens = tokens();
    let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &no_keys };
    verifier.authenticate(Bearer { token, from, tenant: None, now }, authz::Request::made(&world.tester.moment()))
}

/// Presents a token to one tenant, the directory being up to date.
pub(crate) fn present_to(
    world: &World<'_>,
    token: &str,
    tenant: &kernel::TenantId,
) -> Result<Authenticated, AuthError> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    let (tokens, moment) = (tokens(), world.tester.moment());
    let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &no_keys };
    let bearer = Bearer { token, from: None, tenant: Some(tenant), now: moment.now() };
    verifier.authenticate(bearer, authz::Request::made(&moment))
}

/// Registers a provider in acme-corp.
pub(crate) fn register(world: &World<'_>, settings: ProviderSettings) -> identity::Provider {
    register_of(world, &world.bob, settings)
}

pub(crate) fn register_of(world: &World<'_>, admin: &authz::Caller, settings: ProviderSettings) -> identity::Provider {
    let id: ProviderId = world.tester.moment().id();
    let new = identity::NewProvider { name: kernel::Text::new(id.as_str()).unwrap(), settings, client_secret: None };
    let admin = world.tester.again(admin);
    identity::create_provider(&world.tester.db, &admin, new, &world.tester.moment()).unwrap()
}
