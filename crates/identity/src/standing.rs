//! What users may do: their own roles and those of their groups, kept together in one column.

use authz::{Role, Roles};
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

fn is_admin(user: &User) -> bool {
    user.status == UserStatus::Active && user.roles.contains(Role::Admin)
}
