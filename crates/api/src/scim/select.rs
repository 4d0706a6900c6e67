//! Which attributes an answer shows (RFC 7644, 3.9).

use serde_json::{Map, Value};

use super::expression::Place;
use super::refusal::ScimType;
use super::schema::Schema;
use crate::problem::Problem;

/// What clients wish to see of resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Selection {
    /// All of it.
    #[default]
    Everything,
    /// These, and what is always shown.
    Only(Vec<Place>),
    /// All but these.
    Without(Vec<Place>),
}

/// What is shown whatever is asked for.
const ALWAYS: [&str; 2] = ["schemas", "id"];

impl Selection {
    /// Reads `attributes` and `excludedAttributes`, of which there may be one.
    pub(super) fn read(attributes: &[String], excluded: &[String]) -> Result<Self, Problem> {
        let (only, without) = (places(attributes)?, places(excluded)?);
        match (only.is_empty(), without.is_empty()) {
            (true, true) => Ok(Self::Everything),
            (false, true) => Ok(Self::Only(only)),
            (true, false) => Ok(Self::Without(without)),
            (false, false) => {
                Err(ScimType::InvalidValue.because(&"`attributes` and `excludedAttributes` exclude each other"))
            }
        }
    }

    /// Leaves of `resource` what was asked for.
    pub(super) fn of(&self, mut resource: Value) -> Value {
        match self {
            Self::Everything => resource,
            Self::Only(places) => {
                let always = ALWAYS.iter().filter_map(|name| pick(&resource, &[*name]));
                let asked = places.iter().filter_map(|place| pick(&resource, &steps(place)));
                always.chain(asked).fold(Value::Object(Map::new()), merged)
            }
            Self::Without(places) => {
                for place in places {
                    drop_at(&mut resource, &steps(place));
                }
                resource
            }
        }
    }
}

fn places(texts: &[String]) -> Result<Vec<Place>, Problem> {
    let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    texts.map(|text| Place::parse(text).map_err(|error| ScimType::InvalidPath.because(&error))).collect()
}

/// The names from the resource down to the place.
fn steps(place: &Place) -> Vec<&str> {
    let extension = place.schema.filter(|schema| *schema == Schema::Enterprise).map(Schema::urn);
    let attribute = Some(place.attribute.as_str()).filter(|attribute| !attribute.is_empty());
    extension.into_iter().chain(attribute).chain(place.part.as_deref()).collect()
}

/// What is at `steps`, within what it stands in.
fn pick(value: &Value, steps: &[&str]) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(fields) => {
            let (name, inner) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(step))?;
            Some(Value::Object(Map::from_iter([(name.clone(), pick(inner, rest)?)])))
        }
        Value::Array(items) => Some(items.iter().filter_map(|item| pick(item, steps)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn merged(whole: Value, part: Value) -> Value {
    match (whole, part) {
        (Value::Object(mut whole), Value::Object(part)) => {
            for (name, value) in part {
                let before = whole.remove(&name).unwrap_or(Value::Null);
                whole.insert(name, merged(before, value));
            }
            Value::Object(whole)
        }
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            whole.into_iter().zip(part).map(|(whole, part)| merged(whole, part)).collect()
        }
        (_, part) => part,
    }
}

fn drop_at(value: &mut Value, steps: &[&str]) {
    let Some((step, rest)) = steps.split_first() else { return };
    match value {
        Value::Object(fields) => {
            let name = fields.keys().find(|name| name.eq_ignore_ascii_case(step)).cloned();
            let Some(name) = name.filter(|name| !ALWAYS.contains(&name.as_str())) else { return };
            match fields.get_mut(&name) {
                Some(inner) if !rest.is_empty() => drop_at(inner, rest),
                _ => {
                    fields.remove(&name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_at(item, steps)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "usr_1",
            "userName": "alice",
            "emails": [{ "value": "a@example.com", "type": "work" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R&D", "division": "X" },
        })
    }

    fn shown(attributes: &[&str], excluded: &[&str]) -> String {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Selection::read(&texts(attributes), &texts(excluded)).unwrap().of(resource()).to_string()
    }

    #[test]
    fn an_answer_shows_what_was_asked_for_and_always_the_id() {
        let answers = [
            shown(&["USERNAME"], &[]),
            shown(&["emails.value", "emails.type"], &[]),
            shown(&["emails.value"], &[]),
            shown(&["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"], &[]),
            shown(&["nothing"], &[]),
            shown(&[], &["id", "emails.type", "userName"]),
            shown(&[], &["emails", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]),
        ];
        insta::assert_snapshot!(answers.join("\n"), @r#"
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","userName":"alice"}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","emails":[{"value":"a@example.com","type":"work"}]}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","emails":[{"value":"a@example.com"}]}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D"}}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1"}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D","division":"X"},"emails":[{"value":"a@example.com"}]}
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"usr_1","userName":"alice"}
        "#);
    }

    #[test]
    fn both_at_once_and_what_is_no_attribute_are_refused() {
        for (attributes, excluded) in [(vec!["a".to_owned()], vec!["b".to_owned()]), (vec!["a.b.c".to_owned()], vec![])]
        {
            assert!(Selection::read(&attributes, &excluded).is_err());
        }
    }
}
