//! What a token says.

use std::borrow::Cow;
use std::fmt;

use kernel::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::TokenError;
use crate::json::{self, Name, Strict};

/// The last second that a [`Timestamp`] can hold: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_207_200;
/// The longest subject and the longest token id, in characters.
const MAX_NAME: usize = 255;

/// The claims of a verified token. Only [`crate::verify`] and [`crate::Unverified::verify`] make one.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is about: 1 to 255 characters.
    pub sub: String,
    /// Whom it is meant for.
    pub aud: Vec<String>,
    /// When it ends.
    pub exp: Timestamp,
    /// When it was issued.
    pub iat: Option<Timestamp>,
    /// When it begins.
    pub nbf: Option<Timestamp>,
    /// Its id: 1 to 255 characters.
    pub jti: Option<String>,
    /// The type that its header states.
    pub typ: Option<String>,
    /// Every other claim.
    pub rest: Map<String, Value>,
}

impl Claims {
    /// The text at `path`, or nothing if there is none or it is not a text.
    ///
    /// A path is a claim's name, or names joined by dots that lead into objects, such as `realm_access.roles`. A name
    /// that itself has dots, such as `https://example.com/roles`, is found first.
    pub fn text(&self, path: &str) -> Option<&str> {
        match path {
            "iss" => Some(&self.iss),
            "sub" => Some(&self.sub),
            "jti" => self.jti.as_deref(),
            _ => find(&self.rest, path)?.as_str(),
        }
    }

    /// The texts at `path`: a list of texts, or one text. `scope` and `scp` hold texts separated by spaces (RFC 8693,
    /// 4.2). Nothing if there is none, or if anything in it is not a text.
    pub fn texts(&self, path: &str) -> Option<Vec<&str>> {
        match find(&self.rest, path)? {
            Value::String(text) if matches!(path, "scope" | "scp") => Some(text.split_ascii_whitespace().collect()),
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }
}

impl fmt::Debug for Claims {
    /// Claims are personal data: only what names nobody is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("iss", &self.iss).field("exp", &self.exp).finish_non_exhaustive()
    }
}

fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let inner = claims.get(path.get(..dot)?)?.as_object()?;
            find(inner, path.get(dot + 1..)?)
        })
    })
}

/// The claims as they stand in a token, each name once, nothing else checked.
#[derive(Debug, Default)]
pub(crate) struct Body {
    iss: Option<Value>,
    sub: Option<Value>,
    aud: Option<Value>,
    exp: Option<Value>,
    iat: Option<Value>,
    nbf: Option<Value>,
    jti: Option<Value>,
    rest: Map<String, Value>,
}

impl Body {
    pub(crate) fn read(payload: &[u8]) -> Result<Self, TokenError> {
        let mut body = Self::default();
        json::read(payload, &mut body).map_err(|_| TokenError::Claims)?;
        Ok(body)
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.iss.as_ref()?.as_str()
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        find(&self.rest, path)?.as_str()
    }

    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Value::Array(audiences)) => audiences.iter().any(|one| one.as_str() == Some(audience)),
            one => one.as_ref().and_then(Value::as_str) == Some(audience),
        }
    }

    /// The claims with their types, which must all be right.
    pub(crate) fn typed(self, typ: Option<String>) -> Result<Claims, TokenError> {
        Ok(Claims {
            iss: required(name(self.iss, "iss", usize::MAX)?, "iss")?,
            aud: audiences(self.aud)?,
            exp: required(instant(self.exp, "exp")?, "exp")?,
            nbf: instant(self.nbf, "nbf")?,
            iat: instant(self.iat, "iat")?,
            sub: required(name(self.sub, "sub", MAX_NAME)?, "sub")?,
            jti: name(self.jti, "jti", MAX_NAME)?,
            typ,
            rest: self.rest,
        })
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Value>> {
        match name {
            "iss" => Some(&mut self.iss),
            "sub" => Some(&mut self.sub),
            "aud" => Some(&mut self.aud),
            "exp" => Some(&mut self.exp),
            "iat" => Some(&mut self.iat),
            "nbf" => Some(&mut self.nbf),
            "jti" => Some(&mut self.jti),
            _ => None,
        }
    }
}

impl Claims {
    /// Whether there is a claim at `path` that is not null.
    pub(crate) fn has(&self, path: &str) -> bool {
        match path {
            "iss" | "sub" | "aud" | "exp" => true,
            "iat" => self.iat.is_some(),
            "nbf" => self.nbf.is_some(),
            "jti" => self.jti.is_some(),
            _ => find(&self.rest, path).is_some_and(|value| !value.is_null()),
        }
    }
}

fn required<T>(value: Option<T>, claim: &'static str) -> Result<T, TokenError> {
    value.ok_or_else(|| TokenError::ClaimMissing(claim.to_owned()))
}

fn name(value: Option<Value>, claim: &'static str, longest: usize) -> Result<Option<String>, TokenError> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !is_longer(&text, longest) => Ok(Some(text)),
        Some(_) => Err(TokenError::ClaimMalformed(claim)),
    }
}

/// A text has at most as many characters as bytes, which are known without counting.
fn is_longer(text: &str, characters: usize) -> bool {
    text.len() > characters && text.chars().nth(characters).is_some()
}

fn audiences(value: Option<Value>) -> Result<Vec<String>, TokenError> {
    match required(value, "aud")? {
        Value::String(one) => Ok(vec![one]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(one) => Ok(one),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    Err(TokenError::ClaimMalformed("aud"))
                }
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(TokenError::ClaimMalformed("aud")),
    }
}

/// Whole seconds since 1970.
fn instant(value: Option<Value>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = value else { return Ok(None) };
    match value.as_i64() {
        Some(seconds @ 0..=LAST_SECOND) => Ok(Some(Timestamp::from_micros(0).plus_seconds(seconds))),
        Some(_) | None => Err(TokenError::ClaimMalformed(claim)),
    }
}

impl<'de> DeserializeSeed<'de> for &mut Body {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Body {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key_seed(Name)? {
            let value = fields.next_value_seed(Strict::new().deeper()?)?;
            self.insert(name, value)?;
        }
        Ok(())
    }
}

impl Body {
    fn insert<E: serde::de::Error>(&mut self, name: Cow<'_, str>, value: Value) -> Result<(), E> {
        match self.slot(&name) {
            None => json::insert(&mut self.rest, name, value),
            Some(slot) if slot.is_none() => {
                *slot = Some(value);
                Ok(())
            }
            Some(_) => Err(json::duplicate()),
        }
    }
}
