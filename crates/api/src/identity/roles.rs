//! Roles: the system's, which are fixed, and those that a tenant defines.

use authz::{Caller, CustomRole, Permission, Permissions, Role, RoleName};
use axum::extract::State;
use axum::response::Response;
use identity::{
    CreateRoleError, DeleteRoleError, NewRole, PermissionsRefused, RoleChange, RoleError, TenantRole, UpdateRoleError,
};
use kernel::{Cursor, Page, Text};
use serde::{Deserialize, Serialize};
use store::Database;
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Limit, PageOut, Show, Written, present};

/// The role that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RolePath {
    /// The role's name.
    #[param(value_type = String, example = "release-manager")]
    role_id: Written<RoleName>,
}

/// Which roles, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RolesQuery {
    /// Only those whose name starts with this.
    #[param(value_type = Option<String>, max_length = 100)]
    q: Option<Written<Text<100>>>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many of the tenant's own roles the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// A role to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleIn {
    /// What it will be known by: 2 to 64 lower-case letters, digits, `_` and `-`.
    #[schema(value_type = String, min_length = 2, max_length = 64, example = "release-manager")]
    name: Written<CustomRole>,
    /// What it is for.
    #[schema(value_type = String, max_length = 200, example = "Publishes approved versions")]
    description: Written<Text<200>>,
    /// What it allows.
    #[schema(value_type = Vec<String>, example = json!(["agent:read", "agent:publish"]))]
    permissions: Vec<Written<Permission>>,
}

impl From<RoleIn> for NewRole {
    fn from(RoleIn { name, description, permissions }: RoleIn) -> Self {
        Self { name: name.0, description: description.0, permissions: together(permissions) }
    }
}

fn together(permissions: Vec<Written<Permission>>) -> Permissions {
    permissions.into_iter().map(|permission| permission.0).collect()
}

/// A change of a role; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolePatch {
    /// What it is for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 200)]
    description: Option<Written<Text<200>>>,
    /// What it allows, in whole: from the next request on.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    permissions: Option<Vec<Written<Permission>>>,
}

impl RolePatch {
    fn made_for(self, expected: Expected) -> RoleChange {
        let Self { description, permissions } = self;
        RoleChange {
            expected_revision: expected.0,
            description: description.map(|description| description.0),
            permissions: permissions.map(together),
        }
    }
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleOut {
    /// Its name.
    #[schema(example = "agent_designer")]
    name: String,
    /// What it is for.
    description: String,
    /// What it allows.
    permissions: Vec<&'static str>,
    /// Whether every tenant has it. What such a role allows is fixed.
    is_system: bool,
    /// When it was created, if the tenant has defined it.
    created_at: Option<String>,
    /// Raised with each change; the `ETag`. 0 for a role of the system.
    revision: u64,
}

/// A role of either kind.
#[derive(Debug)]
enum Known {
    System(Role),
    Custom(TenantRole),
}

impl Show for Known {
    type Out = RoleOut;

    fn show(&self) -> RoleOut {
        match self {
            Self::System(role) => RoleOut {
                name: role.to_string(),
                description: role.description().to_owned(),
                permissions: by_name(role.permissions()),
                is_system: true,
                created_at: None,
                revision: 0,
            },
            Self::Custom(role) => role.show(),
        }
    }

    fn revision(&self) -> Option<u64> {
        match self {
            Self::System(_) => Some(0),
            Self::Custom(role) => role.revision(),
        }
    }
}

impl Show for TenantRole {
    type Out = RoleOut;

    fn show(&self) -> RoleOut {
        let Self { name, description, permissions, created_at, revision } = self;
        RoleOut {
            name: name.to_string(),
            description: description.to_string(),
            permissions: by_name(*permissions),
            is_system: false,
            created_at: Some(created_at.to_string()),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/roles/{}", self.name))
    }
}

/// Permissions by name.
pub(crate) fn by_name(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(Permission::as_str).collect()
}

/// Lists the roles that the tenant can give: first the system's, then its own by name.
#[utoipa::path(
    get, path = "/api/v1/admin/roles", tag = "Roles", params(RolesQuery),
    responses((status = 200, body = PageOut<RoleOut>), Problem)
)]
pub(crate) async fn list_roles(
    State(app): State<App>,
    caller: Caller,
    Query(RolesQuery { q, cursor, limit }): Query<RolesQuery>,
) -> Result<Response, Problem> {
    let (q, after) = (q.map(|q| q.0), cursor.map(|cursor| cursor.0));
    app.read(caller, move |db, caller, _| {
        let page = identity::roles(db, caller, q.as_ref(), after.as_ref(), limit.0)?;
        Ok::<_, Problem>(with_systems(page, q.as_ref().map_or("", Text::as_str), after.is_none()))
    })
    .await
}

/// The page, after the system's roles whose names start with `start` if it is the first.
fn with_systems(page: Page<TenantRole>, start: &str, first: bool) -> Page<Known> {
    let system = Role::TENANT.into_iter().filter(|role| first && role.as_str().starts_with(start)).map(Known::System);
    let Page { items, next } = page;
    Page { items: system.chain(items.into_iter().map(Known::Custom)).collect(), next }
}

/// Defines a role.
///
/// It allows nothing that its maker may not do.
#[utoipa::path(
    post, path = "/api/v1/admin/roles", tag = "Roles", request_body = RoleIn,
    responses((status = 201, body = RoleOut), Problem)
)]
pub(crate) async fn create_role(State(app): State<App>, act: Act<RoleIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    app.create(act.by, move |db, caller, at| identity::create_role(db, caller, new, at)).await
}

/// Shows a role.
#[utoipa::path(
    get, path = "/api/v1/admin/roles/{role_id}", tag = "Roles", params(RolePath),
    responses((status = 200, body = RoleOut), Problem)
)]
pub(crate) async fn get_role(
    State(app): State<App>,
    caller: Caller,
    Path(RolePath { role_id }): Path<RolePath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| known(db, caller, &role_id.0)).await
}

fn known(db: &Database, caller: &Caller, name: &RoleName) -> Result<Known, RoleError> {
    match name {
        RoleName::System(role) => {
            let _granted = caller.authorize_on::<identity::ReadRoles>(role.as_str())?;
            Ok(Known::System(*role))
        }
        RoleName::Custom(name) => identity::role(db, caller, name).map(Known::Custom),
    }
}

/// Changes what a role is for and what it allows.
#[utoipa::path(
    patch, path = "/api/v1/admin/roles/{role_id}", tag = "Roles", params(RolePath), request_body = RolePatch,
    responses((status = 200, body = RoleOut), Problem)
)]
pub(crate) async fn update_role(
    State(app): State<App>,
    Path(RolePath { role_id }): Path<RolePath>,
    expected: Expected,
    act: Act<RolePatch>,
) -> Result<Response, Problem> {
    let (name, change) = (own(role_id.0)?, act.body.made_for(expected));
    app.act(act.by, move |db, caller, _| identity::update_role(db, caller, &name, change)).await
}

/// Deletes a role that nobody has.
#[utoipa::path(
    delete, path = "/api/v1/admin/roles/{role_id}", tag = "Roles", params(RolePath),
    responses((status = 204), Problem)
)]
pub(crate) async fn delete_role(
    State(app): State<App>,
    caller: Caller,
    Path(RolePath { role_id }): Path<RolePath>,
    expected: Expected,
) -> Result<Response, Problem> {
    let name = own(role_id.0)?;
    app.delete(caller, move |db, caller, _| identity::delete_role(db, caller, &name, expected.0)).await
}

/// The name, if the tenant can change what it stands for.
fn own(name: RoleName) -> Result<CustomRole, Problem> {
    match name {
        RoleName::Custom(name) => Ok(name),
        RoleName::System(role) => {
            Err(Problem::client(Kind::WrongState, &format_args!("`{role}` is a role of the system, and fixed")))
        }
    }
}

impl From<PermissionsRefused> for Problem {
    fn from(error: PermissionsRefused) -> Self {
        match error {
            PermissionsRefused::Platform(_) => Self::field("/permissions", &error),
            PermissionsRefused::Beyond(_) => Self::client(Kind::Forbidden, &error),
        }
    }
}

impl From<CreateRoleError> for Problem {
    fn from(error: CreateRoleError) -> Self {
        match error {
            CreateRoleError::Forbidden(refusal) => refusal.into(),
            CreateRoleError::Permissions(refusal) => refusal.into(),
            CreateRoleError::AlreadyExists(_) => Self::client(Kind::AlreadyExists, &error),
            CreateRoleError::Database(error) => error.into(),
        }
    }
}

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::Forbidden(refusal) => refusal.into(),
            RoleError::NotFound(_) => Self::client(Kind::NotFound, &error),
            RoleError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateRoleError> for Problem {
    fn from(error: UpdateRoleError) -> Self {
        match error {
            UpdateRoleError::Forbidden(refusal) => refusal.into(),
            UpdateRoleError::Permissions(refusal) => refusal.into(),
            UpdateRoleError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateRoleError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateRoleError::Database(error) => error.into(),
        }
    }
}

impl From<DeleteRoleError> for Problem {
    fn from(error: DeleteRoleError) -> Self {
        match error {
            DeleteRoleError::Forbidden(refusal) => refusal.into(),
            DeleteRoleError::NotFound(_) => Self::client(Kind::NotFound, &error),
            DeleteRoleError::Stale(_) => Self::client(Kind::Stale, &error),
            DeleteRoleError::InUse { .. } => Self::client(Kind::WrongState, &error),
            DeleteRoleError::Database(error) => error.into(),
        }
    }
}
