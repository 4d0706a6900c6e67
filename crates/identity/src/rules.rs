//! Who may give what to whom. Pure.

use std::collections::BTreeMap;

use authz::{Caller, CustomRole, Makers, Permission, Permissions, Role, RoleName, Roles};
use kernel::{TenantId, Timestamp};

use crate::UserAttributes;

/// More than the caller may do: nobody gives away what they do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{permission}` is more than the caller may do")]
pub struct Beyond {
    /// The first permission that the caller lacks.
    pub permission: Permission,
}

/// Roles that the caller cannot give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolesRefused {
    /// Its place is the reserved tenant.
    #[error("`{0}` is a role of the platform and cannot be given in a tenant")]
    Platform(Role),
    /// The tenant has not defined it.
    #[error("no role is named `{0}`")]
    Unknown(CustomRole),
    /// They allow more than the caller may do.
    #[error(transparent)]
    Beyond(#[from] Beyond),
}

/// Attributes decide in policies: who sets them could as well change what the policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("policies decide by attributes: setting them needs the permission `policy:manage`")]
pub struct AttributesRefused;

/// What each of the tenant's own roles allows at this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleBook(BTreeMap<CustomRole, Permissions>);

impl FromIterator<(CustomRole, Permissions)> for RoleBook {
    fn from_iter<I: IntoIterator<Item = (CustomRole, Permissions)>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl RoleBook {
    /// What `role` allows: nothing, if the tenant has not defined it.
    pub(crate) fn of(&self, role: &RoleName) -> Permissions {
        match role {
            RoleName::System(role) => role.permissions(),
            RoleName::Custom(role) => self.0.get(role).copied().unwrap_or_default(),
        }
    }

    /// What `roles` allow together.
    pub(crate) fn permissions(&self, roles: &Roles) -> Permissions {
        roles.iter().fold(Permissions::NONE, |all, role| all.union(self.of(role)))
    }

    /// Those of `roles` that count in `tenant`, and what they allow there, whatever a row says: the platform's role
    /// and permission are for the reserved tenant alone.
    pub(crate) fn effective(&self, tenant: &TenantId, roles: &Roles) -> (Roles, Permissions) {
        let belongs = |role: &&RoleName| (**role == RoleName::System(Role::PlatformAdmin)) == tenant.is_system();
        let roles: Roles = roles.iter().filter(belongs).cloned().collect();
        let allowed = self.permissions(&roles);
        let platform = Permissions::NONE.with(Permission::TenantManage);
        let allowed = if tenant.is_system() { allowed } else { allowed.without(platform) };
        (roles, allowed)
    }

    /// The tenant's own roles.
    pub(crate) fn names(&self) -> impl Iterator<Item = &CustomRole> {
        self.0.keys()
    }

    pub(crate) fn knows(&self, role: &CustomRole) -> bool {
        self.0.contains_key(role)
    }
}

/// How long a key is good unless its maker says otherwise: 90 days.
pub(crate) const KEY_LIFETIME_SECONDS: i64 = 90 * 86_400;

pub(crate) fn within(caller: &Caller, given: Permissions) -> Result<(), Beyond> {
    let held = caller.permissions();
    given.iter().find(|permission| !held.contains(*permission)).map_or(Ok(()), |permission| Err(Beyond { permission }))
}

/// Decides whether the caller may give `roles` to somebody who has `already`.
pub(crate) fn may_give(caller: &Caller, roles: &Roles, already: &Roles, book: &RoleBook) -> Result<(), RolesRefused> {
    if roles.contains(Role::PlatformAdmin) {
        return Err(RolesRefused::Platform(Role::PlatformAdmin));
    }
    let new: Roles = roles.iter().filter(|role| !already.has(role)).cloned().collect();
    if let Some(unknown) = new.custom().find(|role| !book.knows(role)) {
        return Err(RolesRefused::Unknown(unknown.clone()));
    }
    Ok(within(caller, book.permissions(&new))?)
}

/// Decides whether the caller may make a user's attributes `new`.
pub(crate) fn may_describe(
    caller: &Caller,
    new: &UserAttributes,
    before: &UserAttributes,
) -> Result<(), AttributesRefused> {
    let may = new == before || caller.permissions().contains(Permission::PolicyManage);
    may.then_some(()).ok_or(AttributesRefused)
}

/// Decides whether the caller may make a key, narrowed to `scopes`, for somebody whose roles allow `owned`.
pub(crate) fn may_issue(caller: &Caller, owned: Permissions, scopes: Option<Permissions>) -> Result<(), Beyond> {
    within(caller, scopes.map_or(owned, |scopes| owned.intersection(scopes)))
}

/// When a key ends: as asked, or after the usual time. `None` when that has passed.
pub(crate) fn expiry(asked: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let end = asked.unwrap_or_else(|| now.plus_seconds(KEY_LIFETIME_SECONDS));
    (end > now).then_some(end)
}

/// Whether the caller stands for itself with all that its roles give. A credential that was narrowed to some permissions
/// does not carry the right to make more credentials unless it names that right: else a leaked key would outlive its
/// revocation. Nor does somebody who acts for another stand for them.
pub(crate) fn is_oneself(caller: &Caller, owner: &kernel::UserId) -> bool {
    caller.actor().id == owner.as_str() && caller.actor().act.is_empty() && !caller.is_narrowed()
}

/// Who has made a credential that the caller is shown: the caller, those who act for them, and all who have made what
/// they came with.
pub(crate) fn makers(caller: &Caller) -> Makers {
    let acting = caller.actor().act.iter().map(|acting| acting.id.as_str());
    caller.standing().issued_by.iter().chain([caller.actor().id.as_str()]).chain(acting).collect()
}
