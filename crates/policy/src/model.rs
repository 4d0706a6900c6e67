//! Versions of policies, and which of them holds.

use std::collections::BTreeMap;

use kernel::{Cursor, PageSize, ReviewId, Text, Timestamp};

/// One version of a tenant's policies. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number: 1 for the first.
    pub number: u64,
    /// The SHA-256 digest of its source and its tests, in hexadecimal.
    pub digest: String,
    /// What whoever made it says about it; may be empty.
    pub note: String,
    /// Who made it. May not approve it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A version with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The version.
    pub version: Version,
    /// Its policies, in Cedar's syntax.
    pub source: String,
    /// Its tests, in YAML; may be empty.
    pub tests: String,
}

/// A version to be made.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Its policies, in Cedar's syntax.
    pub source: String,
    /// Its tests, in YAML; may be empty.
    pub tests: String,
    /// What to say about it.
    pub note: Option<Text<500>>,
}

/// Which versions to list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// How many at most.
    pub size: PageSize,
}

/// Which version holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The version that decides; `None` where roles alone do.
    pub active: Option<u64>,
    /// The version that decided before it: what a rollback returns to.
    pub previous: Option<u64>,
    /// The version that is only tried: it is asked, and decides nothing.
    pub shadow: Option<u64>,
    /// Raised with each change; 0 before the first.
    pub revision: u64,
}

impl State {
    /// The state after `active` has begun to decide.
    pub(crate) fn activated(self, active: Option<u64>) -> Self {
        Self { active, previous: self.active, revision: self.revision + 1, ..self }
    }

    pub(crate) fn shadowed(self, shadow: Option<u64>) -> Self {
        Self { shadow, revision: self.revision + 1, ..self }
    }
}

/// What came of wanting another version to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It does.
    Done(State),
    /// It will when this request for approval is approved.
    Waiting(ReviewId),
}

/// What a backtest found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backtest {
    /// Calls from then on were looked at.
    pub since: Timestamp,
    /// And until then.
    pub until: Timestamp,
    /// How many calls there were, and calls of tools.
    pub looked_at: u64,
    /// How many of them cannot be decided again: what they depended on was erased, or not kept.
    pub not_replayable: u64,
    /// The decisions that would be others, grouped.
    pub changes: Vec<Changed>,
    /// Whom it would affect, by id, and on how many calls.
    pub callers: BTreeMap<String, u64>,
    /// How many calls would have waited for an approval.
    pub approvals: u64,
}

/// Calls that would be decided otherwise, all in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The verdict that was, in a word.
    pub from: String,
    /// The verdict that would be.
    pub to: String,
    /// How many calls.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// One call that would be decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its entry in the ledger.
    pub seq: u64,
    /// When it was.
    pub at: Timestamp,
    /// Who made it, by id.
    pub who: String,
    /// The agent that made it.
    pub agent: Option<String>,
    /// The rule that would decide; `None` where no policy would speak of it.
    pub rule: Option<String>,
}

impl Backtest {
    /// How many approvals a day it would have asked for.
    pub fn approvals_per_day(&self) -> f64 {
        const DAY: f64 = 86_400_000_000.0;
        #[expect(clippy::cast_precision_loss, reason = "a forecast, shown with one digit after the point")]
        let (approvals, span) = (self.approvals as f64, (self.until.micros() - self.since.micros()) as f64);
        if span > 0.0 { approvals * DAY / span } else { 0.0 }
    }
}

/// The SHA-256 digest of policies and their tests, in hexadecimal.
pub fn digest(source: &str, tests: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"taskforce/policy/1\0");
    // The length keeps apart what one ends with and the other begins with.
    context.update(&u64::try_from(source.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(source.as_bytes());
    context.update(tests.as_bytes());
    kernel::hex(context.finish().as_ref())
}

/// A text as it is kept: its lines end alike, whatever wrote them.
pub(crate) fn canonical(text: &str) -> String {
    text.replace("\r\n", "\n")
}
