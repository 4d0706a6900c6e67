//! Policies on the wire.

use kernel::{Cursor, PageSize, Text, Timestamp};
use policy::{
    Activation, Backtest, Changed, Comparison, Detail, Example, Listing, NewVersion, Plan, Rules, Shift, State, Tested,
    Version, Word,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::identity::permissions_by_name;
use crate::wire::{Limit, Show, Written};

/// The version that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PolicyPath {
    /// The version's number.
    #[param(value_type = u64, example = 3)]
    pub(super) number: Written<u64>,
}

/// Which page of the versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PoliciesQuery {
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<u64>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

impl From<PoliciesQuery> for Listing {
    fn from(PoliciesQuery { cursor, limit }: PoliciesQuery) -> Self {
        let size: PageSize = limit.0;
        Self { after: cursor.map(|cursor| Cursor::after(cursor.0)), size }
    }
}

/// Which versions to compare. What is left out stands for no policies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffQuery {
    /// The number of the one version.
    pub(super) from: Option<u64>,
    /// The number of the other.
    pub(super) to: Option<u64>,
}

/// A version to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyIn {
    /// Its policies, in Cedar's syntax.
    #[schema(max_length = 262_144)]
    source: String,
    /// Its tests, in YAML: all of them must pass.
    #[serde(default)]
    #[schema(max_length = 1_048_576)]
    tests: String,
    /// What to say about it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 500)]
    note: Option<Written<Text<500>>>,
}

impl From<PolicyIn> for NewVersion {
    fn from(PolicyIn { source, tests, note }: PolicyIn) -> Self {
        Self { source, tests, note: note.map(|note| note.0) }
    }
}

/// Policies that are not kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceIn {
    /// The policies, in Cedar's syntax.
    #[schema(max_length = 262_144)]
    pub(super) source: String,
}

/// Policies and their tests, neither of which is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestIn {
    /// The policies, in Cedar's syntax.
    #[schema(max_length = 262_144)]
    pub(super) source: String,
    /// The tests, in YAML.
    #[schema(max_length = 1_048_576)]
    pub(super) tests: String,
}

/// What to try on the past.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestIn {
    /// The policies, in Cedar's syntax; null for none, so that roles alone decide.
    #[serde(default)]
    #[schema(max_length = 262_144)]
    pub(super) source: Option<String>,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub(super) since: Written<Timestamp>,
}

/// What to try beside the version that decides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShadowIn {
    /// The version's number; null for none.
    pub(super) version: Option<u64>,
}

/// One version of the policies. It is never changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyOut {
    /// Its number: 1 for the first.
    number: u64,
    /// The SHA-256 digest of its source and its tests, in hexadecimal.
    digest: String,
    /// What whoever made it says about it.
    note: String,
    /// Who made it. May not approve it.
    created_by: String,
    /// When it was made.
    created_at: String,
}

/// A version with what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyDetailOut {
    /// The version.
    #[serde(flatten)]
    version: PolicyOut,
    /// Its policies, in Cedar's syntax.
    source: String,
    /// Its tests, in YAML.
    tests: String,
}

impl Show for Version {
    type Out = PolicyOut;

    fn show(&self) -> PolicyOut {
        let Self { number, digest, note, created_by, created_at } = self;
        PolicyOut {
            number: *number,
            digest: digest.clone(),
            note: note.clone(),
            created_by: created_by.clone(),
            created_at: created_at.to_string(),
        }
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/policies/{}", self.number))
    }
}

impl Show for Detail {
    type Out = PolicyDetailOut;

    fn show(&self) -> PolicyDetailOut {
        let Self { version, source, tests } = self;
        PolicyDetailOut { version: version.show(), source: source.clone(), tests: tests.clone() }
    }
}

/// Which version holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyStateOut {
    /// The version that decides; null where roles alone do.
    active: Option<u64>,
    /// The version that decided before it: what a rollback returns to.
    previous: Option<u64>,
    /// The version that is only tried: it is asked, and decides nothing.
    shadow: Option<u64>,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

impl Show for State {
    type Out = PolicyStateOut;

    fn show(&self) -> PolicyStateOut {
        let Self { active, previous, shadow, revision } = *self;
        PolicyStateOut { active, previous, shadow, revision }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

/// What came of wanting another version to hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivationOut {
    /// `done`, or `pending` until the request for approval is decided.
    #[schema(example = "done")]
    status: &'static str,
    /// Which version holds now; null while the request is pending.
    state: Option<PolicyStateOut>,
    /// The request for approval.
    approval_id: Option<String>,
}

impl Show for Activation {
    type Out = ActivationOut;

    fn show(&self) -> ActivationOut {
        match self {
            Self::Done(state) => ActivationOut { status: "done", state: Some(state.show()), approval_id: None },
            Self::Waiting(id) => ActivationOut { status: "pending", state: None, approval_id: Some(id.to_string()) },
        }
    }

    fn revision(&self) -> Option<u64> {
        match self {
            Self::Done(state) => Some(state.revision),
            Self::Waiting(_) => None,
        }
    }

    fn is_pending(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

/// Policies that can be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidOut {
    /// What they decide on, by permission: elsewhere the roles' word stands.
    governs: Vec<&'static str>,
}

impl Show for Rules {
    type Out = ValidOut;

    fn show(&self) -> ValidOut {
        ValidOut { governs: permissions_by_name(self.governs()) }
    }
}

/// What other policies change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparisonOut {
    /// Whether somebody may do more afterwards, as far as this shows.
    widens: bool,
    /// The policies that are new, by `@id`.
    added: Vec<String>,
    /// Those that are gone.
    removed: Vec<String>,
    /// Those that say something else.
    changed: Vec<String>,
    /// What only roles decided on, and policies do from then on.
    newly_governed: Vec<&'static str>,
    /// What policies decided on, and only roles do from then on.
    no_longer_governed: Vec<&'static str>,
    /// The decisions that change for somebody with one role, no attributes and nothing else known. Conditions can change
    /// more: a backtest says.
    shifts: Vec<ShiftOut>,
}

/// A decision that changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShiftOut {
    /// For whom.
    role: String,
    /// On what.
    permission: &'static str,
    /// The verdict until then.
    from: String,
    /// The verdict from then on.
    to: String,
    /// `widening`, `narrowing` or `sideways`.
    direction: &'static str,
}

impl Show for Comparison {
    type Out = ComparisonOut;

    fn show(&self) -> ComparisonOut {
        let Self { added, removed, changed, newly_governed, no_longer_governed, shifts } = self;
        let shift = |Shift { role, permission, from, to, direction }: &Shift| ShiftOut {
            role: role.to_string(),
            permission: permission.as_str(),
            from: from.clone(),
            to: to.clone(),
            direction: direction.as_str(),
        };
        ComparisonOut {
            widens: self.widens(),
            added: added.clone(),
            removed: removed.clone(),
            changed: changed.clone(),
            newly_governed: permissions_by_name(*newly_governed),
            no_longer_governed: permissions_by_name(*no_longer_governed),
            shifts: shifts.iter().map(shift).collect(),
        }
    }
}

/// What would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanOut {
    /// The version that it is compared with; null where none is active.
    base: Option<u64>,
    /// The difference.
    changes: ComparisonOut,
}

impl Show for Plan {
    type Out = PlanOut;

    fn show(&self) -> PlanOut {
        let Self { base, changes } = self;
        PlanOut { base: *base, changes: changes.show() }
    }
}

/// What came of tests.
#[derive(Debug)]
pub(super) struct Ran(pub(super) Vec<Tested>);

/// What came of tests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestedOut {
    /// Whether all passed.
    passed: bool,
    /// Each of them.
    tests: Vec<TestOut>,
}

/// What came of one test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestOut {
    /// Its name.
    name: String,
    /// Whether it passed.
    passed: bool,
    /// What is not as expected.
    wrong: Vec<String>,
    /// What the policies said: `allow`, `require_approval` or `deny`.
    outcome: &'static str,
    /// Why.
    reason: String,
    /// The rule that decided; null where no policy speaks of it.
    rule: Option<String>,
}

impl Show for Ran {
    type Out = TestedOut;

    fn show(&self) -> TestedOut {
        let test = |tested: &Tested| {
            let Tested { name, word: Word { verdict, reason, rule }, wrong } = tested;
            TestOut {
                name: name.clone(),
                passed: tested.passed(),
                wrong: wrong.clone(),
                outcome: verdict.parts().0,
                reason: reason.clone(),
                rule: rule.clone(),
            }
        };
        TestedOut { passed: self.0.iter().all(Tested::passed), tests: self.0.iter().map(test).collect() }
    }
}

/// What a backtest found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestOut {
    /// Calls from then on were looked at.
    since: String,
    /// And until then.
    until: String,
    /// How many calls there were.
    looked_at: u64,
    /// How many of them cannot be decided again: what they depended on was erased, or not kept.
    not_replayable: u64,
    /// The decisions that would be others, grouped.
    changes: Vec<ChangedOut>,
    /// Whom it would affect, and on how many calls.
    callers: Vec<AffectedOut>,
    /// How many calls would have waited for an approval.
    approvals: u64,
    /// How many that is a day.
    approvals_per_day: f64,
}

/// Somebody whose calls would be decided otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedOut {
    /// Who.
    user_id: String,
    /// On how many calls.
    calls: u64,
}

/// Calls that would be decided otherwise, all in the same way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedOut {
    /// The verdict that was.
    from: String,
    /// The verdict that would be.
    to: String,
    /// How many calls.
    count: u64,
    /// The first of them.
    examples: Vec<ExampleOut>,
}

/// One call that would be decided otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExampleOut {
    /// Its entry in the ledger.
    seq: u64,
    /// When it was.
    at: String,
    /// Who made it.
    user_id: String,
    /// The agent that made it.
    agent_id: Option<String>,
    /// The rule that would decide; null where no policy would speak of it.
    rule: Option<String>,
}

impl Show for Backtest {
    type Out = BacktestOut;

    fn show(&self) -> BacktestOut {
        let Self { since, until, looked_at, not_replayable, changes, callers, approvals } = self;
        let example = |Example { seq, at, who, agent, rule }: &Example| ExampleOut {
            seq: *seq,
            at: at.to_string(),
            user_id: who.clone(),
            agent_id: agent.clone(),
            rule: rule.clone(),
        };
        let changed = |Changed { from, to, count, examples }: &Changed| ChangedOut {
            from: from.clone(),
            to: to.clone(),
            count: *count,
            examples: examples.iter().map(example).collect(),
        };
        let affected = |(who, calls): (&String, &u64)| AffectedOut { user_id: who.clone(), calls: *calls };
        BacktestOut {
            since: since.to_string(),
            until: until.to_string(),
            looked_at: *looked_at,
            not_replayable: *not_replayable,
            changes: changes.iter().map(changed).collect(),
            callers: callers.iter().map(affected).collect(),
            approvals: *approvals,
            approvals_per_day: self.approvals_per_day(),
        }
    }
}
