//! Exporting a log as a package.

use ::store::{Database, ReadTx, StoreError};
use authz::{Action, Caller, Forbidden, Grant, Permission};
use kernel::{Moment, Timestamp};
use tlog::tile;

use crate::archive::{TooLarge, Writer};
use crate::checkpoint::{CheckpointError, Signer, checkpoint};
use crate::entries::package_exported;
use crate::leaf::{Leaf, from_hex, to_hex};
use crate::model::{Head, SignedHead};
use crate::named::Named;
use crate::package::{self, Open};
use crate::read::record;
use crate::summary::Summary;
use crate::{objects, payloads, store};

/// How many entries are read at once.
const CHUNK: u64 = 4_096;

/// Exports the whole log of a tenant.
#[derive(Debug)]
pub struct Export;

impl Action for Export {
    const NAME: &'static str = "audit.package.export";
    const PERMISSION: Option<Permission> = Some(Permission::AuditExport);
}

/// A package, ready to be handed over.
#[derive(Clone, Debug)]
pub struct Package {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Which log it holds.
    pub origin: String,
    /// Up to where.
    pub head: Head,
    /// The SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log's head is not signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log is longer than a package can be.
    #[error("the log is too long for one package: 4 GiB, about eight million entries, is the most")]
    TooLarge,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

impl From<TooLarge> for ExportError {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Exports the caller's log. That it was exported is the last thing that the package is sure to hold: the entry is
/// durable before the head is signed, so that nothing can come between.
pub fn export(db: &Database, caller: &Caller, signer: &Signer, at: &Moment<'_>) -> Result<Package, ExportError> {
    let grant = caller.authorize::<Export>()?;
    record(db, &grant, package_exported(grant.tenant()))?;
    let signed = checkpoint(db, signer, grant.tenant(), at)?;
    package(db, &grant, signer, &signed, at.now())
}

/// The package of the log up to a signed head. The same head and time give the same bytes, whatever came after.
fn package(
    db: &Database,
    grant: &Grant<Export>,
    signer: &Signer,
    signed: &SignedHead,
    at: Timestamp,
) -> Result<Package, ExportError> {
    let origin = store::origin(db, grant.tenant());
    let head = signed.head;
    let (writer, summary) = db.read(grant, |tx| {
        let mut writer = Writer::default();
        proofs(tx, &mut writer, signed, signer)?;
        let mut log = Log::default();
        writer.fill(package::ENTRIES, |bytes| log.entries(tx, bytes, head.size))?;
        writer.fill(package::PAYLOADS, |bytes| log.payloads(tx, bytes, head.size))?;
        definitions(tx, &mut writer, &log.named)?;
        approvals(tx, &mut writer, &log.named)?;
        Ok::<_, ExportError>((writer, log.summary))
    })?;
    let bytes = Open { writer, signer, origin: &origin, head, summary }.close(at)?;
    let sha256 = to_hex(tlog::sha256(&bytes).as_bytes());
    Ok(Package { bytes, origin, head, sha256 })
}

/// Checkpoints, key and tiles: as they are stored, not made anew, so that a difference to the entries shows.
fn proofs(tx: &mut ReadTx<'_>, writer: &mut Writer, signed: &SignedHead, signer: &Signer) -> Result<(), ExportError> {
    let SignedHead { head: Head { size, root: _ }, note } = signed;
    writer.add(package::CHECKPOINT, note.as_bytes())?;
    for SignedHead { head, note } in store::signed_before(tx, *size, package::MAX_CHECKPOINTS)?.iter().rev() {
        writer.add(&format!("{}{}", package::CHECKPOINTS, head.size), note.as_bytes())?;
    }
    writer.add(package::VKEY, format!("{}\n", signer.verifier_key()).as_bytes())?;
    for coord in tile::tiles(*size) {
        writer.add(&coord.path(), &store::tile(tx, coord)?)?;
    }
    Ok(())
}

/// What was learned from the entries.
#[derive(Default)]
struct Log {
    named: Named,
    summary: Summary,
    /// The entries that have a payload.
    committed: Vec<u64>,
}

impl Log {
    fn entries(&mut self, tx: &mut ReadTx<'_>, bytes: &mut Vec<u8>, size: u64) -> Result<(), ExportError> {
        for (from, until) in chunks(size) {
            for leaf in store::leaves(tx, from, until)? {
                bytes.extend_from_slice(&leaf);
                bytes.push(b'\n');
                // A leaf that cannot be read was altered. It is exported as it stands, for the auditor to see.
                let Ok(leaf) = Leaf::parse(&leaf) else { continue };
                self.named.note(&leaf);
                self.summary.count(&leaf);
                self.committed.extend(leaf.payload_commit.map(|_| leaf.seq));
            }
        }
        Ok(())
    }

    fn payloads(&self, tx: &mut ReadTx<'_>, bytes: &mut Vec<u8>, size: u64) -> Result<(), ExportError> {
        let mut committed = self.committed.iter().copied().peekable();
        for (from, until) in chunks(size) {
            for (seq, payload) in store::payloads(tx, from, until)? {
                while let Some(gone) = committed.next_if(|committed| *committed < seq) {
                    push(bytes, &payloads::line(gone, None));
                }
                committed.next_if_eq(&seq);
                push(bytes, &payloads::line(seq, payload.as_ref()));
            }
        }
        committed.for_each(|gone| push(bytes, &payloads::line(gone, None)));
        Ok(())
    }
}

fn push(bytes: &mut Vec<u8>, line: &str) {
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
}

fn chunks(size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..size.div_ceil(CHUNK)).map(move |chunk| (chunk * CHUNK, size.min((chunk + 1) * CHUNK)))
}

/// The definitions that entries of the package name. A draft that was changed since is gone; what was submitted for
/// approval never changes.
fn definitions(tx: &mut ReadTx<'_>, writer: &mut Writer, named: &Named) -> Result<(), ExportError> {
    let mut definitions = store::definitions(tx)?;
    definitions.dedup_by(|next, kept| next.0 == kept.0);
    for (digest, definition) in definitions {
        if from_hex(&digest).is_some_and(|digest| named.versions.contains(&digest)) {
            writer.add(&objects::version_name(&digest), definition.as_bytes())?;
        }
    }
    Ok(())
}

/// The requests for approval that entries of the package name, with the decisions that are in it.
fn approvals(tx: &mut ReadTx<'_>, writer: &mut Writer, named: &Named) -> Result<(), ExportError> {
    let mut ids: Vec<_> = named.approvals.iter().collect();
    ids.sort_unstable_by_key(|(id, _)| *id);
    for (id, decided) in ids {
        let Some(mut approval) = store::approval(tx, id)? else { continue };
        approval.decisions.retain(|decision| decided.actors.contains(&decision.user));
        let content = serde_json::to_vec_pretty(&approval).unwrap_or_default();
        writer.add(&objects::approval_name(id), &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::Role;

    #[test]
    fn the_same_head_and_time_give_the_same_bytes_whatever_came_after() {
        testkit::on_both_engines(|t| {
            let (adam, signer, at) = (t.user("acme-corp", "adam", [Role::Auditor]), Signer::of_tests(1), t.moment());
            for seq in 0..300 {
                record(&t.db, &adam.authorize::<Export>().unwrap(), crate::entries::entry_read(seq)).unwrap();
            }
            let signed = checkpoint(&t.db, &signer, adam.tenant(), &at).unwrap();
            let again = || {
                let grant = adam.authorize::<Export>().unwrap();
                package(&t.db, &grant, &signer, &signed, at.now()).unwrap()
            };
            let first = again();
            for _ in 0..300 {
                record(&t.db, &adam.authorize::<Export>().unwrap(), package_exported(adam.tenant())).unwrap();
            }
            checkpoint(&t.db, &signer, adam.tenant(), &at).unwrap();
            assert_eq!(again().sha256, first.sha256);
        });
    }
}
