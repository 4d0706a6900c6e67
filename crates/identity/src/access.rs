//! What users may do, and why or why not.

use std::sync::Arc;

use authz::{
    Action, Actor, ActorKind, Caller, Facts, Guard, Judgment, Permission, Permissions, Question, Role, RoleName,
    Standing, Verdict,
};
use kernel::{Moment, UserId};
use store::{Database, ReadTx};

use crate::rules::RoleBook;
use crate::{Group, Tenant, TenantStatus, User, UserError, UserKind, UserStatus, store as rows};

/// Seeing what one may do oneself.
#[derive(Debug)]
pub struct ReadOwnAccess;

impl Action for ReadOwnAccess {
    const NAME: &'static str = "identity.access.read";
    const PERMISSION: Option<Permission> = None;
}

/// Seeing what users may do, for who manages them.
#[derive(Debug)]
pub struct ReadAccess;

impl Action for ReadAccess {
    const NAME: &'static str = "identity.access.read";
    const PERMISSION: Option<Permission> = Some(Permission::UserManage);
}

/// Seeing what users may do, for who audits them.
#[derive(Debug)]
pub struct AuditAccess;

impl Action for AuditAccess {
    const NAME: &'static str = "identity.access.read";
    const PERMISSION: Option<Permission> = Some(Permission::AuditRead);
}

/// What a user may do at this moment, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Who.
    pub user: UserId,
    /// By which roles.
    pub roles: Vec<HeldRole>,
    /// All that the roles allow together.
    pub permissions: Permissions,
}

/// A role that a user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role: RoleName,
    /// What it allows.
    pub permissions: Permissions,
    /// Whether it was given to the user itself.
    pub is_own: bool,
    /// The groups by which the user has it.
    pub groups: Vec<Group>,
}

/// What a user of the caller's tenant may do; everybody may ask about themselves.
pub fn effective(db: &Database, caller: &Caller, user: &UserId) -> Result<Effective, UserError> {
    read(db, caller, user, |tx| {
        let Known { user, tenant, book } = known(tx, user)?;
        let groups = rows::groups::groups_of(tx, &user.id)?;
        let (roles, permissions) = book.effective(&tenant.id, &user.roles);
        let held = |role: &RoleName| HeldRole {
            role: role.clone(),
            permissions: book.of(role),
            is_own: user.own_roles.has(role),
            groups: groups.iter().filter(|group| group.roles.has(role)).cloned().collect(),
        };
        Ok(Effective { roles: roles.iter().map(held).collect(), permissions, user: user.id })
    })
}

/// A question about what somebody may do.
#[derive(Clone, Debug)]
pub struct AccessQuestion<'a> {
    /// Who.
    pub user: &'a UserId,
    /// What.
    pub permission: Permission,
    /// To which thing, by id.
    pub resource: Option<&'a str>,
    /// What else is known of it.
    pub facts: Facts<'a>,
    /// The tenant's policies, if it has any.
    pub guard: Option<Arc<dyn Guard>>,
}

/// Why somebody may do something, or may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether they may: no obstacle is left.
    pub is_allowed: bool,
    /// The roles of theirs that allow it.
    pub given_by: Vec<RoleName>,
    /// The roles that would, if none does.
    pub would_be_given_by: Vec<RoleName>,
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    /// What the tenant's policies say; `None` where it has none, or a role is missing.
    pub judgment: Option<Judgment>,
}

/// What stands in somebody's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Their tenant is suspended.
    Suspended,
    /// They are deactivated.
    Deactivated,
    /// None of their roles allows it.
    NoRole,
    /// The credential that they ask with is narrowed to less.
    Credential,
    /// A policy refuses it.
    Policy,
    /// A policy wants somebody's approval first.
    Approval,
}

impl Obstacle {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "tenant_suspended",
            Self::Deactivated => "user_deactivated",
            Self::NoRole => "no_role",
            Self::Credential => "credential_narrowed",
            Self::Policy => "policy",
            Self::Approval => "approval_required",
        }
    }
}

/// Says why a user of the caller's tenant may do something at this moment, or may not; everybody may ask about
/// themselves. Nothing is done, and nobody becomes somebody else by asking.
pub fn explain(
    db: &Database,
    caller: &Caller,
    question: &AccessQuestion<'_>,
    at: &Moment<'_>,
) -> Result<Explanation, UserError> {
    read(db, caller, question.user, |tx| {
        let known = known(tx, question.user)?;
        let mut obstacles = obstacles(&known);
        let permission = question.permission;
        let (roles, allowed) = known.book.effective(&known.tenant.id, &known.user.roles);
        let gives = |role: &&RoleName| known.book.of(role).contains(permission);
        let given_by: Vec<RoleName> = roles.iter().filter(gives).cloned().collect();
        if !allowed.contains(permission) {
            obstacles.push(Obstacle::NoRole);
            let would_be_given_by = existing(&known).iter().filter(gives).cloned().collect();
            return Ok(Explanation { is_allowed: false, given_by, would_be_given_by, obstacles, judgment: None });
        }
        let is_self = caller.actor().id == known.user.id.as_str();
        if is_self && !caller.permissions().contains(permission) {
            obstacles.push(Obstacle::Credential);
        }
        let judgment = question.guard.as_ref().map(|guard| judge(guard, &known, question, at));
        match judgment.as_ref().map(|judgment| &judgment.verdict) {
            Some(Verdict::Deny) => obstacles.push(Obstacle::Policy),
            Some(Verdict::RequireApproval(_)) => obstacles.push(Obstacle::Approval),
            Some(Verdict::Allow(_)) | None => {}
        }
        let is_allowed = obstacles.is_empty();
        Ok(Explanation { is_allowed, given_by, would_be_given_by: Vec::new(), obstacles, judgment })
    })
}

/// A user, and what decides about what it may do.
struct Known {
    user: User,
    tenant: Tenant,
    book: RoleBook,
}

fn known(tx: &mut ReadTx<'_>, user: &UserId) -> Result<Known, UserError> {
    let not_found = || UserError::NotFound(user.clone());
    let found = rows::users::user(tx, user)?.ok_or_else(not_found)?;
    let tenant = rows::tenants::tenant(tx)?.ok_or_else(not_found)?;
    Ok(Known { user: found, tenant, book: rows::roles::book(tx)? })
}

fn obstacles(known: &Known) -> Vec<Obstacle> {
    let suspended = (known.tenant.status == TenantStatus::Suspended).then_some(Obstacle::Suspended);
    let deactivated = (known.user.status == UserStatus::Deactivated).then_some(Obstacle::Deactivated);
    suspended.into_iter().chain(deactivated).collect()
}

/// Every role that the tenant can give.
fn existing(known: &Known) -> Vec<RoleName> {
    let system: &[Role] = if known.tenant.id.is_system() { &[Role::PlatformAdmin] } else { &Role::TENANT };
    let custom = known.book.names().cloned().map(RoleName::Custom);
    system.iter().copied().map(RoleName::System).chain(custom).collect()
}

/// Asks the policies as if the user had come by itself. The caller made for that ends here.
fn judge(guard: &Arc<dyn Guard>, known: &Known, question: &AccessQuestion<'_>, at: &Moment<'_>) -> Judgment {
    let Known { user, tenant, book } = known;
    let (roles, allowed) = book.effective(&tenant.id, &user.roles);
    let actor = Actor::new(kind_of(user.kind), user.id.as_str());
    let attributes = Arc::new(user.attributes.as_map().clone());
    let standing = Standing { allowed, attributes, ..Standing::new(tenant.id.clone(), actor, roles) };
    #[expect(clippy::disallowed_methods, reason = "it answers a question about somebody and goes no further")]
    let asked = Caller::authenticated(standing, authz::Request::made(at));
    let AccessQuestion { user: _, permission, resource, facts, guard: _ } = question;
    guard.judge(&Question { caller: &asked, permission: *permission, resource: *resource, at: at.now(), facts })
}

fn kind_of(kind: UserKind) -> ActorKind {
    match kind {
        UserKind::User => ActorKind::User,
        UserKind::Service => ActorKind::Service,
    }
}

fn read<T>(
    db: &Database,
    caller: &Caller,
    user: &UserId,
    read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, UserError>,
) -> Result<T, UserError> {
    let id = user.as_str();
    if caller.actor().id == id {
        return db.read(&caller.authorize_on::<ReadOwnAccess>(id)?, read);
    }
    match caller.authorize_on::<ReadAccess>(id) {
        Ok(grant) => db.read(&grant, read),
        Err(refusal) => db.read(&caller.authorize_on::<AuditAccess>(id).map_err(|_| refusal)?, read),
    }
}
