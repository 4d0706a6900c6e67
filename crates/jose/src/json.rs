//! JSON that every reader understands alike (RFC 8725, 2.6 and 3.1): no duplicate names, no U+0000, bounded depth.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object, read strictly.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match read(bytes, Strict::new())? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Error::custom("not a JSON object"))
        }
    }
}

/// All of `bytes`, as `seed` reads it.
pub(crate) fn read<'de, S: DeserializeSeed<'de>>(bytes: &'de [u8], seed: S) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value of any kind.
#[derive(Clone, Copy)]
pub(crate) struct Strict {
    depth: usize,
}

impl Strict {
    pub(crate) const fn new() -> Self {
        Self { depth: 0 }
    }

    /// For what stands one level further in.
    pub(crate) fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == kernel::MAX_JSON_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        check_text(text)?;
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        check_text(&text)?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key_seed(Name)? {
            let value = fields.next_value_seed(self.deeper()?)?;
            insert(&mut object, name, value)?;
        }
        Ok(object.into())
    }
}

/// Reads a name or another short text, borrowed where it has no escapes.
pub(crate) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        check_text(text)?;
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        check_text(text)?;
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Adds a member that is not there yet.
pub(crate) fn insert<E: Error>(object: &mut Map<String, Value>, name: Cow<'_, str>, value: Value) -> Result<(), E> {
    match object.insert(name.into_owned(), value) {
        None => Ok(()),
        Some(_) => Err(duplicate()),
    }
}

pub(crate) fn duplicate<E: Error>() -> E {
    E::custom("a name stands twice")
}

fn check_text<E: Error>(text: &str) -> Result<(), E> {
    if text.as_bytes().contains(&0) { Err(E::custom("text must not contain U+0000")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_stands() {
        let text = br#"{"a":[1,-2,2.5,null,true,"x\n"],"b":{"a":{}}}"#;
        assert_eq!(Value::Object(object(text).unwrap()), serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn what_two_readers_might_read_differently_is_refused() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000));
        let bad =
            ["", "{}{}", "[]", "1", r#"{"a":1,"a":2}"#, r#"{"b":{"a":1,"\u0061":2}}"#, r#"{"a":"\u0000"}"#, &deep];
        for bad in bad.into_iter().chain(["\u{feff}{}", r#"{"a\u0000":1}"#, "{\"a\":1,}", "{\"a\":NaN}"]) {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
