//! Users and service accounts of a tenant.

mod problem;
mod wire;

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use identity::{StatusChange, User, UserChange, UserStatus};
use kernel::{Moment, UserId};
use store::Database;

use crate::act::{Act, Expected, Nothing, changed_as_it_is};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::PageOut;
use wire::{SignedOut, SignedOutOut, UserIn, UserPatch, UsersQuery};
pub(crate) use wire::{UserOut, UserPath, all, edit, names};

/// Creates a user or service account.
///
/// Nobody gives a role that allows more than they may do themselves. Attributes, by which policies decide, need
/// `policy:manage` too.
#[utoipa::path(
    post, path = "/api/v1/admin/users", tag = "Users", request_body = UserIn,
    responses((status = 201, body = UserOut), Problem)
)]
pub(crate) async fn create_user(State(app): State<App>, act: Act<UserIn>) -> Result<Response, Problem> {
    let new = act.body.parse()?.otherwise(app.0.default_role.clone());
    app.create(act.by, move |db, caller, at| identity::create_user(db, caller, new, at)).await
}

/// Lists users and service accounts.
#[utoipa::path(
    get, path = "/api/v1/admin/users", tag = "Users", params(UsersQuery),
    responses((status = 200, body = PageOut<UserOut>), Problem)
)]
pub(crate) async fn list_users(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<UsersQuery>,
) -> Result<Response, Problem> {
    let (filter, after, size) = query.into_filter();
    app.read(caller, move |db, caller, _| identity::users(db, caller, &filter, after.as_ref(), size)).await
}

/// Shows a user or service account.
///
/// Everybody may see themselves.
#[utoipa::path(
    get, path = "/api/v1/admin/users/{user_id}", tag = "Users", params(UserPath),
    responses((status = 200, body = UserOut), Problem)
)]
pub(crate) async fn get_user(
    State(app): State<App>,
    caller: Caller,
    Path(UserPath { user_id }): Path<UserPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::user(db, caller, &user_id.0)).await
}

/// Changes what a user is called, may do, and has as attributes.
///
/// A tenant keeps at least one active administrator.
#[utoipa::path(
    patch, path = "/api/v1/admin/users/{user_id}", tag = "Users", params(UserPath), request_body = UserPatch,
    responses((status = 200, body = UserOut), Problem)
)]
pub(crate) async fn update_user(
    State(app): State<App>,
    Path(UserPath { user_id }): Path<UserPath>,
    expected: Expected,
    act: Act<UserPatch>,
) -> Result<Response, Problem> {
    let change = act.body.made_for(expected)?;
    app.act(act.by, move |db, caller, at| identity::update_user(db, caller, &user_id.0, change, at)).await
}

/// Deactivates a user.
///
/// Sessions, keys and pending requests of theirs end at once, and do not come back.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{user_id}/deactivate", tag = "Users", params(UserPath),
    request_body = Option<Nothing>, responses((status = 200, body = UserOut), Problem)
)]
pub(crate) async fn deactivate_user(
    State(app): State<App>,
    Path(UserPath { user_id }): Path<UserPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let leavers = app.leavers();
    app.act(act.by, move |db, caller, at| {
        let status = StatusChange::Deactivate(leavers);
        stand(&(db, caller, at), &user_id.0, &status)
    })
    .await
}

/// Lets a deactivated user act again.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{user_id}/reactivate", tag = "Users", params(UserPath),
    request_body = Option<Nothing>, responses((status = 200, body = UserOut), Problem)
)]
pub(crate) async fn reactivate_user(
    State(app): State<App>,
    Path(UserPath { user_id }): Path<UserPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| stand(&(db, caller, at), &user_id.0, &StatusChange::Activate)).await
}

/// Signs a user out everywhere.
///
/// Sessions and tokens end at once; keys stay.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{user_id}/sign-out", tag = "Users", params(UserPath),
    request_body = Option<Nothing>, responses((status = 200, body = SignedOutOut), Problem)
)]
pub(crate) async fn sign_out_user(
    State(app): State<App>,
    Path(UserPath { user_id }): Path<UserPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let ended = |sessions: &u64| SignedOut(*sessions);
    app.act_as((act.by, StatusCode::OK), ended, move |db, caller, at| {
        identity::sign_out_everywhere(db, caller, &user_id.0, at)
    })
    .await
}

/// Makes a user stand as `status` says.
fn stand(
    (db, caller, at): &(&Database, &Caller, &Moment<'_>),
    id: &UserId,
    status: &StatusChange,
) -> Result<User, Problem> {
    let wanted = match status {
        StatusChange::Activate => UserStatus::Active,
        StatusChange::Deactivate(_) => UserStatus::Deactivated,
    };
    // Who may not change it is not told how it stands.
    let _granted = caller.authorize_on::<identity::UpdateUser>(id.as_str())?;
    changed_as_it_is(
        || Ok(identity::user(db, caller, id)?),
        |user: User| {
            let (expected_revision, status) = (user.revision, Some(status.clone()));
            let change = UserChange { expected_revision, status, ..UserChange::default() };
            if user.status == wanted {
                return Err(Problem::client(Kind::WrongState, &format_args!("the user is {wanted} already")));
            }
            Ok(identity::update_user(db, caller, id, change, at)?)
        },
    )
}
