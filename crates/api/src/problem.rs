//! What is said when something is refused or fails: RFC 9457 problems of a closed registry of kinds.

mod body;
mod kind;
mod pages;

use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use kernel::RequestId;
use serde_json::Value;

pub(crate) use body::ScimErrorBody;
pub use body::{FieldError, ProblemBody};
pub use kind::Kind;
pub use pages::pages;

/// A refusal or failure on its way to the caller.
///
/// [`Problem::client`] shows its words; [`Problem::server`] hides its cause, which is logged once, where the response
/// leaves the server.
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    members: serde_json::Map<String, Value>,
    retry_after: Option<u64>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem of which nothing more is to be said than its kind.
    pub fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: None,
            errors: Vec::new(),
            members: serde_json::Map::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// A problem that the caller may read about.
    pub fn client(kind: Kind, error: &impl fmt::Display) -> Self {
        let mut problem = Self::new(kind);
        problem.0.detail = Some(shortened(error.to_string()));
        problem
    }

    /// A problem whose cause is for the log only.
    pub fn server(kind: Kind, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut problem = Self::new(kind);
        problem.0.cause = Some(cause.into());
        problem
    }

    /// A field of the request that is not acceptable: 422 with a JSON pointer (RFC 6901) to it.
    pub fn field(pointer: impl Into<String>, detail: &impl fmt::Display) -> Self {
        Self::new(Kind::Invalid).and_field(pointer, detail)
    }

    /// One more field that is not acceptable.
    #[must_use]
    pub fn and_field(mut self, pointer: impl Into<String>, detail: &impl fmt::Display) -> Self {
        self.0.errors.push(FieldError { pointer: shortened(pointer.into()), detail: shortened(detail.to_string()) });
        self
    }

    /// An extension member. A name that RFC 9457 gives a meaning to is not replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !ProblemBody::MEMBERS.contains(&name) {
            self.0.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// After how many seconds it makes sense to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What is behind it, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same problem as one of another kind, with nothing told beyond it.
    #[must_use]
    pub(crate) fn turned_into(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self.0.detail = None;
        self
    }

    /// The same problem; if it is of the kind `from`, of the kind `to`.
    #[must_use]
    pub(crate) fn on(mut self, from: Kind, to: Kind) -> Self {
        if self.0.kind == from {
            self.0.kind = to;
        }
        self
    }

    /// What kind of problem it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the caller is told beyond the kind.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The problem as an error object of the OpenAI protocol, which is what callers of `/v1/…` understand.
    pub fn openai(self) -> Response {
        self.said_in(Dialect::OpenAi)
    }

    pub(crate) fn said_in(self, dialect: Dialect) -> Response {
        Report { problem: Arc::new(self), dialect }.into_response()
    }

    /// The body that the caller reads, not yet naming the request.
    #[must_use]
    pub fn into_body(self) -> ProblemBody {
        self.body(None)
    }

    fn body(&self, instance: Option<&RequestId>) -> ProblemBody {
        let Inner { kind, detail, errors, members, retry_after: _, cause: _ } = &*self.0;
        ProblemBody {
            kind: format!("/problems/{}", kind.slug()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            instance: instance.map(|id| id.as_str().to_owned()),
            errors: errors.clone(),
            members: members.clone(),
        }
    }

    /// Writes the chain of causes, once, if there is one.
    pub(crate) fn log(&self, request: &RequestId) {
        let Some(cause) = &self.0.cause else { return };
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(error) = next {
            chain = format!("{chain}: {error}");
            next = error.source();
        }
        tracing::error!(
            request.id = request.as_str(),
            problem.kind = self.0.kind.slug(),
            error = chain,
            "request failed: {chain}"
        );
    }
}

/// Words repeat what a client sent, and may be as long: nobody reads more than this.
fn shortened(mut text: String) -> String {
    const MOST: usize = 500;
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.said_in(Dialect::Problem)
    }
}

/// What callers of a part of the interface understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Problems (RFC 9457).
    Problem,
    /// Error objects of the model gateway.
    OpenAi,
    /// SCIM's (RFC 7644, 3.12).
    Scim,
    /// OAuth's (RFC 6749, 5.2).
    OAuth,
}

impl Dialect {
    /// The one of those who ask for `path`.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            _ if path.starts_with("/v1/") => Self::OpenAi,
            _ if path.starts_with("/scim/") => Self::Scim,
            _ if path.starts_with("/oauth/") => Self::OAuth,
            _ => Self::Problem,
        }
    }

    fn status(self, kind: Kind) -> StatusCode {
        match self {
            // Neither RFC 7644 nor RFC 6749 knows 422: what is not acceptable is a bad request.
            Self::Scim | Self::OAuth if kind.status() == StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            Self::Problem | Self::OpenAi | Self::Scim | Self::OAuth => kind.status(),
        }
    }
}

/// The member that says what is wrong in SCIM's words.
pub(crate) const SCIM_TYPE: &str = "scimType";
/// The member that says what is wrong in OAuth's words.
pub(crate) const OAUTH_ERROR: &str = "error";

/// A problem that travels in its response's extensions until the edge has logged it and named the request.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    problem: Arc<Problem>,
    dialect: Dialect,
}

impl Report {
    /// The problem itself.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The body with the request's id as its instance; `None` where the dialect has no place for it.
    pub(crate) fn body_for(&self, request: &RequestId) -> Option<Body> {
        match self.dialect {
            Dialect::Problem => Some(Body::from(self.problem.body(Some(request)).to_json())),
            Dialect::OpenAi | Dialect::Scim | Dialect::OAuth => None,
        }
    }

    fn into_response(self) -> Response {
        let (kind, retry_after) = (self.problem.kind(), self.problem.0.retry_after);
        let status = self.dialect.status(kind);
        let (content_type, body) = match self.dialect {
            Dialect::Problem => ("application/problem+json", self.problem.body(None).to_json()),
            Dialect::OpenAi => ("application/json", self.problem.body(None).to_openai(kind)),
            Dialect::Scim => ("application/scim+json", self.problem.body(None).to_scim(kind, status)),
            Dialect::OAuth => ("application/json", self.problem.body(None).to_oauth(kind)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if kind.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl utoipa::IntoResponses for Problem {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        let schema = utoipa::openapi::Ref::from_schema_name("ProblemBody");
        let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
        let response = utoipa::openapi::ResponseBuilder::new()
            .description("What was refused or failed, and why (RFC 9457)")
            .content("application/problem+json", content)
            .build();
        std::collections::BTreeMap::from([("default".to_owned(), response.into())])
    }
}

impl utoipa::IntoResponses for ScimErrorBody {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        let schema = utoipa::openapi::Ref::from_schema_name("ScimErrorBody");
        let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
        let response = utoipa::openapi::ResponseBuilder::new()
            .description("What was refused or failed, and why (RFC 7644, 3.12)")
            .content("application/scim+json", content)
            .build();
        std::collections::BTreeMap::from([("default".to_owned(), response.into())])
    }
}

/// A problem in the dialect that callers of `path` understand.
pub(crate) fn respond(problem: Problem, path: &str) -> Response {
    problem.said_in(Dialect::of(path))
}

/// The same response; if it is a problem, in the dialect that callers of `path` understand.
pub(crate) fn in_dialect(mut response: Response, path: &str) -> Response {
    let dialect = Dialect::of(path);
    if dialect == Dialect::Problem {
        return response;
    }
    match response.extensions_mut().remove::<Report>() {
        Some(Report { problem, dialect: _ }) => Report { problem, dialect }.into_response(),
        None => response,
    }
}

/// The answer where no route is.
#[expect(clippy::needless_pass_by_value, reason = "a handler owns what it is given")]
pub fn fallback(uri: Uri) -> Ready<Response> {
    ready(respond(Problem::new(Kind::NotFound), uri.path()))
}

/// The answer where a route is, but not for the request's method. The router adds `Allow`.
#[expect(clippy::needless_pass_by_value, reason = "a handler owns what it is given")]
pub fn method_fallback(uri: Uri) -> Ready<Response> {
    ready(respond(Problem::new(Kind::MethodNotAllowed), uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_client_problem_says_what_is_wrong_and_where() {
        let problem = Problem::field("/name", &"must not be empty").with("budget", "bud_1").with("status", 200);
        let response = problem.into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        insta::assert_snapshot!(text(response).await, @r#"{"type":"/problems/invalid","title":"A field is not acceptable","status":422,"errors":[{"pointer":"/name","detail":"must not be empty"}],"budget":"bud_1"}"#);
    }

    #[tokio::test]
    async fn a_server_problem_hides_its_cause() {
        let response = Problem::server(Kind::Internal, "disk on fire").into_response();
        assert_eq!(response.status(), 500);
        assert!(!text(response).await.contains("fire"));
    }

    #[tokio::test]
    async fn bad_credentials_name_the_scheme_and_a_limit_says_when_to_come_back() {
        let response = Problem::new(Kind::Unauthenticated).into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let response = Problem::new(Kind::RateLimited).retry_after(7).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[tokio::test]
    async fn the_gateway_gets_an_openai_error_object() {
        let problem = Problem::field("/messages/0/role", &"unknown role");
        insta::assert_snapshot!(text(problem.openai()).await, @r#"{"error":{"message":"unknown role","type":"invalid_request_error","code":"invalid","param":"messages.0.role"}}"#);
        let problem = Problem::client(Kind::BudgetExhausted, &"the budget `bud_1` is spent");
        insta::assert_snapshot!(text(problem.openai()).await, @r#"{"error":{"message":"the budget `bud_1` is spent","type":"insufficient_quota","code":"budget_exhausted","param":null}}"#);
    }

    #[test]
    fn openapi_declares_problems_once() {
        let responses = <Problem as utoipa::IntoResponses>::responses();
        assert!(serde_json::to_string(&responses).unwrap().contains("#/components/schemas/ProblemBody"));
    }
}
