//! Who is asking, and the proof that they may.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use kernel::{KeyId, SessionId, TenantId};

use crate::guard::{Attributes, Basis, Facts, Guard, Judgment, Obligation, Question, Shadow, Verdict};
use crate::{Makers, Permission, Permissions, Request, Roles};

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

/// The credential that a principal used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// An API key.
    Key(KeyId),
    /// A bearer token: `tok_` and the first 24 hexadecimal digits of the digest that it is revoked by.
    Token(Arc<str>),
    /// A session in a browser.
    Session(SessionId),
}

impl Via {
    /// The credential as the ledger names it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(id) => id.as_str(),
            Self::Token(id) => id,
            Self::Session(id) => id.as_str(),
        }
    }

    /// The key, if it is one.
    pub fn key(&self) -> Option<&KeyId> {
        match self {
            Self::Key(id) => Some(id),
            Self::Token(_) | Self::Session(_) => None,
        }
    }
}

/// One link of the chain of those who act for somebody (RFC 8693, `act`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acting {
    /// The kind of principal.
    pub kind: ActorKind,
    /// Its opaque id.
    pub id: String,
}

/// Who acts, as the ledger names them: opaque ids, never names or addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The kind of principal.
    pub kind: ActorKind,
    /// Its opaque id.
    pub id: String,
    /// The credential it used, if it used one.
    pub via: Option<Via>,
    /// Those who act for it, the present one first; mostly nobody.
    pub act: Vec<Acting>,
}

impl Actor {
    /// A principal without credential, by kind and id.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), via: None, act: Vec::new() }
    }

    /// A person, by id.
    pub fn user(id: impl Into<String>) -> Self {
        Self::new(ActorKind::User, id)
    }

    /// A part of Taskforce itself, by name.
    pub fn system(part: &'static str) -> Self {
        Self::new(ActorKind::System, part)
    }
}

/// What makes a caller: who it is, and what it may do.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where it belongs.
    pub tenant: TenantId,
    /// Who it is.
    pub actor: Actor,
    /// Its roles.
    pub roles: Roles,
    /// What its roles allow together.
    pub allowed: Permissions,
    /// What its credential is narrowed to; `None` for all that the roles allow.
    pub scopes: Option<Permissions>,
    /// What its tenant keeps about it for policies.
    pub attributes: Arc<Attributes>,
    /// Whether it proved who it is just now, as sensitive actions want it. Keys and tokens always do.
    pub fresh: bool,
    /// Who else has held its credential. Two people behind one decision are two only when neither made the other's
    /// credential.
    pub issued_by: Makers,
    /// Its tenant's policies, if it has any.
    pub guard: Option<Arc<dyn Guard>>,
}

impl Standing {
    /// A principal with what the system's roles among `roles` allow, no attributes, and no policies over it.
    pub fn new(tenant: TenantId, actor: Actor, roles: Roles) -> Self {
        let allowed = roles.system_permissions();
        let (attributes, issued_by) = (Arc::default(), Makers::default());
        Self { tenant, actor, roles, allowed, scopes: None, attributes, fresh: true, issued_by, guard: None }
    }

    /// The same, narrowed to `scopes`.
    #[must_use]
    pub fn narrowed(self, scopes: Permissions) -> Self {
        Self { scopes: Some(scopes), ..self }
    }
}

/// An authenticated principal inside one tenant, with what it may do at this moment. Cheap to clone.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    standing: Arc<Standing>,
    request: Request,
}

/// Something that a caller may be permitted to do.
pub trait Action {
    /// The action's name, as refusals show it: `catalog.version.publish`.
    const NAME: &'static str;
    /// What it needs; `None` for what every authenticated caller may do.
    const PERMISSION: Option<Permission>;
    /// What policies are asked about, where that is finer than what roles must give.
    const ASKED: Option<Permission> = Self::PERMISSION;
    /// Whether a session must have been signed in to just now: for what outlives the session.
    const SENSITIVE: bool = false;
}

/// An action on a tenant as a whole, from outside it: only callers of the reserved tenant can be granted one.
pub trait PlatformAction: Action {}

/// The caller may not do what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(.action, .cause))]
pub struct Forbidden {
    /// What was asked.
    pub action: &'static str,
    /// Why not.
    pub cause: Cause,
}

/// Why a caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A permission is missing.
    Missing {
        /// Which.
        permission: Permission,
        /// What the caller is.
        roles: Roles,
    },
    /// The session was signed in to too long ago.
    NotFresh,
    /// A policy of the tenant refuses it.
    Policy {
        /// Why, in the policy's words.
        reason: String,
        /// The rule.
        basis: Option<Basis>,
        /// What a version that is only tried would have said, where that differs.
        shadow: Option<Box<Shadow>>,
    },
    /// A policy of the tenant wants somebody's approval, which this action cannot wait for.
    NeedsApproval {
        /// Why, in the policy's words.
        reason: String,
        /// What must be done along with the action once it is approved.
        obligations: Box<[Obligation]>,
        /// The rule.
        basis: Option<Basis>,
        /// What a version that is only tried would have said, where that differs.
        shadow: Option<Box<Shadow>>,
    },
}

fn said(action: &str, cause: &Cause) -> String {
    let rule = |basis: &Option<Basis>| basis.as_ref().map_or("default".to_owned(), |basis| basis.rule.clone());
    match cause {
        Cause::Missing { permission, roles } => {
            format!("`{action}` needs the permission `{permission}`, which {} not give", held(roles))
        }
        Cause::NotFresh => {
            format!("`{action}` needs a session that was signed in to in the last minutes: sign in again")
        }
        Cause::Policy { reason, basis, shadow: _ } => {
            format!("`{action}` is refused by the policy rule `{}`: {reason}", rule(basis))
        }
        Cause::NeedsApproval { reason, basis, .. } => {
            format!("`{action}` needs an approval by the policy rule `{}`: {reason}", rule(basis))
        }
    }
}

fn held(roles: &Roles) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    match names.as_slice() {
        [] => "this caller's roles do".to_owned(),
        [one] => format!("the role {one} (or the credential's scopes) does"),
        many => format!("the roles {} (or the credential's scopes) do", many.join(", ")),
    }
}

/// Proof that [`Caller::authorize`] said yes to `A`. Nothing else makes one.
#[must_use = "a grant is the key to a transaction"]
pub struct Grant<A> {
    caller: Caller,
    obligations: Vec<Obligation>,
    basis: Option<Basis>,
    shadow: Option<Box<Shadow>>,
    action: PhantomData<fn() -> A>,
}

impl Caller {
    /// A caller whose credentials the identity crate has verified.
    pub fn authenticated(standing: impl Into<Arc<Standing>>, request: Request) -> Self {
        Self(Arc::new(Inner { standing: standing.into(), request }))
    }

    /// The same caller in another request, or in one that carries an idempotency key.
    #[must_use]
    pub fn with_request(&self, request: Request) -> Self {
        Self(Arc::new(Inner { standing: Arc::clone(&self.0.standing), request }))
    }

    /// Decides whether the caller may do `A`, which is about no single thing.
    pub fn authorize<A: Action>(&self) -> Result<Grant<A>, Forbidden> {
        self.decide::<A>(None, &Facts::default())
    }

    /// Decides whether the caller may do `A` to the thing with that id.
    pub fn authorize_on<A: Action>(&self, resource: &str) -> Result<Grant<A>, Forbidden> {
        self.decide::<A>(Some(resource), &Facts::default())
    }

    /// Decides whether the caller may do `A` to the thing with that id, knowing more. What a policy wants approved is
    /// refused with [`Cause::NeedsApproval`].
    pub fn authorize_with<A: Action>(&self, resource: &str, facts: &Facts<'_>) -> Result<Grant<A>, Forbidden> {
        self.decide::<A>(Some(resource), facts)
    }

    /// Refuses who may do `A` to nothing at all: before what `A` is about is looked up, so that a refusal says nothing
    /// of what there is. Whoever passes must still be granted it.
    pub fn precheck<A: Action>(&self) -> Result<(), Forbidden> {
        let refused = |cause| Err(Forbidden { action: A::NAME, cause });
        if A::SENSITIVE && !self.0.standing.fresh {
            return refused(Cause::NotFresh);
        }
        match A::PERMISSION {
            Some(permission) if !self.permissions().contains(permission) => {
                refused(Cause::Missing { permission, roles: self.0.standing.roles.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn decide<A: Action>(&self, resource: Option<&str>, facts: &Facts<'_>) -> Result<Grant<A>, Forbidden> {
        let refused = |cause| Err(Forbidden { action: A::NAME, cause });
        let grant = |obligations, basis, shadow| {
            let caller = self.clone();
            Grant { caller, obligations, basis, shadow, action: PhantomData }
        };
        self.precheck::<A>()?;
        let (Some(permission), Some(guard)) = (A::ASKED, &self.0.standing.guard) else {
            return Ok(grant(Vec::new(), None, None));
        };
        let question = Question { caller: self, permission, resource, at: self.0.request.at, facts };
        let Judgment { verdict, reason, basis, shadow } = guard.judge(&question);
        match verdict {
            Verdict::Allow(obligations) => Ok(grant(obligations, basis, shadow)),
            Verdict::RequireApproval(obligations) => {
                refused(Cause::NeedsApproval { reason, obligations: obligations.into(), basis, shadow })
            }
            Verdict::Deny => refused(Cause::Policy { reason, basis, shadow }),
        }
    }

    /// What makes this caller.
    pub fn standing(&self) -> &Standing {
        &self.0.standing
    }

    /// The tenant the caller belongs to.
    pub fn tenant(&self) -> &TenantId {
        &self.0.standing.tenant
    }

    /// The principal.
    pub fn actor(&self) -> &Actor {
        &self.0.standing.actor
    }

    /// Its roles.
    pub fn roles(&self) -> &Roles {
        &self.0.standing.roles
    }

    /// What it may do: its roles' permissions within its credential's scopes.
    pub fn permissions(&self) -> Permissions {
        let Standing { allowed, scopes, .. } = &*self.0.standing;
        scopes.map_or(*allowed, |scopes| allowed.intersection(scopes))
    }

    /// Whether its credential gives less than its roles would.
    pub fn is_narrowed(&self) -> bool {
        self.permissions() != self.0.standing.allowed
    }

    /// The request it is making.
    pub fn request(&self) -> &Request {
        &self.0.request
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({}/{})", self.tenant(), self.actor().id)
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

    /// What must be done along with the action. Whoever cannot must not act.
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// The policy's rule that allowed it, where a policy speaks of such an action.
    pub fn basis(&self) -> Option<&Basis> {
        self.basis.as_ref()
    }

    /// What a version of the policies that is only tried would have said, where that differs.
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_deref()
    }
}

impl<A> Clone for Grant<A> {
    fn clone(&self) -> Self {
        Self {
            caller: self.caller.clone(),
            obligations: self.obligations.clone(),
            basis: self.basis.clone(),
            shadow: self.shadow.clone(),
            action: PhantomData,
        }
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

    #[derive(Debug)]
    struct MakeKey;
    impl Action for MakeKey {
        const NAME: &'static str = "identity.key.create";
        const PERMISSION: Option<Permission> = None;
        const SENSITIVE: bool = true;
    }

    /// A policy with one word to every question.
    #[derive(Debug)]
    struct Says(Verdict);
    impl Guard for Says {
        fn judge(&self, question: &Question<'_>) -> Judgment {
            let rule = question.resource.unwrap_or("default").to_owned();
            let basis = Some(Basis { version: 3, digest: "d".to_owned(), rule });
            Judgment { verdict: self.0.clone(), reason: "it says so".to_owned(), basis, shadow: None }
        }
    }

    fn standing(roles: Roles) -> Standing {
        Standing::new("acme-corp".parse().unwrap(), Actor::user("usr_1"), roles)
    }

    fn caller(standing: Standing) -> Caller {
        Caller::authenticated(standing, Request::made(&FixedMoment::new(0).moment()))
    }

    fn guarded(roles: Roles, verdict: Verdict) -> Caller {
        caller(Standing { guard: Some(Arc::new(Says(verdict))), ..standing(roles) })
    }

    #[test]
    fn scopes_narrow_what_the_roles_give_and_never_widen_it() {
        let execute = Permissions::NONE.with(Permission::AgentExecute);
        let narrowed = |role: Role, scopes| caller(standing([role].into()).narrowed(scopes));
        assert!(narrowed(Role::Operator, execute).authorize::<Execute>().is_ok());
        assert!(narrowed(Role::Operator, Permissions::NONE).authorize::<Execute>().is_err());
        assert!(narrowed(Role::Viewer, execute).authorize::<Execute>().is_err());
        assert!(narrowed(Role::Operator, execute).is_narrowed());
        assert!(!caller(standing([Role::Operator].into())).is_narrowed());
    }

    #[test]
    fn a_refusal_names_the_permission_and_the_roles() {
        let refusal = caller(standing([Role::Viewer].into())).authorize::<Execute>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "`gateway.call` needs the permission `agent:execute`, which the role `viewer` (or the credential's scopes) does not give"
        );
    }

    #[test]
    fn a_policy_takes_away_and_never_gives() {
        let allow = || Verdict::Allow(vec![Obligation::WithoutTools]);
        assert!(guarded([Role::Viewer].into(), allow()).authorize::<Execute>().is_err());
        let grant = guarded([Role::Operator].into(), allow()).authorize_on::<Execute>("agt_1").unwrap();
        assert_eq!((grant.obligations(), &*grant.basis().unwrap().rule), (&[Obligation::WithoutTools][..], "agt_1"));
        let refusal = guarded([Role::Operator].into(), Verdict::Deny).authorize::<Execute>().unwrap_err();
        assert_eq!(refusal.to_string(), "`gateway.call` is refused by the policy rule `default`: it says so");
        let refusal =
            guarded([Role::Operator].into(), Verdict::RequireApproval(Vec::new())).authorize::<Execute>().unwrap_err();
        assert!(matches!(refusal.cause, Cause::NeedsApproval { .. }));
    }

    #[test]
    fn what_outlives_a_session_wants_a_fresh_one() {
        let stale = caller(Standing { fresh: false, ..standing([Role::Operator].into()) });
        assert_eq!(stale.authorize::<MakeKey>().unwrap_err().cause, Cause::NotFresh);
        assert!(stale.authorize::<Execute>().is_ok());
    }
}
