//! What the data plane writes, in the caller's transaction beside the call's ledger entries.

use std::collections::BTreeMap;

use ::store::{Database, ReadTx, Reason, StoreError, WriteTx};
use kernel::{BudgetId, CallId, Money, NodeId, TenantId, Timestamp};

use crate::model::{Call, Charge, Measure, OpenCall, Tokens};
use crate::purse::Settled;
use crate::store;
use crate::store::records::NewRecord;

/// A finished call, to be recorded.
#[derive(Debug)]
pub struct Usage {
    /// The call.
    pub call: Call,
    /// How it is known what it used.
    pub measure: Measure,
    /// What it cost.
    pub settled: Settled,
}

impl Usage {
    /// Says that the transaction of [`record`] has committed: what the call left over may be spent again. If nobody
    /// says so, it stays set aside until the node's recovery.
    pub fn committed(self) {
        self.settled.committed();
    }
}

/// Writes the rows of calls that begin: if the node crashes, they say what was held.
pub fn open_calls(tx: &mut WriteTx<'_>, calls: &[&OpenCall]) -> Result<(), StoreError> {
    store::records::open(tx, calls)
}

/// Records finished calls: their records, the sums of the reports, what their budgets have spent, and that they are
/// open no longer. After the commit, and only then, each is to be told so: [`Usage::committed`].
///
/// A call is recorded once: the second time is refused as [`StoreError::Conflict`]. One that was begun in the same
/// transaction must be opened before.
pub fn record(tx: &mut WriteTx<'_>, usages: &[&Usage]) -> Result<(), StoreError> {
    let Some(first) = usages.first() else {
        return Ok(());
    };
    if usages.iter().any(|usage| usage.settled.tenant != *tx.tenant()) {
        return Err(StoreError::OtherTenant);
    }
    let records: Vec<NewRecord<'_>> = usages.iter().map(|usage| new_record(usage)).collect();
    store::records::insert(tx, &records)?;
    let mut budgets: BTreeMap<(&BudgetId, Timestamp), (Money, Money)> = BTreeMap::new();
    for Usage { call: _, measure: _, settled } in usages {
        for draw in &settled.draws {
            let sums = budgets.entry((&draw.limit.budget, draw.start)).or_default();
            *sums = (sums.0 + settled.cost(), sums.1 + draw.drawn);
        }
    }
    let node = first.settled.node();
    budgets.into_iter().try_for_each(|(lease, change)| store::budgets::settle(tx, node, lease, change))
}

/// Whether the call has its record.
pub fn is_recorded(tx: &mut ReadTx<'_>, call: &CallId) -> Result<bool, StoreError> {
    store::records::is_recorded(tx, call)
}

fn new_record(usage: &Usage) -> NewRecord<'_> {
    let Usage { call, measure, settled } = usage;
    NewRecord { call, at: settled.at, charge: settled.charge.clone(), cost: settled.cost(), measure: *measure }
}

/// What a node that ended without settling left behind, by tenant: its open calls. Tenants of which it only had leases
/// are there too, with none. To be asked before the node serves, never while it does.
///
/// For each tenant, one share of writes puts it right: [`settle_abandoned`] for each call beside its entry, then
/// [`release_leases`]. The same ends a node for good.
pub fn abandoned(db: &Database, node: &NodeId) -> Result<Vec<(TenantId, Vec<OpenCall>)>, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "a node has open calls and leases in any tenant")]
    db.system(Reason::Recovery, |tx| {
        let mut left = Vec::new();
        for (tenant, _) in tx.tenants()? {
            let (calls, leases) = tx.within(&tenant, |tx| left_behind(tx, node))?;
            if leases || !calls.is_empty() {
                left.push((tenant, calls));
            }
        }
        Ok(left)
    })
}

fn left_behind(tx: &mut ReadTx<'_>, node: &NodeId) -> Result<(Vec<OpenCall>, bool), StoreError> {
    Ok((store::records::open_of(tx, node)?, store::budgets::has_lease(tx, node)?))
}

/// Settles a call that a crash left open at all that was held for it: it may have cost that much. Returns whether it
/// was still open; if not, nothing was done, and there is nothing to enter in the ledger.
pub fn settle_abandoned(tx: &mut WriteTx<'_>, open: &OpenCall) -> Result<bool, StoreError> {
    if !store::records::is_open(tx, &open.call.id)? {
        return Ok(false);
    }
    let OpenCall { call, node, at, held, budgets } = open;
    let nothing = Money::ZERO;
    let charge = Charge { tokens: Tokens::default(), input: nothing, cached: nothing, output: nothing };
    let record = NewRecord { call, at: *at, charge, cost: *held, measure: Measure::Held };
    store::records::insert(tx, &[record])?;
    for (budget, start) in budgets {
        store::budgets::settle(tx, node, (budget, *start), (*held, *held))?;
    }
    Ok(true)
}

/// Gives back all that the node has leased in the transaction's tenant. Its open calls must be settled before.
pub fn release_leases(tx: &mut WriteTx<'_>, node: &NodeId) -> Result<(), StoreError> {
    store::budgets::release(tx, node)
}
