//! Free values in types that Cedar can check: what a tenant keeps about a user, and a tool's arguments.
//!
//! A name of a schema's record is known when the schema is written; these names are not. So each value becomes a tag of
//! an entity of its type, which a policy cannot read before it has asked for it: the validator sees to that.

use std::collections::BTreeSet;

use authz::{Attribute, Attributes};
use cedar_policy::{Entity, EntityAttrEvaluationError, EntityTypeName, RestrictedExpression};
use serde_json::{Number, Value};

use crate::vocabulary::{Vocabulary, uid};

/// How many values arguments may have in all.
const MAX_VALUES: usize = 2_000;

/// Why arguments cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the arguments are not JSON that every reader understands alike: {0}")]
    Json(String),
    #[error("the arguments have more than {MAX_VALUES} values")]
    TooMany,
}

/// Values by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    names: BTreeSet<String>,
    text: Vec<(String, String)>,
    number: Vec<(String, i64)>,
    decimal: Vec<(String, String)>,
    flag: Vec<(String, bool)>,
    list: Vec<(String, Vec<String>)>,
}

impl Values {
    pub(crate) fn of_attributes(attributes: &Attributes) -> Self {
        let mut values = Self::default();
        for (name, value) in attributes {
            let name = name.clone();
            values.names.insert(name.clone());
            match value {
                Attribute::Text(text) => values.text.push((name, text.clone())),
                Attribute::Number(number) => values.whole(name, *number),
                Attribute::Flag(flag) => values.flag.push((name, *flag)),
                Attribute::Texts(texts) => values.list.push((name, texts.clone())),
            }
        }
        values
    }

    /// Reads arguments. What is nested is named by its path, `payment/amount`, `items/0/price`, in which `~` and `/`
    /// of a name are written `~0` and `~1` (RFC 6901): no two values share a name.
    pub(crate) fn of_arguments(json: &str) -> Result<Self, Unreadable> {
        let unreadable = |error: &dyn std::fmt::Display| Unreadable::Json(error.to_string());
        kernel::check_json(json.as_bytes()).map_err(|error| unreadable(&error))?;
        let value: Value = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
        let mut values = Self::default();
        values.nested(None, &value)?;
        Ok(values)
    }

    fn nested(&mut self, path: Option<&str>, value: &Value) -> Result<(), Unreadable> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .try_for_each(|(name, value)| self.add(path, &name.replace('~', "~0").replace('/', "~1"), value)),
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(index, value)| self.add(path, &index.to_string(), value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn add(&mut self, path: Option<&str>, name: &str, value: &Value) -> Result<(), Unreadable> {
        if self.names.len() == MAX_VALUES {
            return Err(Unreadable::TooMany);
        }
        let name = path.map_or_else(|| name.to_owned(), |path| format!("{path}/{name}"));
        self.names.insert(name.clone());
        match value {
            Value::Null | Value::Object(_) => {}
            Value::Bool(flag) => self.flag.push((name.clone(), *flag)),
            Value::Number(number) => self.any_number(name.clone(), number),
            Value::String(text) => self.text.push((name.clone(), text.clone())),
            Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                self.list.extend(texts.map(|texts| (name.clone(), texts)));
            }
        }
        self.nested(Some(&name), value)
    }

    fn any_number(&mut self, name: String, number: &Number) {
        /// The largest number up to which each whole number is a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if let Some(whole) = number.as_i64() {
            return self.whole(name, whole);
        }
        let Some(float) = number.as_f64() else {
            return;
        };
        if float.fract() == 0.0 && float.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of exact floats")]
            return self.whole(name, float as i64);
        }
        if float.abs() < 900_000_000_000_000.0 {
            self.decimal.push((name, format!("{float:.4}")));
        }
    }

    fn whole(&mut self, name: String, number: i64) {
        if number.unsigned_abs() < 900_000_000_000_000 {
            self.decimal.push((name.clone(), format!("{number}.0")));
        }
        self.number.push((name, number));
    }

    /// The record by which a policy reaches the values, which stand in entities called `owner`.
    pub(crate) fn record(&self, owner: &str) -> RestrictedExpression {
        let known = Vocabulary::get();
        let entity = |kind: &EntityTypeName| RestrictedExpression::new_entity_uid(uid(kind, owner));
        let names = self.names.iter().map(|name| RestrictedExpression::new_string(name.clone()));
        let fields = [
            ("names", RestrictedExpression::new_set(names)),
            ("text", entity(&known.texts)),
            ("number", entity(&known.numbers)),
            ("decimal", entity(&known.decimals)),
            ("flag", entity(&known.flags)),
            ("list", entity(&known.lists)),
        ];
        // The names above are six different ones, which is all that could be wrong with a record.
        RestrictedExpression::new_record(fields.map(|(name, value)| (name.to_owned(), value)))
            .unwrap_or_else(|_| RestrictedExpression::new_set([]))
    }

    /// The entities that hold the values, those of decimals only where they are asked for. One without values need not be there: it has no tag either way.
    pub(crate) fn entities(self, owner: &str, decimals: bool) -> Result<Vec<Entity>, Box<EntityAttrEvaluationError>> {
        let known = Vocabulary::get();
        let Self { names: _, text, number, decimal, flag, list } = self;
        let mut entities = Vec::new();
        let mut add = |kind: &EntityTypeName, tags: Vec<(String, RestrictedExpression)>| {
            if !tags.is_empty() {
                entities.push(Entity::new_with_tags(uid(kind, owner), [], [], tags)?);
            }
            Ok::<(), Box<EntityAttrEvaluationError>>(())
        };
        add(&known.texts, tags(text, RestrictedExpression::new_string))?;
        add(&known.numbers, tags(number, RestrictedExpression::new_long))?;
        let decimal = if decimals { decimal } else { Vec::new() };
        add(&known.decimals, tags(decimal, RestrictedExpression::new_decimal))?;
        add(&known.flags, tags(flag, RestrictedExpression::new_bool))?;
        add(&known.lists, tags(list, texts))?;
        Ok(entities)
    }
}

/// A set of texts.
pub(crate) fn texts(texts: Vec<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(RestrictedExpression::new_string))
}

fn tags<T>(
    values: Vec<(String, T)>,
    express: impl Fn(T) -> RestrictedExpression,
) -> Vec<(String, RestrictedExpression)> {
    values.into_iter().map(|(name, value)| (name, express(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Vec<String> {
        Values::of_arguments(json).unwrap().names.into_iter().collect()
    }

    #[test]
    fn what_is_nested_is_named_by_its_path_and_no_two_values_share_a_name() {
        let values = Values::of_arguments(r#"{"payment":{"amount":5},"payment/amount":7,"to":["a","b"]}"#).unwrap();
        assert_eq!(values.number, [("payment/amount".to_owned(), 5), ("payment~1amount".to_owned(), 7)]);
        assert_eq!(values.list, [("to".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        let all = names(r#"{"payment":{"amount":5},"payment/amount":7,"to":["a","b"]}"#);
        assert_eq!(all, ["payment", "payment/amount", "payment~1amount", "to", "to/0", "to/1"]);
        assert_eq!(names(r#"{"":{"":1}}"#), ["", "/"]);
    }

    #[test]
    fn a_number_is_whole_whatever_way_it_is_written() {
        for (json, number, decimal) in [
            ("1000", Some(1000), Some("1000.0")),
            ("1e3", Some(1000), Some("1000.0")),
            ("1000.0", Some(1000), Some("1000.0")),
            ("-0.00006", None, Some("-0.0001")),
            ("0.1", None, Some("0.1000")),
            ("9223372036854775807", Some(i64::MAX), None),
            ("9223372036854775808", None, None),
            ("1e300", None, None),
            ("\"1000\"", None, None),
        ] {
            let values = Values::of_arguments(&format!("{{\"n\":{json}}}")).unwrap();
            assert_eq!(values.number.first().map(|(_, number)| *number), number, "{json}");
            assert_eq!(values.decimal.first().map(|(_, text)| text.as_str()), decimal, "{json}");
            assert!(values.names.contains("n"), "{json}");
        }
    }

    #[test]
    fn arguments_that_two_readers_read_differently_are_not_looked_at() {
        for bad in ["", "{", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "{}{}"] {
            assert!(matches!(Values::of_arguments(bad), Err(Unreadable::Json(_))), "{bad}");
        }
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(Values::of_arguments(&many), Err(Unreadable::TooMany));
    }
}
