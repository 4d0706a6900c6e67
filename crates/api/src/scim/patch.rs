//! Changes of resources (RFC 7644, 3.5.2).

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::expression::Place;
use super::fields::{Fields, Manner};
use super::refusal::ScimType;
use crate::problem::Problem;

const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// How many operations one request may hold.
const MOST: usize = 1_000;

/// What is to become different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScimPatchIn {
    /// `urn:ietf:params:scim:api:messages:2.0:PatchOp`.
    #[schema(example = json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]))]
    schemas: Vec<String>,
    /// The changes, in order: all of them are made, or none.
    #[serde(rename = "Operations", alias = "operations")]
    operations: Vec<ScimOperationIn>,
}

/// One change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScimOperationIn {
    /// `add`, `remove` or `replace`.
    #[schema(example = "replace")]
    op: String,
    /// Where: `active`, `emails[type eq "work"].value`, `members[value eq "usr_…"]`. Without it, `value` is an object of
    /// attributes.
    #[serde(default)]
    path: Option<String>,
    /// What.
    #[serde(default)]
    value: Option<Value>,
}

/// One change, understood.
#[derive(Debug)]
pub(super) enum Step {
    /// A value is put somewhere.
    Put {
        /// Where; `None` where the value is an object of attributes.
        place: Option<Place>,
        /// What.
        value: Value,
        /// How.
        manner: Manner,
    },
    /// What is somewhere goes.
    Take {
        /// Where.
        place: Place,
        /// Which of the values there, as some clients say it; all of them otherwise.
        value: Option<Value>,
    },
}

impl ScimPatchIn {
    /// Reads the changes.
    pub(super) fn steps(self) -> Result<Vec<Step>, Problem> {
        let Self { schemas, operations } = self;
        if !schemas.iter().any(|schema| schema.eq_ignore_ascii_case(PATCH_OP)) {
            return Err(ScimType::InvalidSyntax.because(&format_args!("`schemas` must name `{PATCH_OP}`")));
        }
        if !(1..=MOST).contains(&operations.len()) {
            return Err(ScimType::InvalidSyntax.because(&format_args!("expected 1 to {MOST} operations")));
        }
        operations.into_iter().map(ScimOperationIn::step).collect()
    }
}

impl ScimOperationIn {
    fn step(self) -> Result<Step, Problem> {
        let Self { op, path, value } = self;
        let place = path.as_deref().map(Place::parse).transpose();
        let place = place.map_err(|error| ScimType::InvalidPath.because(&error))?;
        let manner = match op.to_ascii_lowercase().as_str() {
            "add" => Manner::Add,
            "replace" => Manner::Replace,
            "remove" => {
                let place = place.ok_or_else(|| ScimType::NoTarget.because(&"`remove` needs a `path`"))?;
                return Ok(Step::Take { place, value });
            }
            _ => {
                let wrong = format_args!("`{op}` is no operation: there are `add`, `remove` and `replace`");
                return Err(ScimType::InvalidSyntax.because(&wrong));
            }
        };
        Ok(Step::Put { place, value: value.unwrap_or(Value::Null), manner })
    }
}

/// A person after the changes.
pub(super) fn patched(mut fields: Fields, steps: &[Step]) -> Result<Fields, Problem> {
    for step in steps {
        match step {
            Step::Put { place: Some(place), value, manner } => fields.put(place, value, *manner)?,
            Step::Put { place: None, value, manner } => fields.put(&Place::whole(), value, *manner)?,
            Step::Take { place, value: _ } => fields.take(place)?,
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(operations: &Value) -> String {
        let patch = json!({ "schemas": [PATCH_OP], "Operations": operations });
        match serde_json::from_value::<ScimPatchIn>(patch).unwrap().steps() {
            Ok(steps) => steps.len().to_string(),
            Err(problem) => problem.detail().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn operations_as_clients_send_them() {
        assert_eq!(steps(&json!([{ "op": "Replace", "path": "active", "value": "False" }])), "1");
        assert_eq!(steps(&json!([{ "op": "add", "value": {} }, { "op": "REMOVE", "path": "members" }])), "2");
        let refused = [
            json!([]),
            json!([{ "op": "move", "path": "a" }]),
            json!([{ "op": "remove" }]),
            json!([{ "op": "add", "path": "a b", "value": 1 }]),
        ];
        insta::assert_snapshot!(refused.map(|operations| steps(&operations)).join("\n"), @"
        expected 1 to 1000 operations
        `move` is no operation: there are `add`, `remove` and `replace`
        `remove` needs a `path`
        expected the end at character 2
        ");
        let other = json!({ "schemas": ["urn:other"], "operations": [{ "op": "add", "value": {} }] });
        assert!(serde_json::from_value::<ScimPatchIn>(other).unwrap().steps().is_err());
    }

    #[test]
    fn a_change_without_a_path_is_many() {
        let value =
            json!({ "userName": "alice", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division": "X" });
        let step = Step::Put { place: None, value, manner: Manner::Add };
        let fields = patched(Fields::default(), &[step]).unwrap();
        assert_eq!(fields.get(super::super::fields::Field::Division), Some("X"));
    }
}
