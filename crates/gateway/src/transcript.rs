//! What an upstream answered: a digest of all of it, and its beginning.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use kernel::hex;

/// How much of an answer the ledger's payload keeps; the digest covers all of it.
const KEPT: usize = 1024 * 1024;

/// An answer as it passes by.
pub(crate) struct Transcript {
    digest: Context,
    kept: Vec<u8>,
    length: u64,
}

impl Transcript {
    pub(crate) fn new() -> Self {
        Self { digest: Context::new(&SHA256), kept: Vec::new(), length: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// SHA-256 of all bytes, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        hex(self.digest.clone().finish().as_ref())
    }

    /// The kept bytes as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.kept)
    }

    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.length == self.kept.len() as u64
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} bytes)", self.length)
    }
}
