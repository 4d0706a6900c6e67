//! API keys: everybody's own, and with `key:manage` those of others.

mod problem;
mod wire;

use authz::Caller;
use axum::extract::State;
use axum::response::Response;

use crate::act::{Act, Expected, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::wire::PageOut;
pub(crate) use wire::IssuedKeyOut;
use wire::{KeyIn, KeyOut, KeyPatch, KeyPath, KeysQuery, RotationIn, Seen};

/// Creates an API key.
///
/// Everybody makes keys of their own; `key:manage` makes keys for others. The secret is shown this once.
#[utoipa::path(
    post, path = "/api/v1/admin/api-keys", tag = "Keys", request_body = KeyIn,
    responses((status = 201, body = IssuedKeyOut), Problem)
)]
pub(crate) async fn create_key(State(app): State<App>, act: Act<KeyIn>) -> Result<Response, Problem> {
    let new = act.body.into_key()?;
    app.create(act.by, move |db, caller, at| identity::create_key(db, caller, new, at)).await
}

/// Lists API keys.
///
/// Without `key:manage`, name yourself as `user_id`.
#[utoipa::path(
    get, path = "/api/v1/admin/api-keys", tag = "Keys", params(KeysQuery),
    responses((status = 200, body = PageOut<KeyOut>), Problem)
)]
pub(crate) async fn list_keys(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<KeysQuery>,
) -> Result<Response, Problem> {
    let (filter, after, size) = query.into_filter();
    app.read(caller, move |db, caller, at| {
        identity::keys(db, caller, &filter, after.as_ref(), size).map(|page| page.map(Seen::at(at)))
    })
    .await
}

/// Shows an API key, without its secret.
#[utoipa::path(
    get, path = "/api/v1/admin/api-keys/{key_id}", tag = "Keys", params(KeyPath),
    responses((status = 200, body = KeyOut), Problem)
)]
pub(crate) async fn get_key(
    State(app): State<App>,
    caller: Caller,
    Path(KeyPath { key_id }): Path<KeyPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| identity::key(db, caller, &key_id.0).map(Seen::at(at))).await
}

/// Changes what an API key is called and where it may be used from.
#[utoipa::path(
    patch, path = "/api/v1/admin/api-keys/{key_id}", tag = "Keys", params(KeyPath), request_body = KeyPatch,
    responses((status = 200, body = KeyOut), Problem)
)]
pub(crate) async fn update_key(
    State(app): State<App>,
    Path(KeyPath { key_id }): Path<KeyPath>,
    Expected(revision): Expected,
    act: Act<KeyPatch>,
) -> Result<Response, Problem> {
    let change = act.body.into_change(revision)?;
    app.act(act.by, move |db, caller, _| identity::update_key(db, caller, &key_id.0, change)).await
}

/// Gives an API key another secret under the same id.
///
/// The secret so far stays good for the overlap; one before that ends at once. The new one is shown this once.
#[utoipa::path(
    post, path = "/api/v1/admin/api-keys/{key_id}/rotate", tag = "Keys", params(KeyPath), request_body = RotationIn,
    responses((status = 200, body = IssuedKeyOut), Problem)
)]
pub(crate) async fn rotate_key(
    State(app): State<App>,
    Path(KeyPath { key_id }): Path<KeyPath>,
    act: Act<RotationIn>,
) -> Result<Response, Problem> {
    let rotation = act.body.into();
    app.act(act.by, move |db, caller, at| identity::rotate_key(db, caller, &key_id.0, rotation, at)).await
}

/// Revokes an API key for good, with all its secrets and the tokens that were made with it.
#[utoipa::path(
    post, path = "/api/v1/admin/api-keys/{key_id}/revoke", tag = "Keys", params(KeyPath),
    request_body = Option<Nothing>, responses((status = 200, body = KeyOut), Problem)
)]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    Path(KeyPath { key_id }): Path<KeyPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| identity::revoke_key(db, caller, &key_id.0, at)).await
}
