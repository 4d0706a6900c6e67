//! The root key: it comes from outside and wraps every other key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use kernel::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::envelope::{Envelope, Sealer};
use crate::{OpenError, primitive};

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// The key that wraps data keys. It stands in the configuration (`ENCRYPTION_KEY`), never in the database.
#[derive(Debug)]
pub struct RootKey {
    key: Secret<[u8; 32]>,
    /// The id and eight zero bytes: what the envelopes of wrapped keys carry as their key's id.
    name: [u8; 16],
}

/// Why a text is refused as a root key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyError {
    /// Neither base64 nor hexadecimal.
    #[error(
        "not a root key: expected 32 random bytes as base64, base64url or 64 hexadecimal digits, not a passphrase; \
         make one with `openssl rand -base64 32`"
    )]
    NotAKey,
    /// Some other number of bytes.
    #[error("root key is {0} bytes long, expected 32; make one with `openssl rand -base64 32`")]
    WrongLength(usize),
    /// Too regular to be random.
    #[error("root key is not random; make one with `openssl rand -base64 32`")]
    Weak,
}

impl RootKey {
    /// Reads a root key: 32 bytes as base64, base64url (padded or not) or 64 hexadecimal digits, white space around
    /// it ignored. What was evidently not drawn at random is refused.
    pub fn parse(text: &Secret<String>) -> Result<Self, RootKeyError> {
        let text = text.expose().trim_ascii();
        let bytes = if text.len() == 64 { from_hex(text) } else { from_base64(text) }.ok_or(RootKeyError::NotAKey)?;
        let key: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| RootKeyError::WrongLength(bytes.len()))?;
        if is_weak(key) {
            return Err(RootKeyError::Weak);
        }
        Ok(Self::new(key))
    }

    /// A new root key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut_slice());
        Self::new(&key)
    }

    /// The key as base64url, to be written to a key file.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.key.expose()))
    }

    /// A public name of the key: the first 8 bytes of SHA-256 over `taskforce/kek`, a zero byte and the key.
    pub fn id(&self) -> [u8; 8] {
        self.name.first_chunk().copied().unwrap_or_default()
    }

    /// The [`id`](Self::id) of the root key that wrapped a data key, so that a wrong root key can be named as such.
    pub fn id_of_wrapped(wrapped: &[u8]) -> Result<[u8; 8], OpenError> {
        Envelope::parse(wrapped)?.key_id.first_chunk().copied().ok_or(OpenError)
    }

    /// A key of 32 bytes for one purpose besides sealing, the same on every node and at every start. Nothing can be
    /// concluded from one to another, or to the root key. `None` only if HKDF refused its length, which is constant.
    pub fn derive(&self, purpose: &str) -> Option<Secret<Vec<u8>>> {
        let mut derived = Zeroizing::new(vec![0; 32]);
        let info = [b"taskforce/derived\0", purpose.as_bytes()].concat();
        primitive::hkdf_sha256(self.key.expose(), &[], &info, &mut derived).ok()?;
        Some(Secret::new(std::mem::take(&mut *derived)))
    }

    pub(crate) const fn sealer(&self) -> Sealer<'_> {
        Sealer { key: &self.key, key_version: 0, key_id: &self.name }
    }

    fn new(key: &[u8; 32]) -> Self {
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(primitive::sha256(&[b"taskforce/kek\0", key])).take(8) {
            *to = from;
        }
        Self { key: Secret::new(*key), name }
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(32));
    for pair in text.as_bytes().chunks(2) {
        let digits = std::str::from_utf8(pair).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(bytes)
}

/// A word or sentence in lower case can pass for base64. Of random keys, fewer than one in two thousand million has no
/// capital letter, or no small one.
fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mixed =
        text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().any(|byte| byte.is_ascii_lowercase());
    let engine = if text.contains(['-', '_']) { &BASE64_URL } else { &BASE64 };
    let bytes = Zeroizing::new(engine.decode(text).ok()?);
    (mixed || bytes.len() != 32).then_some(bytes).filter(|bytes| !bytes.is_empty())
}

/// Whether no source of randomness gave these bytes. Each test refuses fewer than one random key in 10¹³.
fn is_weak(key: &[u8; 32]) -> bool {
    let few_values = key.iter().collect::<BTreeSet<_>>().len() <= 16;
    let text = key.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'));
    let steps: BTreeSet<u8> =
        key.windows(2).filter_map(|pair| Some(pair.last()?.wrapping_sub(*pair.first()?))).collect();
    few_values || text || steps.len() == 1
}
