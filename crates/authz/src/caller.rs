//! Who is asking, and the proof that they may.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use kernel::{KeyId, TenantId};

use crate::{Permission, Permissions, Request, Roles};

/// What kind of principal acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A person.
    User,
    /// A service account.
    Service,
    /// Taskforce itself, finishing what a crash interrupted or a schedule demands.
    System,
    /// Nobody that is known: the credentials were refused.
    Anonymous,
}

impl ActorKind {
    /// The name in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who acts, as the ledger names them: opaque ids, never names or addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The kind of principal.
    pub kind: ActorKind,
    /// Its opaque id.
    pub id: String,
    /// The key it used, if it used one.
    pub via: Option<KeyId>,
}

impl Actor {
    /// A person, by id.
    pub fn user(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::User, id: id.into(), via: None }
    }

    /// A part of Taskforce itself, by name.
    pub fn system(part: &'static str) -> Self {
        Self { kind: ActorKind::System, id: part.to_owned(), via: None }
    }
}

/// An authenticated principal inside one tenant, with what it may do at this moment. Cheap to clone.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    tenant: TenantId,
    actor: Actor,
    roles: Roles,
    permissions: Permissions,
    request: Request,
}

/// Something that a caller may be permitted to do.
pub trait Action {
    /// The action's name, as refusals show it: `catalog.version.publish`.
    const NAME: &'static str;
    /// What it needs; `None` for what every authenticated caller may do.
    const PERMISSION: Option<Permission>;
}

/// An action on a tenant as a whole, from outside it: only callers of the reserved tenant can be granted one.
pub trait PlatformAction: Action {}

/// The caller lacks a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{action}` needs the permission `{permission}`, which {} not give", held(.roles))]
pub struct Forbidden {
    /// What was asked.
    pub action: &'static str,
    /// What is missing.
    pub permission: Permission,
    /// What the caller is.
    pub roles: Roles,
}

fn held(roles: &Roles) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    match names.as_slice() {
        [] => "this caller's roles do".to_owned(),
        [one] => format!("the role {one} (or the key's scopes) does"),
        many => format!("the roles {} (or the key's scopes) do", many.join(", ")),
    }
}

/// Proof that [`Caller::authorize`] said yes to `A`. Nothing else makes one.
#[must_use = "a grant is the key to a transaction"]
pub struct Grant<A> {
    caller: Caller,
    action: PhantomData<fn() -> A>,
}

impl Caller {
    /// A caller whose credentials the identity crate has verified: the roles' permissions, narrowed to `scopes` where
    /// the credential has them.
    pub fn authenticated(
        tenant: TenantId,
        actor: Actor,
        roles: Roles,
        scopes: Option<Permissions>,
        request: Request,
    ) -> Self {
        let allowed = roles.permissions();
        let permissions = scopes.map_or(allowed, |scopes| allowed.intersection(scopes));
        Self(Arc::new(Inner { tenant, actor, roles, permissions, request }))
    }

    /// The same caller in a request that carries an idempotency key.
    #[must_use]
    pub fn with_request(&self, request: Request) -> Self {
        let Inner { tenant, actor, roles, permissions, request: _ } = &*self.0;
        Self(Arc::new(Inner {
            tenant: tenant.clone(),
            actor: actor.clone(),
            roles: roles.clone(),
            permissions: *permissions,
            request,
        }))
    }

    /// Decides whether the caller may do `A`.
    pub fn authorize<A: Action>(&self) -> Result<Grant<A>, Forbidden> {
        match A::PERMISSION {
            Some(permission) if !self.0.permissions.contains(permission) => {
                Err(Forbidden { action: A::NAME, permission, roles: self.0.roles.clone() })
            }
            Some(_) | None => Ok(Grant { caller: self.clone(), action: PhantomData }),
        }
    }

    /// The tenant the caller belongs to.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// The principal.
    pub fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Its roles.
    pub fn roles(&self) -> &Roles {
        &self.0.roles
    }

    /// What it may do: its roles' permissions within its credential's scopes.
    pub fn permissions(&self) -> Permissions {
        self.0.permissions
    }

    /// The request it is making.
    pub fn request(&self) -> &Request {
        &self.0.request
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({}/{})", self.0.tenant, self.0.actor.id)
    }
}

impl<A> Grant<A> {
    /// Whom it was given to.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The tenant it opens.
    pub fn tenant(&self) -> &TenantId {
        self.caller.tenant()
    }
}

impl<A> Clone for Grant<A> {
    fn clone(&self) -> Self {
        Self { caller: self.caller.clone(), action: PhantomData }
    }
}

impl<A: Action> fmt::Debug for Grant<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant<{}>({:?})", A::NAME, self.caller)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these tests stand in for the identity crate")]
mod tests {
    use super::*;
    use crate::Role;
    use kernel::FixedMoment;

    #[derive(Debug)]
    struct Execute;
    impl Action for Execute {
        const NAME: &'static str = "gateway.call";
        const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
    }

    fn caller(roles: Roles, scopes: Option<Permissions>) -> Caller {
        let request = Request::new(FixedMoment::new(0).moment().id());
        Caller::authenticated("acme-corp".parse().unwrap(), Actor::user("usr_1"), roles, scopes, request)
    }

    #[test]
    fn scopes_narrow_what_the_roles_give_and_never_widen_it() {
        let execute = Permissions::NONE.with(Permission::AgentExecute);
        assert!(caller([Role::Operator].into(), Some(execute)).authorize::<Execute>().is_ok());
        assert!(caller([Role::Operator].into(), Some(Permissions::NONE)).authorize::<Execute>().is_err());
        assert!(caller([Role::Viewer].into(), Some(execute)).authorize::<Execute>().is_err());
    }

    #[test]
    fn a_refusal_names_the_permission_and_the_roles() {
        let refusal = caller([Role::Viewer].into(), None).authorize::<Execute>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "`gateway.call` needs the permission `agent:execute`, which the role `viewer` (or the key's scopes) does not give"
        );
    }
}
