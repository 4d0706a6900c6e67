//! A problem's wire forms.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kind;

/// What was refused or failed, and why (RFC 9457). Kinds may add members of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// The kind of problem: the path of a page that explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found")]
    pub kind: String,
    /// What the kind is called.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong in this case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The id of the request, as in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The fields that are not acceptable.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldError>,
    /// Members that belong to the kind, such as `budget` and `reset`.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub members: serde_json::Map<String, serde_json::Value>,
}

/// A field that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Where the field is, as a JSON pointer (RFC 6901); empty for the whole body.
    #[schema(example = "/metadata/name")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

#[derive(Serialize)]
struct OpenAi<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    code: String,
    param: Option<String>,
    #[serde(flatten)]
    members: &'a serde_json::Map<String, serde_json::Value>,
}

impl ProblemBody {
    pub(super) const MEMBERS: [&'static str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn to_openai(&self, kind: Kind) -> Vec<u8> {
        let first = self.errors.first();
        let message = self.detail.as_deref().or(first.map(|error| error.detail.as_str())).unwrap_or(&self.title);
        let param = first.map(|error| error.pointer.trim_start_matches('/').replace('/', "."));
        let code = kind.slug().replace('-', "_");
        let error = OpenAiError { message, r#type: kind.openai_type(), code, param, members: &self.members };
        serde_json::to_vec(&OpenAi { error }).unwrap_or_default()
    }
}
