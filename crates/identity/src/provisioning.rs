//! Users and groups as a directory that provisions them sees them (SCIM): people only, and nobody who was removed.
//!
//! **Invariant:** whoever was removed is known by the id alone; the name, the address and what the directory called them
//! are free again, and nothing that was theirs goes to whoever has them next.

use authz::{Action, Caller, Permission, Roles};
use kernel::{GroupId, Moment, UserId};
use store::Database;

use crate::groups::{GroupError, Members, ReadGroups};
use crate::leaving::{Leavers, leave};
use crate::listing::{ListError, PeopleFilter, Slice, TeamFilter};
use crate::standing::lost_an_admin;
use crate::users::{ListUsers, ReadUser, UpdateUserError, UserError};
use crate::{User, UserStatus, Username, entries, store as rows};

/// A part of a list, and how many the list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

impl<T> Counted<T> {
    const fn none() -> Self {
        Self { items: Vec::new(), total: 0 }
    }
}

/// The people of the caller's tenant that `filter` lets through, the oldest first; nobody if there is none.
pub fn people(
    db: &Database,
    caller: &Caller,
    filter: Option<&PeopleFilter>,
    slice: Slice,
) -> Result<Counted<User>, ListError> {
    let grant = caller.authorize::<ListUsers>()?;
    let Some(filter) = filter else {
        return Ok(Counted::none());
    };
    db.read(&grant, |tx| {
        let total = rows::provisioning::count_people(tx, filter)?;
        Ok(Counted { items: rows::provisioning::people(tx, filter, slice)?, total })
    })
}

/// One person of the caller's tenant.
pub fn person(db: &Database, caller: &Caller, id: &UserId) -> Result<User, UserError> {
    let grant = caller.authorize_on::<ReadUser>(id.as_str())?;
    let filter = PeopleFilter { id: Some(id.clone()), ..PeopleFilter::default() };
    let found = db.read(&grant, |tx| rows::provisioning::people(tx, &filter, Slice { skip: 0, limit: 1 }))?;
    found.into_iter().next().ok_or_else(|| UserError::NotFound(id.clone()))
}

/// The groups of the caller's tenant that `filter` lets through, the oldest first, each with the people in it; none if there
/// is no filter.
pub fn teams(
    db: &Database,
    caller: &Caller,
    filter: Option<&TeamFilter>,
    slice: Slice,
) -> Result<Counted<Members>, ListError> {
    let grant = caller.authorize::<ReadGroups>()?;
    let Some(filter) = filter else {
        return Ok(Counted::none());
    };
    db.read(&grant, |tx| {
        let total = rows::provisioning::count_teams(tx, filter)?;
        let mut items = Vec::new();
        for group in rows::provisioning::teams(tx, filter, slice)? {
            let members = rows::provisioning::people_in(tx, &group.id)?;
            items.push(Members { group, members });
        }
        Ok(Counted { items, total })
    })
}

/// One group of the caller's tenant, and the people in it.
pub fn team(db: &Database, caller: &Caller, id: &GroupId) -> Result<Members, GroupError> {
    let grant = caller.authorize_on::<ReadGroups>(id.as_str())?;
    db.read(&grant, |tx| {
        let group = rows::groups::group(tx, id)?.ok_or_else(|| GroupError::NotFound(id.clone()))?;
        let members = rows::provisioning::people_in(tx, id)?;
        Ok(Members { group, members })
    })
}

/// Removing a person.
#[derive(Debug)]
pub struct RemovePerson;

impl Action for RemovePerson {
    const NAME: &'static str = "identity.user.remove";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// How a person is removed.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The revision that it was decided for.
    pub expected_revision: u64,
    /// What ends besides sessions and keys.
    pub leavers: Leavers,
}

/// Removes a person of the caller's tenant for good: deactivated, without roles, in no group, and known by the id alone.
pub fn remove_person(
    db: &Database,
    caller: &Caller,
    id: &UserId,
    removal: &Removal,
    at: &Moment<'_>,
) -> Result<(), UpdateUserError> {
    let grant = caller.authorize_on::<RemovePerson>(id.as_str())?;
    let filter = PeopleFilter { id: Some(id.clone()), ..PeopleFilter::default() };
    db.write(grant, |tx| {
        let found = rows::provisioning::people(tx, &filter, Slice { skip: 0, limit: 1 })?;
        let before = found.into_iter().next().ok_or_else(|| UpdateUserError::NotFound(id.clone()))?;
        if before.revision != removal.expected_revision {
            return Err(UpdateUserError::Stale(before.revision));
        }
        let after = removed(&before, at);
        let groups = rows::groups::groups_of(tx, id)?;
        for group in &groups {
            rows::groups::delete_member(tx, &group.id, id)?;
        }
        rows::users::save_user(tx, &after)?;
        if lost_an_admin(tx, &before, &after)? {
            return Err(UpdateUserError::LastAdmin(before.username));
        }
        rows::provisioning::forget(tx, id)?;
        let ended = leave(tx, id, &removal.leavers, at)?;
        Ok((entries::people::user_removed(&before, &groups, &ended), ()))
    })
}

fn removed(user: &User, at: &Moment<'_>) -> User {
    User {
        username: Username::of_removed(&user.id),
        display_name: None,
        email: None,
        external_id: None,
        own_roles: Roles::default(),
        roles: Roles::default(),
        status: UserStatus::Deactivated,
        epoch: user.epoch + 1,
        updated_at: at.now(),
        revision: user.revision + 1,
        attributes: crate::UserAttributes::default(),
        id: user.id.clone(),
        kind: user.kind,
        created_at: user.created_at,
    }
}
