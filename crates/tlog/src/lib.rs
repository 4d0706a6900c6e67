//! A transparency log as pure functions: the RFC 6962 tree, C2SP tiles, checkpoints, signed notes and receipts.
//!
//! A log is a list of leaves (any bytes) that only grows. Its root hash, signed as a [`Checkpoint`], commits to every
//! leaf and to their order. Whoever holds a checkpoint can check with a handful of hashes that a leaf is in the log
//! ([`verify_inclusion`]) and that a later log still begins with the earlier one ([`verify_consistency`]).
//!
//! | step | here |
//! |---|---|
//! | append a leaf in O(1) memory per level | [`Frontier`] |
//! | publish the tree as static files | [`tile`] |
//! | prove, reading O(log n) nodes | [`Hashes`], [`Tiles`], [`inclusion_proof`], [`consistency_proof`], [`root_of`] |
//! | verify | [`verify_inclusion`], [`verify_consistency`], and [`subtree`] for ranges |
//! | sign and open a tree head | [`note`], [`Checkpoint`] |
//! | hand over a receipt that verifies offline | [`Proof`] |
//!
//! Invariants:
//! - No input or output, no clock, no randomness, no async: the caller brings bytes and gets bytes.
//! - Leaves and nodes are hashed under different prefixes, so no leaf can pose as a node.
//! - Parsers accept exactly one spelling of each value and never panic: what was parsed renders to the same bytes.
//! - Trust comes from the caller: keys and origin are arguments and never read from what is being verified.
//!
//! ```
//! use tlog::{Checkpoint, Frontier, Proof, Tiles, inclusion_proof, leaf_hash, note};
//!
//! // The log: three entries, a frontier to append to, and the hashes of the only (partial) tile.
//! let entries = ["one", "two", "three"];
//! let mut frontier = Frontier::empty();
//! let mut tile = Vec::new();
//! for entry in entries {
//!     let leaf = leaf_hash(entry.as_bytes());
//!     frontier.append(leaf);
//!     tile.extend_from_slice(leaf.as_bytes());
//! }
//!
//! // The log signs its head …
//! let signer = note::Signer::from_seed("log.example", [7; 32])?;
//! let head = Checkpoint { origin: "log.example/t/1".into(), size: frontier.size(), root: frontier.root() };
//! let signed = signer.sign(&head.to_text());
//!
//! // … and gives out a receipt for the second entry,
//! let mut tiles = Tiles::new(head.size, |_coord: tlog::tile::Coord| Ok::<_, std::convert::Infallible>(&tile));
//! let hashes = inclusion_proof(&mut tiles, 1, head.size)?;
//! let receipt = Proof { extra: None, index: 1, hashes, checkpoint: signed }.render();
//!
//! // which anyone who knows the log's key and origin can verify, without the log.
//! let key: note::VerifierKey = signer.verifier().to_string().parse()?;
//! let verified = Proof::parse(&receipt)?.verify(b"two", &[key.clone()], "log.example/t/1")?;
//! assert_eq!(verified, head);
//! assert!(Proof::parse(&receipt)?.verify(b"2", &[key], "log.example/t/1").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod frontier;
mod hash;
pub mod note;
mod proof;
mod prove;
pub mod subtree;
mod text;
pub mod tile;
mod tiles;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, OpenError};
pub use frontier::{Frontier, FrontierError};
pub use hash::{Hash, HashError, leaf_hash, node_hash, sha256};
pub use proof::{Proof, ProofParseError, ReceiptError};
pub use prove::{Hashes, ProofError, consistency_proof, inclusion_proof, root_of};
pub use tiles::{Tiles, TilesError};
pub use verify::{VerifyError, verify_consistency, verify_inclusion};
