//! JSON Web Tokens: verifying those of others and issuing our own (RFC 7515, 7517, 7519, 8725, 9068).
//!
//! | step | here |
//! |---|---|
//! | hold keys, each for one algorithm | [`Key`], [`KeySet`] |
//! | find out whose token it claims to be | [`peek`] |
//! | verify it against that issuer's keys and rules | [`verify`], [`Expected`], [`Claims`] |
//! | issue one | [`Signer`] |
//! | judge a file of cases | [`corpus`] |
//!
//! - **Invariant:** no I/O, no clock: keys, rules and the time are arguments. Nothing in a token is ever fetched or used
//!   as a key.
//! - **Invariant:** a key verifies with its own algorithm only. A token can name it, not choose it; `none` cannot be named.
//! - **Invariant:** a token has one spelling. Any change of a character makes it another token, which is refused.
//! - **Invariant:** a secret is never taken from a published key set, nor used beside public keys.
//! - **Invariant:** [`Claims`] come from a verified token; errors and `Debug` show neither tokens nor secrets nor names.
//!
//! ```
//! use jose::{Expected, KeySet, Signer, TokenError, verify};
//! use kernel::{Secret, Timestamp};
//! use serde_json::json;
//!
//! let secret = Secret::new(b"thirty-two bytes, and not guessable".to_vec());
//! let signer = Signer::hmac(&secret, Some("2027-01"))?;
//! let claims = json!({
//!     "iss": "https://taskforce.example", "aud": "taskforce", "sub": "usr_1", "exp": 1_800_000_600,
//!     "realm_access": { "roles": ["viewer"] },
//! });
//! let token = signer.sign("at+jwt", claims.as_object().ok_or("an object")?);
//!
//! let keys = KeySet::of(vec![signer.key().clone()]);
//! let expected = Expected::new("https://taskforce.example", "taskforce");
//! let now: Timestamp = "2027-01-15T08:00:00Z".parse()?;
//! let claims = verify(&token, &keys, &expected, now)?;
//! assert_eq!(claims.sub, "usr_1");
//! assert_eq!(claims.texts("realm_access.roles"), Some(vec!["viewer"]));
//!
//! assert_eq!(verify(&token, &keys, &expected, now.plus_seconds(630)), Err(TokenError::Expired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod base64url;
mod claims;
pub mod corpus;
mod error;
mod json;
mod key;
mod memo;
mod parts;
mod set;
mod sign;
mod verify;
#[cfg(test)]
mod wycheproof;

pub use algorithm::{Algorithm, AlgorithmError};
pub use claims::Claims;
pub use error::TokenError;
pub use key::{Key, KeyError, MAX_KEY_ID};
pub use parts::MAX_TOKEN;
pub use set::{KeySet, KeySetError, LeftOut, MAX_KEY_SET};
pub use sign::Signer;
pub use verify::{Expected, TenantRule, Tenants, Unverified, peek, verify};
