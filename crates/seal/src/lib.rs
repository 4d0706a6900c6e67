//! Envelope encryption: a root key wraps data keys, a data key seals records, and nothing opens anywhere but where it
//! was sealed.
//!
//! A sealed record is
//!
//! ```text
//! "TFV" | format 1 | algorithm 1 | key version u32 | key id 16 | salt 32 | nonce 12 | commitment 32 | ciphertext | tag 16
//! ```
//!
//! Each record has a subkey of its own: HKDF-SHA256 over the data key with the record's salt gives the AES-256-GCM key
//! and the commitment. The [`Context`] — tenant, table, column, record, version — goes into the derivation, and
//! together with the whole header into the associated data. Numbers are big-endian.
//!
//! **Invariants.** Nothing here performs I/O, reads the clock or draws randomness of its own. There is no way to get
//! plaintext from a value that was altered or moved, and one [`OpenError`] for every reason why. Key bytes never reach
//! `Debug`, an error or a log, and are wiped when dropped. A [`DataKey`] refuses to seal past its [`SealLimit`]: the
//! remedy is a newer key in the [`KeyRing`], which still opens what older keys sealed, down to its floor.
//!
//! ```
//! use kernel::{OsEntropy, TenantId};
//! use seal::{Context, DataKey, KeyRing, RootKey};
//!
//! let root = RootKey::generate(&OsEntropy);
//! let wrapped = DataKey::generate(1, &OsEntropy).wrap(&root, "acme-corp", &OsEntropy)?;
//!
//! let mut ring = KeyRing::new(1);
//! ring.insert(DataKey::unwrap(&wrapped, &root, "acme-corp")?);
//!
//! let tenant: TenantId = "acme-corp".parse()?;
//! let here = Context { tenant: &tenant, table: "payloads", column: "body", record: "req_1", version: 1 };
//! let sealed = ring.seal(&here, b"Hello", &OsEntropy)?;
//! assert_eq!(ring.open(&here, &sealed)?, b"Hello");
//!
//! let elsewhere = Context { record: "req_2", ..here };
//! assert!(ring.open(&elsewhere, &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod collision;
mod data;
mod envelope;
mod primitive;
mod ring;
mod root;
#[cfg(test)]
mod wycheproof;

pub use data::{Context, DataKey, SealLimit};
pub use envelope::{OpenError, SealError, key_version};
pub use primitive::{hmac_sha256, verify_hmac_sha256};
pub use ring::KeyRing;
pub use root::{RootKey, RootKeyError};
