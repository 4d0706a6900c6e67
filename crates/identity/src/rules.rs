//! Who may give what to whom. Pure.

use authz::{Caller, Permission, Permissions, Role, Roles};
use kernel::Timestamp;

use crate::{User, UserStatus};

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
    /// They allow more than the caller may do.
    #[error(transparent)]
    Beyond(#[from] Beyond),
}

/// How long a key is good unless its maker says otherwise: 90 days.
pub(crate) const KEY_LIFETIME_SECONDS: i64 = 90 * 86_400;

pub(crate) fn within(caller: &Caller, given: Permissions) -> Result<(), Beyond> {
    let held = caller.permissions();
    given.iter().find(|permission| !held.contains(*permission)).map_or(Ok(()), |permission| Err(Beyond { permission }))
}

/// Decides whether the caller may give `roles` to somebody who has `already`.
pub(crate) fn may_give(caller: &Caller, roles: &Roles, already: &Roles) -> Result<(), RolesRefused> {
    if roles.contains(Role::PlatformAdmin) {
        return Err(RolesRefused::Platform(Role::PlatformAdmin));
    }
    let new: Roles = roles.iter().filter(|role| !already.has(role)).cloned().collect();
    Ok(within(caller, new.system_permissions())?)
}

/// Decides whether a key of `owner`, narrowed to `scopes`, may be made by the caller, and until when it is good.
pub(crate) fn may_issue(caller: &Caller, owner: &User, scopes: Option<Permissions>) -> Result<(), Beyond> {
    let allowed = owner.roles.system_permissions();
    within(caller, scopes.map_or(allowed, |scopes| allowed.intersection(scopes)))
}

/// When a key ends: as asked, or after the usual time. `None` when that has passed.
pub(crate) fn expiry(asked: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let end = asked.unwrap_or_else(|| now.plus_seconds(KEY_LIFETIME_SECONDS));
    (end > now).then_some(end)
}

/// Whether the change takes away an active administrator.
pub(crate) fn loses_admin(before: &User, after: &User) -> bool {
    let active = |user: &User| user.status == UserStatus::Active && user.roles.contains(Role::Admin);
    active(before) && !active(after)
}

/// Whether the caller stands for itself with all that its roles give. A credential that was narrowed to some permissions
/// does not carry the right to make more credentials unless it names that right: else a leaked key would outlive its
/// revocation.
pub(crate) fn is_oneself(caller: &Caller, owner: &kernel::UserId) -> bool {
    caller.actor().id == owner.as_str() && !caller.is_narrowed()
}
