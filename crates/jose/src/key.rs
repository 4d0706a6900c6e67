//! A key that verifies, bound to its one algorithm.

mod der;
mod jwk;
mod pem;
mod rsa;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use kernel::Secret;

use crate::Algorithm;
use crate::algorithm::Family;

/// The longest key id that is kept, in bytes.
pub const MAX_KEY_ID: usize = 256;

/// A verifying key: its algorithm, its material and, if it has one, the id by which tokens name it.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    id: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Arc<hmac::Key>),
    Public(Arc<ParsedPublicKey>),
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not one strict JSON object.
    #[error("the key is not a JSON object without duplicate names")]
    Json,
    /// It is no PEM block of a public key.
    #[error("the key is not one PEM block `PUBLIC KEY`")]
    Pem,
    /// A field is absent or is not what it must be.
    #[error("the key's field `{0}` is absent or malformed")]
    Field(&'static str),
    /// A type, curve or form of key that no algorithm here uses.
    #[error("the key is of a kind that is not supported")]
    Kind,
    /// Its algorithm is not supported.
    #[error("the key's algorithm is not supported")]
    Algorithm,
    /// It names no algorithm, and its type leaves more than one.
    #[error("the key names no algorithm, and none is configured for it")]
    AlgorithmMissing,
    /// Its algorithm needs a key of another type or curve.
    #[error("the key does not fit its algorithm")]
    AlgorithmMismatch,
    /// Its algorithm is not the one, or none of those, that this issuer may use.
    #[error("the key's algorithm is not among the configured ones")]
    AlgorithmRefused,
    /// `use` or `key_ops` say that it is not for verifying.
    #[error("the key is not meant for verifying signatures")]
    Use,
    /// It holds private parts: whoever publishes them has lost the key.
    #[error("the key holds private parts")]
    Private,
    /// A secret is too short to resist guessing.
    #[error("the secret is shorter than {minimum} bytes")]
    SecretTooShort {
        /// The least number of bytes.
        minimum: usize,
    },
    /// A secret stands among public keys.
    #[error("a secret must not stand among public keys")]
    SecretAmongPublic,
    /// An RSA modulus that is even, or not of 2048 to 8192 bits.
    #[error("the RSA modulus is not an odd number of 2048 to 8192 bits")]
    RsaModulus,
    /// An RSA exponent that is even, 1, or out of range.
    #[error("the RSA exponent is not an odd number above 1 and below 2^33")]
    RsaExponent,
    /// The modulus was made by the generator of CVE-2017-15361 (ROCA).
    #[error("the RSA modulus has the fingerprint of CVE-2017-15361")]
    Roca,
    /// The numbers are no key, for example a point off its curve.
    #[error("the key's numbers are not a valid public key")]
    Numbers,
    /// The id is longer than [`MAX_KEY_ID`] bytes.
    #[error("the key's id is longer than {MAX_KEY_ID} bytes")]
    IdTooLong,
    /// Another key of the set has the same id.
    #[error("another key has the same id")]
    IdTwice,
}

impl Key {
    /// The key for HS256. Refuses a secret under 32 bytes.
    pub fn hmac(id: Option<&str>, secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        Self::hmac_with(Algorithm::Hs256, id, secret)
    }

    /// The key for one of the HMAC algorithms. Refuses a secret shorter than the algorithm's hash.
    pub fn hmac_with(algorithm: Algorithm, id: Option<&str>, secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let (hash, minimum) = hmac_algorithm(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
        if secret.expose().len() < minimum {
            return Err(KeyError::SecretTooShort { minimum });
        }
        let key = hmac::Key::new(hash, secret.expose());
        Ok(Self { algorithm, id: checked_id(id)?, material: Material::Secret(Arc::new(key)) })
    }

    /// The algorithm that this key, and no other algorithm, verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id by which tokens name the key.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether `signature` is this key's signature of `message`, in the form that tokens carry. An HMAC is compared in
    /// constant time.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    /// A key on a curve: an uncompressed point, or the 32 bytes of Ed25519.
    fn of_point(algorithm: Algorithm, id: Option<&str>, point: &[u8]) -> Result<Self, KeyError> {
        let verifier = curve_algorithm(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
        let parsed = ParsedPublicKey::new(verifier, point).map_err(|_| KeyError::Numbers)?;
        Ok(Self { algorithm, id: checked_id(id)?, material: Material::Public(Arc::new(parsed)) })
    }

    /// An RSA key, of big-endian numbers.
    fn of_rsa(algorithm: Algorithm, id: Option<&str>, modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let parameters = rsa_algorithm(algorithm).ok_or(KeyError::AlgorithmMismatch)?;
        let parsed = rsa::parse(parameters, modulus, exponent)?;
        Ok(Self { algorithm, id: checked_id(id)?, material: Material::Public(Arc::new(parsed)) })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).field("id", &self.id).finish_non_exhaustive()
    }
}

fn checked_id(id: Option<&str>) -> Result<Option<String>, KeyError> {
    match id {
        Some(id) if id.len() > MAX_KEY_ID => Err(KeyError::IdTooLong),
        Some(id) => Ok(Some(id.to_owned())),
        None => Ok(None),
    }
}

/// The hash, and the least length of a secret (RFC 7518, 3.2).
fn hmac_algorithm(algorithm: Algorithm) -> Option<(hmac::Algorithm, usize)> {
    match algorithm {
        Algorithm::Hs256 => Some((hmac::HMAC_SHA256, 32)),
        Algorithm::Hs384 => Some((hmac::HMAC_SHA384, 48)),
        Algorithm::Hs512 => Some((hmac::HMAC_SHA512, 64)),
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::EdDsa => None,
    }
}

fn rsa_algorithm(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Hs256
        | Algorithm::Hs384
        | Algorithm::Hs512
        | Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::EdDsa => None,
    }
}

fn curve_algorithm(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm.family() {
        Family::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Family::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Family::Ed25519 => Some(&signature::ED25519),
        Family::Secret | Family::Rsa => None,
    }
}
