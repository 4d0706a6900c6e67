//! What users may do: their own roles and those of their groups, kept together in one column.

use authz::{Role, RoleName, Roles};
use kernel::{Moment, UserId};
use store::{ReadTx, StoreError, WriteTx};

use crate::{User, UserStatus, store as rows};

/// What a user with the roles `own` may do, by the groups of this moment.
pub(crate) fn roles_of(tx: &mut ReadTx<'_>, user: &UserId, own: &Roles) -> Result<Roles, StoreError> {
    let groups = rows::groups::groups_of(tx, user)?;
    Ok(groups.iter().fold(own.clone(), |all, group| all.union(&group.roles)))
}

/// Brings what `users` may do up to date with their groups. Names one of them if it was the tenant's last active
/// administrator and no longer is: then nothing of this may be kept.
pub(crate) fn settle(
    tx: &mut WriteTx<'_>,
    users: impl IntoIterator<Item = UserId>,
    at: &Moment<'_>,
) -> Result<Option<User>, StoreError> {
    let mut demoted = None;
    for id in users {
        let Some(before) = rows::users::user(tx, &id)? else {
            continue;
        };
        let roles = roles_of(tx, &id, &before.own_roles)?;
        if roles == before.roles {
            continue;
        }
        let after = User { roles, updated_at: at.now(), revision: before.revision + 1, ..before.clone() };
        rows::users::save_user(tx, &after)?;
        if is_admin(&before) && !is_admin(&after) {
            demoted = Some(before);
        }
    }
    match demoted {
        Some(user) if !rows::users::any_active_admin(tx)? => Ok(Some(user)),
        Some(_) | None => Ok(None),
    }
}

/// Whether the change, already made, has taken the tenant's last active administrator away.
pub(crate) fn lost_an_admin(tx: &mut ReadTx<'_>, before: &User, after: &User) -> Result<bool, StoreError> {
    Ok(is_admin(before) && !is_admin(after) && !rows::users::any_active_admin(tx)?)
}

/// Makes `roles` the user's own, as an identity provider says when the user signs in. What the tenant does not have is
/// left out, and its last active administrator stays one.
pub(crate) fn set_provider_roles(
    tx: &mut WriteTx<'_>,
    user: &User,
    roles: &Roles,
    at: &Moment<'_>,
) -> Result<User, StoreError> {
    let book = rows::roles::book(tx)?;
    let exists = |role: &&RoleName| match role {
        RoleName::System(role) => *role != Role::PlatformAdmin,
        RoleName::Custom(role) => book.knows(role),
    };
    let own_roles: Roles = roles.iter().filter(exists).cloned().collect();
    if own_roles == user.own_roles {
        return Ok(user.clone());
    }
    let after = with_own(tx, user, own_roles, at)?;
    rows::users::save_user(tx, &after)?;
    if !lost_an_admin(tx, user, &after)? {
        return Ok(after);
    }
    let own_roles = after.own_roles.union(&[Role::Admin].into());
    let after = with_own(tx, user, own_roles, at)?;
    rows::users::save_user(tx, &after)?;
    Ok(after)
}

fn with_own(tx: &mut ReadTx<'_>, user: &User, own_roles: Roles, at: &Moment<'_>) -> Result<User, StoreError> {
    let roles = roles_of(tx, &user.id, &own_roles)?;
    Ok(User { own_roles, roles, updated_at: at.now(), revision: user.revision + 1, ..user.clone() })
}

fn is_admin(user: &User) -> bool {
    user.status == UserStatus::Active && user.roles.contains(Role::Admin)
}
