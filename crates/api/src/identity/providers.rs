//! Identity providers of a tenant.

mod check;
mod wire;

use authz::Caller;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::ProviderError;

use crate::act::{Act, Expected, Nothing};
use crate::app::App;
use crate::extract::Path;
use crate::problem::{Kind, Problem};
use check::CheckOut;
use wire::{ProviderIn, ProviderOut, ProviderPatch, ProviderPath, Providers, ProvidersOut};

/// Lets an identity provider speak for users of the tenant.
///
/// It vouches for nobody in any other tenant. The client secret is kept sealed and is never shown.
#[utoipa::path(
    post, path = "/api/v1/admin/identity-providers", tag = "Identity providers", request_body = ProviderIn,
    responses((status = 201, body = ProviderOut), Problem)
)]
pub(crate) async fn create_provider(State(app): State<App>, act: Act<ProviderIn>) -> Result<Response, Problem> {
    let new = act.body.into_provider()?;
    app.create(act.by, move |db, caller, at| identity::create_provider(db, caller, new, at)).await
}

/// Lists the tenant's identity providers.
#[utoipa::path(
    get, path = "/api/v1/admin/identity-providers", tag = "Identity providers",
    responses((status = 200, body = ProvidersOut), Problem)
)]
pub(crate) async fn list_providers(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::providers(db, caller).map(Providers)).await
}

/// Shows an identity provider.
#[utoipa::path(
    get, path = "/api/v1/admin/identity-providers/{provider_id}", tag = "Identity providers", params(ProviderPath),
    responses((status = 200, body = ProviderOut), Problem)
)]
pub(crate) async fn get_provider(
    State(app): State<App>,
    caller: Caller,
    Path(ProviderPath { provider_id }): Path<ProviderPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::provider(db, caller, &provider_id.0)).await
}

/// Changes an identity provider.
#[utoipa::path(
    patch, path = "/api/v1/admin/identity-providers/{provider_id}", tag = "Identity providers", params(ProviderPath),
    request_body = ProviderPatch, responses((status = 200, body = ProviderOut), Problem)
)]
pub(crate) async fn update_provider(
    State(app): State<App>,
    Path(ProviderPath { provider_id }): Path<ProviderPath>,
    Expected(revision): Expected,
    act: Act<ProviderPatch>,
) -> Result<Response, Problem> {
    let patch = act.body;
    app.act(act.by, move |db, caller, _| {
        let before = identity::provider(db, caller, &provider_id.0)?;
        let change = patch.of(before.settings, revision)?;
        Ok::<_, Problem>(identity::update_provider(db, caller, &provider_id.0, change)?)
    })
    .await
}

/// Lets an identity provider speak for nobody any more.
///
/// Those who came by it stay users; their sessions end in their time.
#[utoipa::path(
    delete, path = "/api/v1/admin/identity-providers/{provider_id}", tag = "Identity providers", params(ProviderPath),
    responses((status = 204, description = "It is gone."), Problem)
)]
pub(crate) async fn delete_provider(
    State(app): State<App>,
    caller: Caller,
    Path(ProviderPath { provider_id }): Path<ProviderPath>,
    Expected(revision): Expected,
) -> Result<Response, Problem> {
    app.run(move |inner| Ok(identity::delete_provider(&inner.db, &caller, &provider_id.0, revision)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Asks an identity provider for its configuration and keys, and says what is wrong.
///
/// Nothing is changed, and nothing that was known before is forgotten.
#[utoipa::path(
    post, path = "/api/v1/admin/identity-providers/{provider_id}/check", tag = "Identity providers",
    params(ProviderPath), request_body = Option<Nothing>, responses((status = 200, body = CheckOut), Problem)
)]
pub(crate) async fn check_provider(
    State(app): State<App>,
    Path(ProviderPath { provider_id }): Path<ProviderPath>,
    act: Act<Nothing>,
) -> Result<axum::Json<CheckOut>, Problem> {
    let caller = act.by.0;
    let provider = app.run(move |inner| Ok(identity::provider(&inner.db, &caller, &provider_id.0)?)).await?;
    Ok(axum::Json(app.check(&provider).await))
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Forbidden(refusal) => refusal.into(),
            ProviderError::Roles(refusal) => refusal.into(),
            ProviderError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            ProviderError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ProviderError::UserNotFound(_) => Self::field("/user_id", &error),
            ProviderError::NameTaken(_) | ProviderError::Linked => Self::client(Kind::AlreadyExists, &error),
            ProviderError::Stale(_) => Self::client(Kind::Stale, &error),
            ProviderError::Settings(error) => Self::field(format!("/{}", error.field), &error),
            ProviderError::Subject => Self::field("/subject", &error),
            ProviderError::Database(error) => error.into(),
        }
    }
}
