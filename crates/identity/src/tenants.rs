//! Tenants: created and changed by the platform, which sees nothing inside them.

use authz::{Action, Caller, Forbidden, Permission, PlatformAction, Role, RoleName, Roles};
use kernel::{BudgetId, Cursor, Moment, Money, Page, PageSize, TenantId, Text};
use store::{Database, Reason, StoreError, WriteTx};

use crate::keys::{Unasked, issue_unasked};
use crate::listing::{ListError, Listing};
use crate::users::fresh;
use crate::{
    IssuedKey, NewUser, Settings, Tenant, TenantStatus, User, UserKind, Username, entries, rules, store as rows,
};

/// A tenant to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// What it will be known by.
    pub id: TenantId,
    /// What people call it.
    pub name: Text<100>,
    /// What it may have.
    pub settings: Settings,
    /// The name of its first administrator.
    pub admin: Username,
}

/// A tenant that has just been made, and the way into it.
#[derive(Clone, Debug)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first administrator.
    pub admin: User,
    /// That administrator's key.
    pub key: IssuedKey,
}

/// Creating a tenant.
#[derive(Debug)]
pub struct CreateTenant;

impl Action for CreateTenant {
    const NAME: &'static str = "identity.tenant.create";
    const PERMISSION: Option<Permission> = Some(Permission::TenantManage);
    const SENSITIVE: bool = true;
}

impl PlatformAction for CreateTenant {}

/// Why a tenant was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateTenantError {
    /// The caller may not create tenants.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Nobody can have the role by default.
    #[error("a new tenant has no role `{0}`")]
    DefaultRole(RoleName),
    /// The id is taken.
    #[error("the tenant `{0}` exists already")]
    AlreadyExists(TenantId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Opens the budget of a tenant that may spend so much in a month, in the transaction that the tenant is made by, and says
/// which it is. Budgets are another domain's.
pub type OpenBudget<'a> = &'a dyn Fn(&mut WriteTx<'_>, Money, &Moment<'_>) -> Result<BudgetId, StoreError>;

/// Creates a tenant with its log, its key, the budget that its settings ask for, and a first administrator who can let the
/// others in. The entry stands in the system log.
pub fn create_tenant(
    db: &Database,
    caller: &Caller,
    new: NewTenant,
    open_budget: OpenBudget<'_>,
    at: &Moment<'_>,
) -> Result<CreatedTenant, CreateTenantError> {
    let grant = caller.authorize_on::<CreateTenant>(new.id.as_str())?;
    let NewTenant { id, name, settings, admin } = new;
    db.write_platform(grant, &id, |tx| {
        if rows::tenants::tenant(tx)?.is_some() {
            return Err(CreateTenantError::AlreadyExists(id.clone()));
        }
        if let Some(role @ RoleName::Custom(_)) = &settings.default_role {
            return Err(CreateTenantError::DefaultRole(role.clone()));
        }
        tx.open_tenant()?;
        let (status, created_at) = (TenantStatus::Active, at.now());
        let tenant = Tenant { id: id.clone(), name, settings, status, created_at, revision: 1 };
        rows::tenants::insert_tenant(tx, &tenant)?;
        let admin = first_user(admin, Role::Admin, at);
        rows::users::insert_user(tx, &admin)?;
        let unasked = Unasked { name: "first key", agent: None, issued_by: rules::makers(caller) };
        let key = issue_unasked(tx, &admin, unasked, at)?;
        let limit = tenant.settings.default_budget;
        let budget = limit.map(|limit| open_budget(tx, limit, at)).transpose()?;
        let entry = entries::people::tenant_created(&tenant, (&admin, &key.key), budget.as_ref());
        Ok((entry, CreatedTenant { tenant, admin, key }))
    })
}

/// The first user of a tenant.
pub(crate) fn first_user(username: Username, role: Role, at: &Moment<'_>) -> User {
    let roles: Roles = [role].into();
    User { own_roles: roles.clone(), roles, ..fresh(NewUser::named(UserKind::User, username), at) }
}

/// Listing tenants.
#[derive(Debug)]
pub struct ListTenants;

impl Action for ListTenants {
    const NAME: &'static str = "identity.tenant.list";
    const PERMISSION: Option<Permission> = Some(Permission::TenantManage);
}

/// Which tenants.
#[derive(Clone, Debug, Default)]
pub struct TenantFilter {
    /// Those that may act, or may not.
    pub status: Option<TenantStatus>,
    /// Those whose id starts with that.
    pub q: Option<Text<100>>,
}

/// The tenants that `filter` lets through, by id, without the reserved one.
pub fn tenants(
    db: &Database,
    caller: &Caller,
    filter: &TenantFilter,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Tenant>, ListError> {
    let _granted = caller.authorize::<ListTenants>()?;
    let listing = Listing::of(&("tenants", filter));
    let after = listing.begin(after)?;
    let start = filter.q.as_ref().map_or(String::new(), |q| q.as_str().to_ascii_lowercase());
    let limit = usize::try_from(size.limit()).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "the platform lists the tenants; it sees nothing inside them")]
    db.system(Reason::Registry, |tx| {
        let known = tx.tenants()?.into_iter().map(|(id, _)| id).filter(|id| !id.is_system());
        let mut rest: Vec<_> =
            known.filter(|id| id.as_str() > after.as_str() && id.as_str().starts_with(&start)).collect();
        rest.sort_unstable();
        let found = rest.iter().filter_map(|id| tx.within(id, rows::tenants::tenant).transpose());
        let wanted = |tenant: &Tenant| filter.status.is_none_or(|status| tenant.status == status);
        let found = found.filter(|tenant| tenant.as_ref().map_or(true, wanted)).take(limit);
        let found = found.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(listing.page(found, size, |tenant| tenant.id.to_string()))
    })
}

/// Seeing a tenant from outside.
#[derive(Debug)]
pub struct ReadTenant;

impl Action for ReadTenant {
    const NAME: &'static str = "identity.tenant.read";
    const PERMISSION: Option<Permission> = Some(Permission::TenantManage);
}

/// Seeing the tenant that one belongs to.
#[derive(Debug)]
pub struct ReadOwnTenant;

impl Action for ReadOwnTenant {
    const NAME: &'static str = "identity.tenant.read";
    const PERMISSION: Option<Permission> = None;
}

/// Why a tenant was not shown.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The caller may not see it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none, or none that the caller may know of.
    #[error("no tenant `{0}`")]
    NotFound(TenantId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One tenant: any for the platform, one's own for everybody.
pub fn tenant(db: &Database, caller: &Caller, id: &TenantId) -> Result<Tenant, TenantError> {
    let found = if caller.tenant() == id {
        db.read(&caller.authorize_on::<ReadOwnTenant>(id.as_str())?, rows::tenants::tenant)
    } else {
        let _granted = caller.authorize_on::<ReadTenant>(id.as_str())?;
        #[expect(clippy::disallowed_methods, reason = "the platform sees that a tenant exists, and nothing inside it")]
        db.system(Reason::Registry, |tx| tx.within(id, rows::tenants::tenant))
    };
    found?.ok_or_else(|| TenantError::NotFound(id.clone()))
}

/// What becomes different about a tenant; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What people call it.
    pub name: Option<Text<100>>,
    /// What it may have, in whole.
    pub settings: Option<Settings>,
    /// Whether its credentials are good.
    pub status: Option<TenantStatus>,
}

/// Changing or suspending a tenant.
#[derive(Debug)]
pub struct UpdateTenant;

impl Action for UpdateTenant {
    const NAME: &'static str = "identity.tenant.update";
    const PERMISSION: Option<Permission> = Some(Permission::TenantManage);
    const SENSITIVE: bool = true;
}

impl PlatformAction for UpdateTenant {}

/// Why a tenant was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateTenantError {
    /// The caller may not change tenants.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error("no tenant `{0}`")]
    NotFound(TenantId),
    /// Nobody can have the role by default.
    #[error("the tenant has no role `{0}`")]
    DefaultRole(RoleName),
    /// It was changed meanwhile.
    #[error("the tenant is at revision {0}")]
    Stale(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes a tenant. Suspending it refuses every credential in it until it is active again; then they are good as before.
pub fn update_tenant(
    db: &Database,
    caller: &Caller,
    id: &TenantId,
    change: TenantChange,
) -> Result<Tenant, UpdateTenantError> {
    let grant = caller.authorize_on::<UpdateTenant>(id.as_str())?;
    if id.is_system() {
        return Err(UpdateTenantError::NotFound(id.clone()));
    }
    let TenantChange { expected_revision, name, settings, status } = change;
    db.write_platform(grant, id, |tx| {
        let before = rows::tenants::tenant(tx)?.ok_or_else(|| UpdateTenantError::NotFound(id.clone()))?;
        if before.revision != expected_revision {
            return Err(UpdateTenantError::Stale(before.revision));
        }
        let after = Tenant {
            name: name.unwrap_or_else(|| before.name.clone()),
            settings: settings.unwrap_or_else(|| before.settings.clone()),
            status: status.unwrap_or(before.status),
            revision: before.revision + 1,
            id: before.id.clone(),
            created_at: before.created_at,
        };
        let wanted = after.settings.default_role.as_ref().filter(|_| after.settings != before.settings);
        if let Some(RoleName::Custom(name)) = wanted
            && rows::roles::role(tx, name)?.is_none()
        {
            return Err(UpdateTenantError::DefaultRole(RoleName::Custom(name.clone())));
        }
        rows::tenants::save_tenant(tx, &after)?;
        Ok((entries::people::tenant_updated(&before, &after), after))
    })
}
