//! What reports are asked for, and the sums that they are made of.

use std::ops::AddAssign;

use kernel::{AgentId, Money, Timestamp, UserId};

use crate::model::Tokens;

/// From an instant, included, to another, excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant of it.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self { from: Timestamp::from_micros(i64::MIN), to: Timestamp::from_micros(i64::MAX) };

    /// The whole days in the middle, and the parts of days before and after them.
    pub(crate) fn parts(self) -> Vec<(Source, (Timestamp, Timestamp))> {
        let Self { from, to } = self;
        let (last, mut first) = (to.day_start(), from.day_start());
        if first < from {
            first = first.plus_seconds(86_400);
        }
        let parts = if first < last {
            vec![(Source::Records, (from, first)), (Source::Rollups, (first, last)), (Source::Records, (last, to))]
        } else {
            vec![(Source::Records, (from, to))]
        };
        parts.into_iter().filter(|(_, (from, to))| from < to).collect()
    }
}

/// By what usage is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// By day, in UTC.
    Day,
    /// By model.
    Model,
    /// By agent.
    Agent,
}

/// What a number of calls used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there were.
    pub calls: u64,
    /// How many of them came to an end that is not known; they cost what was held for them.
    pub unknown_calls: u64,
    /// The tokens of the others.
    pub tokens: Tokens,
    /// What all of them cost.
    pub cost: Money,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        let Self { calls, unknown_calls, tokens: Tokens { input, cached, output }, cost } = other;
        self.calls += calls;
        self.unknown_calls += unknown_calls;
        self.tokens.input += input;
        self.tokens.cached += cached;
        self.tokens.output += output;
        self.cost = self.cost + cost;
    }
}

/// Which records are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// When the calls began.
    pub span: Span,
    /// Of one agent only.
    pub agent: Option<AgentId>,
    /// Of one user only.
    pub user: Option<UserId>,
    /// Of one model only.
    pub model: Option<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { span: Span::ALWAYS, agent: None, user: None, model: None }
    }
}

/// Where the sums are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Rollups,
    Records,
}
