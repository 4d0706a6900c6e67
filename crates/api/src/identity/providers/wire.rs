//! Identity providers as clients see them.

use std::collections::BTreeMap;

use authz::RoleName;
use identity::{
    NewProvider, Provider, ProviderChange, ProviderKeys, ProviderSettings, ProviderStatus, SecretEdit, TenantClaim,
};
use jose::Algorithm;
use kernel::{ProviderId, Secret, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::wire::{Change, Hidden, Show, Written, present};

/// The provider that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ProviderPath {
    /// The provider's id.
    #[param(value_type = String, example = "idp_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    pub(super) provider_id: Written<ProviderId>,
}

/// What each value of a claim gives.
type RoleMap = BTreeMap<String, Vec<Written<RoleName>>>;

/// A claim that says which tenant of an issuer a token is about.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantClaimIo {
    /// The claim.
    #[schema(example = "tid")]
    claim: String,
    /// What it must hold.
    value: String,
}

/// A provider to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderIn {
    /// What people call it.
    #[schema(value_type = String, max_length = 100, example = "Company login")]
    name: Written<Text<100>>,
    /// Its name in its tokens: an `https` URL.
    #[schema(example = "https://login.example.com")]
    issuer: String,
    /// Whom its bearer tokens must be meant for.
    #[schema(min_items = 1, max_items = 16, example = json!(["https://taskforce.example.com"]))]
    audiences: Vec<String>,
    /// Who we are to it, where people sign in with it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_id: Change<String>,
    /// What we prove ourselves with. It is never shown.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_secret: Change<Hidden>,
    /// What it is asked to say of people who sign in, besides `openid`: at first `profile` and `email`.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 16)]
    scopes: Option<Vec<String>>,
    /// What its tokens may be signed with: at first `RS256`, `ES256` and `EdDSA`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["RS256"]))]
    algorithms: Option<Vec<Written<Algorithm>>>,
    /// Where its keys are, if its configuration does not say.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    jwks_url: Change<String>,
    /// Its keys themselves: a JSON Web Key Set.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    jwks: Change<Map<String, Value>>,
    /// The claim that names its tenant, for an issuer with many: `tid`, `org_id`.
    #[serde(default)]
    #[schema(value_type = Option<TenantClaimIo>)]
    tenant: Change<TenantClaimIo>,
    /// The claim that holds roles or groups; a path such as `realm_access.roles`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "groups")]
    roles_claim: Change<String>,
    /// What each of that claim's values gives. When it is not empty, the provider decides about roles, and alone.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>, example = json!({"ops": ["operator"]}))]
    role_map: Option<RoleMap>,
    /// The claim that holds a name to make a username of: at first `preferred_username`.
    #[serde(default, deserialize_with = "present")]
    username_claim: Option<String>,
    /// The claim that holds an address: at first `email`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email_claim: Change<String>,
    /// Whether somebody who is not known yet becomes a user: at first not.
    #[serde(default, deserialize_with = "present")]
    provision: Option<bool>,
}

/// What becomes different about a provider; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    name: Option<Written<Text<100>>>,
    /// Its name in its tokens.
    #[serde(default, deserialize_with = "present")]
    issuer: Option<String>,
    /// Whom its bearer tokens must be meant for.
    #[serde(default, deserialize_with = "present")]
    audiences: Option<Vec<String>>,
    /// Whether it is believed: `active` or `disabled`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "disabled")]
    status: Option<Written<ProviderStatus>>,
    /// Who we are to it, where people sign in with it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_id: Change<String>,
    /// What we prove ourselves with. It is never shown.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_secret: Change<Hidden>,
    /// What it is asked to say of people who sign in, besides `openid`: at first `profile` and `email`.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 16)]
    scopes: Option<Vec<String>>,
    /// What its tokens may be signed with: at first `RS256`, `ES256` and `EdDSA`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["RS256"]))]
    algorithms: Option<Vec<Written<Algorithm>>>,
    /// Where its keys are, if its configuration does not say.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    jwks_url: Change<String>,
    /// Its keys themselves: a JSON Web Key Set.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    jwks: Change<Map<String, Value>>,
    /// The claim that names its tenant, for an issuer with many: `tid`, `org_id`.
    #[serde(default)]
    #[schema(value_type = Option<TenantClaimIo>)]
    tenant: Change<TenantClaimIo>,
    /// The claim that holds roles or groups; a path such as `realm_access.roles`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "groups")]
    roles_claim: Change<String>,
    /// What each of that claim's values gives. When it is not empty, the provider decides about roles, and alone.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>, example = json!({"ops": ["operator"]}))]
    role_map: Option<RoleMap>,
    /// The claim that holds a name to make a username of: at first `preferred_username`.
    #[serde(default, deserialize_with = "present")]
    username_claim: Option<String>,
    /// The claim that holds an address: at first `email`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email_claim: Change<String>,
    /// Whether somebody who is not known yet becomes a user: at first not.
    #[serde(default, deserialize_with = "present")]
    provision: Option<bool>,
}

impl ProviderIn {
    pub(super) fn into_provider(self) -> Result<NewProvider, Problem> {
        let Self { name, issuer, audiences, client_id, client_secret, scopes, algorithms, jwks_url, jwks, .. } = self;
        let Self { tenant, roles_claim, role_map, username_claim, email_claim, provision, .. } = self;
        let patch = ProviderPatch {
            name: None,
            issuer: None,
            audiences: Some(audiences),
            status: None,
            client_id,
            client_secret,
            scopes,
            algorithms,
            jwks_url,
            jwks,
            tenant,
            roles_claim,
            role_map,
            username_claim,
            email_claim,
            provision,
        };
        let ProviderChange { settings, client_secret, .. } = patch.of(ProviderSettings::new(issuer, ""), 0)?;
        let client_secret = match client_secret {
            SecretEdit::Keep | SecretEdit::Remove => None,
            SecretEdit::Set(secret) => Some(secret),
        };
        let settings = settings.ok_or_else(|| Problem::field("", &"the settings are missing"))?;
        Ok(NewProvider { name: name.0, settings, client_secret })
    }
}

impl ProviderPatch {
    /// The change of a provider that has the settings `before`.
    pub(super) fn of(self, before: ProviderSettings, expected_revision: u64) -> Result<ProviderChange, Problem> {
        let Self { name, issuer, audiences, status, client_id, client_secret, scopes, algorithms, .. } = self;
        let Self { jwks_url, jwks, tenant, roles_claim, role_map, username_claim, email_claim, provision, .. } = self;
        let settings = ProviderSettings {
            issuer: issuer.unwrap_or(before.issuer),
            audiences: audiences.unwrap_or(before.audiences),
            client_id: client_id.over(before.client_id),
            scopes: scopes.unwrap_or(before.scopes),
            algorithms: algorithms.map_or(before.algorithms, |all| all.into_iter().map(|each| each.0).collect()),
            keys: keys(before.keys, jwks_url, jwks)?,
            tenant: match tenant {
                Change::Keep => before.tenant,
                Change::Remove => None,
                Change::Set(TenantClaimIo { claim, value }) => Some(TenantClaim { claim, value }),
            },
            roles_claim: roles_claim.over(before.roles_claim),
            role_map: role_map.map_or(before.role_map, |map| {
                let roles = |(value, roles): (String, Vec<Written<RoleName>>)| {
                    (value, roles.into_iter().map(|role| role.0).collect())
                };
                map.into_iter().map(roles).collect()
            }),
            username_claim: username_claim.unwrap_or(before.username_claim),
            email_claim: email_claim.over(before.email_claim),
            provision: provision.unwrap_or(before.provision),
        };
        let client_secret = match client_secret {
            Change::Keep => SecretEdit::Keep,
            Change::Remove => SecretEdit::Remove,
            Change::Set(Hidden(secret)) => SecretEdit::Set(usable(secret)?),
        };
        let (name, status) = (name.map(|name| name.0), status.map(|status| status.0));
        Ok(ProviderChange { expected_revision, name, settings: Some(settings), client_secret, status })
    }
}

fn usable(secret: Secret<String>) -> Result<Secret<String>, Problem> {
    if (1..=1_024).contains(&secret.expose().len()) {
        return Ok(secret);
    }
    Err(Problem::field("/client_secret", &"must be 1 to 1024 bytes"))
}

/// Where the keys are: in one place.
fn keys(
    before: ProviderKeys,
    url: Change<String>,
    inline: Change<Map<String, Value>>,
) -> Result<ProviderKeys, Problem> {
    match (url, inline) {
        (Change::Set(_), Change::Set(_)) => Err(Problem::field("/jwks", &"stands beside `jwks_url`: give one of them")),
        (Change::Set(url), _) => Ok(ProviderKeys::Url(url)),
        (_, Change::Set(keys)) => Ok(ProviderKeys::Inline(Value::Object(keys).to_string())),
        (Change::Keep, Change::Keep) => Ok(before),
        (Change::Remove, Change::Keep) if matches!(before, ProviderKeys::Inline(_)) => Ok(before),
        (Change::Keep, Change::Remove) if matches!(before, ProviderKeys::Url(_)) => Ok(before),
        (Change::Remove | Change::Keep, Change::Remove | Change::Keep) => Ok(ProviderKeys::Discovered),
    }
}

/// An identity provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderOut {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// `active` or `disabled`.
    #[schema(example = "active")]
    status: &'static str,
    /// Its name in its tokens.
    issuer: String,
    /// Whom its bearer tokens must be meant for.
    audiences: Vec<String>,
    /// Who we are to it.
    client_id: Option<String>,
    /// Whether a client secret is kept.
    has_client_secret: bool,
    /// What it is asked to say of people who sign in, besides `openid`.
    scopes: Vec<String>,
    /// What its tokens may be signed with.
    algorithms: Vec<&'static str>,
    /// Where its keys are, if its configuration does not say.
    jwks_url: Option<String>,
    /// Its keys themselves.
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// The claim that names its tenant.
    tenant: Option<TenantClaimIo>,
    /// The claim that holds roles or groups.
    roles_claim: Option<String>,
    /// What each of that claim's values gives.
    role_map: BTreeMap<String, Vec<String>>,
    /// The claim that holds a name to make a username of.
    username_claim: String,
    /// The claim that holds an address.
    email_claim: Option<String>,
    /// Whether somebody who is not known yet becomes a user.
    provision: bool,
    /// When it was registered.
    created_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

impl Show for Provider {
    type Out = ProviderOut;

    fn show(&self) -> ProviderOut {
        let Self { id, name, settings, has_secret, status, created_at, revision } = self;
        let ProviderSettings { issuer, audiences, client_id, scopes, algorithms, keys, tenant, .. } = settings;
        let ProviderSettings { roles_claim, role_map, username_claim, email_claim, provision, .. } = settings;
        let (jwks_url, jwks) = match keys {
            ProviderKeys::Discovered => (None, None),
            ProviderKeys::Url(url) => (Some(url.clone()), None),
            ProviderKeys::Inline(keys) => (None, serde_json::from_str(keys).ok()),
        };
        let given =
            role_map.iter().map(|(value, roles)| (value.clone(), roles.iter().map(ToString::to_string).collect()));
        ProviderOut {
            id: id.to_string(),
            name: name.to_string(),
            status: status.as_str(),
            issuer: issuer.clone(),
            audiences: audiences.clone(),
            client_id: client_id.clone(),
            has_client_secret: *has_secret,
            scopes: scopes.clone(),
            algorithms: algorithms.iter().map(|algorithm| algorithm.name()).collect(),
            jwks_url,
            jwks,
            tenant: tenant
                .as_ref()
                .map(|TenantClaim { claim, value }| TenantClaimIo { claim: claim.clone(), value: value.clone() }),
            roles_claim: roles_claim.clone(),
            role_map: given.collect(),
            username_claim: username_claim.clone(),
            email_claim: email_claim.clone(),
            provision: *provision,
            created_at: created_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/identity-providers/{}", self.id))
    }
}

/// The providers of a tenant.
#[derive(Debug)]
pub(crate) struct Providers(pub(super) Vec<Provider>);

/// The providers of a tenant, all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProvidersOut {
    /// The providers.
    items: Vec<ProviderOut>,
}

impl Show for Providers {
    type Out = ProvidersOut;

    fn show(&self) -> ProvidersOut {
        ProvidersOut { items: self.0.iter().map(Show::show).collect() }
    }
}

impl<T> Change<T> {
    /// What becomes of a value that was `before`.
    fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Remove => None,
            Self::Set(value) => Some(value),
        }
    }
}
