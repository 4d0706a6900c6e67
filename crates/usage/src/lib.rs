//! Metering, prices, budgets and cost.
//!
//! A call is *reserved* at the most that it can cost, in every budget that applies to it; it *settles* at what it did
//! cost; and its *record*, the sums of the reports and the state of its budgets are written in one transaction, beside
//! its ledger entries. Money is exact: integers of nano-dollars, never a fraction lost.
//!
//! **Invariant:** for each budget and period, what is spent and what nodes have leased is together at most the limit,
//! at every instant and after every crash. Two things can lift what is *spent* above it, and both are shown: a limit
//! that is lowered, and an upstream that used more than it was asked to.
//!
//! **Invariant:** what a budget has spent is the sum of the records of its calls, and so is every report.
//!
//! ```
//! # use std::sync::Arc;
//! # use kernel::{FixedMoment, Money, TenantId};
//! use usage::{Call, Measure, NewBudget, Period, PriceBook, Purse, Scope, Tokens, Usage};
//! # let dir = tempfile::tempdir()?;
//! # let clock = Arc::new(FixedMoment::new(1_800_000_000_000_000));
//! # let setup = store::Setup { root_key: seal::RootKey::generate(&*clock), clock: clock.clone(), entropy: clock.clone(), instance: "tf".into() };
//! # let db = store::Database::sqlite(&dir.path().join("taskforce.db"), setup)?;
//! # let (at, tenant) = (clock.moment(), TenantId::system());
//! # let request = authz::Request::new(at.id());
//! # #[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
//! # let bob = authz::Caller::authenticated(tenant.clone(), authz::Actor::user("usr_bob"), [authz::Role::Admin].into(), None, request);
//! let new = NewBudget { name: usage::Name::new("Pilot")?, scope: Scope::Tenant, period: Period::Day, limit: "1.00".parse()? };
//! let budget = usage::create_budget(&db, &bob, new, &at)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod book;
mod budgets;
mod entries;
mod model;
mod prices;
mod purse;
mod record;
mod reports;
mod store;

pub use book::{MAX_TOKENS, PriceBook, built_in};
pub use budgets::{
    BadLimit, BudgetChange, CreateBudget, CreateBudgetError, MAX_LIMIT, NewBudget, ReadBudgetError, ReadBudgets,
    UpdateBudget, UpdateBudgetError, budget, budgets, create_budget, limits, update_budget,
};
pub use entries::ACTIONS;
pub use model::{
    Budget, Call, Charge, Limit, Measure, Name, OpenCall, Period, Price, Record, Scope, Status, Tokens, UnknownName,
};
pub use prices::{
    ListPrices, ListPricesError, MAX_OUTPUT_TOKENS, MAX_PRICE, NewPrice, SetPrice, SetPriceError, prices, set_price,
};
pub use purse::{BudgetExhausted, LeaseError, Purse, Renewal, Reservation, Settled, Short};
pub use record::{Usage, abandoned, open_calls, record, release_leases, settle_abandoned};
pub use reports::{
    Aggregation, CostReport, Filter, Group, Item, Line, ReadUsage, ReportError, Span, Sums, aggregate, cost_report,
    records,
};
