//! What a node may spend without asking: durable leases in the database, spent from memory.
//!
//! **Invariant:** what a node holds in memory (free, held for calls, settled and not yet committed) is never more than
//! its lease in the database. So the lease grows before memory does, and memory shrinks before the lease does; what a
//! call leaves over is spendable again only after its settlement is durable, because until then a crash would settle
//! the call at all that was held for it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use ::store::{Database, Job, StoreError};
use kernel::{BudgetId, Money, NodeId, TenantId, Timestamp};
use parking_lot::Mutex;

use crate::lease::{BudgetExhausted, Leased, Need, Renewal};
use crate::model::{Call, Charge, Limit, OpenCall, Period};
use crate::store;

/// One node's leases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Purse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeId,
    hasher: std::hash::RandomState,
    shards: [Mutex<HashMap<TenantId, Desk>>; SHARDS],
}

const SHARDS: usize = 16;

/// After how long without a call a node gives its lease back, in seconds.
const IDLE_SECONDS: i64 = 60;

/// The accounts of one tenant.
#[derive(Debug, Default)]
struct Desk {
    accounts: HashMap<BudgetId, Vec<Account>>,
    /// Held by the one task that asks the database for more; the others wait for what it brings.
    leasing: Arc<Mutex<()>>,
}

/// This node's lease of one period of one budget.
#[derive(Debug)]
struct Account {
    period: Period,
    start: Timestamp,
    /// What the next call may take.
    free: Money,
    /// What settled calls left over and will be free when their settlement is durable.
    incoming: Money,
    /// Calls that hold something, or are settled and not yet durable.
    calls: usize,
    /// How much the node likes to have at hand: a twentieth of the limit; nothing once the budget is used up.
    stock: Money,
    /// When a call last took something.
    used_at: Timestamp,
    /// Whether a renewal is under way.
    renewing: bool,
}

/// The node's leases do not cover the call: [`Purse::lease`] asks the database for more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("this node's leases do not cover the call")]
pub struct Short {
    tenant: TenantId,
    limits: Vec<Arc<Limit>>,
    amount: Money,
    now: Timestamp,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// A budget does not cover the call.
    #[error(transparent)]
    Exhausted(#[from] BudgetExhausted),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// The most that a call can cost, set aside in every budget that applies to it.
///
/// Dropped, it is refunded, until [`open`](Self::open) has promised it to the database: from then on only
/// [`settle`](Self::settle) ends it, and what is dropped instead stays set aside until the node's recovery.
#[must_use = "dropping a reservation refunds it"]
#[derive(Debug)]
pub struct Reservation {
    purse: Purse,
    tenant: TenantId,
    limits: Vec<Arc<Limit>>,
    amount: Money,
    at: Timestamp,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Opened,
    Settled,
}

/// A call's cost and what it does to its budgets: [`record`](crate::record) writes it.
#[must_use = "what is settled must be recorded"]
#[derive(Debug)]
pub struct Settled {
    purse: Purse,
    pub(crate) tenant: TenantId,
    pub(crate) at: Timestamp,
    pub(crate) charge: Charge,
    pub(crate) draws: Vec<Draw>,
    overrun: Money,
}

/// What one call takes from one budget.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub(crate) limit: Arc<Limit>,
    pub(crate) start: Timestamp,
    /// By how much the lease shrinks.
    pub(crate) drawn: Money,
    /// What stays in the lease and is free once the settlement is durable.
    kept: Money,
}

impl Purse {
    /// An empty purse for `node`, whose leases must have been released before ([`release_leases`](crate::release_leases)).
    pub fn new(node: NodeId) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Inner { node, hasher: std::hash::RandomState::new(), shards }))
    }

    /// Whose it is.
    pub fn node(&self) -> &NodeId {
        &self.0.node
    }

    /// Sets `amount` aside in all of `limits`, or in none. Touches memory only.
    pub fn reserve(
        &self,
        tenant: &TenantId,
        limits: &[Arc<Limit>],
        amount: Money,
        now: Timestamp,
    ) -> Result<Reservation, Short> {
        let amount = positive(amount);
        if self.with_desk(tenant, |desk| desk.take(limits, amount, now)) {
            return Ok(self.reservation(tenant.clone(), limits.to_vec(), amount, now));
        }
        Err(Short { tenant: tenant.clone(), limits: limits.to_vec(), amount, now })
    }

    /// Leases from the database what `short` lacks, and reserves it. Blocks.
    pub fn lease(&self, db: &Database, short: Short) -> Result<Reservation, LeaseError> {
        let Short { tenant, limits, amount, now } = short;
        let leasing = self.with_desk(&tenant, |desk| Arc::clone(&desk.leasing));
        let _turn = leasing.lock();
        while !self.with_desk(&tenant, |desk| desk.take(&limits, amount, now)) {
            // What is leased here may be taken by another call at once. Then the loop goes round again; it ends,
            // because each turn leases something and limits are finite.
            let needs = self.with_desk(&tenant, |desk| desk.needs(&limits, amount, now));
            let leased = self.lease_from(db, &tenant, &needs)?;
            self.with_desk(&tenant, |desk| desk.credit(&leased, now));
        }
        Ok(self.reservation(tenant, limits, amount, now))
    }

    fn lease_from(&self, db: &Database, tenant: &TenantId, needs: &[Need]) -> Result<Vec<Leased>, LeaseError> {
        let mut answer = None;
        let job: Job<'_> = Box::new(|tx| {
            answer = Some(store::budgets::lease(tx, &self.0.node, needs)?);
            Ok(Vec::new())
        });
        for end in db.write_shares(vec![(tenant.clone(), job)]) {
            end?;
        }
        Ok(answer.ok_or(StoreError::Decode("the answer of a job that ran"))??)
    }

    /// What should be leased ahead, because an account is half empty, or given back, because its period is over or
    /// nobody used it for a minute. To be called every now and then, and the answer handed to [`renew`](Self::renew).
    pub fn renewals(&self, now: Timestamp) -> Vec<Renewal> {
        let mut renewals = Vec::new();
        for shard in &self.0.shards {
            for (tenant, desk) in &mut *shard.lock() {
                desk.renewals(tenant, now, &mut renewals);
            }
        }
        // Every node takes the locks of several tenants in the same order.
        renewals.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        renewals
    }

    /// Carries out what [`renewals`](Self::renewals) found, in one commit. Blocks.
    pub fn renew(&self, db: &Database, renewals: Vec<Renewal>) -> Result<(), StoreError> {
        let mut granted: Vec<Money> = vec![Money::ZERO; renewals.len()];
        let shares = renewals.iter().zip(&mut granted).map(|(renewal, granted)| {
            let job: Job<'_> = Box::new(|tx| {
                *granted = store::budgets::renew(tx, &self.0.node, renewal)?;
                Ok(Vec::new())
            });
            (renewal.tenant.clone(), job)
        });
        let ends = db.write_shares(shares.collect());
        let mut first_failure = Ok(());
        for ((renewal, granted), end) in renewals.into_iter().zip(granted).zip(ends) {
            let granted = if end.is_ok() { Some(granted) } else { None };
            self.with_desk(&renewal.tenant, |desk| desk.renewed(&renewal, granted));
            first_failure = first_failure.and(end.map(|_| ()));
        }
        first_failure
    }

    fn reservation(&self, tenant: TenantId, limits: Vec<Arc<Limit>>, amount: Money, at: Timestamp) -> Reservation {
        Reservation { purse: self.clone(), tenant, limits, amount, at, state: State::Held }
    }

    fn with_desk<T>(&self, tenant: &TenantId, act: impl FnOnce(&mut Desk) -> T) -> T {
        let at = usize::try_from(self.0.hasher.hash_one(tenant) % SHARDS as u64).unwrap_or(0);
        let [first, ..] = &self.0.shards;
        let mut desks = self.0.shards.get(at).unwrap_or(first).lock();
        if let Some(desk) = desks.get_mut(tenant) {
            return act(desk);
        }
        act(desks.entry(tenant.clone()).or_default())
    }
}

impl Desk {
    fn account(&mut self, budget: &BudgetId, start: Timestamp) -> Option<&mut Account> {
        self.accounts.get_mut(budget)?.iter_mut().find(|account| account.start == start)
    }

    fn take(&mut self, limits: &[Arc<Limit>], amount: Money, now: Timestamp) -> bool {
        let enough = limits.iter().all(|limit| {
            let account = self.account(&limit.budget, limit.period.start(now));
            account.is_some_and(|account| account.free >= amount)
        });
        if enough {
            for limit in limits {
                if let Some(account) = self.account(&limit.budget, limit.period.start(now)) {
                    account.free = account.free - amount;
                    account.calls += 1;
                    account.used_at = account.used_at.max(now);
                }
            }
        }
        enough
    }

    fn needs(&mut self, limits: &[Arc<Limit>], amount: Money, now: Timestamp) -> Vec<Need> {
        let mut needs = Vec::new();
        for limit in limits {
            let start = limit.period.start(now);
            let free = self.account(&limit.budget, start).map_or(Money::ZERO, |account| account.free);
            let known = self.account(&limit.budget, start).is_some();
            if free < amount || !known {
                let resets_at = limit.period.end(now);
                needs.push(Need { limit: Arc::clone(limit), start, resets_at, missing: positive(amount - free) });
            }
        }
        needs
    }

    fn credit(&mut self, leased: &[Leased], now: Timestamp) {
        for Leased { limit, start, amount, stock } in leased {
            if self.account(&limit.budget, *start).is_none() {
                let accounts = self.accounts.entry(limit.budget.clone()).or_default();
                accounts.push(Account::new(limit.period, *start, now));
            }
            if let Some(account) = self.account(&limit.budget, *start) {
                account.free = account.free + *amount;
                account.stock = *stock;
            }
        }
    }

    fn renewals(&mut self, tenant: &TenantId, now: Timestamp, renewals: &mut Vec<Renewal>) {
        for (budget, accounts) in &mut self.accounts {
            accounts.retain(|account| account.is_wanted(now) || !account.is_empty());
            for account in accounts {
                let change = account.change(now);
                if change == Money::ZERO || account.renewing {
                    continue;
                }
                account.renewing = true;
                if change < Money::ZERO {
                    account.free = account.free + change;
                }
                let (tenant, budget) = (tenant.clone(), budget.clone());
                renewals.push(Renewal { tenant, budget, start: account.start, change });
            }
        }
        self.accounts.retain(|_, accounts| !accounts.is_empty());
    }

    /// `granted` is `None` when the database failed. What was to be given back then stays leased until the node's
    /// recovery: whether the database has it is not known.
    fn renewed(&mut self, renewal: &Renewal, granted: Option<Money>) {
        let Some(account) = self.account(&renewal.budget, renewal.start) else {
            return;
        };
        account.renewing = false;
        match granted {
            Some(amount) if renewal.change > Money::ZERO => {
                account.free = account.free + amount;
                if amount < renewal.change {
                    account.stock = Money::ZERO;
                }
            }
            Some(_) | None => {}
        }
    }
}

impl Account {
    fn new(period: Period, start: Timestamp, now: Timestamp) -> Self {
        let nothing = Money::ZERO;
        Self {
            period,
            start,
            free: nothing,
            incoming: nothing,
            calls: 0,
            stock: nothing,
            used_at: now,
            renewing: false,
        }
    }

    /// Whether its period runs and calls use it.
    fn is_wanted(&self, now: Timestamp) -> bool {
        self.period.start(now) <= self.start && now < self.used_at.plus_seconds(IDLE_SECONDS)
    }

    fn is_empty(&self) -> bool {
        self.calls == 0 && self.free == Money::ZERO && !self.renewing
    }

    /// By how much the lease should grow (or shrink, below zero).
    fn change(&self, now: Timestamp) -> Money {
        let wanted = if self.is_wanted(now) { self.stock } else { Money::ZERO };
        let half_empty = self.free + self.free < wanted;
        if half_empty || self.free > wanted { wanted - self.free } else { Money::ZERO }
    }
}

impl Reservation {
    /// What is set aside.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// The call's row for [`open_calls`](crate::open_calls). From here on the reservation ends by
    /// [`settle`](Self::settle) only: if the node crashes, the call is settled at the amount held.
    pub fn open(&mut self, call: Call) -> OpenCall {
        self.state = State::Opened;
        let budgets = self.limits.iter().map(|limit| (limit.budget.clone(), limit.period.start(self.at))).collect();
        OpenCall { call, node: self.purse.node().clone(), at: self.at, held: self.amount, budgets }
    }

    /// Ends it with what the call cost. A cost above the amount held is recorded as it is: see [`Settled::overrun`].
    pub fn settle(mut self, charge: Charge) -> Settled {
        self.state = State::Settled;
        let cost = charge.total();
        let draws = self.purse.with_desk(&self.tenant, |desk| {
            let draw = |limit: &Arc<Limit>| desk.draw(limit, limit.period.start(self.at), self.amount, cost);
            self.limits.iter().map(draw).collect()
        });
        let (purse, tenant) = (self.purse.clone(), self.tenant.clone());
        Settled { purse, tenant, at: self.at, charge, draws, overrun: positive(cost - self.amount) }
    }
}

impl Desk {
    fn draw(&mut self, limit: &Arc<Limit>, start: Timestamp, held: Money, cost: Money) -> Draw {
        let limit = Arc::clone(limit);
        let Some(account) = self.account(&limit.budget, start) else {
            return Draw { limit, start, drawn: held, kept: Money::ZERO };
        };
        // Of what the call leaves over, the node keeps what its stock lacks; the rest goes back to the budget. What
        // the call costs beyond what it held comes out of the stock, as far as that goes.
        let kept = positive(held - cost).min(positive(account.stock - account.free - account.incoming));
        let extra = positive(cost - held).min(account.free);
        account.incoming = account.incoming + kept;
        account.free = account.free - extra;
        Draw { limit, start, drawn: held - kept + extra, kept }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.state != State::Held {
            return;
        }
        self.purse.with_desk(&self.tenant, |desk| {
            for limit in &self.limits {
                if let Some(account) = desk.account(&limit.budget, limit.period.start(self.at)) {
                    account.free = account.free + self.amount;
                    account.calls = account.calls.saturating_sub(1);
                }
            }
        });
    }
}

impl Settled {
    /// What the call cost.
    pub fn cost(&self) -> Money {
        self.charge.total()
    }

    /// What it is charged for.
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// What the call cost beyond what was held for it: its upstream used more than it was allowed to.
    pub fn overrun(&self) -> Money {
        self.overrun
    }

    pub(crate) fn node(&self) -> &NodeId {
        self.purse.node()
    }

    pub(crate) fn committed(self) {
        self.purse.with_desk(&self.tenant, |desk| {
            for Draw { limit, start, drawn: _, kept } in &self.draws {
                if let Some(account) = desk.account(&limit.budget, *start) {
                    account.free = account.free + *kept;
                    account.incoming = account.incoming - *kept;
                    account.calls = account.calls.saturating_sub(1);
                }
            }
        });
    }
}

fn positive(amount: Money) -> Money {
    if amount < Money::ZERO { Money::ZERO } else { amount }
}
