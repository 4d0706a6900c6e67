//! Users and service accounts of a tenant.

use authz::{Caller, Role, Roles};
use axum::extract::State;
use axum::response::Response;
use identity::{
    CreateUserError, Email, EmailChange, NewUser, RolesRefused, UpdateUserError, User, UserChange, UserError, UserKind,
    UserStatus, Username,
};
use kernel::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Change, PageOut, PageQuery, Show, Written, present};

/// The user that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user's id.
    #[param(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    user_id: Written<UserId>,
}

/// A user to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserIn {
    /// `user` for a person, `service` for a program.
    #[serde(default = "person")]
    #[schema(value_type = String, required = false, default = "user")]
    kind: Written<UserKind>,
    /// What it is known by within its tenant: lower-case letters, digits and `.`, `_`, `-`, `+`, `@`.
    #[schema(value_type = String, max_length = 64, example = "alice")]
    username: Written<Username>,
    /// Where a person is reached.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "alice@example.com")]
    email: Option<Written<Email>>,
    /// What it may do.
    #[schema(value_type = Vec<String>, example = json!(["agent_designer"]))]
    roles: Vec<Written<RoleName>>,
}

const fn person() -> Written<UserKind> {
    Written(UserKind::User)
}

impl From<UserIn> for NewUser {
    fn from(UserIn { kind, username, email, roles }: UserIn) -> Self {
        Self { kind: kind.0, username: username.0, email: email.map(|email| email.0), roles: all(roles) }
    }
}

fn all(roles: Vec<Written<RoleName>>) -> Roles {
    roles.into_iter().map(|role| role.0).collect()
}

/// A change of a user; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// What it may do, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    roles: Option<Vec<Written<RoleName>>>,
    /// Where a person is reached; null for nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    email: Change<Written<Email>>,
    /// `active` or `deactivated`, which revokes its keys for good.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "deactivated")]
    status: Option<Written<UserStatus>>,
}

impl UserPatch {
    fn made_for(self, expected: Expected) -> UserChange {
        let Self { roles, email, status } = self;
        UserChange {
            expected_revision: expected.0,
            roles: roles.map(all),
            email: match email {
                Change::Keep => EmailChange::Keep,
                Change::Remove => EmailChange::Remove,
                Change::Set(Written(email)) => EmailChange::Set(email),
            },
            status: status.map(|status| status.0),
        }
    }
}

/// A person or service account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserOut {
    /// Its id.
    #[schema(example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// `user` or `service`.
    kind: &'static str,
    /// What it is known by.
    username: String,
    /// Where a person is reached.
    email: Option<String>,
    /// What it may do.
    roles: Vec<String>,
    /// `active` or `deactivated`.
    status: &'static str,
    /// When it was created.
    created_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

impl Show for User {
    type Out = UserOut;

    fn show(&self) -> UserOut {
        let Self { id, kind, username, email, roles, status, created_at, revision } = self;
        UserOut {
            id: id.to_string(),
            kind: kind.as_str(),
            username: username.to_string(),
            email: email.as_ref().map(ToString::to_string),
            roles: roles.iter().map(ToString::to_string).collect(),
            status: status.as_str(),
            created_at: created_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/users/{}", self.id))
    }
}

/// Creates a user or service account.
///
/// Nobody gives a role that allows more than they may do themselves.
#[utoipa::path(
    post, path = "/api/v1/admin/users", tag = "Users", request_body = UserIn,
    responses((status = 201, body = UserOut), Problem)
)]
pub(crate) async fn create_user(State(app): State<App>, act: Act<UserIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    app.create(act.by, move |db, caller, at| identity::create_user(db, caller, new, at)).await
}

/// Lists users and service accounts, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/admin/users", tag = "Users", params(PageQuery),
    responses((status = 200, body = PageOut<UserOut>), Problem)
)]
pub(crate) async fn list_users(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::users(db, caller, page.after(), page.size())).await
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

/// Changes a user's roles, address or status.
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
    let change = act.body.made_for(expected);
    app.act(act.by, move |db, caller, at| identity::update_user(db, caller, &user_id.0, change, at)).await
}

impl From<RolesRefused> for Problem {
    fn from(error: RolesRefused) -> Self {
        match error {
            RolesRefused::Platform(_) => Self::field("/roles", &error),
            RolesRefused::Beyond(_) => Self::client(Kind::Forbidden, &error),
        }
    }
}

impl From<CreateUserError> for Problem {
    fn from(error: CreateUserError) -> Self {
        match error {
            CreateUserError::Forbidden(refusal) => refusal.into(),
            CreateUserError::Roles(refusal) => refusal.into(),
            CreateUserError::UsernameTaken(_) => Self::client(Kind::AlreadyExists, &error),
            CreateUserError::Database(error) => error.into(),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Forbidden(refusal) => refusal.into(),
            UserError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UserError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateUserError> for Problem {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::Forbidden(refusal) => refusal.into(),
            UpdateUserError::Roles(refusal) => refusal.into(),
            UpdateUserError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateUserError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateUserError::LastAdmin(_) => Self::client(Kind::WrongState, &error),
            UpdateUserError::Database(error) => error.into(),
        }
    }
}
