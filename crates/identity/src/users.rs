//! Users and service accounts of a tenant.

use authz::{Action, Caller, Forbidden, Permission, Roles};
use kernel::{Cursor, Moment, Page, PageSize, UserId};
use store::{Database, StoreError};

use crate::listing::ListError;
use crate::{Email, RolesRefused, User, UserKind, UserStatus, Username, entries, rules, store as rows};

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Person or service account.
    pub kind: UserKind,
    /// What it will be known by.
    pub username: Username,
    /// Where a person is reached.
    pub email: Option<Email>,
    /// What it may do; none means nothing.
    pub roles: Roles,
}

/// Creating a user.
#[derive(Debug)]
pub struct CreateUser;

impl Action for CreateUser {
    const NAME: &'static str = "identity.user.create";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Why a user was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// The caller may not create users.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller may not give these roles.
    #[error(transparent)]
    Roles(#[from] RolesRefused),
    /// Another user of the tenant has the name.
    #[error("the username `{0}` is taken")]
    UsernameTaken(Username),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates a user of the caller's tenant.
pub fn create_user(db: &Database, caller: &Caller, new: NewUser, at: &Moment<'_>) -> Result<User, CreateUserError> {
    let grant = caller.authorize::<CreateUser>()?;
    let NewUser { kind, username, email, roles } = new;
    rules::may_give(caller, &roles, &Roles::default())?;
    let (id, status, created_at) = (at.id(), UserStatus::Active, at.now());
    let user = User { id, kind, username, email, roles, status, created_at, revision: 1 };
    db.write(grant, |tx| {
        if rows::users::user_named(tx, &user.username)?.is_some() {
            return Err(CreateUserError::UsernameTaken(user.username.clone()));
        }
        rows::users::insert_user(tx, &user)?;
        Ok((entries::people::user_created(&user), user))
    })
}

/// Listing users.
#[derive(Debug)]
pub struct ListUsers;

impl Action for ListUsers {
    const NAME: &'static str = "identity.user.list";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// The users of the caller's tenant, the oldest first.
pub fn users(db: &Database, caller: &Caller, after: Option<&Cursor>, size: PageSize) -> Result<Page<User>, ListError> {
    let grant = caller.authorize::<ListUsers>()?;
    let found = db.read(&grant, |tx| rows::users::users(tx, after, size))?;
    Ok(Page::of(found, size, |user| user.id.to_string()))
}

/// Seeing a user.
#[derive(Debug)]
pub struct ReadUser;

impl Action for ReadUser {
    const NAME: &'static str = "identity.user.read";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Seeing oneself.
#[derive(Debug)]
pub struct ReadOneself;

impl Action for ReadOneself {
    const NAME: &'static str = "identity.user.read";
    const PERMISSION: Option<Permission> = None;
}

/// Why a user was not shown.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The caller may not see users.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has none.
    #[error("no user `{0}`")]
    NotFound(UserId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One user of the caller's tenant; everybody may see themselves.
pub fn user(db: &Database, caller: &Caller, id: &UserId) -> Result<User, UserError> {
    let found = if caller.actor().id == id.as_str() {
        db.read(&caller.authorize::<ReadOneself>()?, |tx| rows::users::user(tx, id))
    } else {
        db.read(&caller.authorize::<ReadUser>()?, |tx| rows::users::user(tx, id))
    };
    found?.ok_or_else(|| UserError::NotFound(id.clone()))
}

/// What becomes different about a user; `None` leaves as it is.
#[derive(Clone, Debug)]
pub struct UserChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What it may do, in whole.
    pub roles: Option<Roles>,
    /// Where a person is reached.
    pub email: EmailChange,
    /// Whether it may act. Deactivating a user revokes its keys; activating it again does not bring them back.
    pub status: Option<UserStatus>,
}

/// What becomes of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EmailChange {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Remove,
    /// It becomes another.
    Set(Email),
}

/// Changing or deactivating a user.
#[derive(Debug)]
pub struct UpdateUser;

impl Action for UpdateUser {
    const NAME: &'static str = "identity.user.update";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Why a user was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// The caller may not change users.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller may not give these roles.
    #[error(transparent)]
    Roles(#[from] RolesRefused),
    /// The tenant has none.
    #[error("no user `{0}`")]
    NotFound(UserId),
    /// It was changed meanwhile.
    #[error("the user is at revision {0}")]
    Stale(u64),
    /// Nobody would be left to let anybody in.
    #[error("`{0}` is the tenant's last active administrator: make another one first")]
    LastAdmin(Username),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes a user of the caller's tenant.
pub fn update_user(
    db: &Database,
    caller: &Caller,
    id: &UserId,
    change: UserChange,
    at: &Moment<'_>,
) -> Result<User, UpdateUserError> {
    let grant = caller.authorize::<UpdateUser>()?;
    db.write(grant, |tx| {
        let before = rows::users::user(tx, id)?.ok_or_else(|| UpdateUserError::NotFound(id.clone()))?;
        if before.revision != change.expected_revision {
            return Err(UpdateUserError::Stale(before.revision));
        }
        let after = changed(&before, change);
        rules::may_give(caller, &after.roles, &before.roles)?;
        // The tenant's log is locked: no other change of its users comes between.
        if rules::loses_admin(&before, &after) && rows::users::other_active_admins(tx, id)? == 0 {
            return Err(UpdateUserError::LastAdmin(before.username));
        }
        rows::users::save_user(tx, &after)?;
        let keys_revoked = match after.status {
            UserStatus::Active => 0,
            UserStatus::Deactivated => rows::keys::revoke_keys_of(tx, id, at.now())?,
        };
        Ok((entries::people::user_changed(&before, &after, keys_revoked), after))
    })
}

fn changed(user: &User, change: UserChange) -> User {
    let UserChange { expected_revision: _, roles, email, status } = change;
    User {
        roles: roles.unwrap_or_else(|| user.roles.clone()),
        email: match email {
            EmailChange::Keep => user.email.clone(),
            EmailChange::Remove => None,
            EmailChange::Set(email) => Some(email),
        },
        status: status.unwrap_or(user.status),
        revision: user.revision + 1,
        id: user.id.clone(),
        kind: user.kind,
        username: user.username.clone(),
        created_at: user.created_at,
    }
}
