//! Whether the ledger is well, for probes and counters.

use ::store::{Database, Job, Reason, StoreError};
use kernel::TenantId;

use crate::store;

/// Whether an entry could be appended now: changes the head of the system log to what it is, durably.
pub fn writable(db: &Database) -> Result<(), StoreError> {
    let share: Job<'_> = Box::new(|tx| store::touch_head(tx).map(|()| Vec::new()));
    db.write_shares(vec![(TenantId::system(), share)]).into_iter().try_for_each(|written| written.map(|_| ()))
}

/// How many entries all logs have together.
pub fn entry_count(db: &Database) -> Result<u64, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "the sum over all logs says nothing about any one tenant")]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
    let sizes = db.system(Reason::Checkpoints, |tx| tx.log_sizes())?;
    Ok(sizes.into_iter().map(|(_, size)| size).sum())
}
