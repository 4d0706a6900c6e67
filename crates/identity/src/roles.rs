//! Roles that a tenant defines for itself: none allows more than who makes it.

use std::fmt;

use authz::{Action, Caller, CustomRole, Forbidden, Permission, Permissions, RoleName};
use kernel::{Cursor, GroupId, Moment, Page, PageSize, ProviderId, Text, UserId};
use store::{Database, ReadTx, StoreError};

use crate::listing::{ListError, Listing};
use crate::provider::Provider;
use crate::{Beyond, TenantRole, entries, rules, store as rows};

/// A role to be.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// What it will be known by: no role of the system is.
    pub name: CustomRole,
    /// What it is for.
    pub description: Text<200>,
    /// What it will allow.
    pub permissions: Permissions,
}

/// Creating a role.
#[derive(Debug)]
pub struct CreateRole;

impl Action for CreateRole {
    const NAME: &'static str = "identity.role.create";
    const PERMISSION: Option<Permission> = Some(Permission::RoleManage);
    const SENSITIVE: bool = true;
}

/// Permissions that a role of a tenant cannot allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermissionsRefused {
    /// It is the platform's.
    #[error("`{0}` is a permission of the platform and no role of a tenant allows it")]
    Platform(Permission),
    /// The caller may not do it.
    #[error(transparent)]
    Beyond(#[from] Beyond),
}

/// Why a role was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateRoleError {
    /// The caller may not manage roles.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It would allow what it cannot.
    #[error(transparent)]
    Permissions(#[from] PermissionsRefused),
    /// The tenant has one of that name.
    #[error("the role `{0}` exists already")]
    AlreadyExists(CustomRole),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates a role of the caller's tenant.
pub fn create_role(
    db: &Database,
    caller: &Caller,
    new: NewRole,
    at: &Moment<'_>,
) -> Result<TenantRole, CreateRoleError> {
    let NewRole { name, description, permissions } = new;
    let grant = caller.authorize_on::<CreateRole>(name.as_str())?;
    may_allow(caller, permissions)?;
    db.write(grant, |tx| {
        if rows::roles::role(tx, &name)?.is_some() {
            return Err(CreateRoleError::AlreadyExists(name));
        }
        let role = TenantRole { name, description, permissions, created_at: at.now(), revision: 1 };
        rows::roles::insert_role(tx, &role)?;
        Ok((entries::people::role_created(&role), role))
    })
}

fn may_allow(caller: &Caller, added: Permissions) -> Result<(), PermissionsRefused> {
    if added.contains(Permission::TenantManage) {
        return Err(PermissionsRefused::Platform(Permission::TenantManage));
    }
    Ok(rules::within(caller, added)?)
}

/// Seeing roles.
#[derive(Debug)]
pub struct ReadRoles;

impl Action for ReadRoles {
    const NAME: &'static str = "identity.role.read";
    const PERMISSION: Option<Permission> = Some(Permission::RoleManage);
}

/// The roles that the caller's tenant has defined, by name; only those that start with `q`, if that is given.
pub fn roles(
    db: &Database,
    caller: &Caller,
    q: Option<&Text<100>>,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<TenantRole>, ListError> {
    let grant = caller.authorize::<ReadRoles>()?;
    let listing = Listing::of(&("roles", q));
    let after = listing.begin(after)?;
    let start = q.map_or(String::new(), |q| q.as_str().to_ascii_lowercase());
    let found = db.read(&grant, |tx| rows::roles::roles(tx, &start, &after, size))?;
    Ok(listing.page(found, size, |role| role.name.to_string()))
}

/// Why a role was not shown.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The caller may not see roles.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has none of that name.
    #[error("no role is named `{0}`")]
    NotFound(CustomRole),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One role that the caller's tenant has defined.
pub fn role(db: &Database, caller: &Caller, name: &CustomRole) -> Result<TenantRole, RoleError> {
    let grant = caller.authorize_on::<ReadRoles>(name.as_str())?;
    db.read(&grant, |tx| rows::roles::role(tx, name))?.ok_or_else(|| RoleError::NotFound(name.clone()))
}

/// What becomes different about a role; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What it is for.
    pub description: Option<Text<200>>,
    /// What it allows, in whole. Whoever has the role may do that, and no more, from the next request on.
    pub permissions: Option<Permissions>,
}

/// Changing a role.
#[derive(Debug)]
pub struct UpdateRole;

impl Action for UpdateRole {
    const NAME: &'static str = "identity.role.update";
    const PERMISSION: Option<Permission> = Some(Permission::RoleManage);
    const SENSITIVE: bool = true;
}

/// Why a role was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateRoleError {
    /// The caller may not manage roles.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It would allow what it cannot.
    #[error(transparent)]
    Permissions(#[from] PermissionsRefused),
    /// The tenant has none of that name.
    #[error("no role is named `{0}`")]
    NotFound(CustomRole),
    /// It was changed meanwhile.
    #[error("the role is at revision {0}")]
    Stale(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes a role of the caller's tenant. What it comes to allow must be within what the caller may do.
pub fn update_role(
    db: &Database,
    caller: &Caller,
    name: &CustomRole,
    change: RoleChange,
) -> Result<TenantRole, UpdateRoleError> {
    let grant = caller.authorize_on::<UpdateRole>(name.as_str())?;
    let RoleChange { expected_revision, description, permissions } = change;
    db.write(grant, |tx| {
        let before = rows::roles::role(tx, name)?.ok_or_else(|| UpdateRoleError::NotFound(name.clone()))?;
        if before.revision != expected_revision {
            return Err(UpdateRoleError::Stale(before.revision));
        }
        let after = TenantRole {
            description: description.unwrap_or_else(|| before.description.clone()),
            permissions: permissions.unwrap_or(before.permissions),
            revision: before.revision + 1,
            name: before.name.clone(),
            created_at: before.created_at,
        };
        may_allow(caller, after.permissions.without(before.permissions))?;
        rows::roles::save_role(tx, &after)?;
        Ok((entries::people::role_updated(&before, &after), after))
    })
}

/// Deleting a role.
#[derive(Debug)]
pub struct DeleteRole;

impl Action for DeleteRole {
    const NAME: &'static str = "identity.role.delete";
    const PERMISSION: Option<Permission> = Some(Permission::RoleManage);
    const SENSITIVE: bool = true;
}

/// Why a role was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRoleError {
    /// The caller may not manage roles.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has none of that name.
    #[error("no role is named `{0}`")]
    NotFound(CustomRole),
    /// It was changed meanwhile.
    #[error("the role is at revision {0}")]
    Stale(u64),
    /// Somebody has it.
    #[error("the role is in use: {0}")]
    InUse(Uses),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Who has a role, or gives it: ten of each at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// Users who have it.
    pub users: Vec<UserId>,
    /// Groups that give it.
    pub groups: Vec<GroupId>,
    /// Identity providers that give it.
    pub providers: Vec<ProviderId>,
    /// Whether new users have it, unless they are given others.
    pub by_default: bool,
}

impl Uses {
    fn of(tx: &mut ReadTx<'_>, role: &RoleName) -> Result<Self, StoreError> {
        let (users, groups) = (rows::roles::holders(tx, role)?, rows::roles::givers(tx, role)?);
        let gives = |provider: &Provider| provider.settings.role_map.values().any(|roles| roles.has(role));
        let providers = rows::providers::providers(tx)?.into_iter().filter(gives).map(|provider| provider.id);
        let default = rows::tenants::tenant(tx)?.and_then(|tenant| tenant.settings.default_role);
        let by_default = default.as_ref() == Some(role);
        Ok(Self { users, groups, providers: providers.take(10).collect(), by_default })
    }

    fn is_none(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.providers.is_empty() && !self.by_default
    }
}

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.users.iter().map(UserId::as_str);
        let groups = self.groups.iter().map(GroupId::as_str);
        let ids = users.chain(groups).chain(self.providers.iter().map(ProviderId::as_str));
        let ids = ids.map(|id| format!("`{id}`"));
        let default = self.by_default.then(|| "`default_role`".to_owned());
        f.write_str(&ids.chain(default).collect::<Vec<_>>().join(", "))
    }
}

/// Deletes a role of the caller's tenant that nobody has and nothing gives.
pub fn delete_role(
    db: &Database,
    caller: &Caller,
    name: &CustomRole,
    expected_revision: u64,
) -> Result<(), DeleteRoleError> {
    let grant = caller.authorize_on::<DeleteRole>(name.as_str())?;
    db.write(grant, |tx| {
        let role = rows::roles::role(tx, name)?.ok_or_else(|| DeleteRoleError::NotFound(name.clone()))?;
        if role.revision != expected_revision {
            return Err(DeleteRoleError::Stale(role.revision));
        }
        let wanted = RoleName::Custom(name.clone());
        let uses = Uses::of(tx, &wanted)?;
        if !uses.is_none() {
            return Err(DeleteRoleError::InUse(uses));
        }
        rows::roles::delete_role(tx, name)?;
        Ok((entries::people::role_deleted(&role), ()))
    })
}
