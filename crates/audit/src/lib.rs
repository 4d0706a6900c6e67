//! The ledger as its readers see it: entries, checkpoints, receipts.

mod archive;
#[cfg(test)]
mod attacks;
mod check;
mod checkpoint;
mod entries;
mod export;
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
pub use model::{EntryDetail, EntryView, Head, Order, Payload, Query, SignedHead};
pub use read::{ProofError, Read, ReadError, entries, entry, latest_checkpoint, proof};
pub use refusal::{PER_MINUTE, Refusal, Refusals, flush_refusals, refused, refused_anonymous};
pub use verify::verify;
