//! Tenants: managed by the platform, which sees nothing inside them.

use authz::{Caller, RoleName};
use axum::extract::State;
use axum::response::Response;
use identity::{
    CreateTenantError, CreatedTenant, ListError, NewTenant, Settings, Tenant, TenantChange, TenantError, TenantFilter,
    TenantStatus, UpdateTenantError, Username,
};
use kernel::{Cursor, Money, TenantId, Text};
use serde::{Deserialize, Serialize};
use store::Database;
use utoipa::{IntoParams, ToSchema};

use super::keys::IssuedKeyOut;
use super::users::UserOut;
use crate::act::{Act, Expected, Nothing, changed_as_it_is};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Amount, Limit, PageOut, Show, Written, present};

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
#[serde(default, deny_unknown_fields, expecting = "an object of settings")]
pub(crate) struct SettingsIo {
    /// How many agents it may have; null for no limit.
    max_agents: Option<u32>,
    /// What it may use: of `policies`, `sign_in`, `scim` and `tokens` what is listed, or everything if the list is empty or
    /// has `enterprise`. Other names bind nothing.
    features: Vec<String>,
    /// How many requests all of it may make in a minute; null for no limit.
    rate_limit_per_minute: Option<u32>,
    /// How many requests each of its credentials may make in a minute; null for no limit.
    key_rate_limit_per_minute: Option<u32>,
    /// What it may spend in a month: the budget that it is created with; null for none.
    default_budget: Option<Amount>,
    /// The role of users who are created without any; null for the installation's.
    #[schema(value_type = Option<String>, example = "viewer")]
    default_role: Option<Written<RoleName>>,
}

impl SettingsIo {
    fn parse(self) -> Result<Settings, Problem> {
        let Self {
            max_agents,
            features,
            rate_limit_per_minute,
            key_rate_limit_per_minute,
            default_budget,
            default_role,
        } = self;
        // The domain knows what of these is acceptable.
        let settings = Settings {
            max_agents,
            features,
            rate_limit_per_minute,
            key_rate_limit_per_minute,
            default_budget: default_budget.map(Money::from),
            default_role: default_role.map(|role| role.0),
        };
        Settings::from_json(&settings.to_json())
            .map_err(|error| Problem::field(format!("/settings{}", error.pointer()), &error))
    }
}

impl From<&Settings> for SettingsIo {
    fn from(settings: &Settings) -> Self {
        let Settings {
            max_agents,
            features,
            rate_limit_per_minute,
            key_rate_limit_per_minute,
            default_budget,
            default_role,
        } = settings;
        Self {
            max_agents: *max_agents,
            features: features.clone(),
            rate_limit_per_minute: *rate_limit_per_minute,
            key_rate_limit_per_minute: *key_rate_limit_per_minute,
            default_budget: default_budget.map(Amount::from),
            default_role: default_role.clone().map(Written),
        }
    }
}

/// Which tenants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TenantsQuery {
    /// Only those that are `active`, or `suspended`.
    #[param(value_type = Option<String>)]
    status: Option<Written<TenantStatus>>,
    /// Only those whose id starts with this.
    #[param(value_type = Option<String>, max_length = 100)]
    q: Option<Written<Text<100>>>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
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
}

impl TenantPatch {
    fn parse(self, expected: Expected) -> Result<TenantChange, Problem> {
        let Self { name, settings } = self;
        Ok(TenantChange {
            expected_revision: expected.0,
            name: name.map(|name| name.0),
            settings: settings.map(SettingsIo::parse).transpose()?,
            status: None,
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
    let (new, many) = (act.body.parse()?, app.0.multi_tenant);
    app.create(act.by, move |db, caller, at| {
        if !many {
            let _granted = caller.authorize_on::<identity::CreateTenant>(new.id.as_str())?;
            return Err(Problem::client(Kind::WrongState, &"this installation has one tenant: its profile says so"));
        }
        Ok(identity::create_tenant(db, caller, new, &usage::open_monthly, at)?)
    })
    .await
}

/// Lists the tenants, by id.
///
/// For platform administrators.
#[utoipa::path(
    get, path = "/api/v1/admin/tenants", tag = "Tenants", params(TenantsQuery),
    responses((status = 200, body = PageOut<TenantOut>), Problem)
)]
pub(crate) async fn list_tenants(
    State(app): State<App>,
    caller: Caller,
    Query(TenantsQuery { status, q, cursor, limit }): Query<TenantsQuery>,
) -> Result<Response, Problem> {
    let filter = TenantFilter { status: status.map(|status| status.0), q: q.map(|q| q.0) };
    let after = cursor.map(|cursor| cursor.0);
    app.read(caller, move |db, caller, _| identity::tenants(db, caller, &filter, after.as_ref(), limit.0)).await
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

/// Changes a tenant.
///
/// For platform administrators.
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

/// Suspends a tenant.
///
/// For platform administrators. None of its credentials is accepted until it is resumed.
#[utoipa::path(
    post, path = "/api/v1/admin/tenants/{tenant_id}/suspend", tag = "Tenants", params(TenantPath),
    request_body = Option<Nothing>, responses((status = 200, body = TenantOut), Problem)
)]
pub(crate) async fn suspend_tenant(
    State(app): State<App>,
    Path(TenantPath { tenant_id }): Path<TenantPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, _| become_one(db, caller, &tenant_id.0, TenantStatus::Suspended)).await
}

/// Resumes a suspended tenant.
///
/// For platform administrators.
#[utoipa::path(
    post, path = "/api/v1/admin/tenants/{tenant_id}/resume", tag = "Tenants", params(TenantPath),
    request_body = Option<Nothing>, responses((status = 200, body = TenantOut), Problem)
)]
pub(crate) async fn resume_tenant(
    State(app): State<App>,
    Path(TenantPath { tenant_id }): Path<TenantPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, _| become_one(db, caller, &tenant_id.0, TenantStatus::Active)).await
}

fn become_one(db: &Database, caller: &Caller, id: &TenantId, status: TenantStatus) -> Result<Tenant, Problem> {
    // Who may not change it is not told how it stands.
    let _granted = caller.authorize::<identity::UpdateTenant>()?;
    changed_as_it_is(
        || Ok(identity::tenant(db, caller, id)?),
        |tenant: Tenant| {
            let (name, settings) = (None, None);
            let change = TenantChange { expected_revision: tenant.revision, name, settings, status: Some(status) };
            if tenant.status == status {
                return Err(Problem::client(Kind::WrongState, &format_args!("the tenant is {status} already")));
            }
            Ok(identity::update_tenant(db, caller, id, change)?)
        },
    )
}

impl From<CreateTenantError> for Problem {
    fn from(error: CreateTenantError) -> Self {
        match error {
            CreateTenantError::Forbidden(refusal) => refusal.into(),
            CreateTenantError::DefaultRole(_) => Self::field("/settings/default_role", &error),
            CreateTenantError::AlreadyExists(_) => Self::client(Kind::AlreadyExists, &error),
            CreateTenantError::Database(error) => error.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Forbidden(refusal) => refusal.into(),
            ListError::ForeignCursor => Self::client(Kind::Invalid, &format_args!("the query: cursor: {error}")),
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
            UpdateTenantError::DefaultRole(_) => Self::field("/settings/default_role", &error),
            UpdateTenantError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateTenantError::Database(error) => error.into(),
        }
    }
}
