//! Passwords: for installations without an identity provider.

use authz::Caller;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use identity::{Client, IssuedSession, PasswordChange, PasswordSignIn, SetPasswordError, SignInMethod, Username};
use kernel::{Secret, TenantId, UserId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{client_of, signed_in};
use crate::app::{App, Inner};
use crate::arrival::Arrival;
use crate::authentication::Entrance;
use crate::client;
use crate::cookies;
use crate::extract::{Json, Path};
use crate::problem::{Kind, Problem};
use crate::wire::{Hidden, Written};

/// Who signs in with what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordIn {
    /// The tenant.
    #[schema(value_type = String, example = "acme-corp")]
    tenant: Written<TenantId>,
    /// The name within it.
    #[schema(value_type = String, example = "alice")]
    username: Written<Username>,
    /// The password.
    #[schema(value_type = String, max_length = 1024)]
    password: Hidden,
}

/// Signs in with a password.
///
/// The answer sets the session's cookie. Whatever is wrong, the refusal is the same; ten failures a minute are allowed.
#[utoipa::path(post, path = "/auth/password", tag = "Sign-in", request_body = PasswordIn,
    responses((status = 200, body = super::SessionOut), Problem))]
pub(crate) async fn sign_in_with_password(
    State(app): State<App>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    Json(asked): Json<PasswordIn>,
) -> Result<Response, Problem> {
    let PasswordIn { tenant: Written(tenant), username: Written(username), password: Hidden(password) } = asked;
    from_no_other_site(&app, &headers)?;
    let client = client_of(arrival.client, &headers);
    let asked = PasswordSignIn { tenant: tenant.clone(), username, password, client };
    let issued = app.hash(move |inner| sign_in(inner, asked)).await?;
    signed_in(&tenant, &issued)
}

/// Another site shall not sign its visitors in here as somebody else.
fn from_no_other_site(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    if cookies::is_from_elsewhere(headers, &app.0.place.public_url) {
        return Err(Problem::client(Kind::CsrfRefused, &"the request comes from a page of another site"));
    }
    Ok(())
}

fn sign_in(inner: &Inner, asked: PasswordSignIn) -> Result<IssuedSession, Problem> {
    let Inner { db, gate, directory, .. } = inner;
    Ok(identity::sign_in_with_password(db, gate, directory, asked, &db.moment())?)
}

/// The password of whoever is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReauthenticationIn {
    /// The password.
    #[schema(value_type = String, max_length = 1024)]
    password: Hidden,
}

/// Proves again who is signed in, for actions that outlive the session.
///
/// Another session takes the place of this one. Who signed in with an identity provider does so there again
/// (`GET /auth/login/…`).
#[utoipa::path(post, path = "/auth/reauthenticate", tag = "Sign-in", request_body = ReauthenticationIn,
    responses((status = 200, body = super::SessionOut), Problem))]
pub(crate) async fn reauthenticate(
    State(app): State<App>,
    caller: Caller,
    entrance: Entrance,
    (Extension(client), headers): (Extension<client::Client>, HeaderMap),
    Json(ReauthenticationIn { password: Hidden(password) }): Json<ReauthenticationIn>,
) -> Result<Response, Problem> {
    let (tenant, client) = (caller.tenant().clone(), client_of(client, &headers));
    let issued = app.hash(move |inner| again(inner, &caller, &entrance, password, client)).await?;
    signed_in(&tenant, &issued)
}

/// Opens another session for the holder of this one, and ends this one.
fn again(
    inner: &Inner,
    caller: &Caller,
    entrance: &Entrance,
    password: Secret<String>,
    client: Client,
) -> Result<IssuedSession, Problem> {
    if entrance.session.method != SignInMethod::Password {
        return Err(Problem::client(Kind::WrongState, &"sign in again with the identity provider"));
    }
    let user = identity::user(&inner.db, caller, &entrance.session.user)?;
    let asked = PasswordSignIn { tenant: caller.tenant().clone(), username: user.username, password, client };
    let issued = sign_in(inner, asked)?;
    identity::end_session(&inner.db, caller, &entrance.session.id, &inner.db.moment())?;
    Ok(issued)
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnPasswordIn {
    /// The password so far.
    #[schema(value_type = String, max_length = 1024)]
    current: Hidden,
    /// The password to be.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    new: Hidden,
}

/// Changes one's own password, and ends all of one's sessions and tokens.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "Sign-in", request_body = OwnPasswordIn,
    responses((status = 204, description = "It was changed: sign in again."), Problem))]
pub(crate) async fn change_own_password(
    State(app): State<App>,
    caller: Caller,
    Json(OwnPasswordIn { current: Hidden(current), new: Hidden(new) }): Json<OwnPasswordIn>,
) -> Result<Response, Problem> {
    let user = own_id(&caller)?;
    let change = PasswordChange { user, new, current: Some(current) };
    app.hash(move |inner| Ok(identity::set_password(&inner.db, &inner.gate, &caller, change, &inner.db.moment())?))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A password for somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasswordIn {
    /// The password to be. Whoever sets it knows it: let its holder change it.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    new: Hidden,
}

/// The user whose password is set.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PasswordPath {
    /// The user's id.
    #[param(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    user_id: Written<UserId>,
}

/// Sets a user's password, and ends all of that user's sessions and tokens.
///
/// For those who manage users and may do all that the user may.
#[utoipa::path(post, path = "/api/v1/admin/users/{user_id}/password", tag = "Users", params(PasswordPath),
    request_body = NewPasswordIn, responses((status = 204, description = "It is set."), Problem))]
pub(crate) async fn set_user_password(
    State(app): State<App>,
    caller: Caller,
    Path(PasswordPath { user_id }): Path<PasswordPath>,
    Json(NewPasswordIn { new: Hidden(new) }): Json<NewPasswordIn>,
) -> Result<Response, Problem> {
    let change = PasswordChange { user: user_id.0, new, current: None };
    app.hash(move |inner| Ok(identity::set_password(&inner.db, &inner.gate, &caller, change, &inner.db.moment())?))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn own_id(caller: &Caller) -> Result<UserId, Problem> {
    let id = caller.actor().id.parse();
    id.map_err(|_| Problem::client(Kind::WrongState, &"only a user has a password"))
}

impl From<SetPasswordError> for Problem {
    fn from(error: SetPasswordError) -> Self {
        match error {
            SetPasswordError::Forbidden(refusal) => refusal.into(),
            SetPasswordError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            SetPasswordError::NotFound(_) => Self::client(Kind::NotFound, &error),
            SetPasswordError::NoPerson(_) => Self::client(Kind::WrongState, &error),
            SetPasswordError::Password(_) => Self::field("/new", &error),
            SetPasswordError::WrongPassword => Self::field("/current", &error),
            SetPasswordError::Throttled(throttled) => {
                Self::client(Kind::RateLimited, &throttled).retry_after(throttled.retry_after_seconds)
            }
            SetPasswordError::Stale => Self::client(Kind::Stale, &error),
            SetPasswordError::Database(error) => error.into(),
        }
    }
}
