//! The session of whoever asks.

use authz::Caller;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::{FRESH_SECONDS, IDLE_SECONDS, Session};
use kernel::{Secret, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::forget;
use crate::app::App;
use crate::authentication::Entrance;
use crate::cookies;
use crate::problem::Problem;

/// A session, as its holder sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionOut {
    /// Its id, which lets nobody in.
    #[schema(example = "ses_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    session_id: String,
    /// The tenant.
    #[schema(example = "acme-corp")]
    tenant_id: String,
    /// Whose it is.
    user_id: String,
    /// `password` or `oidc`.
    #[schema(example = "oidc")]
    method: &'static str,
    /// What to send as `x-csrf-token` with each change.
    csrf_token: String,
    /// When its holder last proved who they are.
    authenticated_at: String,
    /// Until when actions that outlive the session are possible without signing in again.
    fresh_until: String,
    /// When it is over unless it is used.
    idle_until: String,
    /// When it is over whatever happens.
    expires_at: String,
}

impl SessionOut {
    pub(super) fn of(tenant: &TenantId, session: &Session, secret: &Secret<String>) -> Self {
        Self {
            session_id: session.id.to_string(),
            tenant_id: tenant.to_string(),
            user_id: session.user.to_string(),
            method: session.method.as_str(),
            csrf_token: identity::csrf_token(secret.expose()).map_or(String::new(), |token| token.expose().clone()),
            authenticated_at: session.authenticated_at.to_string(),
            fresh_until: session.authenticated_at.plus_seconds(FRESH_SECONDS).to_string(),
            idle_until: session.seen_at.plus_seconds(IDLE_SECONDS).min(session.expires_at).to_string(),
            expires_at: session.expires_at.to_string(),
        }
    }
}

/// Says who is signed in, until when, and what to send along with changes.
#[utoipa::path(get, path = "/auth/session", tag = "Sign-in", responses((status = 200, body = SessionOut), Problem))]
pub(crate) async fn get_own_session(caller: Caller, entrance: Entrance) -> Json<SessionOut> {
    Json(SessionOut::of(caller.tenant(), &entrance.session, &entrance.secret))
}

/// Signs out: ends the session here and in the browser.
#[utoipa::path(post, path = "/auth/logout", tag = "Sign-in",
    responses((status = 204, description = "The session is over."), Problem))]
pub(crate) async fn sign_out(State(app): State<App>, caller: Caller, entrance: Entrance) -> Result<Response, Problem> {
    let id = entrance.session.id;
    app.run(move |inner| Ok(identity::end_session(&inner.db, &caller, &id, &inner.db.moment())?)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    forget(&mut response, cookies::SESSION);
    Ok(response)
}
