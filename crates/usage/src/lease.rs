//! What a node asks of the rows of budgets, and what it is given.

use std::sync::Arc;

use kernel::{BudgetId, Money, TenantId, Timestamp};

use crate::model::Limit;

/// A budget does not cover the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the budget `{name}` is used up: {spent} spent and {held} held of {limit} USD")]
pub struct BudgetExhausted {
    /// The budget.
    pub budget: BudgetId,
    /// Its name.
    pub name: String,
    /// The most that may be spent in one period.
    pub limit: Money,
    /// What finished calls cost.
    pub spent: Money,
    /// What is set aside for calls that run, and by nodes.
    pub held: Money,
    /// When the budget starts anew; never for one without periods.
    pub resets_at: Option<Timestamp>,
}

/// A lease to be topped up or given back: [`Purse::renew`] does it.
#[must_use = "a renewal that is not carried out keeps its account from being renewed again"]
#[derive(Debug)]
pub struct Renewal {
    pub(crate) tenant: TenantId,
    pub(crate) budget: BudgetId,
    pub(crate) start: Timestamp,
    /// Positive: how much to lease. Negative: how much to give back.
    pub(crate) change: Money,
}

/// What the database is asked for.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) limit: Arc<Limit>,
    pub(crate) start: Timestamp,
    pub(crate) resets_at: Option<Timestamp>,
    pub(crate) missing: Money,
}

/// What the database gave.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) limit: Arc<Limit>,
    pub(crate) start: Timestamp,
    pub(crate) amount: Money,
    pub(crate) stock: Money,
}
