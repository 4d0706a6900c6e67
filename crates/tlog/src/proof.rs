use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::VerifierKey;
use crate::text::decimal;
use crate::{Checkpoint, Hash, OpenError, VerifyError, leaf_hash, verify_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The hashes on the longest path of a tree whose size is a `u64`.
const MAX_HASHES: usize = 64;

/// A receipt (C2SP tlog-proof, a `.tlog-proof` file): that a leaf is in a log whose head was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Opaque data that travels along. Nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: u64,
    /// The inclusion proof, from the leaf upwards.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl Proof {
    /// The receipt as text.
    pub fn render(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "extra {}", STANDARD.encode(extra));
        }
        let _ = writeln!(text, "index {}", self.index);
        for hash in &self.hashes {
            let _ = writeln!(text, "{}", hash.to_base64());
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a receipt. Nothing in it is to be trusted before [`Proof::verify`].
    pub fn parse(text: &str) -> Result<Self, ProofParseError> {
        // The proof's own lines hold no empty one, so the first one ends them.
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofParseError::Checkpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ProofParseError::Header);
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(encoded) => Some(STANDARD.decode(encoded).map_err(|_| ProofParseError::Extra)?),
            None => None,
        };
        if extra.is_some() {
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(ProofParseError::Index)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_HASHES {
                return Err(ProofParseError::TooLong);
            }
            hashes.push(Hash::from_base64(line).map_err(|_| ProofParseError::Hash)?);
        }
        if checkpoint.is_empty() {
            return Err(ProofParseError::Checkpoint);
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies that `leaf` is in the log `origin`, whose head one of `keys` has signed, and returns that head.
    ///
    /// `keys` are those that may sign for `origin`: never pass the keys of other logs or of witnesses.
    pub fn verify(&self, leaf: &[u8], keys: &[VerifierKey], origin: &str) -> Result<Checkpoint, ReceiptError> {
        let head = Checkpoint::open(&self.checkpoint, keys, origin)?;
        verify_inclusion(&leaf_hash(leaf), self.index, head.size, &self.hashes, &head.root)?;
        Ok(head)
    }
}

/// Why a text is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofParseError {
    /// The first line is another one.
    #[error("the first line is not `{HEADER}`")]
    Header,
    /// The extra data is not in base64.
    #[error("the extra data is not base64")]
    Extra,
    /// There is no line with a plain decimal index where it must be.
    #[error("the index is missing or not a number")]
    Index,
    /// A line of the inclusion proof is not a hash in base64.
    #[error("a line of the inclusion proof is not a hash")]
    Hash,
    /// The inclusion proof is longer than that of any tree.
    #[error("the inclusion proof is longer than `{MAX_HASHES}` hashes")]
    TooLong,
    /// There is no checkpoint after an empty line.
    #[error("the checkpoint is missing")]
    Checkpoint,
}

/// Why a receipt does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The checkpoint is not one to trust.
    #[error("the receipt's checkpoint is not accepted")]
    Checkpoint(#[from] OpenError),
    /// The leaf is not in the log that the checkpoint is of.
    #[error("the leaf is not in the log")]
    Inclusion(#[from] VerifyError),
}
