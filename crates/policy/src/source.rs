//! Reading policies: from Cedar text to rules that can be asked, or to everything that is wrong with them.

use std::collections::BTreeMap;
use std::fmt;

use authz::Permissions;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{ActionConstraint, Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning};

use crate::annotations::{self, Annotations};
use crate::asked::Needs;
use crate::depth::{is_deep, on_deep_stack, too_deep};
use crate::vocabulary::{NOTHING, Vocabulary, governable};

/// How many bytes the policies of one version may have.
pub const MAX_SOURCE: usize = 256 * 1024;

/// How many policies one version may have.
pub const MAX_POLICIES: usize = 1_000;

/// One thing that is wrong with policies, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// The policy's `@id`, where it is known.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, policy, message, help } = self;
        write!(f, "line {line}, column {column}: ")?;
        if let Some(policy) = policy {
            write!(f, "policy `{policy}`: ")?;
        }
        f.write_str(message)?;
        help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

/// Policies that cannot be used, with everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Fault>);

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "the policies are not valid: {}", faults.join("; "))
    }
}

/// One policy, read and found valid.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) policy: Policy,
    pub(crate) annotations: Annotations,
    pub(crate) governs: Permissions,
    pub(crate) needs: Needs,
    /// Whether it takes more stack to evaluate than whoever asks may have.
    pub(crate) deep: bool,
    /// What the policy says, whatever its spaces and comments are.
    pub(crate) meaning: String,
}

/// Reads policies and checks them against the schema and against the rules for annotations.
pub(crate) fn read(source: &str) -> Result<BTreeMap<PolicyId, Rule>, Invalid> {
    on_deep_stack(|| descend(source))
}

fn descend(source: &str) -> Result<BTreeMap<PolicyId, Rule>, Invalid> {
    let at_start = |message: String| Invalid(vec![fault(source, 0, None, message)]);
    if source.len() > MAX_SOURCE {
        return Err(at_start(format!("policies have at most {MAX_SOURCE} bytes")));
    }
    if let Some(offset) = source.find('\0') {
        return Err(Invalid(vec![fault(source, offset, None, "policies have no U+0000".to_owned())]));
    }
    if let Some((offset, message)) = too_deep(source) {
        return Err(Invalid(vec![fault(source, offset, None, message)]));
    }
    let parsed: PolicySet = source.parse().map_err(|errors: cedar_policy::ParseErrors| {
        Invalid(errors.iter().map(|error| detailed(source, None, &DetailedError::from(error))).collect())
    })?;
    if parsed.is_empty() {
        return Err(at_start("there is no policy: to govern nothing, deactivate the policies".to_owned()));
    }
    if parsed.num_of_policies() > MAX_POLICIES {
        return Err(at_start(format!("a version has at most {MAX_POLICIES} policies")));
    }
    let mut faults: Vec<Fault> = parsed
        .templates()
        .map(|template| {
            let offset = source.find(template.to_cedar().as_str()).unwrap_or(0);
            fault(source, offset, None, "a policy has no slots: write the user or the thing itself".to_owned())
        })
        .collect();
    let mut rules = BTreeMap::new();
    for (offset, policy) in in_order(source, &parsed) {
        match rule(&policy) {
            Ok(rule) => {
                let id = rule.policy.id().clone();
                if rules.contains_key(&id) {
                    let message = "another policy has the same `@id`".to_owned();
                    faults.push(fault(source, offset, Some(id.to_string()), message));
                }
                rules.insert(id, rule);
            }
            Err((id, message)) => faults.push(fault(source, offset, id, message)),
        }
    }
    if faults.is_empty() {
        faults = check(source, &rules);
    }
    if faults.is_empty() { Ok(rules) } else { Err(Invalid(faults)) }
}

/// The policies in the order in which they are written, each with where it starts.
fn in_order(source: &str, parsed: &PolicySet) -> Vec<(usize, Policy)> {
    let mut policies: Vec<&Policy> = parsed.policies().collect();
    // They are numbered as they are read: `policy0`, `policy1`.
    policies.sort_by_key(|policy| {
        let id = policy.id().to_string();
        id.strip_prefix("policy").and_then(|number| number.parse::<usize>().ok())
    });
    let mut from = 0;
    let mut placed = Vec::with_capacity(policies.len());
    for policy in policies {
        let text = policy.to_cedar().unwrap_or_default();
        let offset = source.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |found| from + found);
        from = offset + text.len();
        placed.push((offset, policy.clone()));
    }
    placed
}

/// What the schema cannot say about one policy.
fn rule(policy: &Policy) -> Result<Rule, (Option<String>, String)> {
    let id = annotations::id(policy).map_err(|message| (None, message))?;
    let told = |message: String| (Some(id.clone()), message);
    let governs = governed(policy);
    let annotations = annotations::read(policy, governs).map_err(told)?;
    let nameless = policy.entity_literals().into_iter().any(|uid| uid.id().unescaped() == NOTHING);
    if nameless {
        return Err(told("the id `\"\"` stands for no thing: name one, or leave the id out".to_owned()));
    }
    let tree = policy.to_json().map_err(|error| told(error.to_string()))?;
    let (deep, meaning) = (is_deep(&tree), tree.to_string());
    let needs = Needs::of(&meaning);
    Ok(Rule { policy: policy.new_id(PolicyId::new(&id)), annotations, governs, needs, deep, meaning })
}

/// What the scope of the policy includes.
fn governed(policy: &Policy) -> Permissions {
    let known = Vocabulary::get();
    match policy.action_constraint() {
        ActionConstraint::Any => governable(),
        ActionConstraint::Eq(action) => known.permission(&action).into_iter().collect(),
        ActionConstraint::In(actions) => actions.iter().filter_map(|action| known.permission(action)).collect(),
    }
}

fn check(source: &str, rules: &BTreeMap<PolicyId, Rule>) -> Vec<Fault> {
    let set = match set(rules.values()) {
        Ok(set) => set,
        Err(Invalid(faults)) => return faults,
    };
    let result = Vocabulary::get().validator.validate(&set, ValidationMode::Strict);
    let named = |id: &PolicyId| Some(id.to_string());
    let errors = result.validation_errors();
    let mut faults: Vec<Fault> =
        errors.map(|error| detailed(source, named(error.policy_id()), &DetailedError::from(error))).collect();
    if faults.is_empty() {
        // What follows from an error is told as a warning too: only alone is it news.
        let warnings = result.validation_warnings().filter(|warning| counts(warning));
        faults = warnings
            .map(|warning| detailed(source, named(warning.policy_id()), &DetailedError::from(warning)))
            .collect();
    }
    faults.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    // A fault in an expression is told once for each type of thing that the rule can be about: the first says it.
    faults.dedup_by_key(|fault| (fault.line, fault.column));
    faults
}

/// Whether a warning is a fault here. A rule that never matches protects nothing, and a text that is not what it seems
/// deceives whoever approves it; letters of two scripts in one text are only unusual.
fn counts(warning: &ValidationWarning) -> bool {
    match warning {
        ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_)
        | ValidationWarning::ImpossiblePolicy(_)
        | ValidationWarning::InvalidActionApplication(_) => true,
        ValidationWarning::MixedScriptString(_) | _ => false,
    }
}

fn detailed(source: &str, policy: Option<String>, error: &DetailedError) -> Fault {
    let place = error.source_locations.first();
    let prefix = policy.as_ref().map(|id| format!("for policy `{id}`, ")).unwrap_or_default();
    let plain = |text: &str| if prefix.is_empty() { text.to_owned() } else { text.replace(&prefix, "") };
    let message = match place.and_then(|place| place.label.as_deref()) {
        Some(label) if !error.message.contains(label) => format!("{}: {label}", error.message),
        _ => error.message.clone(),
    };
    let offset = place.map_or(0, |place| place.loc.start);
    let help = error.help.as_deref().map(plain);
    Fault { help, ..fault(source, offset, policy, plain(&message)) }
}

fn fault(source: &str, offset: usize, policy: Option<String>, message: String) -> Fault {
    let before = source.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Fault { line, column, policy, message, help: None }
}

/// Rules as Cedar takes them.
pub(crate) fn set<'a>(rules: impl Iterator<Item = &'a Rule>) -> Result<PolicySet, Invalid> {
    let policies = rules.map(|rule| rule.policy.clone());
    PolicySet::from_policies(policies).map_err(|error| Invalid(vec![fault("", 0, None, error.to_string())]))
}
