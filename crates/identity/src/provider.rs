//! Identity providers of a tenant: who else may say who somebody is, and what becomes of what they say.

use std::collections::BTreeMap;
use std::fmt;

use authz::Roles;
use jose::{Algorithm, Claims, Expected, KeySet, TenantRule, Tenants, Unverified};
use kernel::{ProviderId, TenantId, Text, Timestamp};
use serde_json::{Map, Value, json};

use crate::form::sha256;
use crate::{Email, ProviderStatus, Username};

/// An identity provider. It belongs to one tenant, and can speak for no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its id, never given again.
    pub id: ProviderId,
    /// What people call it: no two providers of a tenant are called alike.
    pub name: Text<100>,
    /// How its tokens are read.
    pub settings: ProviderSettings,
    /// Whether a client secret is kept for it. Nothing ever shows it.
    pub has_secret: bool,
    /// Whether it is believed.
    pub status: ProviderStatus,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// How a provider's tokens are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its name in its tokens, compared byte for byte: an `https` URL, or `http` on loopback.
    pub issuer: String,
    /// Whom its bearer tokens must be meant for: at least one. Its ID tokens must be meant for the client.
    pub audiences: Vec<String>,
    /// Who we are to it, where people sign in with it.
    pub client_id: Option<String>,
    /// What it is asked to say of people who sign in, besides `openid`.
    pub scopes: Vec<String>,
    /// What its tokens may be signed with; never a shared secret.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are.
    pub keys: ProviderKeys,
    /// The claim that names its tenant, and what it must say, for an issuer with many tenants (`tid`, `org_id`).
    pub tenant: Option<TenantClaim>,
    /// The claim that holds roles or groups; a path such as `realm_access.roles`.
    pub roles_claim: Option<String>,
    /// What each of that claim's values gives. When it is not empty, the provider decides about roles, and alone.
    pub role_map: BTreeMap<String, Roles>,
    /// The claim that holds a name to make a username of.
    pub username_claim: String,
    /// The claim that holds an address.
    pub email_claim: Option<String>,
    /// Whether somebody who is not known yet becomes a user.
    pub provision: bool,
}

/// Where the keys of a provider are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKeys {
    /// Where its metadata (`/.well-known/openid-configuration`) says.
    Discovered,
    /// At this URL.
    Url(String),
    /// Here: a JSON Web Key Set.
    Inline(String),
}

/// A claim that says which tenant of an issuer a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantClaim {
    /// The claim; a path such as `org.id`.
    pub claim: String,
    /// What it must hold.
    pub value: String,
}

/// Settings that no provider can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {wrong}")]
pub struct ProviderSettingsError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub wrong: &'static str,
}

/// How many values a role map may have.
const MAX_MAPPED: usize = 256;

/// Claims that are about the token, or about one person (RFC 7519 section 4.1).
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

impl ProviderSettings {
    /// Settings with an issuer and one audience: keys as its metadata says, RS256, ES256 and `EdDSA`, the claims
    /// `preferred_username` and `email`, no roles from claims, and no new users.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            client_id: None,
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            keys: ProviderKeys::Discovered,
            tenant: None,
            roles_claim: None,
            role_map: BTreeMap::new(),
            username_claim: "preferred_username".to_owned(),
            email_claim: Some("email".to_owned()),
            provision: false,
        }
    }

    /// Says what is wrong with the settings.
    pub(crate) fn check(&self) -> Result<(), ProviderSettingsError> {
        let refuse = |field, wrong| Err(ProviderSettingsError { field, wrong });
        let is_name = |text: &str| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        if !is_url(&self.issuer) {
            return refuse("issuer", URL);
        }
        if !(1..=16).contains(&self.audiences.len()) || !self.audiences.iter().all(|audience| is_name(audience)) {
            return refuse("audiences", "must be 1 to 16 texts of 1 to 255 bytes");
        }
        if self.client_id.as_ref().is_some_and(|id| !is_name(id)) {
            return refuse("client_id", "must be 1 to 255 bytes");
        }
        let is_scope = |scope: &String| {
            is_name(scope) && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
        };
        if self.scopes.len() > 16 || !self.scopes.iter().all(is_scope) {
            return refuse("scopes", "must be at most 16 words of OAuth's");
        }
        if self.algorithms.is_empty() || self.algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
            return refuse("algorithms", "must be at least one, each with a public key");
        }
        match &self.keys {
            ProviderKeys::Discovered => {}
            ProviderKeys::Url(url) if is_url(url) => {}
            ProviderKeys::Url(_) => return refuse("jwks_url", URL),
            ProviderKeys::Inline(_) if self.key_set().is_some_and(|set| !set.keys().is_empty()) => {}
            ProviderKeys::Inline(_) => return refuse("jwks", "must be a JSON Web Key Set with a usable public key"),
        }
        let claims = [Some(&self.username_claim), self.roles_claim.as_ref(), self.email_claim.as_ref()];
        if claims.into_iter().flatten().any(|claim| !is_name(claim)) {
            return refuse("claims", "must be names of 1 to 255 bytes");
        }
        if self.tenant.as_ref().is_some_and(|tenant| !is_name(&tenant.claim) || !is_name(&tenant.value)) {
            return refuse("tenant", "must be a claim and its value, each of 1 to 255 bytes");
        }
        // What every token of an issuer says, or only one person's, tells no tenant from another.
        if self.tenant.as_ref().is_some_and(|tenant| REGISTERED.contains(&tenant.claim.as_str())) {
            return refuse("tenant", "must be a claim that tells the issuer's tenants apart");
        }
        if self.roles_claim.is_none() && !self.role_map.is_empty() {
            return refuse("role_map", "needs a claim to read");
        }
        if self.role_map.len() > MAX_MAPPED || !self.role_map.keys().all(|value| is_name(value)) {
            return refuse("role_map", "must have at most 256 values of 1 to 255 bytes");
        }
        Ok(())
    }

    /// The keys that stand in the settings themselves.
    pub fn key_set(&self) -> Option<KeySet> {
        match &self.keys {
            ProviderKeys::Inline(jwks) => KeySet::from_jwks(jwks.as_bytes(), &self.algorithms).ok(),
            ProviderKeys::Discovered | ProviderKeys::Url(_) => None,
        }
    }

    /// What a bearer token of the provider must say.
    pub fn expected(&self) -> Expected {
        let rule = |tenant: &TenantClaim| TenantRule {
            claim: tenant.claim.clone(),
            allowed: Tenants::Only([tenant.value.clone()].into()),
        };
        let mut expected = Expected::new(&self.issuer, "");
        expected.audiences.clone_from(&self.audiences);
        expected.tenant = self.tenant.as_ref().map(rule);
        expected
    }

    /// What the provider's claims give; `None` where the provider does not decide about roles.
    pub(crate) fn roles(&self, claims: &Claims) -> Option<Roles> {
        let path = self.roles_claim.as_ref().filter(|_| !self.role_map.is_empty())?;
        let values = claims.texts(path).unwrap_or_default();
        let given = values.into_iter().filter_map(|value| self.role_map.get(value));
        Some(given.fold(Roles::default(), |all, roles| all.union(roles)))
    }

    /// Whether the claims are about the tenant that the provider is registered for.
    pub(crate) fn is_for_tenant(&self, claims: &Claims) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| claims.text(&tenant.claim) == Some(&tenant.value))
    }

    /// Whether a token that nobody has verified says that it is about that tenant.
    pub(crate) fn is_claimed(&self, token: &Unverified<'_>) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| token.text(&tenant.claim) == Some(&tenant.value))
    }

    /// As the database keeps it.
    pub(crate) fn to_json(&self) -> Value {
        let Self { issuer, audiences, client_id, scopes, algorithms, keys, tenant, .. } = self;
        let Self { roles_claim, role_map, username_claim, email_claim, provision, .. } = self;
        let (jwks_url, jwks) = match keys {
            ProviderKeys::Discovered => (None, None),
            ProviderKeys::Url(url) => (Some(url), None),
            ProviderKeys::Inline(jwks) => (None, Some(jwks)),
        };
        let roles = role_map.iter().map(|(value, roles)| (value.clone(), json!(roles.to_string())));
        json!({
            "issuer": issuer,
            "audiences": audiences,
            "client_id": client_id,
            "scopes": scopes,
            "algorithms": algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>(),
            "jwks_url": jwks_url,
            "jwks": jwks,
            "tenant_claim": tenant.as_ref().map(|tenant| &tenant.claim),
            "tenant_value": tenant.as_ref().map(|tenant| &tenant.value),
            "roles_claim": roles_claim,
            "role_map": roles.collect::<Map<_, _>>(),
            "username_claim": username_claim,
            "email_claim": email_claim,
            "provision": provision,
        })
    }

    /// What [`ProviderSettings::to_json`] wrote.
    pub(crate) fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
        let texts =
            |name: &str| -> Option<Vec<&str>> { json.get(name)?.as_array()?.iter().map(Value::as_str).collect() };
        let roles = |(value, roles): (&String, &Value)| Some((value.clone(), roles.as_str()?.parse().ok()?));
        let algorithms = texts("algorithms")?.into_iter().map(|name| name.parse().ok());
        Some(Self {
            issuer: text("issuer")?,
            audiences: texts("audiences")?.into_iter().map(str::to_owned).collect(),
            client_id: text("client_id"),
            scopes: texts("scopes")?.into_iter().map(str::to_owned).collect(),
            algorithms: algorithms.collect::<Option<_>>()?,
            keys: match (text("jwks_url"), text("jwks")) {
                (Some(url), _) => ProviderKeys::Url(url),
                (None, Some(jwks)) => ProviderKeys::Inline(jwks),
                (None, None) => ProviderKeys::Discovered,
            },
            tenant: text("tenant_claim").zip(text("tenant_value")).map(|(claim, value)| TenantClaim { claim, value }),
            roles_claim: text("roles_claim"),
            role_map: json.get("role_map")?.as_object()?.iter().map(roles).collect::<Option<_>>()?,
            username_claim: text("username_claim")?,
            email_claim: text("email_claim"),
            provision: json.get("provision")?.as_bool()?,
        })
    }
}

const URL: &str = "must be an https URL of at most 512 bytes, or an http URL on loopback, without query or fragment";

fn is_url(text: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let local = |rest: &str| rest.is_empty() || rest.starts_with([':', '/']);
    let trusted = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        || loopback.iter().any(|start| text.strip_prefix(start).is_some_and(local));
    trusted
        && text.len() <= 512
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'))
}

/// Somebody whom a provider vouches for. Made of verified claims only.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who vouches.
    pub(crate) provider: ProviderId,
    /// For which tenant.
    pub(crate) tenant: TenantId,
    /// The subject at its issuer, hashed: what is kept of it.
    pub(crate) hash: [u8; 32],
    /// What the provider gives; `None` where it does not decide about roles.
    pub(crate) roles: Option<Roles>,
    /// The name and the address that the provider knows, where they can be ours.
    pub(crate) username: Option<Username>,
    pub(crate) email: Option<Email>,
}

/// Somebody whom a provider vouches for, who is no user yet and may become one: see [`provision`](crate::provision).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer(pub(crate) Subject);

impl Subject {
    /// Whom the claims are about.
    pub(crate) fn of(provider: &Provider, tenant: &TenantId, claims: &Claims) -> Self {
        let settings = &provider.settings;
        let email = settings.email_claim.as_ref().and_then(|claim| claims.text(claim));
        Self {
            provider: provider.id.clone(),
            tenant: tenant.clone(),
            hash: subject_hash(&claims.iss, &claims.sub),
            roles: settings.roles(claims),
            username: claims.text(&settings.username_claim).and_then(|name| name.to_lowercase().parse().ok()),
            email: email.and_then(|email| email.parse().ok()),
        }
    }
}

/// Names and addresses are personal data: only what names nobody is shown.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({}/{})", self.tenant, self.provider)
    }
}

/// What is kept of a subject. The issuer is part of it: a provider that is pointed elsewhere vouches for nobody whom it
/// vouched for before.
pub(crate) fn subject_hash(issuer: &str, subject: &str) -> [u8; 32] {
    sha256(["taskforce/subject/1", issuer, subject].join("\0").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::Role;

    fn settings() -> ProviderSettings {
        ProviderSettings::new("https://idp.example/realms/acme", "taskforce")
    }

    #[test]
    fn settings_survive_their_json() {
        let full = ProviderSettings {
            client_id: Some("taskforce-web".to_owned()),
            scopes: vec!["groups".to_owned()],
            keys: ProviderKeys::Url("https://idp.example/jwks".to_owned()),
            tenant: Some(TenantClaim { claim: "tid".to_owned(), value: "acme".to_owned() }),
            roles_claim: Some("groups".to_owned()),
            role_map: [("ops".to_owned(), [Role::Operator].into())].into(),
            email_claim: None,
            provision: true,
            ..settings()
        };
        for settings in [settings(), full] {
            assert_eq!(ProviderSettings::from_json(&settings.to_json()), Some(settings));
        }
    }

    #[test]
    fn settings_that_would_believe_anybody_are_refused() {
        let refused = |settings: ProviderSettings| settings.check().unwrap_err().field;
        assert_eq!(settings().check(), Ok(()));
        for issuer in [
            "",
            "idp.example",
            "http://idp.example",
            "https://",
            "https:///x",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "https://user@idp.example",
            "https://idp.example/?a",
            "https://idp.example/#a",
            "https://idp.exämple",
        ] {
            assert_eq!(refused(ProviderSettings { issuer: issuer.to_owned(), ..settings() }), "issuer", "{issuer}");
        }
        for issuer in ["http://127.0.0.1:8080", "http://localhost/op", "http://[::1]:1"] {
            assert_eq!(ProviderSettings { issuer: issuer.to_owned(), ..settings() }.check(), Ok(()), "{issuer}");
        }
        assert_eq!(refused(ProviderSettings { audiences: vec![], ..settings() }), "audiences");
        assert_eq!(refused(ProviderSettings { audiences: vec![String::new()], ..settings() }), "audiences");
        assert_eq!(refused(ProviderSettings { algorithms: vec![], ..settings() }), "algorithms");
        assert_eq!(refused(ProviderSettings { scopes: vec!["a b".to_owned()], ..settings() }), "scopes");
        let symmetric = vec![Algorithm::Rs256, Algorithm::Hs256];
        assert_eq!(refused(ProviderSettings { algorithms: symmetric, ..settings() }), "algorithms");
        let keys = ProviderKeys::Url("http://10.0.0.1/jwks".to_owned());
        assert_eq!(refused(ProviderSettings { keys, ..settings() }), "jwks_url");
        for jwks in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
            let keys = ProviderKeys::Inline(jwks.to_owned());
            assert_eq!(refused(ProviderSettings { keys, ..settings() }), "jwks", "{jwks}");
        }
        let role_map = BTreeMap::from([("ops".to_owned(), Roles::from([Role::Operator]))]);
        assert_eq!(refused(ProviderSettings { role_map, ..settings() }), "role_map");
        let tenant = Some(TenantClaim { claim: String::new(), value: "acme".to_owned() });
        assert_eq!(refused(ProviderSettings { tenant, ..settings() }), "tenant");
        for claim in REGISTERED {
            let tenant = Some(TenantClaim { claim: claim.to_owned(), value: "https://idp.example".to_owned() });
            assert_eq!(refused(ProviderSettings { tenant, ..settings() }), "tenant", "{claim}");
        }
    }

    #[test]
    fn a_subject_is_of_one_issuer() {
        let one = subject_hash("https://a.example", "alice");
        assert_ne!(one, subject_hash("https://b.example", "alice"));
        assert_ne!(one, subject_hash("https://a.example", "bob"));
        assert_ne!(subject_hash("https://a.example", "b"), subject_hash("https://a.exampleb", ""));
    }
}
