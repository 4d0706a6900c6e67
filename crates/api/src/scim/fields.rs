//! A person as SCIM sees one: named fields, and where in a resource each stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::expression::{Comparison, Filter, Place};
use super::refusal::ScimType;
use super::schema::Schema;
use crate::problem::{Kind, Problem};

/// What is kept of a person, besides whether they are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    /// What they are known by.
    UserName,
    /// What people call them.
    DisplayName,
    /// What they are known by elsewhere.
    ExternalId,
    /// Where they are reached.
    Email,
    /// Their number.
    EmployeeNumber,
    /// Who pays for them.
    CostCenter,
    /// Where they work.
    Organization,
    /// In which part of it.
    Division,
    /// In which part of that.
    Department,
    /// For whom.
    Manager,
}

impl Field {
    /// The user's attribute that it is kept as, if it is kept as one.
    pub(super) const fn kept_as(self) -> Option<&'static str> {
        match self {
            Self::UserName | Self::DisplayName | Self::ExternalId | Self::Email => None,
            Self::EmployeeNumber => Some("employee_number"),
            Self::CostCenter => Some("cost_center"),
            Self::Organization => Some("organization"),
            Self::Division => Some("division"),
            Self::Department => Some("department"),
            Self::Manager => Some("manager"),
        }
    }

    /// The fields that are kept as attributes.
    pub(super) const ATTRIBUTES: [Self; 6] =
        [Self::EmployeeNumber, Self::CostCenter, Self::Organization, Self::Division, Self::Department, Self::Manager];

    /// The field whose name in `schema` this is, in lower case.
    fn named(schema: Schema, attribute: &str) -> Option<Self> {
        match (schema, attribute) {
            (Schema::User, "username") => Some(Self::UserName),
            (Schema::User, "displayname") => Some(Self::DisplayName),
            (Schema::User, "externalid") => Some(Self::ExternalId),
            (Schema::User, "emails") => Some(Self::Email),
            (Schema::Enterprise, "employeenumber") => Some(Self::EmployeeNumber),
            (Schema::Enterprise, "costcenter") => Some(Self::CostCenter),
            (Schema::Enterprise, "organization") => Some(Self::Organization),
            (Schema::Enterprise, "division") => Some(Self::Division),
            (Schema::Enterprise, "department") => Some(Self::Department),
            (Schema::Enterprise, "manager") => Some(Self::Manager),
            _ => None,
        }
    }

    /// The parts that clients may send of it; its text is `value`. Empty where the field is plain text.
    const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Email => &["value", "type", "primary", "display"],
            Self::Manager => &["value", "$ref", "displayname"],
            Self::UserName
            | Self::DisplayName
            | Self::ExternalId
            | Self::EmployeeNumber
            | Self::CostCenter
            | Self::Organization
            | Self::Division
            | Self::Department => &[],
        }
    }
}

/// What RFC 7643 has of a person besides, or what the server says: read, and left aside.
const LEFT_ASIDE: [&str; 21] = [
    "schemas",
    "id",
    "meta",
    "name",
    "nickname",
    "title",
    "profileurl",
    "usertype",
    "preferredlanguage",
    "locale",
    "timezone",
    "password",
    "phonenumbers",
    "ims",
    "photos",
    "addresses",
    "groups",
    "entitlements",
    "roles",
    "x509certificates",
    "active",
];

/// How a value comes to where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Beside what is there already.
    Add,
    /// In its place.
    Replace,
}

/// What is kept of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether they may act; `None` where nothing was said.
    pub(super) active: Option<bool>,
    texts: BTreeMap<Field, String>,
}

impl Fields {
    /// Of somebody who may act, or may not, nothing else.
    pub(super) fn of(active: bool) -> Self {
        Self { active: Some(active), texts: BTreeMap::new() }
    }

    /// Reads a resource as it was sent.
    pub(super) fn read(resource: &Map<String, Value>) -> Result<Self, Problem> {
        let mut fields = Self::default();
        fields.put_all(Schema::User, resource, Manner::Replace)?;
        if let (None, Some(name)) = (fields.get(Field::DisplayName), whole_name(resource)) {
            fields.set(Field::DisplayName, &name);
        }
        Ok(fields)
    }

    /// The same, with what `before` has of the enterprise extension.
    pub(super) fn extended_as(mut self, before: &Self) -> Self {
        for field in Field::ATTRIBUTES {
            self.set(field, before.get(field).unwrap_or_default());
        }
        self
    }

    /// The text of a field.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        self.texts.get(&field).map(String::as_str)
    }

    /// Sets a field; an empty text is none.
    pub(super) fn set(&mut self, field: Field, text: &str) {
        match text.trim() {
            "" => self.texts.remove(&field),
            text => self.texts.insert(field, text.to_owned()),
        };
    }

    /// Puts `value` at `place`.
    pub(super) fn put(&mut self, place: &Place, value: &Value, manner: Manner) -> Result<(), Problem> {
        let schema = place.schema.unwrap_or(Schema::User);
        if place.attribute.is_empty() {
            let fields = value.as_object().ok_or_else(|| wrong(place, "an object"))?;
            return self.put_all(schema, fields, manner);
        }
        if (schema, place.attribute.as_str()) == (Schema::User, "active") && is_plain(place) {
            self.active = Some(flag(value).ok_or_else(|| wrong(place, "`true` or `false`"))?);
            return Ok(());
        }
        match self.field_at(schema, place)? {
            Some(field) if place.part.is_some() => self.put_text(field, place, value),
            Some(field) if field.parts().is_empty() => self.put_text(field, place, value),
            Some(field) => self.put_whole(field, place, value, manner),
            None => Ok(()),
        }
    }

    /// Takes away what is at `place`.
    pub(super) fn take(&mut self, place: &Place) -> Result<(), Problem> {
        let schema = place.schema.unwrap_or(Schema::User);
        if (schema, place.attribute.as_str()) == (Schema::Enterprise, "") {
            self.texts.retain(|field, _| field.kept_as().is_none());
            return Ok(());
        }
        if schema == Schema::User && ["", "active", "username"].contains(&place.attribute.as_str()) {
            return Err(ScimType::Mutability.because(&format_args!("`{place}` is required")));
        }
        if let Some(field) = self.field_at(schema, place)? {
            self.texts.remove(&field);
        }
        Ok(())
    }

    fn put_all(&mut self, schema: Schema, values: &Map<String, Value>, manner: Manner) -> Result<(), Problem> {
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in values {
            // Some clients write whole paths where RFC 7644 has names.
            let place = Place::parse(name).map_err(|error| ScimType::InvalidPath.because(&error))?;
            let place = Place { schema: Some(place.schema.unwrap_or(schema)), ..place };
            if !seen.insert(place.to_string()) {
                return Err(ScimType::InvalidSyntax.because(&format_args!("`{name}` is there twice")));
            }
            match (value, manner) {
                (Value::Null, Manner::Add) => {}
                (Value::Null, Manner::Replace) if place.attribute != "active" => self.take_unless_required(&place)?,
                _ => self.put(&place, value, manner)?,
            }
        }
        Ok(())
    }

    fn take_unless_required(&mut self, place: &Place) -> Result<(), Problem> {
        match Field::named(place.schema.unwrap_or(Schema::User), &place.attribute) {
            Some(_) => self.take(place),
            None => Ok(()),
        }
    }

    /// The field that `place` is about; `None` where it is about what is not kept.
    fn field_at(&self, schema: Schema, place: &Place) -> Result<Option<Field>, Problem> {
        let unknown = || ScimType::InvalidPath.because(&format_args!("no attribute of a user is at `{place}`"));
        let Some(field) = Field::named(schema, &place.attribute) else {
            let aside = match schema {
                Schema::User => LEFT_ASIDE.contains(&place.attribute.as_str()),
                // Some clients name an extension within itself.
                Schema::Enterprise => place.attribute == "schemas",
                Schema::Group => false,
            };
            return if aside { Ok(None) } else { Err(unknown()) };
        };
        let part = place.part.as_deref();
        if !part.is_none_or(|part| field.parts().contains(&part)) || (place.only.is_some() && field != Field::Email) {
            return Err(unknown());
        }
        let meant = place.only.as_ref().map_or(Ok(true), |only| self.means_the_email(only))?;
        Ok(Some(field).filter(|_| meant && part.is_none_or(|part| part == "value")))
    }

    /// Whether a filter of addresses is about the one that is kept.
    fn means_the_email(&self, Filter(all): &Filter) -> Result<bool, Problem> {
        for Comparison { place, value } in all {
            let text = value.as_ref().and_then(Value::as_str);
            match (place.attribute.as_str(), text) {
                ("type", Some(kind)) if !kind.eq_ignore_ascii_case("work") => return Ok(false),
                ("primary", _) if value.as_ref().and_then(flag) == Some(false) => return Ok(false),
                ("value", text) if text != self.get(Field::Email) => {
                    return Err(ScimType::NoTarget.because(&"no such address is kept"));
                }
                ("type" | "primary" | "value", _) => {}
                (other, _) => {
                    let wrong = format_args!("addresses are not told apart by `{other}`");
                    return Err(ScimType::InvalidFilter.because(&wrong));
                }
            }
        }
        Ok(true)
    }

    fn put_text(&mut self, field: Field, place: &Place, value: &Value) -> Result<(), Problem> {
        match value {
            Value::Null if field == Field::UserName => {
                Err(ScimType::Mutability.because(&format_args!("`{place}` is required")))
            }
            Value::Null => {
                self.texts.remove(&field);
                Ok(())
            }
            Value::String(text) => {
                self.set(field, text);
                Ok(())
            }
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(wrong(place, "a text")),
        }
    }

    /// An address, or several; a manager with parts, or as a text, as some send it.
    fn put_whole(&mut self, field: Field, place: &Place, value: &Value, manner: Manner) -> Result<(), Problem> {
        let items = match value {
            Value::Array(items) if field == Field::Email => items.iter().collect(),
            Value::Null => Vec::new(),
            Value::Object(_) | Value::String(_) => vec![value],
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(wrong(place, "an object")),
        };
        let mut chosen: Option<(u8, &Value)> = None;
        for item in items {
            let (rank, text) = whole(field, item).ok_or_else(|| wrong(place, "an object with `value`"))?;
            if chosen.is_none_or(|(best, _)| rank > best) {
                chosen = Some((rank, text));
            }
        }
        match chosen {
            Some((_, text)) => self.put_text(field, place, text),
            None if manner == Manner::Add => Ok(()),
            None => self.put_text(field, place, &Value::Null),
        }
    }
}

/// The text of one item, and how much it is the one to keep.
fn whole(field: Field, item: &Value) -> Option<(u8, &Value)> {
    let Some(parts) = item.as_object() else {
        return item.is_string().then_some((0, item));
    };
    let known = parts.keys().all(|name| field.parts().contains(&name.to_ascii_lowercase().as_str()));
    let part = |wanted: &str| parts.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    let primary = part("primary").and_then(flag).unwrap_or(false);
    let work = part("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
    let rank = u8::from(primary) * 2 + u8::from(work);
    Some((rank, part("value").unwrap_or(&Value::Null))).filter(|_| known)
}

/// `true` or `false`, also as the texts that some send.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_plain(place: &Place) -> bool {
    place.only.is_none() && place.part.is_none()
}

/// What people call somebody of whom only the parts of a name are told.
fn whole_name(resource: &Map<String, Value>) -> Option<String> {
    let name = resource.iter().find(|(name, _)| name.eq_ignore_ascii_case("name"))?.1.as_object()?;
    let part = |wanted: &str| {
        let found = name.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, text)| text.as_str());
        found.map(str::trim).filter(|text| !text.is_empty())
    };
    let both = || [part("givenName"), part("familyName")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    part("formatted").map_or_else(|| Some(both()), |name| Some(name.to_owned())).filter(|name| !name.is_empty())
}

/// The refusal of a value that cannot be where it was put.
pub(super) fn wrong(place: &Place, expected: &str) -> Problem {
    ScimType::InvalidValue.on(Kind::Invalid, &format_args!("`{place}` must be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(fields: Result<Fields, Problem>) -> String {
        match fields {
            Ok(Fields { active, texts }) => format!("{active:?} {texts:?}"),
            Err(problem) => problem.detail().unwrap_or_default().to_owned(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
    fn read(resource: Value) -> String {
        shown(Fields::read(resource.as_object().unwrap()))
    }

    fn patched(changes: &[(&str, Option<Value>)]) -> String {
        let resource = json!({ "userName": "alice", "active": true, "emails": [{ "value": "a@example.com" }] });
        let mut fields = Fields::read(resource.as_object().unwrap()).unwrap();
        let done = changes.iter().try_for_each(|(place, value)| {
            let place = Place::parse(place).unwrap();
            match value {
                Some(value) => fields.put(&place, value, Manner::Replace),
                None => fields.take(&place),
            }
        });
        shown(done.map(|()| fields))
    }

    #[test]
    fn a_resource_is_read_as_entra_and_okta_send_it() {
        let resources = [
            json!({ "schemas": [], "externalId": "e1", "userName": "Alice@Example.com", "active": "True",
                "emails": [{ "primary": true, "type": "work", "value": "a@example.com" }],
                "meta": { "resourceType": "User" }, "name": { "formatted": "Al Ice", "familyName": "Ice" }, "roles": [] }),
            json!({ "userName": "b", "displayName": "Bob", "name": { "givenName": "B" }, "groups": [], "locale": "de",
                "emails": [{ "value": "home@example.com", "type": "home" }, { "value": "b@example.com", "type": "work" }],
                "password": "secret", "active": false }),
            json!({ "USERNAME": "c", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "department": "R&D", "manager": "usr_9" }, "name": { "givenName": "C", "familyName": "D" } }),
            json!({ "userName": "d", "emails": [], "displayName": null, "title": "  " }),
        ];
        insta::assert_snapshot!(resources.map(read).join("\n"), @r#"
        Some(true) {UserName: "Alice@Example.com", DisplayName: "Al Ice", ExternalId: "e1", Email: "a@example.com"}
        Some(false) {UserName: "b", DisplayName: "Bob", Email: "b@example.com"}
        None {UserName: "c", DisplayName: "C D", Department: "R&D", Manager: "usr_9"}
        None {UserName: "d"}
        "#);
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let resources = [
            json!({ "userName": 1 }),
            json!({ "userName": "a", "username": "b" }),
            json!({ "userName": "a", "isAdmin": true }),
            json!({ "userName": "a", "active": "maybe" }),
            json!({ "userName": "a", "active": null }),
            json!({ "userName": null }),
            json!({ "emails": [1] }),
            json!({ "emails": [{ "value": "x", "verified": true }] }),
            json!({ "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "salary": "1" } }),
            json!({ "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": [] }),
            json!({ "urn:okta:custom": {} }),
        ];
        insta::assert_snapshot!(resources.map(read).join("\n"), @"
        `urn:ietf:params:scim:schemas:core:2.0:User:username` must be a text
        `username` is there twice
        no attribute of a user is at `urn:ietf:params:scim:schemas:core:2.0:User:isadmin`
        `urn:ietf:params:scim:schemas:core:2.0:User:active` must be `true` or `false`
        `urn:ietf:params:scim:schemas:core:2.0:User:active` must be `true` or `false`
        `urn:ietf:params:scim:schemas:core:2.0:User:username` is required
        `urn:ietf:params:scim:schemas:core:2.0:User:emails` must be an object with `value`
        `urn:ietf:params:scim:schemas:core:2.0:User:emails` must be an object with `value`
        no attribute of a user is at `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:salary`
        `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User` must be an object
        no schema is known by which `urn:okta:custom` begins
        ");
    }

    #[test]
    fn changes_are_made_where_their_paths_say() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let changes: [&[(&str, Option<Value>)]; 12] = [
            &[("active", Some(json!("False")))],
            &[(r#"emails[type eq "work"].value"#, Some(json!("b@example.com")))],
            &[(r#"emails[type eq "home"].value"#, Some(json!("h@example.com")))],
            &[(r#"emails[value eq "a@example.com"]"#, None)],
            &[(r#"emails[value eq "z@example.com"]"#, None)],
            &[("emails", None), ("displayName", Some(json!("Alice")))],
            &[
                (&format!("{urn}:department"), Some(json!("R&D"))),
                (&format!("{urn}:manager"), Some(json!({ "value": "m" }))),
            ],
            &[(urn, Some(json!({ "division": "X", "costCenter": "1" }))), ("title", Some(json!("Boss"))), (urn, None)],
            &[("userName", None)],
            &[("active", None)],
            &[("name.givenName", Some(json!("A"))), ("phoneNumbers[type eq \"work\"].value", Some(json!("1")))],
            &[("shoeSize", Some(json!("44")))],
        ];
        insta::assert_snapshot!(changes.map(patched).join("\n"), @r#"
        Some(false) {UserName: "alice", Email: "a@example.com"}
        Some(true) {UserName: "alice", Email: "b@example.com"}
        Some(true) {UserName: "alice", Email: "a@example.com"}
        Some(true) {UserName: "alice"}
        no such address is kept
        Some(true) {UserName: "alice", DisplayName: "Alice"}
        Some(true) {UserName: "alice", Email: "a@example.com", Department: "R&D", Manager: "m"}
        Some(true) {UserName: "alice", Email: "a@example.com"}
        `username` is required
        `active` is required
        Some(true) {UserName: "alice", Email: "a@example.com"}
        no attribute of a user is at `shoesize`
        "#);
    }
}
