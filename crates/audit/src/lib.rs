//! The ledger as its readers see it: entries, signed heads, receipts, and packages that verify offline.
//!
//! **Invariant:** what is read of the ledger is recorded in it before it is handed out.
//!
//! **Invariant:** a [`Signer`] signs a head only if the log begins with every log of that name it has signed: a
//! database that was set back or altered is refused.
//!
//! **Invariant:** [`verify()`] trusts the auditor's key and nothing else. It needs no server, no database and no network,
//! and every altered, dropped, inserted or reordered entry is found and named. What the holder of the signing key could
//! hide (a log begun anew) is found with a checkpoint that the auditor kept.
//!
//! ```
//! use std::io::Cursor;
//!
//! use audit::Signer;
//! use audit::verify::Options;
//!
//! # let t = testkit::Tester::sqlite();
//! # let (db, at) = (&t.db, &t.moment());
//! # let adam = t.user("acme-corp", "adam", [authz::Role::Auditor]);
//! # let key_file = Signer::generate(at.entropy());
//! let signer = Signer::parse(db.instance(), &key_file)?;
//! audit::integrate(db, &signer, at)?;
//! let package = audit::export(db, &adam, &signer, at)?;
//!
//! // Elsewhere, with the key that the auditor was given.
//! let vkey = signer.verifier_key().to_string().parse()?;
//! let report = audit::verify(Cursor::new(&package.bytes), &[vkey], &Options::default())?;
//! assert!(report.ok());
//!
//! let vkey = signer.verifier_key().to_string().parse()?;
//! let mut altered = package.bytes.clone();
//! let entry = altered.windows(9).position(|window| window == b"\"usr_adam").ok_or("an entry")?;
//! altered[entry + 1] = b'a';
//! let report = audit::verify(Cursor::new(&altered), &[vkey], &Options::default())?;
//! assert_eq!(report.first_bad(), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
#[cfg(test)]
mod attacks;
mod check;
mod checkpoint;
mod entries;
mod export;
mod health;
mod leaf;
mod model;
mod named;
mod objects;
mod package;
mod payloads;
mod read;
mod refusal;
mod store;
mod summary;
#[cfg(any(test, feature = "synthetic"))]
pub mod synthetic;
pub mod verify;

pub use check::check;
pub use checkpoint::{CheckpointError, HeadError, Integrated, Signer, SigningKeyError, checkpoint, integrate};
pub use entries::ACTIONS;
pub use export::{Export, ExportError, Package, export};
pub use health::{entry_count, writable};
pub use model::{EntryDetail, EntryView, Head, Order, Payload, Query, Refusal, SignedHead};
pub use read::{ProofError, Read, ReadError, entries, entry, latest_checkpoint, proof};
pub use refusal::{PER_MINUTE, Refusals, finish_refusals, flush_refusals, refused, refused_anonymous};
pub use verify::verify;
