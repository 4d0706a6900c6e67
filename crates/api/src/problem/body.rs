//! A problem's wire forms.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    pub members: serde_json::Map<String, Value>,
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

/// What is told to directories that provision users (RFC 7644, 3.12).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimErrorBody {
    /// `urn:ietf:params:scim:api:messages:2.0:Error`.
    schemas: [&'static str; 1],
    /// The HTTP status.
    #[schema(example = "400")]
    status: String,
    /// What is wrong, in a word of RFC 7644.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "invalidValue")]
    scim_type: Option<String>,
    /// What is wrong in this case.
    detail: String,
}

/// What is told to clients of OAuth (RFC 6749, 5.2).
#[derive(Serialize)]
struct OAuthErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// What SCIM calls kinds of problems that are told without a word of its own.
const USUAL_IN_SCIM: [(Kind, &str); 5] = [
    (Kind::AlreadyExists, "uniqueness"),
    (Kind::WrongState, "mutability"),
    (Kind::Malformed, "invalidSyntax"),
    (Kind::UnsupportedMediaType, "invalidSyntax"),
    (Kind::Invalid, "invalidValue"),
];

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
    members: &'a serde_json::Map<String, Value>,
}

impl ProblemBody {
    pub(super) const MEMBERS: [&'static str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn to_scim(&self, kind: Kind, status: StatusCode) -> Vec<u8> {
        let first = self.errors.first().map(|FieldError { pointer, detail }| match pointer.as_str() {
            "" => detail.clone(),
            pointer => format!("{pointer}: {detail}"),
        });
        let usual = USUAL_IN_SCIM.iter().find(|(usual, _)| *usual == kind).map(|(_, word)| *word);
        let body = ScimErrorBody {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
            status: status.as_u16().to_string(),
            scim_type: self.members.get(super::SCIM_TYPE).and_then(Value::as_str).or(usual).map(str::to_owned),
            detail: self.detail.clone().or(first).unwrap_or_else(|| self.title.clone()),
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    pub(super) fn to_oauth(&self, kind: Kind) -> Vec<u8> {
        let usual = match kind.status() {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN => "unauthorized_client",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let error = self.members.get(super::OAUTH_ERROR).and_then(Value::as_str).unwrap_or(usual);
        let first = self.errors.first().map(|error| error.detail.as_str());
        let error_description = self.detail.as_deref().or(first).unwrap_or(&self.title);
        serde_json::to_vec(&OAuthErrorBody { error, error_description }).unwrap_or_default()
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
