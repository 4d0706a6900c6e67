//! API keys: everybody's own, and with `key:manage` those of others.

use authz::{Caller, Permission};
use axum::extract::State;
use axum::response::Response;
use identity::{CreateKeyError, IssuedKey, Key, KeyError, NewKey, RevokeKeyError};
use kernel::{AgentId, Cursor, KeyId, Text, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Limit, PageOut, Show, Written};

/// The key that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct KeyPath {
    /// The key's id: its public part.
    #[param(value_type = String, example = "7Hq2vXc0LmZ1")]
    key_id: Written<KeyId>,
}

/// Whose keys, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeysQuery {
    /// Only this user's keys.
    #[param(value_type = Option<String>)]
    user_id: Option<Written<UserId>>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyIn {
    /// Whose it will be.
    #[schema(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    user_id: Written<UserId>,
    /// What it is for.
    #[schema(value_type = String, max_length = 100, example = "support desk")]
    name: Written<Text<100>>,
    /// What it is narrowed to; null for all that its owner may do at each moment.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["agent:execute"]))]
    scopes: Option<Vec<Written<Permission>>>,
    /// From when on it is refused; 90 days from now unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Written<Timestamp>>,
    /// The agent that model calls with this key are for, unless they name another.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent_id: Option<Written<AgentId>>,
}

impl From<KeyIn> for NewKey {
    fn from(KeyIn { user_id, name, scopes, expires_at, agent_id }: KeyIn) -> Self {
        Self {
            user: user_id.0,
            name: name.0,
            scopes: scopes.map(|scopes| scopes.into_iter().map(|scope| scope.0).collect()),
            expires_at: expires_at.map(|at| at.0),
            agent: agent_id.map(|agent| agent.0),
        }
    }
}

/// What is known of a key once its secret has been handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyOut {
    /// The public part of the key.
    #[schema(example = "7Hq2vXc0LmZ1")]
    id: String,
    /// Whose key it is.
    user_id: String,
    /// What it is for.
    name: String,
    /// The last four characters, by which its holder tells it from others.
    last4: String,
    /// What it is narrowed to.
    scopes: Option<Vec<&'static str>>,
    /// The agent that model calls with it are for, unless they name another.
    agent_id: Option<String>,
    /// When it was made.
    created_at: String,
    /// From when on it is refused.
    expires_at: String,
    /// Since when it is refused, if it was revoked.
    revoked_at: Option<String>,
}

/// A key at the one moment when its text is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedKeyOut {
    /// What stays known.
    #[serde(flatten)]
    key: KeyOut,
    /// The whole key: keep it, it is not shown again.
    #[schema(example = "tfk_…")]
    secret: String,
}

impl Show for Key {
    type Out = KeyOut;

    fn show(&self) -> KeyOut {
        let Self { id, user, name, last4, scopes, agent, created_at, expires_at, revoked_at } = self;
        KeyOut {
            id: id.to_string(),
            user_id: user.to_string(),
            name: name.to_string(),
            last4: last4.clone(),
            scopes: scopes.map(|scopes| scopes.iter().map(Permission::as_str).collect()),
            agent_id: agent.as_ref().map(ToString::to_string),
            created_at: created_at.to_string(),
            expires_at: expires_at.to_string(),
            revoked_at: revoked_at.as_ref().map(ToString::to_string),
        }
    }
}

impl Show for IssuedKey {
    type Out = IssuedKeyOut;

    fn show(&self) -> IssuedKeyOut {
        let Self { key, secret } = self;
        IssuedKeyOut { key: key.show(), secret: secret.expose().clone() }
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/keys/{}", self.key.id))
    }
}

/// Creates an API key.
///
/// Everybody makes keys of their own; `key:manage` makes keys for others. The secret is shown this once.
#[utoipa::path(
    post, path = "/api/v1/admin/keys", tag = "Keys", request_body = KeyIn,
    responses((status = 201, body = IssuedKeyOut), Problem)
)]
pub(crate) async fn create_key(State(app): State<App>, act: Act<KeyIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    app.create(act.by, move |db, caller, at| identity::create_key(db, caller, new, at)).await
}

/// Lists API keys, by id.
///
/// Without `key:manage`, name yourself as `user_id`.
#[utoipa::path(
    get, path = "/api/v1/admin/keys", tag = "Keys", params(KeysQuery),
    responses((status = 200, body = PageOut<KeyOut>), Problem)
)]
pub(crate) async fn list_keys(
    State(app): State<App>,
    caller: Caller,
    Query(KeysQuery { user_id, cursor, limit }): Query<KeysQuery>,
) -> Result<Response, Problem> {
    let (user, after) = (user_id.map(|user| user.0), cursor.map(|cursor| cursor.0));
    app.read(caller, move |db, caller, _| identity::keys(db, caller, user.as_ref(), after.as_ref(), limit.0)).await
}

/// Shows an API key, without its secret.
#[utoipa::path(
    get, path = "/api/v1/admin/keys/{key_id}", tag = "Keys", params(KeyPath),
    responses((status = 200, body = KeyOut), Problem)
)]
pub(crate) async fn get_key(
    State(app): State<App>,
    caller: Caller,
    Path(KeyPath { key_id }): Path<KeyPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::key(db, caller, &key_id.0)).await
}

/// Revokes an API key for good.
#[utoipa::path(
    post, path = "/api/v1/admin/keys/{key_id}/revoke", tag = "Keys", params(KeyPath), request_body = Option<Nothing>,
    responses((status = 200, body = KeyOut), Problem)
)]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    Path(KeyPath { key_id }): Path<KeyPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| identity::revoke_key(db, caller, &key_id.0, at)).await
}

impl From<CreateKeyError> for Problem {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Forbidden(refusal) => refusal.into(),
            CreateKeyError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            CreateKeyError::UserNotFound(_) => Self::field("/user_id", &error),
            CreateKeyError::Deactivated(_) => Self::client(Kind::WrongState, &error),
            CreateKeyError::Expired(_) => Self::field("/expires_at", &error),
            CreateKeyError::Database(error) => error.into(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Forbidden(refusal) => refusal.into(),
            KeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            KeyError::Database(error) => error.into(),
        }
    }
}

impl From<RevokeKeyError> for Problem {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::Forbidden(refusal) => refusal.into(),
            RevokeKeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            RevokeKeyError::AlreadyRevoked(_) => Self::client(Kind::WrongState, &error),
            RevokeKeyError::Database(error) => error.into(),
        }
    }
}
