//! A group as SCIM sees one: a name, and people.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::expression::{Comparison, Filter, Place};
use super::fields::{Manner, wrong};
use super::patch::Step;
use super::refusal::ScimType;
use super::schema::Schema;
use crate::problem::Problem;

/// What is kept of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Team {
    /// What people call it.
    pub(super) display_name: String,
    /// What it is known by elsewhere.
    pub(super) external_id: Option<String>,
    /// Who is in it, by id.
    pub(super) members: BTreeSet<String>,
}

/// What the server says of a group, or RFC 7643 has besides: read, and left aside.
const LEFT_ASIDE: [&str; 3] = ["schemas", "id", "meta"];
/// What may be said of a member. The id is what counts.
const PARTS: [&str; 4] = ["value", "$ref", "type", "display"];

impl Team {
    /// Reads a resource as it was sent.
    pub(super) fn read(resource: &Map<String, Value>) -> Result<Self, Problem> {
        let mut team = Self::default();
        team.put_all(resource, Manner::Replace)?;
        Ok(team)
    }

    /// The group after the changes.
    pub(super) fn patched(mut self, steps: &[Step]) -> Result<Self, Problem> {
        for step in steps {
            match step {
                Step::Put { place: Some(place), value, manner } => self.put(place, value, *manner)?,
                Step::Put { place: None, value, manner } => self.put(&Place::whole(), value, *manner)?,
                Step::Take { place, value } => self.take(place, value.as_ref())?,
            }
        }
        Ok(self)
    }

    fn put_all(&mut self, values: &Map<String, Value>, manner: Manner) -> Result<(), Problem> {
        let mut seen = BTreeSet::new();
        for (name, value) in values {
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(ScimType::InvalidSyntax.because(&format_args!("`{name}` is there twice")));
            }
            let place = Place::parse(name).map_err(|error| ScimType::InvalidPath.because(&error))?;
            self.put(&place, value, manner)?;
        }
        Ok(())
    }

    fn put(&mut self, place: &Place, value: &Value, manner: Manner) -> Result<(), Problem> {
        match attribute(place)? {
            "" => self.put_all(value.as_object().ok_or_else(|| wrong(place, "an object"))?, manner),
            "displayname" => {
                let name = value.as_str().map(str::trim).filter(|name| !name.is_empty());
                name.ok_or_else(|| wrong(place, "a text"))?.clone_into(&mut self.display_name);
                Ok(())
            }
            "externalid" => {
                self.external_id = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
                    Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        return Err(wrong(place, "a text"));
                    }
                };
                Ok(())
            }
            "members" => self.put_members(place, value, manner),
            _ => Ok(()),
        }
    }

    fn put_members(&mut self, place: &Place, value: &Value, manner: Manner) -> Result<(), Problem> {
        if place.only.is_some() || place.part.is_some() {
            let wrong = "a member is added or removed in whole";
            return Err(ScimType::Mutability.because(&wrong));
        }
        if manner == Manner::Replace {
            self.members.clear();
        }
        self.members.extend(members(place, value)?);
        Ok(())
    }

    fn take(&mut self, place: &Place, value: Option<&Value>) -> Result<(), Problem> {
        match (attribute(place)?, &place.only, value) {
            ("externalid", _, _) => self.external_id = None,
            ("members", Some(only), _) if place.part.is_none() => {
                let gone = member_named(only)?;
                self.members.remove(gone);
            }
            ("members", None, Some(value)) if place.part.is_none() => {
                for gone in members(place, value)? {
                    self.members.remove(&gone);
                }
            }
            ("members", None, None) if place.part.is_none() => self.members.clear(),
            (name, _, _) if LEFT_ASIDE.contains(&name) => {}
            _ => return Err(ScimType::Mutability.because(&format_args!("`{place}` is required"))),
        }
        Ok(())
    }
}

/// The attribute of a group that the place is in.
fn attribute(place: &Place) -> Result<&str, Problem> {
    let known = ["", "displayname", "externalid", "members"].contains(&place.attribute.as_str())
        || LEFT_ASIDE.contains(&place.attribute.as_str());
    let of_groups = place.schema.is_none_or(|schema| schema == Schema::Group);
    let plain = place.attribute == "members" || (place.only.is_none() && place.part.is_none());
    if known && of_groups && plain {
        return Ok(&place.attribute);
    }
    Err(ScimType::InvalidPath.because(&format_args!("no attribute of a group is at `{place}`")))
}

fn members(place: &Place, value: &Value) -> Result<Vec<String>, Problem> {
    let one = if value.is_null() { &[] } else { std::slice::from_ref(value) };
    let items = value.as_array().map_or(one, Vec::as_slice);
    let member = |item: &Value| {
        let parts = item
            .as_object()
            .filter(|parts| parts.keys().all(|name| PARTS.contains(&name.to_ascii_lowercase().as_str())))?;
        let part =
            |wanted: &str| parts.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        let person =
            part("type").is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("user")));
        part("value")?.as_str().filter(|_| person).map(str::to_owned)
    };
    items.iter().map(|item| member(item).ok_or_else(|| wrong(place, "people, each with an id as `value`"))).collect()
}

/// The one member that a filter is about.
pub(super) fn member_named(Filter(all): &Filter) -> Result<&str, Problem> {
    match all.as_slice() {
        [Comparison { place, value: Some(Value::String(id)) }] if place.attribute == "value" => Ok(id),
        _ => Err(ScimType::InvalidFilter.because(&"members are told apart by `value eq \"…\"`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::patch::ScimPatchIn;
    use super::*;
    use serde_json::json;

    fn shown(team: Result<Team, Problem>) -> String {
        match team {
            Ok(Team { display_name, external_id, members }) => format!("{display_name} {external_id:?} {members:?}"),
            Err(problem) => problem.detail().unwrap_or_default().to_owned(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
    fn patched(operations: Value) -> String {
        let resource = json!({ "displayName": "A", "members": [{ "value": "u1" }, { "value": "u2" }] });
        let team = Team::read(resource.as_object().unwrap()).unwrap();
        let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        let patch: ScimPatchIn = serde_json::from_value(patch).unwrap();
        shown(patch.steps().and_then(|steps| team.patched(&steps)))
    }

    #[test]
    fn members_come_and_go_as_entra_and_okta_say_it() {
        let changes = [
            json!([{ "op": "Add", "path": "members", "value": [{ "value": "u3", "$ref": null }] }]),
            json!([{ "op": "add", "path": "members", "value": { "value": "u3", "type": "User", "display": "Z" } }]),
            json!([{ "op": "Remove", "path": "members[value eq \"u1\"]" }]),
            json!([{ "op": "remove", "path": "members", "value": [{ "value": "u2" }, { "value": "u9" }] }]),
            json!([{ "op": "remove", "path": "members" }]),
            json!([{ "op": "replace", "value": { "id": "grp_1", "displayName": "B" } }]),
            json!([{ "op": "replace", "path": "members", "value": [{ "value": "u9" }] }, { "op": "add",
                "path": "externalId", "value": "e" }]),
        ];
        insta::assert_snapshot!(changes.map(patched).join("\n"), @r#"
        A None {"u1", "u2", "u3"}
        A None {"u1", "u2", "u3"}
        A None {"u2"}
        A None {"u1"}
        A None {}
        B None {"u1", "u2"}
        A Some("e") {"u9"}
        "#);
    }

    #[test]
    fn what_cannot_be_done_to_a_group_is_refused() {
        let changes = [
            json!([{ "op": "add", "path": "members", "value": [{ "value": "g1", "type": "Group" }] }]),
            json!([{ "op": "add", "path": "members", "value": ["u1"] }]),
            json!([{ "op": "add", "path": "roles", "value": ["admin"] }]),
            json!([{ "op": "add", "value": { "roles": ["admin"] } }]),
            json!([{ "op": "replace", "path": "members[value eq \"u1\"].display", "value": "Z" }]),
            json!([{ "op": "remove", "path": "members[display eq \"Z\"]" }]),
            json!([{ "op": "remove", "path": "displayName" }]),
            json!([{ "op": "replace", "path": "displayName", "value": "" }]),
            json!([{ "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:userName", "value": "x" }]),
        ];
        insta::assert_snapshot!(changes.map(patched).join("\n"), @r#"
        `members` must be people, each with an id as `value`
        `members` must be people, each with an id as `value`
        no attribute of a group is at `roles`
        no attribute of a group is at `roles`
        a member is added or removed in whole
        members are told apart by `value eq "…"`
        `displayname` is required
        `displayname` must be a text
        no attribute of a group is at `urn:ietf:params:scim:schemas:core:2.0:User:username`
        "#);
    }
}
