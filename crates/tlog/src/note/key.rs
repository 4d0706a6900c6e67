use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sha256;

/// The signature type of Ed25519 in key ids and verifier keys.
const ED25519_TYPE: u8 = 0x01;

/// A private Ed25519 key with its name. It cannot be printed, cloned or taken apart.
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl Signer {
    /// The key with this 32-byte seed (the private key of RFC 8032).
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Key)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Key)?;
        let verifier = VerifierKey::new(name, public)?;
        Ok(Self { pair, verifier })
    }

    /// The note with `text` and this key's signature. A text without a final newline gets one.
    ///
    /// A text with other control characters than newlines makes a note that does not open.
    pub fn sign(&self, text: &str) -> String {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = format!("{text}\n");
        let line = self.signature_line(&text);
        format!("{text}\n{line}")
    }

    /// The line, with its newline, that adds this key's signature to a note with this very `text`.
    pub fn signature_line(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("— {} {}\n", self.verifier.name, STANDARD.encode(signature))
    }

    /// The public key.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier.to_string()).finish_non_exhaustive()
    }
}

/// A public Ed25519 key with its name, written as `<name>+<id>+<key>` (a *vkey*).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// The key with this name and 32-byte public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let named = [name.as_bytes(), &[b'\n', ED25519_TYPE], &public].concat();
        let [a, b, c, d, ..] = *sha256(&named).as_bytes();
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], public })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id, which with its name tells which signatures are its.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Whether `signature` (64 bytes, without the key id) is this key's over `text`.
    pub fn verify(&self, text: impl AsRef<[u8]>, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_ref(), signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.public);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        // The name holds no plus, so the first two are the separators; base64 may hold more.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Parts);
        };
        let typed = STANDARD.decode(encoded).map_err(|_| KeyError::Key)?;
        let (algorithm, public) = typed.split_first().ok_or(KeyError::Key)?;
        if *algorithm != ED25519_TYPE {
            return Err(KeyError::Algorithm(*algorithm));
        }
        let key = Self::new(name, public.try_into().map_err(|_| KeyError::Key)?)?;
        if id != format!("{:08x}", u32::from_be_bytes(key.id)) {
            return Err(KeyError::Id(id.to_owned()));
        }
        Ok(key)
    }
}

/// Why a key is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The verifier key is not of the form `<name>+<id>+<key>`.
    #[error("a verifier key is `<name>+<id>+<key>`")]
    Parts,
    /// The name is empty or holds spaces, plus signs or control characters.
    #[error("`{0}` cannot name a key")]
    Name(String),
    /// The id is not that of the name and the key.
    #[error("`{0}` is not the id of this key")]
    Id(String),
    /// The key is of another algorithm than Ed25519.
    #[error("keys of type `{0:#04x}` are not supported")]
    Algorithm(u8),
    /// The key is not 32 bytes in base64.
    #[error("not an Ed25519 key")]
    Key,
}

/// Whether a key may have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|character| character.is_whitespace() || character.is_control() || character == '+')
}
