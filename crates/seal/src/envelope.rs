//! The envelope that records and wrapped keys share: header, commitment, ciphertext, tag.

use kernel::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::primitive;

const MAGIC: &[u8; 3] = b"TFV";
const FORMAT: u8 = 1;
/// AES-256-GCM under a subkey from HKDF-SHA256.
const ALGORITHM: u8 = 1;
const HEADER_LEN: usize = 101;
const TAG_LEN: usize = 16;

/// A sealed value that does not open: altered, moved, cut off, of another format, or under a key that is not at hand.
///
/// It does not say which: whoever may submit sealed values learns nothing from trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed value does not open")]
pub struct OpenError;

/// Why a value was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The ring holds no key at or above its floor.
    #[error("no key to seal with")]
    NoKey,
    /// The key has sealed as many values as it may.
    #[error("key version `{version}` has sealed as many values as it may: rotate it")]
    Exhausted {
        /// The version of the key.
        version: u32,
    },
    /// More than AES-GCM can encrypt at once (64 GiB).
    #[error("value is too large to seal")]
    TooLarge,
}

/// The version of the key that `sealed` was sealed with. Nothing is verified: opening does that.
pub fn key_version(sealed: &[u8]) -> Result<u32, OpenError> {
    Envelope::parse(sealed).map(|envelope| envelope.key_version)
}

/// A key and the name that its envelopes carry.
pub(crate) struct Sealer<'a> {
    pub(crate) key: &'a Secret<[u8; 32]>,
    pub(crate) key_version: u32,
    pub(crate) key_id: &'a [u8; 16],
}

impl Sealer<'_> {
    /// Seals `plaintext` for the place that `context` describes.
    pub(crate) fn seal(&self, context: &[u8], plaintext: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        let (mut salt, mut nonce) = ([0; 32], [0; 12]);
        entropy.fill(&mut salt);
        entropy.fill(&mut nonce);
        let subkey = Subkey::derive(self.key, &salt, context).ok_or(SealError::TooLarge)?;

        let mut sealed = Vec::with_capacity(HEADER_LEN + plaintext.len() + TAG_LEN);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&[FORMAT, ALGORITHM]);
        sealed.extend_from_slice(&self.key_version.to_be_bytes());
        sealed.extend_from_slice(self.key_id);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(subkey.commitment());
        let associated = [sealed.as_slice(), context].concat();
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(HEADER_LEN..).unwrap_or_default();
        let tag = primitive::encrypt(subkey.key(), &nonce, &associated, body).map_err(|_| SealError::TooLarge)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what this key sealed for the place that `context` describes.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let envelope = Envelope::parse(sealed)?;
        if envelope.key_version != self.key_version || envelope.key_id != self.key_id {
            return Err(OpenError);
        }
        let subkey = Subkey::derive(self.key, envelope.salt, context).ok_or(OpenError)?;
        if !primitive::equal(subkey.commitment(), envelope.commitment) {
            return Err(OpenError);
        }
        let associated = [envelope.header, context].concat();
        primitive::decrypt(subkey.key(), envelope.nonce, &associated, envelope.body).map_err(|_| OpenError)
    }
}

/// A sealed value, taken apart but not verified.
pub(crate) struct Envelope<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) key_version: u32,
    pub(crate) key_id: &'a [u8; 16],
    pub(crate) salt: &'a [u8; 32],
    pub(crate) nonce: &'a [u8; 12],
    pub(crate) commitment: &'a [u8; 32],
    /// Ciphertext and tag.
    pub(crate) body: (&'a [u8], &'a [u8; TAG_LEN]),
}

impl<'a> Envelope<'a> {
    /// Refuses every format and algorithm but the one above, before any cryptography.
    pub(crate) fn parse(sealed: &'a [u8]) -> Result<Self, OpenError> {
        let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or(OpenError)?;
        let rest = header.strip_prefix(MAGIC).ok_or(OpenError)?;
        let rest = rest.strip_prefix(&[FORMAT, ALGORITHM]).ok_or(OpenError)?;
        let (key_version, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let (key_id, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(OpenError)?;
        let commitment = rest.try_into().map_err(|_| OpenError)?;
        let body = body.split_last_chunk().ok_or(OpenError)?;
        Ok(Self { header, key_version: u32::from_be_bytes(*key_version), key_id, salt, nonce, commitment, body })
    }
}

/// What one record is sealed with: 32 bytes of AES key, 32 bytes of commitment to it.
pub(crate) struct Subkey {
    key: Zeroizing<[u8; 32]>,
    commitment: [u8; 32],
}

impl Subkey {
    /// `None` only if HKDF refused its length, and 64 bytes are far below its bound.
    pub(crate) fn derive(key: &Secret<[u8; 32]>, salt: &[u8; 32], context: &[u8]) -> Option<Self> {
        let mut derived = Zeroizing::new([0; 64]);
        primitive::hkdf_sha256(key.expose(), salt, context, derived.as_mut_slice()).ok()?;
        let (key, rest) = derived.split_first_chunk()?;
        Some(Self { key: Zeroizing::new(*key), commitment: *rest.first_chunk()? })
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(crate) const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }
}

/// Describes a place: its parts, each after its length, so that no two places are described alike.
pub(crate) fn describe(parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| 8 + part.len()).sum();
    let mut described = Vec::with_capacity(length);
    for part in parts {
        described.extend_from_slice(&(part.len() as u64).to_be_bytes());
        described.extend_from_slice(part);
    }
    described
}
