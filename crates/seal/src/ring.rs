//! The versions of one owner's key.

use std::collections::BTreeMap;

use kernel::Entropy;

use crate::envelope::Envelope;
use crate::{Context, DataKey, OpenError, SealError};

/// The versions of one owner's key: the newest seals, each opens what it sealed, and none below the floor does anything.
#[derive(Debug)]
pub struct KeyRing {
    floor: u32,
    /// By version, then id: two nodes may have made the same version at once.
    keys: BTreeMap<(u32, [u8; 16]), DataKey>,
}

impl KeyRing {
    /// An empty ring that takes keys from version `floor` on.
    pub const fn new(floor: u32) -> Self {
        Self { floor, keys: BTreeMap::new() }
    }

    /// Adds a key. One below the floor is dropped, and so is one that the ring already holds: its count of seals goes on.
    pub fn insert(&mut self, key: DataKey) {
        if key.version() >= self.floor {
            self.keys.entry((key.version(), key.id())).or_insert(key);
        }
    }

    /// The key that seals: the newest.
    pub fn primary(&self) -> Option<&DataKey> {
        self.keys.last_key_value().map(|(_, key)| key)
    }

    /// The version below which nothing opens.
    pub const fn floor(&self) -> u32 {
        self.floor
    }

    /// Seals `plaintext` for the place `context` with the newest key.
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        self.primary().ok_or(SealError::NoKey)?.seal(context, plaintext, entropy)
    }

    /// Opens what one of the keys sealed for the place `context`.
    pub fn open(&self, context: &Context<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let envelope = Envelope::parse(sealed)?;
        let key = self.keys.get(&(envelope.key_version, *envelope.key_id)).ok_or(OpenError)?;
        key.open(context, sealed)
    }
}
