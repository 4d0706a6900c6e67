//! What is done on the server's own machine, where nobody has a key yet.

use authz::{Action, Actor, Caller, Forbidden, Permission, Request, Role, Roles, Standing};
use kernel::{AgentId, Moment, TenantId};
use store::{Database, StoreError};

use crate::keys::{Unasked, issue_unasked};
use crate::tenants::first_user;
use crate::{IssuedKey, UserStatus, Username, entries, store as rows};

/// Making the platform's first administrator.
#[derive(Debug)]
pub struct Bootstrap;

impl Action for Bootstrap {
    const NAME: &'static str = "identity.platform.bootstrap";
    const PERMISSION: Option<Permission> = None;
}

/// Why a transaction of the bootstrap ended without an entry.
#[derive(Debug, thiserror::Error)]
enum BootstrapError {
    #[error("it was done before")]
    Done,
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes the platform administrator on the first start and returns the key that is shown once; `None` ever after.
pub fn bootstrap(db: &Database, at: &Moment<'_>) -> Result<Option<IssuedKey>, StoreError> {
    let caller = itself(TenantId::system(), Actor::system("bootstrap"), at);
    let Ok(grant) = caller.authorize::<Bootstrap>() else {
        return Ok(None);
    };
    if db.read(&grant, rows::users::any_user)? {
        return Ok(None);
    }
    let made = db.write(grant, |tx| {
        if rows::users::any_user(tx)? {
            return Err(BootstrapError::Done);
        }
        let username = "platform".parse().map_err(|_| StoreError::Decode("a username"))?;
        let admin = first_user(username, Role::PlatformAdmin, at);
        rows::users::insert_user(tx, &admin)?;
        let issued = issue_unasked(
            tx,
            &admin,
            Unasked { name: "first key", agent: None, issued_by: ["bootstrap"].into_iter().collect() },
            at,
        )?;
        Ok((entries::people::platform_bootstrapped(&admin, &issued.key), issued))
    });
    match made {
        Ok(issued) => Ok(Some(issued)),
        Err(BootstrapError::Done) => Ok(None),
        Err(BootstrapError::Database(error)) => Err(error),
    }
}

/// Making a key on the server's own machine.
#[derive(Debug)]
pub struct IssueLocalKey;

impl Action for IssueLocalKey {
    const NAME: &'static str = "identity.key.issue-local";
    const PERMISSION: Option<Permission> = None;
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum LocalKeyError {
    /// Not met: no permission is asked of who can open the database.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such user.
    #[error("no user `{username}` in the tenant `{tenant}`")]
    UserNotFound {
        /// The tenant.
        tenant: TenantId,
        /// The name.
        username: Username,
    },
    /// A deactivated user gets no key.
    #[error("the user `{0}` is deactivated")]
    Deactivated(Username),
    /// The tenant has no such agent.
    #[error("no agent `{0}`")]
    AgentNotFound(AgentId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes a key for a user of any tenant, without credentials: for the command line on the server's own machine. The
/// entry names `cli` as its actor.
pub fn issue_local_key(
    db: &Database,
    tenant: &TenantId,
    username: &Username,
    agent: Option<AgentId>,
    at: &Moment<'_>,
) -> Result<IssuedKey, LocalKeyError> {
    let not_found = || LocalKeyError::UserNotFound { tenant: tenant.clone(), username: username.clone() };
    let grant = itself(tenant.clone(), Actor::system("cli"), at).authorize::<IssueLocalKey>()?;
    // A tenant that does not exist has no users to read, and no log to write to.
    db.read(&grant, |tx| rows::users::user_named(tx, username))?.ok_or_else(not_found)?;
    db.write(grant, |tx| {
        let owner = rows::users::user_named(tx, username)?.ok_or_else(not_found)?;
        if owner.status == UserStatus::Deactivated {
            return Err(LocalKeyError::Deactivated(owner.username));
        }
        let unasked = Unasked {
            name: "made on the server's machine",
            agent: agent.clone(),
            issued_by: ["cli"].into_iter().collect(),
        };
        let issued = issue_unasked(tx, &owner, unasked, at).map_err(|error| match (error, agent) {
            (StoreError::Conflict(_), Some(agent)) => LocalKeyError::AgentNotFound(agent),
            (error, _) => error.into(),
        })?;
        Ok((entries::credentials::local_key_created(&issued.key), issued))
    })
}

/// Taskforce itself, or nobody, as a caller that has no permission.
pub(crate) fn itself(tenant: TenantId, actor: Actor, at: &Moment<'_>) -> Caller {
    caller(tenant, actor, Request::made(at))
}

/// A part of Taskforce itself, within a request.
pub(crate) fn itself_in(tenant: TenantId, part: &'static str, request: Request) -> Caller {
    caller(tenant, Actor::system(part), request)
}

fn caller(tenant: TenantId, actor: Actor, request: Request) -> Caller {
    #[expect(clippy::disallowed_methods, reason = "the identity crate vouches for Taskforce itself, and for nobody")]
    Caller::authenticated(Standing::new(tenant, actor, Roles::default()), request)
}
