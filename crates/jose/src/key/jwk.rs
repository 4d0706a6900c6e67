//! Keys as JSON (RFC 7517, 7518, 8037).

use kernel::Secret;
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use super::{Key, KeyError};
use crate::algorithm::Family;
use crate::{Algorithm, base64url, json};

/// The members that only a private key has (RFC 7518, 6.2.2 and 6.3.2; RFC 8037, 2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

impl Key {
    /// The key of one JWK. `configured` is the algorithm for a key that names none; a key that names another one is
    /// refused. Without either, a curve decides; an RSA key or a secret leaves more than one and is refused.
    ///
    /// A secret (`oct`) is accepted here, where the operator hands over one key, and never from a published set.
    pub fn from_jwk(json: &[u8], configured: Option<Algorithm>) -> Result<Self, KeyError> {
        let jwk = Jwk(json::object(json).map_err(|_| KeyError::Json)?);
        match configured {
            Some(algorithm) => jwk.key(&[algorithm]),
            None => jwk.key(&Algorithm::ALL),
        }
    }

    /// The key of one JWK of a published set, for one of the `allowed` algorithms, and the id that it has even if the
    /// key is not used.
    pub(crate) fn from_published(json: &[u8], allowed: &[Algorithm]) -> (Option<String>, Result<Self, KeyError>) {
        let Ok(object) = json::object(json) else {
            return (None, Err(KeyError::Json));
        };
        let jwk = Jwk(object);
        let id = jwk.optional_text("kid").ok().flatten().map(str::to_owned);
        let secret = jwk.optional_text("kty") == Ok(Some("oct"));
        (id, if secret { Err(KeyError::SecretAmongPublic) } else { jwk.key(allowed) })
    }
}

struct Jwk(Map<String, Value>);

impl Jwk {
    fn key(&self, allowed: &[Algorithm]) -> Result<Key, KeyError> {
        self.check_purpose()?;
        let family = self.family()?;
        if family != Family::Secret && PRIVATE.iter().any(|name| self.0.contains_key(*name)) {
            return Err(KeyError::Private);
        }
        let algorithm = decide(family, self.named_algorithm()?, allowed)?;
        let id = self.optional_text("kid")?;
        match family {
            Family::Secret => Key::hmac_with(algorithm, id, &Secret::new(self.bytes("k")?)),
            Family::Rsa => Key::of_rsa(algorithm, id, &self.bytes("n")?, &self.bytes("e")?),
            Family::P256 => Key::of_point(algorithm, id, &self.point(32)?),
            Family::P384 => Key::of_point(algorithm, id, &self.point(48)?),
            Family::Ed25519 => Key::of_point(algorithm, id, &self.bytes_of("x", 32)?),
        }
    }

    fn check_purpose(&self) -> Result<(), KeyError> {
        if !matches!(self.optional_text("use")?, None | Some("sig")) {
            return Err(KeyError::Use);
        }
        match self.0.get("key_ops") {
            None => Ok(()),
            Some(Value::Array(operations)) if operations.iter().any(|name| name == "verify") => Ok(()),
            Some(_) => Err(KeyError::Use),
        }
    }

    fn family(&self) -> Result<Family, KeyError> {
        match self.optional_text("kty")?.ok_or(KeyError::Field("kty"))? {
            "oct" => Ok(Family::Secret),
            "RSA" => Ok(Family::Rsa),
            kind => match (kind, self.optional_text("crv")?.ok_or(KeyError::Field("crv"))?) {
                ("EC", "P-256") => Ok(Family::P256),
                ("EC", "P-384") => Ok(Family::P384),
                ("OKP", "Ed25519") => Ok(Family::Ed25519),
                _ => Err(KeyError::Kind),
            },
        }
    }

    fn named_algorithm(&self) -> Result<Option<Algorithm>, KeyError> {
        self.optional_text("alg")?.map(|name| name.parse().map_err(|_| KeyError::Algorithm)).transpose()
    }

    /// An uncompressed point whose coordinates have their full length (RFC 7518, 6.2.1.2).
    fn point(&self, length: usize) -> Result<Vec<u8>, KeyError> {
        Ok([vec![4], self.bytes_of("x", length)?, self.bytes_of("y", length)?].concat())
    }

    fn bytes_of(&self, name: &'static str, length: usize) -> Result<Vec<u8>, KeyError> {
        Some(self.bytes(name)?).filter(|bytes| bytes.len() == length).ok_or(KeyError::Field(name))
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, KeyError> {
        self.optional_text(name)?.and_then(base64url::decode).ok_or(KeyError::Field(name))
    }

    fn optional_text(&self, name: &'static str) -> Result<Option<&str>, KeyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(KeyError::Field(name)),
        }
    }
}

impl Drop for Jwk {
    fn drop(&mut self) {
        if let Some(Value::String(secret)) = self.0.get_mut("k") {
            secret.zeroize();
        }
    }
}

fn decide(family: Family, named: Option<Algorithm>, allowed: &[Algorithm]) -> Result<Algorithm, KeyError> {
    let Some(named) = named else {
        let mut fitting = allowed.iter().copied().filter(|algorithm| algorithm.family() == family);
        let first = fitting.next().ok_or(KeyError::AlgorithmRefused)?;
        return if fitting.any(|other| other != first) { Err(KeyError::AlgorithmMissing) } else { Ok(first) };
    };
    if named.family() != family {
        return Err(KeyError::AlgorithmMismatch);
    }
    if allowed.contains(&named) { Ok(named) } else { Err(KeyError::AlgorithmRefused) }
}
