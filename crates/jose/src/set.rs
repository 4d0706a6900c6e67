//! The keys of one issuer.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::memo::Memo;
use crate::{Algorithm, Key, KeyError, TokenError};

/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET: usize = 512 * 1024;

/// The keys of one issuer, each found by its id.
///
/// A set is either of public keys or of secrets: with both, whoever mistakes one for the other is lost.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
    algorithms: Vec<Algorithm>,
    known: Arc<Memo>,
}

/// A key that a set does not use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Why it is not used.
    pub reason: KeyError,
}

/// A text that is no JSON Web Key Set at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is larger than [`MAX_KEY_SET`].
    #[error("the key set is larger than {MAX_KEY_SET} bytes")]
    TooLarge,
    /// It is not an object with a list `keys`.
    #[error("not a JSON Web Key Set")]
    Document,
}

#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow)]
    keys: Vec<&'d RawValue>,
}

impl KeySet {
    /// A set of these keys. Keys that share an id are left out, and so are secrets beside public keys.
    pub fn of(keys: Vec<Key>) -> Self {
        let algorithms = keys.iter().map(Key::algorithm).collect();
        let mixed = keys.iter().any(|key| !key.algorithm().is_symmetric());
        let entries = keys.into_iter().map(|key| {
            let refused = mixed && key.algorithm().is_symmetric();
            (key.id().map(str::to_owned), if refused { Err(KeyError::SecretAmongPublic) } else { Ok(key) })
        });
        Self::from_entries(entries.collect(), algorithms)
    }

    /// The keys of a published JSON Web Key Set that are for one of the `allowed` algorithms. What is unsuitable is
    /// left out, so that one odd key does not disable an issuer; see [`KeySet::left_out`].
    ///
    /// An RSA key that names no algorithm is used if `allowed` has exactly one for RSA.
    pub fn from_jwks(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLarge);
        }
        let document: Document<'_> = serde_json::from_slice(bytes).map_err(|_| KeySetError::Document)?;
        let entries = document.keys.iter().map(|key| Key::from_published(key.get().as_bytes(), allowed)).collect();
        let public = allowed.iter().copied().filter(|algorithm| !algorithm.is_symmetric());
        Ok(Self::from_entries(entries, public.collect()))
    }

    fn from_entries(entries: Vec<(Option<String>, Result<Key, KeyError>)>, algorithms: Vec<Algorithm>) -> Self {
        let mut counts = std::collections::HashMap::new();
        for (id, _) in &entries {
            *counts.entry(id.clone()).or_insert(0_usize) += 1;
        }
        let mut set = Self { keys: Vec::new(), left_out: Vec::new(), algorithms, known: Arc::default() };
        for (id, key) in entries {
            let twice = id.is_some() && counts.get(&id).is_some_and(|count| *count > 1);
            match key {
                Ok(_) if twice => set.left_out.push(LeftOut { id, reason: KeyError::IdTwice }),
                Ok(key) => set.keys.push(key),
                Err(reason) => set.left_out.push(LeftOut { id, reason }),
            }
        }
        set
    }

    /// The keys in use.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The ids of the keys in use.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(Key::id)
    }

    /// The keys that are not used, and why.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The key that a token names: by its id exactly; by none only if the set has one key.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenError::WrongAlgorithm);
        }
        let key = match id {
            None => match self.keys.as_slice() {
                [only] => only,
                _ => return Err(TokenError::NoKeyId),
            },
            Some(id) => self.keys.iter().find(|key| key.id() == Some(id)).ok_or_else(|| self.absent(id))?,
        };
        // The algorithm is the key's, never the token's to choose.
        if key.algorithm() == algorithm { Ok(key) } else { Err(TokenError::WrongAlgorithm) }
    }

    /// Whether `key`, which is of this set, signed it. A public key is asked once about each token.
    pub(crate) fn signed(&self, key: &Key, message: &[u8], signature: &[u8]) -> bool {
        let check = || key.verifies(message, signature);
        if key.algorithm().is_symmetric() { check() } else { self.known.verified(message, signature, check) }
    }

    fn absent(&self, id: &str) -> TokenError {
        if self.left_out.iter().any(|key| key.id.as_deref() == Some(id)) {
            TokenError::UnusableKey
        } else {
            TokenError::UnknownKey { kid: id.to_owned() }
        }
    }
}
