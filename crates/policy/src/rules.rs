//! A version's policies, ready to be asked.

use std::collections::BTreeMap;

use authz::{Permission, Permissions, Verdict};
use cedar_policy::{Authorizer, Effect, PolicyId, PolicySet};

use crate::annotations::{DEFAULT, ROLES, together};
use crate::asked::{Asked, Needs, Principal, put};
use crate::depth::on_deep_stack;
use crate::source::{self, Invalid, Rule};
use crate::vocabulary::{Named, Vocabulary};

/// Policies that were read and found valid: one prepared set for each action that they govern.
#[derive(Debug)]
pub struct Rules {
    all: BTreeMap<PolicyId, Rule>,
    slices: BTreeMap<Permission, Slice>,
    needs: Needs,
}

#[derive(Debug)]
struct Slice {
    named: &'static Named,
    policies: PolicySet,
    needs: Needs,
    deep: bool,
}

/// What policies say to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence that the caller may read.
    pub reason: String,
    /// The rule that decided; `None` where no policy speaks of such an action.
    pub rule: Option<String>,
}

impl Word {
    pub(crate) fn new(verdict: Verdict, rule: &str, reason: &str) -> Self {
        Self { verdict, reason: reason.to_owned(), rule: Some(rule.to_owned()) }
    }

    /// The word where the question cannot be put.
    pub(crate) fn unasked(error: &(dyn std::error::Error + Send + Sync)) -> Self {
        Self::new(Verdict::Deny, DEFAULT, &format!("the policies could not be evaluated: {error}"))
    }

    /// The word of the roles, which come first.
    pub(crate) fn unpermitted(permission: Permission) -> Self {
        Self::new(Verdict::Deny, ROLES, &format!("the roles do not give the permission `{permission}`"))
    }

    pub(crate) fn ungoverned() -> Self {
        let reason = "no policy speaks of such an action".to_owned();
        Self { verdict: Verdict::Allow(Vec::new()), reason, rule: None }
    }
}

impl Rules {
    /// Reads policies in Cedar's syntax and checks them.
    pub fn read(source: &str) -> Result<Self, Invalid> {
        let rules = source::read(source)?;
        let mut slices = BTreeMap::new();
        for permission in Permission::ALL {
            if let Some(slice) = slice(&rules, *permission)? {
                slices.insert(*permission, slice);
            }
        }
        let needs = slices.values().fold(Needs::default(), |all: Needs, slice: &Slice| all.and(slice.needs));
        Ok(Self { all: rules, slices, needs })
    }

    /// What the policies govern: elsewhere the roles' word stands.
    pub fn governs(&self) -> Permissions {
        self.slices.keys().copied().collect()
    }

    /// What any of them asks for.
    pub(crate) const fn needs(&self) -> Needs {
        self.needs
    }

    /// The names of the policies, and what each says, whatever its spaces and comments are.
    pub(crate) fn meanings(&self) -> BTreeMap<String, String> {
        self.all.iter().map(|(id, rule)| (id.to_string(), rule.meaning.clone())).collect()
    }

    /// Decides. Any rule that forbids decides; else any that cannot be evaluated refuses; else one that permits must
    /// match, and of those that do, one that wants an approval decides. The rule that is named is the first by name of
    /// those that decided alike.
    pub(crate) fn decide(&self, asked: &Asked<'_>, principal: &Principal) -> Word {
        let Some(slice) = self.slices.get(&asked.permission) else {
            return Word::ungoverned();
        };
        let put = match put(asked, slice.named, slice.needs, principal) {
            Ok(put) => put,
            Err(error) => return Word::unasked(error.as_ref()),
        };
        let evaluate = || Authorizer::new().is_authorized(&put.request, &slice.policies, &put.entities);
        let response = if slice.deep { on_deep_stack(evaluate) } else { evaluate() };
        let told = response.diagnostics();
        let mut matched: Vec<&Rule> = told.reason().filter_map(|id| self.all.get(id)).collect();
        matched.sort_by_key(|rule| rule.policy.id());
        let (forbidding, permitting): (Vec<&Rule>, Vec<&Rule>) =
            matched.into_iter().partition(|rule| rule.policy.effect() == Effect::Forbid);
        if let Some(rule) = forbidding.first() {
            return said(Verdict::Deny, rule, "the rule forbids it");
        }
        let failed = told.errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        });
        if let Some(failed) = failed.min() {
            return Word::new(Verdict::Deny, failed.as_ref(), "the rule could not be evaluated");
        }
        let Some(first) = permitting.first() else {
            return Word::new(Verdict::Deny, DEFAULT, "no rule permits it");
        };
        let obligations = together(permitting.iter().flat_map(|rule| &rule.annotations.obligations));
        if let Some(rule) = permitting.iter().find(|rule| rule.annotations.approval) {
            return said(Verdict::RequireApproval(obligations), rule, "the rule wants an approval first");
        }
        said(Verdict::Allow(obligations), first, "the rule permits it")
    }
}

fn said(verdict: Verdict, rule: &Rule, otherwise: &str) -> Word {
    Word::new(verdict, rule.policy.id().as_ref(), rule.annotations.reason.as_deref().unwrap_or(otherwise))
}

/// The policies that govern one action; `None` if none does.
fn slice(rules: &BTreeMap<PolicyId, Rule>, permission: Permission) -> Result<Option<Slice>, Invalid> {
    let Some(named) = Vocabulary::get().named(permission) else {
        return Ok(None);
    };
    let governing: Vec<&Rule> = rules.values().filter(|rule| rule.governs.contains(permission)).collect();
    if governing.is_empty() {
        return Ok(None);
    }
    let needs = governing.iter().fold(Needs::default(), |all, rule| all.and(rule.needs));
    let deep = governing.iter().any(|rule| rule.deep);
    let policies = source::set(governing.into_iter())?;
    Ok(Some(Slice { named, policies, needs, deep }))
}
