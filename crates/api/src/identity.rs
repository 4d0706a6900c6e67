//! Tenants, users, keys and roles.

mod keys;
mod tenants;
mod users;

use authz::{Permission, Role};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::Held;
use crate::problem::Problem;

/// The operations about who may ask.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::update_tenant))
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::get_user, users::update_user))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::get_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(list_roles))
        .routes(routes!(whoami))
}

/// A role that every tenant has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleOut {
    /// Its name.
    #[schema(example = "agent_designer")]
    name: &'static str,
    /// What it is for.
    description: &'static str,
    /// What it allows.
    permissions: Vec<&'static str>,
}

/// The roles of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolesOut {
    /// The roles.
    items: Vec<RoleOut>,
}

impl From<Role> for RoleOut {
    fn from(role: Role) -> Self {
        let permissions = role.permissions().iter().map(Permission::as_str).collect();
        Self { name: role.as_str(), description: role.description(), permissions }
    }
}

/// Lists the roles that a tenant can give, and what each allows.
///
/// The roles are fixed; every caller may see them.
#[utoipa::path(get, path = "/api/v1/admin/roles", tag = "Users", responses((status = 200, body = RolesOut), Problem))]
async fn list_roles() -> Json<RolesOut> {
    Json(RolesOut { items: Role::TENANT.into_iter().map(RoleOut::from).collect() })
}

/// Who a request comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoamiOut {
    /// The tenant.
    #[schema(example = "acme-corp")]
    tenant_id: String,
    /// The user or service account.
    user_id: String,
    /// Which of the two.
    kind: &'static str,
    /// The key that was sent.
    key_id: Option<String>,
    /// The agent that the key is for.
    agent_id: Option<String>,
    /// The user's roles.
    roles: Vec<String>,
    /// What the roles allow within the key's scopes.
    permissions: Vec<&'static str>,
}

impl From<Held> for WhoamiOut {
    fn from(Held { caller, agent }: Held) -> Self {
        let actor = caller.actor();
        Self {
            tenant_id: caller.tenant().to_string(),
            user_id: actor.id.clone(),
            kind: actor.kind.as_str(),
            key_id: actor.via.as_ref().and_then(|via| via.key()).map(ToString::to_string),
            agent_id: agent.as_ref().map(ToString::to_string),
            roles: caller.roles().iter().map(ToString::to_string).collect(),
            permissions: caller.permissions().iter().map(Permission::as_str).collect(),
        }
    }
}

/// Says who the request comes from and what that caller may do.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "System", responses((status = 200, body = WhoamiOut), Problem))]
async fn whoami(held: Held) -> Json<WhoamiOut> {
    Json(held.into())
}
