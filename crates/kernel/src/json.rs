//! A strict reading of JSON (RFC 8259, I-JSON's prohibition of duplicate names).

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// How deeply arrays and objects may nest.
pub const MAX_JSON_DEPTH: usize = 64;

/// Why a text is not acceptable JSON.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// What is wrong, with line and column.
    message: String,
}

/// Checks that `bytes` are one JSON value that every reader understands alike: no duplicate names, no U+0000, nested
/// at most [`MAX_JSON_DEPTH`] deep.
pub fn check_json(bytes: &[u8]) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| JsonError { message: error.to_string() })
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth == MAX_JSON_DEPTH {
            return Err(E::custom(format!("nested more than {MAX_JSON_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn check_text<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("text must not contain U+0000")) } else { Ok(()) }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        check_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            check_text(&name)?;
            if names.contains(&name) {
                return Err(serde::de::Error::custom(format!("duplicate field `{name}`")));
            }
            names.insert(name);
            fields.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_might_read_differently_is_refused() {
        for good in ["{}", "[1, 2.5, -3, null, true, \"x\"]", r#"{"a":{"a":1}}"#] {
            assert!(check_json(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in
            ["", "{}{}", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#""a\u0000b""#, "[1,]", "NaN", "\u{feff}{}"]
        {
            assert!(check_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check_json(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(check_json(nested(MAX_JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(check_json("[".repeat(100_000).as_bytes()).is_err());
    }
}
