//! Sessions of people who signed in: everybody's own, and with `user:manage` those of others.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use identity::Session;
use kernel::{Cursor, SessionId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::wire::{Limit, PageOut, Show, Written};

/// The session that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The session's id.
    #[param(value_type = String, example = "ses_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    session_id: Written<SessionId>,
}

/// Whose sessions, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionsQuery {
    /// Only this user's sessions.
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

/// Somebody who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldSessionOut {
    /// The session's id, which lets nobody in.
    id: String,
    /// Whose it is.
    user_id: String,
    /// `password` or `oidc`.
    #[schema(example = "oidc")]
    method: &'static str,
    /// The identity provider, if it was signed in to with one.
    provider_id: Option<String>,
    /// From which network, roughly; empty if that was not known.
    #[schema(example = "192.0.2.0/24")]
    network: String,
    /// What the browser said of itself.
    agent: String,
    /// When it began.
    created_at: String,
    /// When its holder last proved who they are.
    authenticated_at: String,
    /// When it was last used, give or take a minute.
    seen_at: String,
    /// When it is over whatever happens.
    expires_at: String,
    /// When it was ended, if it was.
    ended_at: Option<String>,
}

impl Show for Session {
    type Out = HeldSessionOut;

    fn show(&self) -> HeldSessionOut {
        let Self { id, user, method, provider, network, agent, .. } = self;
        let Self { created_at, authenticated_at, seen_at, expires_at, ended_at, .. } = self;
        HeldSessionOut {
            id: id.to_string(),
            user_id: user.to_string(),
            method: method.as_str(),
            provider_id: provider.as_ref().map(ToString::to_string),
            network: network.clone(),
            agent: agent.clone(),
            created_at: created_at.to_string(),
            authenticated_at: authenticated_at.to_string(),
            seen_at: seen_at.to_string(),
            expires_at: expires_at.to_string(),
            ended_at: ended_at.as_ref().map(ToString::to_string),
        }
    }
}

/// Lists the sessions that are not over; the ones that began first come first.
///
/// Without `user:manage`, name yourself as `user_id`.
#[utoipa::path(
    get, path = "/api/v1/admin/sessions", tag = "Sessions", params(SessionsQuery),
    responses((status = 200, body = PageOut<HeldSessionOut>), Problem)
)]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    caller: Caller,
    Query(SessionsQuery { user_id, cursor, limit }): Query<SessionsQuery>,
) -> Result<Response, Problem> {
    let (user, after) = (user_id.map(|user| user.0), cursor.map(|cursor| cursor.0));
    app.read(caller, move |db, caller, _| identity::sessions(db, caller, user.as_ref(), after.as_ref(), limit.0)).await
}

/// Ends a session.
#[utoipa::path(
    post, path = "/api/v1/admin/sessions/{session_id}/end", tag = "Sessions", params(SessionPath),
    request_body = Option<Nothing>, responses((status = 200, body = HeldSessionOut), Problem)
)]
pub(crate) async fn end_session(
    State(app): State<App>,
    Path(SessionPath { session_id }): Path<SessionPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| identity::end_session(db, caller, &session_id.0, at)).await
}
