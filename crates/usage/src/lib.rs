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
//! # let standing = authz::Standing::new(tenant.clone(), authz::Actor::user("usr_bob"), [authz::Role::Admin].into());
//! # #[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
//! # let bob = authz::Caller::authenticated(standing, authz::Request::made(&at));
//! let name = usage::Name::new("Pilot")?;
//! let new = NewBudget { name, scope: Scope::Tenant, period: Period::Day, limit: "1.00".parse()? };
//! let budget = usage::create_budget(&db, &bob, new, &at)?;
//!
//! // What calls are checked against is read once, and again when it changes.
//! # struct Call1; impl authz::Action for Call1 { const NAME: &'static str = "example"; const PERMISSION: Option<authz::Permission> = None; }
//! let grant = bob.authorize::<Call1>()?;
//! let (limits, book) = db.read(&grant, |tx| Ok::<_, store::StoreError>((usage::limits(tx)?, PriceBook::load(tx)?)))?;
//! let price = book.price("gpt-4o", at.now()).ok_or("no price, no call")?;
//!
//! // Before the call: from memory, or, when that does not suffice, from the database.
//! let purse = Purse::new(at.id());
//! let mut reservation = match purse.reserve(&tenant, &limits, price.worst_case(1_000, 500), at.now()) {
//!     Ok(reservation) => reservation,
//!     Err(short) => purse.lease(&db, short)?,
//! };
//! let (model, price_id) = (price.model.clone(), price.id.clone());
//! let call = Call { id: at.id(), agent: at.id(), version: at.id(), user: at.id(), model, price_id };
//! let open = reservation.open(call.clone());
//!
//! // After it: both writes go beside the call's ledger entries.
//! let settled = reservation.settle(price.charge(&Tokens::of_prompt(800, 0, 300)));
//! let usage = Usage { call, measure: Measure::Reported, settled };
//! let share: store::Job<'_> = Box::new(|tx| {
//!     usage::open_calls(tx, &[&open])?;
//!     usage::record(tx, &[&usage])?;
//!     Ok(Vec::new())
//! });
//! for end in db.write_shares(vec![(tenant, share)]) {
//!     end?;
//! }
//! usage.committed();
//! assert_eq!(usage::budget(&db, &bob, &budget.id, at.now())?.spent.to_string(), "0.005");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod book;
mod budgets;
mod entries;
mod lease;
mod model;
mod prices;
mod purse;
mod record;
mod reports;
mod store;
mod sums;

pub use book::{MAX_TOKENS, PriceBook, built_in};
pub use budgets::{
    BadLimit, BudgetChange, CreateBudget, CreateBudgetError, MAX_LIMIT, NewBudget, ReadBudgetError, ReadBudgets,
    UpdateBudget, UpdateBudgetError, budget, budgets, create_budget, limits, open_monthly, update_budget,
};
pub use entries::ACTIONS;
pub use lease::{BudgetExhausted, Renewal};
pub use model::{
    Budget, Call, Charge, Limit, Measure, Name, OpenCall, Period, Price, Record, Scope, Status, Tokens, UnknownName,
};
pub use prices::{
    ListPrices, ListPricesError, MAX_OUTPUT_TOKENS, MAX_PRICE, NewPrice, SetPrice, SetPriceError, prices, set_price,
};
pub use purse::{LeaseError, Purse, Reservation, Settled, Short};
pub use record::{Usage, abandoned, is_recorded, open_calls, record, release_leases, settle_abandoned};
pub use reports::{Aggregation, CostReport, Item, Line, ReadUsage, ReportError, aggregate, cost_report, records};
pub use sums::{Filter, Group, Span, Sums};
