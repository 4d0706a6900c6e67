//! What calls use, what it costs, and what may be spent.

use kernel::{AgentId, BudgetId, CallId, Money, NodeId, Text, Timestamp, UserId, VersionId};

/// A name that people give.
pub type Name = Text<120>;

/// What one call used. The three kinds do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt that were not read from the provider's cache.
    pub input: u64,
    /// Tokens of the prompt that were read from the provider's cache.
    pub cached: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
}

impl Tokens {
    /// From a report in which `prompt` counts the `cached` ones too, as OpenAI's does.
    pub fn of_prompt(prompt: u64, cached: u64, output: u64) -> Self {
        let cached = cached.min(prompt);
        Self { input: prompt - cached, cached, output }
    }
}

/// One price of a model. Prices are never changed: a new one takes effect at its date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The row's id, or the name of the built-in price: `list/gpt-4o/2026-11`.
    pub id: String,
    /// The model, as calls name it.
    pub model: String,
    /// For a million tokens of the prompt.
    pub input: Money,
    /// For a million tokens of the prompt that the provider had cached.
    pub cached_input: Money,
    /// For a million tokens of the answer.
    pub output: Money,
    /// The most that one answer can have.
    pub max_output_tokens: u64,
    /// From when on.
    pub effective_from: Timestamp,
}

/// What a call's tokens cost, kind by kind, at one price. Made by [`Price::charge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub(crate) tokens: Tokens,
    pub(crate) input: Money,
    pub(crate) cached: Money,
    pub(crate) output: Money,
}

impl Charge {
    /// A call that used nothing: the upstream never answered, or refused.
    pub fn nothing(price: &Price) -> Self {
        price.charge(&Tokens::default())
    }

    /// The whole.
    pub fn total(&self) -> Money {
        self.input + self.cached + self.output
    }

    /// What it is for.
    pub const fn tokens(&self) -> Tokens {
        self.tokens
    }
}

/// How it is known what a call used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The upstream reported it.
    Reported,
    /// The upstream did not say; Taskforce counted.
    Estimated,
    /// A crash came between: the cost is what was held for the call, and the tokens are not known.
    Held,
}

/// One call, as its records name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The agent that was run.
    pub agent: AgentId,
    /// The version of it.
    pub version: VersionId,
    /// On whose behalf.
    pub user: UserId,
    /// The model that was asked.
    pub model: String,
    /// The price that holds for it: [`Price::id`].
    pub price_id: String,
}

/// A call that was begun and has no end yet, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// The call.
    pub call: Call,
    /// Where it runs.
    pub node: NodeId,
    /// When it began.
    pub at: Timestamp,
    /// What is held for it in each of `budgets`.
    pub held: Money,
    /// The budgets that it counts against, and the start of the period of each.
    pub budgets: Vec<(BudgetId, Timestamp)>,
}

/// One call's use, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The call.
    pub call: Call,
    /// When it began.
    pub at: Timestamp,
    /// What it used; all zero when that is not known.
    pub tokens: Tokens,
    /// What it cost.
    pub cost: Money,
    /// How that is known.
    pub measure: Measure,
}

/// Whose calls a budget limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every call of the tenant.
    Tenant,
    /// One agent's calls.
    Agent(AgentId),
    /// One user's calls.
    User(UserId),
}

/// After what time a budget starts anew, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Each day.
    Day,
    /// Each month.
    Month,
    /// Never.
    Total,
}

impl Period {
    /// When the period that `now` lies in began.
    pub fn start(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day => now.day_start(),
            Self::Month => now.month_start(0),
            Self::Total => Timestamp::from_micros(0),
        }
    }

    /// When the period that `now` lies in ends.
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Day => Some(now.day_start().plus_seconds(86_400)),
            Self::Month => Some(now.month_start(1)),
            Self::Total => None,
        }
    }
}

/// Whether a budget is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It limits.
    Active,
    /// It limits no longer; what was spent stays on record.
    Closed,
}

/// What calls are checked against: the part of an active budget that does not change with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The budget.
    pub budget: BudgetId,
    /// Its name.
    pub name: String,
    /// Whose calls it limits.
    pub scope: Scope,
    /// After what time it starts anew.
    pub period: Period,
    /// The most that may be spent in one period.
    pub limit: Money,
}

impl Limit {
    /// Whether a call of this agent for this user counts.
    pub fn applies(&self, agent: &AgentId, user: &UserId) -> bool {
        match &self.scope {
            Scope::Tenant => true,
            Scope::Agent(limited) => limited == agent,
            Scope::User(limited) => limited == user,
        }
    }
}

/// A budget and where it stands in the present period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// Whose calls it limits.
    pub scope: Scope,
    /// After what time it starts anew.
    pub period: Period,
    /// The most that may be spent in one period.
    pub limit: Money,
    /// Whether it is in force.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// Raised with each change.
    pub revision: u64,
    /// What the finished calls of this period cost.
    pub spent: Money,
    /// What is set aside for calls that run, and by nodes for the next ones.
    pub held: Money,
    /// When the period ends.
    pub resets_at: Option<Timestamp>,
}

impl Budget {
    /// What can still be set aside.
    pub fn remaining(&self) -> Money {
        let left = self.limit - self.spent - self.held;
        if left < Money::ZERO { Money::ZERO } else { left }
    }

    /// By how much the limit is passed: it was lowered, or an upstream used more than it was asked to.
    pub fn overrun(&self) -> Money {
        let over = self.spent - self.limit;
        if over < Money::ZERO { Money::ZERO } else { over }
    }
}

macro_rules! names {
    ($($type:ident { $($variant:ident = $name:literal),+ $(,)? })+) => {$(
        impl $type {
            /// The name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName { text: text.to_owned(), expected: &[$($name),+] }),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    )+};
}

names! {
    Measure { Reported = "reported", Estimated = "estimated", Held = "held" }
    Period { Day = "day", Month = "month", Total = "total" }
    Status { Active = "active", Closed = "closed" }
}

store::text_values!(Measure, Period, Status);

/// A text that names none of what can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of {}", expected.join(", "))]
pub struct UnknownName {
    text: String,
    expected: &'static [&'static str],
}

impl Scope {
    /// The kind of scope, as it is named on the wire and in the database.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Agent(_) => "agent",
            Self::User(_) => "user",
        }
    }

    /// The agent or user; empty for the tenant.
    pub fn id(&self) -> &str {
        match self {
            Self::Tenant => "",
            Self::Agent(agent) => agent.as_str(),
            Self::User(user) => user.as_str(),
        }
    }

    /// From kind and id; `None` when they name no scope.
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match (kind, id) {
            ("tenant", "") => Some(Self::Tenant),
            ("agent", id) => id.parse().ok().map(Self::Agent),
            ("user", id) => id.parse().ok().map(Self::User),
            _ => None,
        }
    }
}
