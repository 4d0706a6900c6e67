//! What policies would have decided on the calls of the past.

use std::collections::BTreeMap;

use ::store::{Attributed, Database, StoreError};
use authz::{Caller, DecisionInput, Forbidden, Grant, Verdict};
use kernel::{Moment, Timestamp};
use serde::Deserialize;

use crate::entries;
use crate::input::Kept;
use crate::model::{Backtest, Changed, Example, digest};
use crate::rules::{Rules, Word};
use crate::source::Invalid;
use crate::store::{self, Entered};
use crate::versions::{Manage, ReadPolicies};

/// How many examples are kept of each change.
const EXAMPLES: usize = 10;

/// How many entries are read at once.
const STRIDE: u64 = 250;

impl Backtest {
    fn add(&mut self, entered: &Entered, rules: Option<&Rules>) {
        let decisions = entered.decisions();
        // The end of a call need not have decided about anything; its beginning has.
        if decisions.is_empty() && entered.decides {
            self.looked_at += 1;
            self.not_replayable += 1;
        }
        for kept in decisions {
            self.again(entered, kept, rules);
        }
    }

    fn again(&mut self, entered: &Entered, kept: Kept, rules: Option<&Rules>) {
        self.looked_at += 1;
        let Some(input) = kept.input.as_ref().and_then(|input| DecisionInput::parse(input).ok()) else {
            self.not_replayable += 1;
            return;
        };
        let Word { verdict, rule, reason: _ } = again(rules, &input);
        self.approvals += u64::from(matches!(verdict, Verdict::RequireApproval(_)));
        let (from, to) = (kept.verdict, verdict.label());
        if from == to {
            return;
        }
        *self.callers.entry(input.id.clone()).or_default() += 1;
        let example = Example { seq: entered.seq, at: entered.at, who: input.id, agent: input.facts.agent, rule };
        match self.changes.iter_mut().find(|changed| changed.from == from && changed.to == to) {
            Some(changed) => {
                changed.count += 1;
                if changed.examples.len() < EXAMPLES {
                    changed.examples.push(example);
                }
            }
            None => self.changes.push(Changed { from, to, count: 1, examples: vec![example] }),
        }
    }
}

/// Without policies, roles alone decide.
fn again(rules: Option<&Rules>, input: &DecisionInput) -> Word {
    match rules {
        Some(rules) => rules.replay(input),
        None if input.permissions.contains(input.permission) => Word::ungoverned(),
        None => Word::unpermitted(input.permission),
    }
}

impl Entered {
    /// What was decided about the call, and about the tools that its answer asked for.
    fn decisions(&self) -> Vec<Kept> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Payload {
            decision: Option<Kept>,
            tool_decisions: Vec<Kept>,
        }
        let payload = self.payload.as_deref().and_then(|payload| serde_json::from_slice::<Payload>(payload).ok());
        let Payload { decision, tool_decisions } = payload.unwrap_or_default();
        decision.into_iter().chain(tool_decisions).collect()
    }
}

/// Why there was no backtest.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The caller may neither manage policies nor read the ledger.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The policies cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Decides on every call since `since` again, as if `source` had held; with `None`, as if roles alone had. The reading
/// is recorded before its result is handed out.
// Not one transaction: it may read far, and nobody else could write meanwhile.
pub fn backtest(
    db: &Database,
    caller: &Caller,
    source: Option<&str>,
    since: Timestamp,
    at: &Moment<'_>,
) -> Result<Backtest, BacktestError> {
    match caller.authorize::<Manage>() {
        Ok(grant) => run(db, &grant, source, since, at.now()),
        Err(refusal) => {
            let grant = caller.authorize::<ReadPolicies>().map_err(|_| refusal)?;
            run(db, &grant, source, since, at.now())
        }
    }
}

fn run<A>(
    db: &Database,
    grant: &Grant<A>,
    source: Option<&str>,
    since: Timestamp,
    until: Timestamp,
) -> Result<Backtest, BacktestError> {
    let rules = source.map(Rules::read).transpose()?;
    let (mut from, size) = db.read::<_, _, StoreError>(grant, |tx| {
        let size = store::log_size(tx)?;
        Ok((first_since(since, size, |seq| store::written_at(tx, seq))?, size))
    })?;
    let mut report = Backtest {
        since,
        until,
        looked_at: 0,
        not_replayable: 0,
        changes: Vec::new(),
        callers: BTreeMap::new(),
        approvals: 0,
    };
    while from < size {
        let next = from.saturating_add(STRIDE).min(size);
        let entered = db.read(grant, |tx| store::entered(tx, from, next))?;
        for entered in entered.iter().filter(|entered| entered.at >= since && entered.at <= until) {
            report.add(entered, rules.as_ref());
        }
        from = next;
    }
    report.changes.sort_by(|a, b| (b.count, &a.from, &a.to).cmp(&(a.count, &b.from, &b.to)));
    let digest = digest(source.unwrap_or_default(), "");
    record(db, grant, &digest, &report)?;
    Ok(report)
}

/// The first entry that was not written before `since`: the times of a log never go back.
fn first_since(
    since: Timestamp,
    size: u64,
    mut written_at: impl FnMut(u64) -> Result<Option<Timestamp>, StoreError>,
) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        // An entry that is not there was pruned: it is older than what is.
        if written_at(middle)?.is_none_or(|at| at < since) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

fn record<A>(db: &Database, grant: &Grant<A>, digest: &str, report: &Backtest) -> Result<(), StoreError> {
    let attributed = Attributed::new(grant, entries::backtested(digest, report));
    let share: ::store::Job<'_> = Box::new(move |_tx| Ok(vec![attributed]));
    for places in db.write_shares(vec![(grant.tenant().clone(), share)]) {
        for place in places? {
            grant.caller().request().record(place.seq);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_a_period_is_found() {
        let times = [5, 5, 7, 9, 9, 12];
        for since in 0..14 {
            let at = |seq: u64| Ok(Some(Timestamp::from_micros(times[usize::try_from(seq).unwrap()])));
            let found = first_since(Timestamp::from_micros(since), 6, at).unwrap();
            let expected = times.iter().filter(|time| **time < since).count();
            assert_eq!(found, u64::try_from(expected).unwrap(), "{since}");
        }
    }
}
