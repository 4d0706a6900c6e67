//! Tenants: managed by the platform, which sees nothing inside them.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use identity::{
    CreateTenantError, CreatedTenant, ListError, NewTenant, Settings, Tenant, TenantChange, TenantError, TenantStatus,
    UpdateTenantError, Username,
};
use kernel::{TenantId, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::keys::IssuedKeyOut;
use super::users::UserOut;
use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{PageOut, PageQuery, Show, Written, present};

/// The tenant that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TenantPath {
    /// The tenant's id.
    #[param(value_type = String, example = "acme-corp")]
    tenant_id: Written<TenantId>,
}

/// What a tenant may have.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `max_agents` and `features`")]
pub(crate) struct SettingsIo {
    /// How many agents it may have; null for no limit.
    #[serde(default)]
    max_agents: Option<u32>,
    /// What is switched on, by name.
    #[serde(default)]
    features: Vec<String>,
}

impl SettingsIo {
    fn parse(self) -> Result<Settings, Problem> {
        let Self { max_agents, features } = self;
        let settings = serde_json::json!({ "max_agents": max_agents, "features": features });
        Settings::from_json(&settings).map_err(|error| Problem::field(format!("/settings{}", error.pointer()), &error))
    }
}

impl From<&Settings> for SettingsIo {
    fn from(settings: &Settings) -> Self {
        let Settings { max_agents, features } = settings;
        Self { max_agents: *max_agents, features: features.clone() }
    }
}

/// A tenant to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantIn {
    /// What it will be known by: 2 to 63 lower-case letters, digits and hyphens.
    #[schema(value_type = String, example = "acme-corp")]
    id: Written<TenantId>,
    /// What people call it.
    #[schema(value_type = String, max_length = 100, example = "Acme Corporation")]
    name: Written<Text<100>>,
    /// The username of its first administrator.
    #[schema(value_type = String, max_length = 64, example = "bob")]
    admin: Written<Username>,
    /// What it may have.
    #[serde(default)]
    settings: SettingsIo,
}

impl TenantIn {
    fn parse(self) -> Result<NewTenant, Problem> {
        let Self { id: Written(id), name: Written(name), admin: Written(admin), settings } = self;
        if id.is_system() {
            return Err(Problem::field("/id", &"the name is reserved"));
        }
        Ok(NewTenant { id, name, admin, settings: settings.parse()? })
    }
}

/// A change of a tenant; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 100)]
    name: Option<Written<Text<100>>>,
    /// What it may have, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = SettingsIo, required = false)]
    settings: Option<SettingsIo>,
    /// `active`, or `suspended`: none of its keys is accepted then.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "suspended")]
    status: Option<Written<TenantStatus>>,
}

impl TenantPatch {
    fn parse(self, expected: Expected) -> Result<TenantChange, Problem> {
        let Self { name, settings, status } = self;
        Ok(TenantChange {
            expected_revision: expected.0,
            name: name.map(|name| name.0),
            settings: settings.map(SettingsIo::parse).transpose()?,
            status: status.map(|status| status.0),
        })
    }
}

/// An organization, apart from every other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantOut {
    /// What it is known by.
    #[schema(example = "acme-corp")]
    id: String,
    /// What people call it.
    name: String,
    /// What it may have.
    settings: SettingsIo,
    /// `active` or `suspended`.
    #[schema(example = "active")]
    status: &'static str,
    /// When it was created.
    created_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// A tenant that has just been made, and the way into it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedTenantOut {
    /// The tenant.
    tenant: TenantOut,
    /// Its first administrator.
    admin: UserOut,
    /// That administrator's key, shown once.
    key: IssuedKeyOut,
}

impl Show for Tenant {
    type Out = TenantOut;

    fn show(&self) -> TenantOut {
        let Self { id, name, settings, status, created_at, revision } = self;
        TenantOut {
            id: id.to_string(),
            name: name.to_string(),
            settings: settings.into(),
            status: status.as_str(),
            created_at: created_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

impl Show for CreatedTenant {
    type Out = CreatedTenantOut;

    fn show(&self) -> CreatedTenantOut {
        let Self { tenant, admin, key } = self;
        CreatedTenantOut { tenant: tenant.show(), admin: admin.show(), key: key.show() }
    }

    fn revision(&self) -> Option<u64> {
        self.tenant.revision()
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/tenants/{}", self.tenant.id))
    }
}

/// Creates a tenant with its first administrator.
///
/// For platform administrators. The answer holds the administrator's key, which is shown this once.
#[utoipa::path(
    post, path = "/api/v1/admin/tenants", tag = "Tenants", request_body = TenantIn,
    responses((status = 201, body = CreatedTenantOut), Problem)
)]
pub(crate) async fn create_tenant(State(app): State<App>, act: Act<TenantIn>) -> Result<Response, Problem> {
    let new = act.body.parse()?;
    app.create(act.by, move |db, caller, at| identity::create_tenant(db, caller, new, at)).await
}

/// Lists the tenants, by id.
///
/// For platform administrators.
#[utoipa::path(
    get, path = "/api/v1/admin/tenants", tag = "Tenants", params(PageQuery),
    responses((status = 200, body = PageOut<TenantOut>), Problem)
)]
pub(crate) async fn list_tenants(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::tenants(db, caller, page.after(), page.size())).await
}

/// Shows a tenant.
///
/// Platform administrators see every tenant from outside, everybody else the own one.
#[utoipa::path(
    get, path = "/api/v1/admin/tenants/{tenant_id}", tag = "Tenants", params(TenantPath),
    responses((status = 200, body = TenantOut), Problem)
)]
pub(crate) async fn get_tenant(
    State(app): State<App>,
    caller: Caller,
    Path(TenantPath { tenant_id }): Path<TenantPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::tenant(db, caller, &tenant_id.0)).await
}

/// Changes or suspends a tenant.
///
/// For platform administrators. None of a suspended tenant's keys is accepted until it is active again.
#[utoipa::path(
    patch, path = "/api/v1/admin/tenants/{tenant_id}", tag = "Tenants", params(TenantPath), request_body = TenantPatch,
    responses((status = 200, body = TenantOut), Problem)
)]
pub(crate) async fn update_tenant(
    State(app): State<App>,
    Path(TenantPath { tenant_id }): Path<TenantPath>,
    expected: Expected,
    act: Act<TenantPatch>,
) -> Result<Response, Problem> {
    let change = act.body.parse(expected)?;
    app.act(act.by, move |db, caller, _| identity::update_tenant(db, caller, &tenant_id.0, change)).await
}

impl From<CreateTenantError> for Problem {
    fn from(error: CreateTenantError) -> Self {
        match error {
            CreateTenantError::Forbidden(refusal) => refusal.into(),
            CreateTenantError::AlreadyExists(_) => Self::client(Kind::AlreadyExists, &error),
            CreateTenantError::Database(error) => error.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Forbidden(refusal) => refusal.into(),
            ListError::Database(error) => error.into(),
        }
    }
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Forbidden(refusal) => refusal.into(),
            TenantError::NotFound(_) => Self::client(Kind::NotFound, &error),
            TenantError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateTenantError> for Problem {
    fn from(error: UpdateTenantError) -> Self {
        match error {
            UpdateTenantError::Forbidden(refusal) => refusal.into(),
            UpdateTenantError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateTenantError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateTenantError::Database(error) => error.into(),
        }
    }
}
