//! The policies in force, in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use authz::{ActorKind, Attributes, Basis, Guard, Judgment, Permission, Question, Roles, Shadow, Verdict};
use kernel::TenantId;
use parking_lot::{Mutex, RwLock};

use crate::asked::{Asked, Needs, Principal, Unaskable, Who};
use crate::rules::{Rules, Word};
use crate::vocabulary::governable;

/// One version's policies, ready to be asked.
#[derive(Debug)]
pub(crate) struct Edition {
    pub(crate) number: u64,
    pub(crate) digest: String,
    pub(crate) rules: Rules,
}

/// What holds for a tenant.
#[derive(Debug)]
pub(crate) enum InForce {
    /// Its policies, if it has any.
    These {
        active: Option<Edition>,
        shadow: Option<Edition>,
        /// The revision of the tenant's state that this was made from.
        revision: u64,
    },
    /// It has some, and they cannot be used: everything that policies may govern is refused.
    Broken { reason: String },
}

impl InForce {
    /// What holds where policies are not known, or cannot be used.
    pub(crate) fn unusable() -> Self {
        let reason = "this tenant's policies cannot be used: whoever manages them must activate a version that can";
        Self::Broken { reason: reason.to_owned() }
    }
}

/// One tenant's policies in force. They follow each activation while callers hold them.
pub struct TenantPolicies {
    tenant: TenantId,
    in_force: ArcSwap<InForce>,
    /// Held while what is in force is read and replaced, so that nothing older replaces what is newer.
    replacing: Mutex<()>,
    principals: RwLock<HashMap<String, Arc<Cached>>>,
    compared: AtomicU64,
    differed: AtomicU64,
}

/// How often a version that is only tried was asked, and how often it would have decided otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Decisions that both versions were asked for.
    pub compared: u64,
    /// Those on which they differed.
    pub differed: u64,
}

/// Somebody who was asked about before, and what it was made from.
struct Cached {
    kind: ActorKind,
    roles: Roles,
    attributes: Arc<Attributes>,
    decimals: bool,
    principal: Principal,
}

/// How many principals are kept ready for each tenant. Then it starts anew.
const KEPT: usize = 10_000;

impl fmt::Debug for TenantPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantPolicies").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl TenantPolicies {
    pub(crate) fn new(tenant: TenantId, in_force: InForce) -> Self {
        Self {
            tenant,
            in_force: ArcSwap::from_pointee(in_force),
            replacing: Mutex::new(()),
            principals: RwLock::default(),
            compared: AtomicU64::new(0),
            differed: AtomicU64::new(0),
        }
    }

    /// Replaces what is in force by what `read` finds, if it finds anything else.
    pub(crate) fn replace<E>(&self, read: impl FnOnce(&InForce) -> Result<Option<InForce>, E>) -> Result<(), E> {
        let _alone = self.replacing.lock();
        match read(&self.in_force.load()) {
            Ok(found) => {
                if let Some(found) = found {
                    self.in_force.store(Arc::new(found));
                }
                Ok(())
            }
            Err(error) => {
                self.in_force.store(Arc::new(InForce::unusable()));
                Err(error)
            }
        }
    }

    /// Whether there is anything to ask.
    pub(crate) fn speaks(&self) -> bool {
        !matches!(&**self.in_force.load(), InForce::These { active: None, shadow: None, .. })
    }

    /// How often the version that is only tried was asked, and how often it differed, since this node started.
    pub fn shadow_counts(&self) -> ShadowCounts {
        ShadowCounts {
            compared: self.compared.load(Ordering::Relaxed),
            differed: self.differed.load(Ordering::Relaxed),
        }
    }

    fn principal(&self, question: &Question<'_>, who: &Who<'_>, needs: Needs) -> Result<Arc<Cached>, Unaskable> {
        let attributes = &question.caller.standing().attributes;
        let known = self.principals.read().get(who.id).cloned();
        let same = |cached: &Cached| {
            cached.kind == who.kind
                && cached.decimals == needs.decimals()
                && cached.roles == *who.roles
                && (Arc::ptr_eq(&cached.attributes, attributes) || cached.attributes == *attributes)
        };
        if let Some(cached) = known.filter(|cached| same(cached)) {
            return Ok(cached);
        }
        let principal = Principal::new(who, needs)?;
        let (kind, roles, attributes) = (who.kind, who.roles.clone(), Arc::clone(attributes));
        let cached = Arc::new(Cached { kind, roles, attributes, decimals: needs.decimals(), principal });
        let mut principals = self.principals.write();
        if principals.len() >= KEPT {
            principals.clear();
        }
        principals.insert(who.id.to_owned(), Arc::clone(&cached));
        Ok(cached)
    }

    fn compare(&self, question: &Question<'_>, word: &Word, shadow: &Edition, tried: Word) -> Option<Box<Shadow>> {
        self.compared.fetch_add(1, Ordering::Relaxed);
        if tried.verdict == word.verdict {
            return None;
        }
        self.differed.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            tenant.id = %self.tenant,
            actor.id = %question.caller.actor().id,
            permission = %question.permission,
            policy.version = shadow.number,
            policy.rule = tried.rule.as_deref().unwrap_or("none"),
            decided = word.verdict.label(),
            would_be = tried.verdict.label(),
            "the shadow policies would have decided otherwise"
        );
        let basis = shadow.basis(tried.rule);
        Some(Box::new(Shadow { verdict: tried.verdict, basis }))
    }
}

impl Edition {
    fn basis(&self, rule: Option<String>) -> Option<Basis> {
        rule.map(|rule| Basis { version: self.number, digest: self.digest.clone(), rule })
    }
}

impl Guard for TenantPolicies {
    fn judge(&self, question: &Question<'_>) -> Judgment {
        if *question.caller.tenant() != self.tenant {
            return refused("these are another tenant's policies");
        }
        let in_force = self.in_force.load();
        let (active, shadow) = match &**in_force {
            InForce::These { active, shadow, revision: _ } => (active.as_ref(), shadow.as_ref()),
            InForce::Broken { reason } if governable().contains(question.permission) => return refused(reason),
            InForce::Broken { .. } => (None, None),
        };
        if active.is_none() && shadow.is_none() {
            return judged(Word::ungoverned(), None, None);
        }
        let asked = Asked::from(question);
        let editions = [active, shadow].into_iter().flatten();
        let needs = editions.fold(Needs::default(), |all, edition| all.and(edition.rules.needs()));
        let principal = self.principal(question, &asked.who, needs);
        let say = |edition: &Edition| match &principal {
            Ok(cached) => edition.rules.decide(&asked, &cached.principal),
            Err(error) => Word::unasked(error.as_ref()),
        };
        let word = active.map_or_else(Word::ungoverned, say);
        let tried = shadow.map(|shadow| (shadow, say(shadow)));
        let shadow = tried.and_then(|(shadow, tried)| self.compare(question, &word, shadow, tried));
        judged(word, active, shadow)
    }

    fn governs(&self, permission: Permission) -> bool {
        let speaks = |edition: &Edition| edition.rules.governs().contains(permission);
        match &**self.in_force.load() {
            InForce::These { active, shadow, revision: _ } => [active, shadow].into_iter().flatten().any(speaks),
            InForce::Broken { .. } => governable().contains(permission),
        }
    }
}

fn judged(word: Word, active: Option<&Edition>, shadow: Option<Box<Shadow>>) -> Judgment {
    let Word { verdict, reason, rule } = word;
    Judgment { verdict, reason, basis: active.and_then(|active| active.basis(rule)), shadow }
}

fn refused(reason: &str) -> Judgment {
    Judgment { verdict: Verdict::Deny, reason: reason.to_owned(), basis: None, shadow: None }
}
