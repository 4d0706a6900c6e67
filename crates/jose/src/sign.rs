//! Issuing tokens.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use kernel::Secret;
use serde_json::{Map, Value, json};

use crate::{Key, KeyError, base64url};

/// Issues tokens signed with HS256.
#[derive(Clone)]
pub struct Signer {
    secret: Arc<hmac::Key>,
    key: Key,
}

impl Signer {
    /// With this secret of at least 32 bytes; tokens name the key by `id`.
    pub fn hmac(secret: &Secret<Vec<u8>>, id: Option<&str>) -> Result<Self, KeyError> {
        let key = Key::hmac(id, secret)?;
        Ok(Self { secret: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.expose())), key })
    }

    /// The key that verifies what this signs.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// A token of type `typ` with these claims. What they say, and that they are all there, is the caller's business.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> String {
        let mut header = json!({ "alg": self.key.algorithm().name(), "typ": typ });
        if let (Some(id), Some(members)) = (self.key.id(), header.as_object_mut()) {
            members.insert("kid".to_owned(), id.into());
        }
        let mut token = base64url::encode(header.to_string());
        token.push('.');
        base64url::append(text_of(claims).as_bytes(), &mut token);
        let signature = hmac::sign(&self.secret, token.as_bytes());
        token.push('.');
        base64url::append(signature.as_ref(), &mut token);
        token
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "a map of JSON values has texts as names and is written to memory")]
fn text_of(claims: &Map<String, Value>) -> String {
    serde_json::to_string(claims).expect("a JSON object can be written")
}
