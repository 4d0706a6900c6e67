//! Groups: users who have roles in common, as a directory or an identity provider names them.

use std::collections::BTreeSet;

use authz::{Action, Caller, Forbidden, Permission, Roles};
use kernel::{Cursor, GroupId, Moment, Page, PageSize, Text, UserId};
use store::{Database, StoreError, WriteTx};

use crate::listing::{ListError, Listing};
use crate::standing::settle;
use crate::{Edit, ExternalId, Group, RolesRefused, UserError, Username, entries, rules, store as rows};

/// A group and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The group.
    pub group: Group,
    /// Who is in it, by id.
    pub members: Vec<UserId>,
}

/// A group to be.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// What people will call it.
    pub display_name: Text<200>,
    /// What it is known by elsewhere.
    pub external_id: Option<ExternalId>,
    /// What its members may do.
    pub roles: Roles,
    /// Who will be in it.
    pub members: Vec<UserId>,
}

/// Creating a group.
#[derive(Debug)]
pub struct CreateGroup;

impl Action for CreateGroup {
    const NAME: &'static str = "identity.group.create";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// Why a group did not become as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum GroupRefused {
    /// The caller may not give these roles.
    #[error(transparent)]
    Roles(#[from] RolesRefused),
    /// Another group of the tenant is called so.
    #[error("a group is called `{0}` already")]
    NameTaken(Text<200>),
    /// The tenant has no such user.
    #[error("no user `{0}`")]
    UnknownMember(UserId),
    /// Nobody would be left to let anybody in.
    #[error("`{0}` is the tenant's last active administrator: make another one first")]
    LastAdmin(Username),
}

/// Why a group was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateGroupError {
    /// The caller may not manage users.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It cannot be so.
    #[error(transparent)]
    Refused(#[from] GroupRefused),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates a group of the caller's tenant.
pub fn create_group(
    db: &Database,
    caller: &Caller,
    new: NewGroup,
    at: &Moment<'_>,
) -> Result<Members, CreateGroupError> {
    let grant = caller.authorize::<CreateGroup>()?;
    let NewGroup { display_name, external_id, roles, members } = new;
    let (created_at, updated_at) = (at.now(), at.now());
    let group = Group { id: at.id(), display_name, external_id, roles, created_at, updated_at, revision: 1 };
    db.write(grant, |tx| {
        if rows::groups::group_named(tx, group.display_name.as_str())?.is_some() {
            return Err(GroupRefused::NameTaken(group.display_name).into());
        }
        rules::may_give(caller, &group.roles, &Roles::default(), &rows::roles::book(tx)?)
            .map_err(GroupRefused::from)?;
        rows::groups::insert_group(tx, &group)?;
        let moves = Moves::of(&MembersChange::Replace(members), &[]);
        move_members(tx, &group.id, &moves)?.map_or(Ok(()), Err)?;
        settle(tx, moves.added.clone(), at)?;
        Ok((entries::people::group_created(&group, &moves.added), Members { group, members: moves.added }))
    })
}

/// Seeing groups and who is in them.
#[derive(Debug)]
pub struct ReadGroups;

impl Action for ReadGroups {
    const NAME: &'static str = "identity.group.read";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Seeing the groups that one is in.
#[derive(Debug)]
pub struct ReadOwnGroups;

impl Action for ReadOwnGroups {
    const NAME: &'static str = "identity.group.read";
    const PERMISSION: Option<Permission> = None;
}

/// Which groups.
#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    /// The one of that name.
    pub display_name: Option<Text<200>>,
    /// Those known elsewhere by that.
    pub external_id: Option<ExternalId>,
    /// Those whose name starts with that.
    pub q: Option<Text<100>>,
}

/// The groups of the caller's tenant that `filter` lets through, by name.
pub fn groups(
    db: &Database,
    caller: &Caller,
    filter: &GroupFilter,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Group>, ListError> {
    let grant = caller.authorize::<ReadGroups>()?;
    let listing = Listing::of(&("groups", filter));
    let after = listing.begin(after)?;
    let found = db.read(&grant, |tx| rows::groups::groups(tx, filter, &after, size))?;
    Ok(listing.page(found, size, |group| group.display_name.to_string()))
}

/// Why a group was not shown.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The caller may not see groups.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has none.
    #[error("no group `{0}`")]
    NotFound(GroupId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One group of the caller's tenant, and who is in it.
pub fn group(db: &Database, caller: &Caller, id: &GroupId) -> Result<Members, GroupError> {
    let grant = caller.authorize_on::<ReadGroups>(id.as_str())?;
    db.read(&grant, |tx| {
        let group = rows::groups::group(tx, id)?.ok_or_else(|| GroupError::NotFound(id.clone()))?;
        let members = rows::groups::members(tx, id)?;
        Ok(Members { group, members })
    })
}

/// The groups that a user of the caller's tenant is in, by name; everybody may see their own.
pub fn groups_of(db: &Database, caller: &Caller, user: &UserId) -> Result<Vec<Group>, UserError> {
    if caller.actor().id == user.as_str() {
        let grant = caller.authorize_on::<ReadOwnGroups>(user.as_str())?;
        return Ok(db.read(&grant, |tx| rows::groups::groups_of(tx, user))?);
    }
    let grant = caller.authorize_on::<ReadGroups>(user.as_str())?;
    db.read(&grant, |tx| {
        rows::users::user(tx, user)?.ok_or_else(|| UserError::NotFound(user.clone()))?;
        Ok(rows::groups::groups_of(tx, user)?)
    })
}

/// What becomes different about a group; what is not named stays as it is.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What people call it.
    pub display_name: Option<Text<200>>,
    /// What it is known by elsewhere.
    pub external_id: Edit<ExternalId>,
    /// What its members may do, in whole.
    pub roles: Option<Roles>,
    /// Who is in it.
    pub members: MembersChange,
}

/// What becomes of who is in a group.
#[derive(Clone, Debug, Default)]
pub enum MembersChange {
    /// They stay.
    #[default]
    Keep,
    /// These are in it, and nobody else.
    Replace(Vec<UserId>),
    /// Some come and some go.
    Move {
        /// Those who come.
        add: Vec<UserId>,
        /// Those who go.
        remove: Vec<UserId>,
    },
}

/// Changing a group.
#[derive(Debug)]
pub struct UpdateGroup;

impl Action for UpdateGroup {
    const NAME: &'static str = "identity.group.update";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// Why a group was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateGroupError {
    /// The caller may not manage users.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It cannot be so.
    #[error(transparent)]
    Refused(#[from] GroupRefused),
    /// The tenant has none.
    #[error("no group `{0}`")]
    NotFound(GroupId),
    /// It was changed meanwhile.
    #[error("the group is at revision {0}")]
    Stale(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes a group of the caller's tenant. What its members may do follows in the same transaction.
pub fn update_group(
    db: &Database,
    caller: &Caller,
    id: &GroupId,
    change: GroupChange,
    at: &Moment<'_>,
) -> Result<Members, UpdateGroupError> {
    let grant = caller.authorize_on::<UpdateGroup>(id.as_str())?;
    db.write(grant, |tx| {
        let before = rows::groups::group(tx, id)?.ok_or_else(|| UpdateGroupError::NotFound(id.clone()))?;
        if before.revision != change.expected_revision {
            return Err(UpdateGroupError::Stale(before.revision));
        }
        let was_in = rows::groups::members(tx, id)?;
        let moves = Moves::of(&change.members, &was_in);
        let after = changed(&before, change, at);
        if after.display_name != before.display_name
            && rows::groups::group_named(tx, after.display_name.as_str())?.is_some()
        {
            return Err(GroupRefused::NameTaken(after.display_name).into());
        }
        let already = if moves.added.is_empty() { already(&before, &after) } else { Roles::default() };
        rules::may_give(caller, &after.roles, &already, &rows::roles::book(tx)?).map_err(GroupRefused::from)?;
        rows::groups::save_group(tx, &after)?;
        move_members(tx, id, &moves)?.map_or(Ok(()), Err)?;
        let members = rows::groups::members(tx, id)?;
        let touched = if after.roles == before.roles { &moves.added } else { &members };
        if let Some(user) = settle(tx, touched.iter().chain(&moves.removed).cloned(), at)? {
            return Err(GroupRefused::LastAdmin(user.username).into());
        }
        let entry = entries::people::group_updated(&before, &after, (&moves.added, &moves.removed));
        Ok((entry, Members { group: after, members }))
    })
}

/// What the group's members have already, as far as it counts. Directories and identity providers know groups by their
/// names, or by what they call them themselves: to call a group otherwise is to give its roles to others.
fn already(before: &Group, after: &Group) -> Roles {
    let same = before.display_name == after.display_name && before.external_id == after.external_id;
    if same { before.roles.clone() } else { Roles::default() }
}

fn changed(group: &Group, change: GroupChange, at: &Moment<'_>) -> Group {
    let GroupChange { expected_revision: _, display_name, external_id, roles, members: _ } = change;
    Group {
        display_name: display_name.unwrap_or_else(|| group.display_name.clone()),
        external_id: external_id.over(group.external_id.as_ref()),
        roles: roles.unwrap_or_else(|| group.roles.clone()),
        updated_at: at.now(),
        revision: group.revision + 1,
        id: group.id.clone(),
        created_at: group.created_at,
    }
}

/// Deleting a group.
#[derive(Debug)]
pub struct DeleteGroup;

impl Action for DeleteGroup {
    const NAME: &'static str = "identity.group.delete";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
}

/// Deletes a group of the caller's tenant. Its members lose what they had by it.
pub fn delete_group(
    db: &Database,
    caller: &Caller,
    id: &GroupId,
    expected_revision: u64,
    at: &Moment<'_>,
) -> Result<(), UpdateGroupError> {
    let grant = caller.authorize_on::<DeleteGroup>(id.as_str())?;
    db.write(grant, |tx| {
        let group = rows::groups::group(tx, id)?.ok_or_else(|| UpdateGroupError::NotFound(id.clone()))?;
        if group.revision != expected_revision {
            return Err(UpdateGroupError::Stale(group.revision));
        }
        let members = rows::groups::members(tx, id)?;
        for member in &members {
            rows::groups::delete_member(tx, id, member)?;
        }
        rows::groups::delete_group(tx, id)?;
        if let Some(user) = settle(tx, members.iter().cloned(), at)? {
            return Err(GroupRefused::LastAdmin(user.username).into());
        }
        Ok((entries::people::group_deleted(&group, &members), ()))
    })
}

/// Who comes and who goes: sorted, without repeats, and nobody who is in already or out already.
struct Moves {
    added: Vec<UserId>,
    removed: Vec<UserId>,
}

impl Moves {
    fn of(change: &MembersChange, was_in: &[UserId]) -> Self {
        let was_in: BTreeSet<&UserId> = was_in.iter().collect();
        let will_be: BTreeSet<&UserId> = match change {
            MembersChange::Keep => was_in.clone(),
            MembersChange::Replace(wanted) => wanted.iter().collect(),
            MembersChange::Move { add, remove } => {
                let remove: BTreeSet<&UserId> = remove.iter().collect();
                was_in.difference(&remove).copied().chain(add).collect()
            }
        };
        let only = |these: &BTreeSet<&UserId>, those| these.difference(those).map(|user| (*user).clone()).collect();
        Self { added: only(&will_be, &was_in), removed: only(&was_in, &will_be) }
    }
}

/// Moves members, or says who is no user of the tenant.
fn move_members(tx: &mut WriteTx<'_>, group: &GroupId, moves: &Moves) -> Result<Option<GroupRefused>, StoreError> {
    for user in &moves.added {
        if rows::users::user(tx, user)?.is_none() {
            return Ok(Some(GroupRefused::UnknownMember(user.clone())));
        }
        rows::groups::insert_member(tx, group, user)?;
    }
    for user in &moves.removed {
        rows::groups::delete_member(tx, group, user)?;
    }
    Ok(None)
}
