//! The ledger as its readers see it: entries, checkpoints, receipts.

mod checkpoint;
mod entries;
mod model;
mod read;
mod refusal;
mod store;

pub use checkpoint::{CheckpointError, HeadError, Integrated, Signer, SigningKeyError, checkpoint, integrate};
pub use entries::ACTIONS;
pub use model::{EntryDetail, EntryView, Head, Order, Payload, Query, SignedHead};
pub use read::{ProofError, Read, ReadError, entries, entry, latest_checkpoint, proof};
pub use refusal::{PER_MINUTE, Refusal, Refusals, flush_refusals, refused, refused_anonymous};
