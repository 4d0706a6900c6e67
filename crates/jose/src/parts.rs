//! A token taken apart: three parts, and the header's few members that matter.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::json::{self, Name, Strict};
use crate::{Algorithm, MAX_KEY_ID, TokenError, base64url};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

/// More members than this a header does not have.
const MAX_MEMBERS: usize = 32;

/// A compact JWS, decoded but not verified.
pub(crate) struct Parts<'t> {
    pub(crate) header: Header,
    pub(crate) signed: &'t [u8],
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) typ: Option<String>,
    /// Whether it brings or points to a key of its own (`jwk`, `jku`, `x5c`, `x5u`), which is never looked at.
    pub(crate) brings_key: bool,
}

impl<'t> Parts<'t> {
    pub(crate) fn read(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Parts)?;
        if payload.contains('.') {
            return Err(TokenError::Parts);
        }
        let header = base64url::decode(header).ok_or(TokenError::Encoding)?;
        let payload = base64url::decode(payload).ok_or(TokenError::Encoding)?;
        let signature = base64url::decode(signature).ok_or(TokenError::Encoding)?;
        Ok(Self { header: Header::read(&header)?, signed: signed.as_bytes(), payload, signature })
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut members = Members::default();
        json::read(bytes, &mut members).map_err(|_| TokenError::Header)?;
        let name = optional_text(members.algorithm, "alg")?.ok_or(TokenError::HeaderField("alg"))?;
        let algorithm = name.parse().map_err(|_| TokenError::UnknownAlgorithm)?;
        if let Some(name) = members.extension {
            return Err(TokenError::Extension(name));
        }
        if let Some(content) = optional_text(members.content, "cty")?
            && (content.eq_ignore_ascii_case("jwt") || content.eq_ignore_ascii_case("application/jwt"))
        {
            return Err(TokenError::Nested);
        }
        let typ = optional_text(members.typ, "typ")?;
        let key_id = optional_text(members.key_id, "kid")?;
        if key_id.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID || id.chars().any(char::is_control)) {
            return Err(TokenError::HeaderField("kid"));
        }
        Ok(Self { algorithm, key_id, typ, brings_key: members.brings_key })
    }
}

fn optional_text(member: Option<Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match member {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::HeaderField(name)),
    }
}

/// The members of a header, as far as they matter.
#[derive(Default)]
struct Members<'d> {
    algorithm: Option<Value>,
    key_id: Option<Value>,
    typ: Option<Value>,
    content: Option<Value>,
    extension: Option<&'static str>,
    brings_key: bool,
    others: Vec<Cow<'d, str>>,
}

impl<'d> Members<'d> {
    fn take<E: Error>(&mut self, name: Cow<'d, str>, value: Value) -> Result<(), E> {
        let slot = match &*name {
            "alg" => &mut self.algorithm,
            "kid" => &mut self.key_id,
            "typ" => &mut self.typ,
            "cty" => &mut self.content,
            _ => return self.take_other(name),
        };
        if slot.replace(value).is_some() { Err(json::duplicate()) } else { Ok(()) }
    }

    fn take_other<E: Error>(&mut self, name: Cow<'d, str>) -> Result<(), E> {
        match &*name {
            "crit" => self.extension = Some("crit"),
            "b64" => self.extension = Some("b64"),
            "zip" => self.extension = Some("zip"),
            "jwk" | "jku" | "x5c" | "x5u" => self.brings_key = true,
            _ => {}
        }
        if self.others.contains(&name) {
            return Err(json::duplicate());
        }
        if self.others.len() == MAX_MEMBERS {
            return Err(Error::custom("too many members"));
        }
        self.others.push(name);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Members<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Members<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key_seed(Name)? {
            let value = fields.next_value_seed(Strict::new().deeper()?)?;
            self.take(name, value)?;
        }
        Ok(())
    }
}
