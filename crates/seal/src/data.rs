//! Data keys: one version of a tenant's key, or of a data subject's.

use std::sync::atomic::{AtomicU64, Ordering};

use kernel::{Entropy, Secret, TenantId};
use zeroize::Zeroizing;

use crate::envelope::{self, Sealer};
use crate::{OpenError, RootKey, SealError};

/// Where a sealed value lives. It opens there and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The table that holds it.
    pub table: &'a str,
    /// The column that holds it.
    pub column: &'a str,
    /// The record that holds it.
    pub record: &'a str,
    /// The version of that record: an older value does not open in a newer record's place.
    pub version: u64,
}

impl Context<'_> {
    fn describe(&self) -> Vec<u8> {
        let Self { tenant, table, column, record, version } = *self;
        envelope::describe(&[
            b"taskforce/record",
            tenant.as_str().as_bytes(),
            table.as_bytes(),
            column.as_bytes(),
            record.as_bytes(),
            &version.to_be_bytes(),
        ])
    }
}

/// How many values one key may seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealLimit {
    /// From here on the key is due for rotation.
    pub warn: u64,
    /// Past this the key seals nothing more.
    pub refuse: u64,
}

impl Default for SealLimit {
    /// 2³⁰ and 2³¹, half of what NIST SP 800-38D allows under random nonces.
    fn default() -> Self {
        Self { warn: 1 << 30, refuse: 1 << 31 }
    }
}

/// A key that seals records: 32 random bytes with an id and a version.
///
/// There is no second copy of it, which would count its seals apart:
///
/// ```compile_fail,E0599
/// let key = seal::DataKey::generate(1, &kernel::OsEntropy);
/// let copy = key.clone();
/// ```
#[derive(Debug)]
pub struct DataKey {
    id: [u8; 16],
    version: u32,
    key: Secret<[u8; 32]>,
    seals: AtomicU64,
    limit: SealLimit,
}

impl DataKey {
    /// A new key, the owner's `version`-th.
    pub fn generate(version: u32, entropy: &dyn Entropy) -> Self {
        let (mut id, mut key) = ([0; 16], Zeroizing::new([0; 32]));
        entropy.fill(&mut id);
        entropy.fill(key.as_mut_slice());
        Self::new(id, version, &key)
    }

    /// The same key under another limit.
    #[must_use]
    pub fn with_limit(self, limit: SealLimit) -> Self {
        Self { limit, ..self }
    }

    /// The key's public name.
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Which of its owner's keys it is.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// How many values it has sealed since it was made or unwrapped.
    pub fn seals(&self) -> u64 {
        self.seals.load(Ordering::Relaxed)
    }

    /// Whether it has sealed so many values that a newer key should take over.
    pub fn is_rotation_due(&self) -> bool {
        self.seals() >= self.limit.warn
    }

    /// The key, sealed under `root` for `owner`: safe to store.
    pub fn wrap(&self, root: &RootKey, owner: &str, entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(52));
        plaintext.extend_from_slice(&self.version.to_be_bytes());
        plaintext.extend_from_slice(&self.id);
        plaintext.extend_from_slice(self.key.expose());
        root.sealer().seal(&wrapping(owner), &plaintext, entropy)
    }

    /// The key that was wrapped under `root` for `owner`.
    pub fn unwrap(bytes: &[u8], root: &RootKey, owner: &str) -> Result<Self, OpenError> {
        let plaintext = Zeroizing::new(root.sealer().open(&wrapping(owner), bytes)?);
        let (version, rest) = plaintext.split_first_chunk().ok_or(OpenError)?;
        let (id, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let key = rest.try_into().map_err(|_| OpenError)?;
        Ok(Self::new(*id, u32::from_be_bytes(*version), key))
    }

    /// Seals `plaintext` for the place `context`, unless the key has reached its [`SealLimit`].
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        self.count()?;
        self.sealer().seal(&context.describe(), plaintext, entropy)
    }

    /// Opens what this key sealed for the place `context`.
    pub fn open(&self, context: &Context<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.sealer().open(&context.describe(), sealed)
    }

    /// Counts one more seal, before it is made.
    fn count(&self) -> Result<(), SealError> {
        let next = |seals: u64| (seals < self.limit.refuse).then_some(seals + 1);
        match self.seals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(SealError::Exhausted { version: self.version }),
        }
    }

    const fn sealer(&self) -> Sealer<'_> {
        Sealer { key: &self.key, key_version: self.version, key_id: &self.id }
    }

    fn new(id: [u8; 16], version: u32, key: &[u8; 32]) -> Self {
        Self { id, version, key: Secret::new(*key), seals: AtomicU64::new(0), limit: SealLimit::default() }
    }
}

/// Describes the place of a wrapped key; the first part keeps it apart from every record.
fn wrapping(owner: &str) -> Vec<u8> {
    envelope::describe(&[b"taskforce/wrapped-key", owner.as_bytes()])
}
