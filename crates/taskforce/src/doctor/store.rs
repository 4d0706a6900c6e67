//! How far each ledger has come.

use kernel::{TenantId, Timestamp};
use store::{Database, ReadTx, Reason, StoreError, sql, values};

/// A tenant's ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) tenant: TenantId,
    /// How many entries it has.
    pub(super) size: u64,
    /// When the last one was written.
    pub(super) last_at: Option<Timestamp>,
    /// How many of them the newest checkpoint covers.
    pub(super) signed: u64,
}

impl Ledger {
    /// Whether entries were left unsigned for longer than `seconds`.
    pub(super) fn is_late(&self, now: Timestamp, seconds: u64) -> bool {
        self.signed < self.size && self.last_at.is_some_and(|last| last.seconds_until(now) > seconds)
    }
}

/// Every tenant's ledger.
pub(super) fn ledgers(db: &Database) -> Result<Vec<Ledger>, StoreError> {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the doctor looks after every tenant")]
    db.system(Reason::Checkpoints, |tx| {
        let tenants = tx.tenants()?;
        let ledgers = tenants.into_iter().map(|(tenant, _)| tx.within(&tenant, ledger));
        Ok(ledgers.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
    })
}

fn ledger(tx: &mut ReadTx<'_>) -> Result<Option<Ledger>, StoreError> {
    let tenant = tx.tenant().clone();
    let signed = tx.optional(
        sql!("SELECT size FROM ledger_checkpoints WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1"),
        values![],
        store::Row::get::<u64>,
    )?;
    let signed = signed.unwrap_or(0);
    tx.optional(sql!("SELECT size, last_at FROM ledger_heads WHERE tenant_id = $1"), values![], |row| {
        Ok(Ledger { tenant: tenant.clone(), size: row.get()?, last_at: row.get()?, signed })
    })
}
