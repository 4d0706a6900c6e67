//! Users and service accounts of a tenant.

use authz::{Action, Caller, Forbidden, Permission, RoleName, Roles};
use kernel::{Cursor, Moment, Page, PageSize, Text, UserId};
use store::{Database, ReadTx, StoreError, WriteTx};

use crate::leaving::{Ended, Leavers, leave};
use crate::listing::{Direction, ListError, Listing};
use crate::standing::{lost_an_admin, roles_of};
use crate::{
    AttributesRefused, Edit, Email, ExternalId, RolesRefused, User, UserAttributes, UserKind, UserStatus, Username,
    entries, rules, store as rows,
};

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Person or service account.
    pub kind: UserKind,
    /// What it will be known by.
    pub username: Username,
    /// What people will call it.
    pub display_name: Option<Text<100>>,
    /// Where a person is reached.
    pub email: Option<Email>,
    /// What it is known by elsewhere.
    pub external_id: Option<ExternalId>,
    /// What policies may ask about it.
    pub attributes: UserAttributes,
    /// What it may do.
    pub roles: FirstRoles,
    /// Whether it may act from the beginning.
    pub status: UserStatus,
}

/// What a new user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstRoles {
    /// This, and nothing where it is empty.
    Given(Roles),
    /// The tenant's default role, or this one where the tenant has none.
    Default(Option<RoleName>),
}

impl<R: Into<Roles>> From<R> for FirstRoles {
    fn from(roles: R) -> Self {
        Self::Given(roles.into())
    }
}

impl NewUser {
    /// A user of whom nothing else is known, and who may do nothing.
    pub fn named(kind: UserKind, username: Username) -> Self {
        Self {
            kind,
            username,
            display_name: None,
            email: None,
            external_id: None,
            attributes: UserAttributes::default(),
            roles: Roles::default().into(),
            status: UserStatus::Active,
        }
    }

    /// The same user, with `role` where neither whoever creates it nor the tenant says what it may do.
    #[must_use]
    pub fn otherwise(self, role: RoleName) -> Self {
        match self.roles {
            FirstRoles::Default(None) => Self { roles: FirstRoles::Default(Some(role)), ..self },
            FirstRoles::Default(Some(_)) | FirstRoles::Given(_) => self,
        }
    }
}

/// Creating a user.
#[derive(Debug)]
pub struct CreateUser;

impl Action for CreateUser {
    const NAME: &'static str = "identity.user.create";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
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
    /// The caller may not set attributes.
    #[error(transparent)]
    Attributes(#[from] AttributesRefused),
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
    rules::may_describe(caller, &new.attributes, &UserAttributes::default())?;
    db.write(grant, |tx| {
        if rows::users::user_named(tx, &new.username)?.is_some() {
            return Err(CreateUserError::UsernameTaken(new.username));
        }
        let roles = first_roles(tx, &new.roles)?;
        rules::may_give(caller, &roles, &Roles::default(), &rows::roles::book(tx)?)?;
        let user = User { own_roles: roles.clone(), roles, ..fresh(new, at) };
        rows::users::insert_user(tx, &user)?;
        Ok((entries::people::user_created(&user), user))
    })
}

/// A user as described, of this moment, without roles.
pub(crate) fn fresh(new: NewUser, at: &Moment<'_>) -> User {
    let NewUser { kind, username, display_name, email, external_id, attributes, roles: _, status } = new;
    User {
        id: at.id(),
        kind,
        username,
        display_name,
        email,
        external_id,
        attributes,
        own_roles: Roles::default(),
        roles: Roles::default(),
        status,
        epoch: 1,
        created_at: at.now(),
        updated_at: at.now(),
        revision: 1,
    }
}

/// What a new user may do in the transaction's tenant.
pub(crate) fn first_roles(tx: &mut ReadTx<'_>, first: &FirstRoles) -> Result<Roles, StoreError> {
    match first {
        FirstRoles::Given(roles) => Ok(roles.clone()),
        FirstRoles::Default(otherwise) => {
            let default = rows::tenants::tenant(tx)?.and_then(|tenant| tenant.settings.default_role);
            Ok(default.or_else(|| otherwise.clone()).into_iter().collect())
        }
    }
}

/// Listing users.
#[derive(Debug)]
pub struct ListUsers;

impl Action for ListUsers {
    const NAME: &'static str = "identity.user.list";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Which users, in which order.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Those who may act, or who may not.
    pub status: Option<UserStatus>,
    /// Persons, or service accounts.
    pub kind: Option<UserKind>,
    /// Those who have the role, themselves or by a group.
    pub role: Option<RoleName>,
    /// The one of that name.
    pub username: Option<Username>,
    /// Those with that address, in whatever case.
    pub email: Option<Email>,
    /// Those known elsewhere by that.
    pub external_id: Option<ExternalId>,
    /// Those whose username or address starts with that.
    pub q: Option<Text<100>>,
    /// What they are sorted by.
    pub sort: UserSort,
    /// From where to where.
    pub direction: Direction,
}

/// What users are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSort {
    /// When they were created.
    #[default]
    CreatedAt,
    /// Their usernames.
    Username,
}

/// The users of the caller's tenant that `filter` lets through.
pub fn users(
    db: &Database,
    caller: &Caller,
    filter: &UserFilter,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<User>, ListError> {
    let grant = caller.authorize::<ListUsers>()?;
    let listing = Listing::of(filter);
    let after = listing.begin(after)?;
    let found = db.read(&grant, |tx| rows::users::users(tx, filter, &after, size))?;
    Ok(listing.page(found, size, |user| match filter.sort {
        // Ids begin with the time they were made at.
        UserSort::CreatedAt => user.id.to_string(),
        UserSort::Username => user.username.to_string(),
    }))
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
        db.read(&caller.authorize_on::<ReadOneself>(id.as_str())?, |tx| rows::users::user(tx, id))
    } else {
        db.read(&caller.authorize_on::<ReadUser>(id.as_str())?, |tx| rows::users::user(tx, id))
    };
    found?.ok_or_else(|| UserError::NotFound(id.clone()))
}

/// What becomes different about a user; what is not named stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// The revision that the change was made for.
    pub expected_revision: u64,
    /// What it is known by.
    pub username: Option<Username>,
    /// What people call it.
    pub display_name: Edit<Text<100>>,
    /// Where a person is reached.
    pub email: Edit<Email>,
    /// What it is known by elsewhere.
    pub external_id: Edit<ExternalId>,
    /// What policies may ask about it, in whole.
    pub attributes: Option<UserAttributes>,
    /// The roles that are its own, in whole; those of its groups stay.
    pub roles: Option<Roles>,
    /// Whether it may act.
    pub status: Option<StatusChange>,
}

/// What becomes of a user's right to act.
#[derive(Clone, Debug)]
pub enum StatusChange {
    /// It may. What ended when it left does not come back.
    Activate,
    /// It may not: its sessions and keys end, and so does what the leavers end.
    Deactivate(Leavers),
}

/// Changing or deactivating a user.
#[derive(Debug)]
pub struct UpdateUser;

impl Action for UpdateUser {
    const NAME: &'static str = "identity.user.update";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
    const SENSITIVE: bool = true;
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
    /// The caller may not set attributes.
    #[error(transparent)]
    Attributes(#[from] AttributesRefused),
    /// The tenant has none.
    #[error("no user `{0}`")]
    NotFound(UserId),
    /// It was changed meanwhile.
    #[error("the user is at revision {0}")]
    Stale(u64),
    /// Another user of the tenant has the name.
    #[error("the username `{0}` is taken")]
    UsernameTaken(Username),
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
    let grant = caller.authorize_on::<UpdateUser>(id.as_str())?;
    db.write(grant, |tx| {
        let found = rows::users::user(tx, id)?.filter(|user| !user.is_removed());
        let before = found.ok_or_else(|| UpdateUserError::NotFound(id.clone()))?;
        if before.revision != change.expected_revision {
            return Err(UpdateUserError::Stale(before.revision));
        }
        let leavers = match &change.status {
            Some(StatusChange::Deactivate(leavers)) if before.status == UserStatus::Active => Some(leavers.clone()),
            Some(StatusChange::Deactivate(_) | StatusChange::Activate) | None => None,
        };
        let changed = changed(&before, change, at);
        let roles = roles_of(tx, id, &changed.own_roles)?;
        let epoch = before.epoch + u64::from(leavers.is_some());
        let after = User { roles, epoch, ..changed };
        check(tx, caller, &before, &after)?;
        rows::users::save_user(tx, &after)?;
        // The tenant's log is locked: no other change of its users comes between.
        if lost_an_admin(tx, &before, &after)? {
            return Err(UpdateUserError::LastAdmin(before.username));
        }
        let ended = leavers.map_or(Ok(Ended::default()), |leavers| leave(tx, id, &leavers, at))?;
        Ok((entries::people::user_changed(&before, &after, &ended), after))
    })
}

fn check(tx: &mut WriteTx<'_>, caller: &Caller, before: &User, after: &User) -> Result<(), UpdateUserError> {
    let renamed = after.username != before.username;
    // Whoever was removed is known by the id alone: nobody else may look so.
    if renamed && (after.is_removed() || rows::users::user_named(tx, &after.username)?.is_some()) {
        return Err(UpdateUserError::UsernameTaken(after.username.clone()));
    }
    rules::may_describe(caller, &after.attributes, &before.attributes)?;
    let book = rows::roles::book(tx)?;
    // Whoever comes back is given all that they had.
    let returns = before.status == UserStatus::Deactivated && after.status == UserStatus::Active;
    if returns {
        rules::may_give(caller, &after.roles, &Roles::default(), &book)?;
    }
    Ok(rules::may_give(caller, &after.own_roles, &before.own_roles, &book)?)
}

fn changed(user: &User, change: UserChange, at: &Moment<'_>) -> User {
    let UserChange { expected_revision: _, username, display_name, email, external_id, attributes, roles, status } =
        change;
    User {
        username: username.unwrap_or_else(|| user.username.clone()),
        display_name: display_name.over(user.display_name.as_ref()),
        email: email.over(user.email.as_ref()),
        external_id: external_id.over(user.external_id.as_ref()),
        attributes: attributes.unwrap_or_else(|| user.attributes.clone()),
        own_roles: roles.unwrap_or_else(|| user.own_roles.clone()),
        status: status.map_or(user.status, |status| match status {
            StatusChange::Activate => UserStatus::Active,
            StatusChange::Deactivate(_) => UserStatus::Deactivated,
        }),
        updated_at: at.now(),
        revision: user.revision + 1,
        id: user.id.clone(),
        kind: user.kind,
        roles: user.roles.clone(),
        epoch: user.epoch,
        created_at: user.created_at,
    }
}
