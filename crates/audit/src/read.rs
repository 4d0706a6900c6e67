//! Reading the ledger. Each reading is recorded before its result is handed out.

use ::store::{Attributed, Database, Entry, StoreError};
use authz::{Action, Caller, Forbidden, Grant, Permission};
use kernel::Page;
use tlog::{Proof, Tiles, inclusion_proof};

use crate::entries::{entries_read, entry_read, receipt_issued};
use crate::model::{EntryDetail, EntryView, Query, SignedHead};
use crate::store;

/// Reads entries.
#[derive(Debug)]
pub struct Read;

impl Action for Read {
    const NAME: &'static str = "audit.entries.read";
    const PERMISSION: Option<Permission> = Some(Permission::AuditRead);
}

/// Why entries cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log has no such entry.
    #[error("the log has no entry `{0}`")]
    NotFound(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Lists entries. `request().recorded()` of the caller then names the entry that this reading left.
// Not one transaction with its entry: a listing may scan far, and nobody else could write meanwhile.
pub fn entries(db: &Database, caller: &Caller, query: &Query) -> Result<Page<EntryView>, ReadError> {
    let grant = caller.authorize::<Read>()?;
    let rows = db.read(&grant, |tx| store::entries(tx, query))?;
    record(db, &grant, entries_read(grant.tenant(), query))?;
    Ok(Page::of(rows, query.size, |last| last.seq.to_string()))
}

/// Reads one entry and opens its payload.
pub fn entry(db: &Database, caller: &Caller, seq: u64) -> Result<EntryDetail, ReadError> {
    let grant = caller.authorize::<Read>()?;
    let found = db.read(&grant, |tx| {
        let Some(view) = store::entry(tx, seq)? else {
            return Ok::<_, StoreError>(None);
        };
        Ok(Some(EntryDetail { view, payload: store::payload(tx, seq)? }))
    })?;
    let detail = found.ok_or(ReadError::NotFound(seq))?;
    record(db, &grant, entry_read(seq))?;
    Ok(detail)
}

/// The head of the caller's log that was signed last; `None` before the first signature.
pub fn latest_checkpoint(db: &Database, caller: &Caller) -> Result<Option<SignedHead>, ReadError> {
    let grant = caller.authorize::<Read>()?;
    Ok(db.read(&grant, store::last_signed)?)
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log has no such entry.
    #[error("the log has no entry `{0}`")]
    NotFound(u64),
    /// The entry is so new that no signed checkpoint covers it: one is signed each second.
    #[error("no checkpoint covers entry `{0}` yet: try again in a second")]
    NotYetSigned(u64),
    /// What is stored of the tree does not fit together.
    #[error("the tree that is stored has no proof for entry `{0}`: run `taskforce doctor`")]
    Broken(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// A receipt for one entry (C2SP tlog-proof), which verifies offline against the newest signed checkpoint.
pub fn proof(db: &Database, caller: &Caller, seq: u64) -> Result<String, ProofError> {
    let grant = caller.authorize::<Read>()?;
    let receipt = db.read(&grant, |tx| {
        if store::entry(tx, seq)?.is_none() {
            return Err(ProofError::NotFound(seq));
        }
        let signed = store::last_signed(tx)?.filter(|signed| seq < signed.head.size);
        let SignedHead { head, note } = signed.ok_or(ProofError::NotYetSigned(seq))?;
        let mut tiles = Tiles::new(head.size, |coord| store::tile(tx, coord));
        let hashes = store::proved(inclusion_proof(&mut tiles, seq, head.size))?.ok_or(ProofError::Broken(seq))?;
        Ok(Proof { extra: None, index: seq, hashes, checkpoint: note })
    })?;
    record(db, &grant, receipt_issued(seq))?;
    Ok(receipt.render())
}

/// Appends the entry of something that changed nothing but the log, and returns when it is durable.
pub(crate) fn record<A>(db: &Database, grant: &Grant<A>, entry: Entry) -> Result<(), StoreError> {
    let caller = grant.caller();
    let attributed = Attributed::new(grant, entry);
    let share: ::store::Job<'_> = Box::new(move |_tx| Ok(vec![attributed]));
    for places in db.write_shares(vec![(caller.tenant().clone(), share)]) {
        for place in places? {
            caller.request().record(place.seq);
        }
    }
    Ok(())
}
