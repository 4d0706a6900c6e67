//! Signing in and out, for people. The pages are elsewhere; this is what they speak to.

mod password;
mod provider;
mod session;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, header};
use identity::{Client, IssuedSession, LIFETIME_SECONDS, SessionError, SignInError};
use kernel::TenantId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::client;
use crate::cookies;
use crate::problem::{Kind, Problem};
use session::SessionOut;

/// What somebody does who is not signed in yet.
pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(password::sign_in_with_password))
        .routes(routes!(provider::list_sign_in_providers))
        .routes(routes!(provider::begin_sign_in))
        .routes(routes!(provider::finish_sign_in))
}

/// What somebody does who is.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(session::get_own_session))
        .routes(routes!(session::sign_out))
        .routes(routes!(password::reauthenticate))
        .routes(routes!(password::change_own_password))
        .routes(routes!(password::set_user_password))
}

/// Where somebody signs in from, and with what.
fn client_of(client: client::Client, headers: &HeaderMap) -> Client {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client { address: client.0, agent: agent.unwrap_or_default().to_owned() }
}

/// Hands a session to its holder.
fn signed_in(tenant: &TenantId, issued: &IssuedSession) -> Result<Response, Problem> {
    let mut response = Json(SessionOut::of(tenant, &issued.session, &issued.secret)).into_response();
    hold(&mut response, issued)?;
    Ok(response)
}

/// Lets the browser hold a session.
fn hold(response: &mut Response, issued: &IssuedSession) -> Result<(), Problem> {
    let cookie = cookies::set(cookies::SESSION, issued.secret.expose(), LIFETIME_SECONDS);
    let cookie = cookie.ok_or_else(|| Problem::server(Kind::Internal, "a session fits no cookie"))?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(())
}

/// Makes the browser forget a cookie.
fn forget(response: &mut Response, name: &str) {
    if let Some(cookie) = cookies::clear(name) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            // Why is in the ledger, and not for whoever tries.
            SignInError::Refused(_) => Self::new(Kind::SignInFailed),
            SignInError::Throttled(throttled) => {
                Self::client(Kind::RateLimited, &throttled).retry_after(throttled.retry_after_seconds)
            }
            SignInError::Stale(error) => Self::client(Kind::Unavailable, &error).retry_after(1),
            SignInError::Database(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Forbidden(refusal) => refusal.into(),
            SessionError::NotFound(_) => Self::client(Kind::NotFound, &error),
            SessionError::NoSession => Self::client(Kind::WrongState, &error),
            SessionError::Database(error) => error.into(),
        }
    }
}
