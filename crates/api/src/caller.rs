//! Who is asking: credentials become a caller before a handler runs, and a refusal leaves its entry after it.

use audit::Refusal;
use authz::{Caller, Request as Asked};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use identity::Authenticated;
use kernel::{AgentId, RequestId};

use crate::app::App;
use crate::problem::{self, Kind, Problem, Report};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const AGENT: HeaderName = HeaderName::from_static("taskforce-agent");
/// Names the ledger entry that a request left, by its place in the caller's log.
pub(crate) const ENTRY: HeaderName = HeaderName::from_static("taskforce-entry");

/// Lets requests with valid credentials through, and records those that are refused.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let operation = app.0.metrics.operation(request.method(), matched(&request));
    let asked = Asked::new(request_id(&app, &request), app.0.db.moment().now());
    let mutating = !matches!(*request.method(), Method::GET | Method::HEAD);
    let authenticated = match authenticate(&app, request.headers(), &asked) {
        Ok(authenticated) => authenticated,
        Err(problem) => {
            let refusal = Refusal { action: operation.to_string(), resource: None, problem: problem.kind().slug() };
            let recorded = app.run(move |inner| {
                let at = inner.db.moment();
                Ok(audit::refused_anonymous(&inner.db, &inner.refusals, &asked, &refusal, &at)?)
            });
            return problem::respond(recorded.await.map_or_else(unrecorded, |()| problem), &path);
        }
    };
    let caller = authenticated.caller.clone();
    request.extensions_mut().insert(authenticated);
    let response = problem::in_dialect(next.run(request).await, &path);
    let refusal = refusal(&caller, &operation, &response, mutating);
    let mut response = match record(&app, &caller, refusal).await {
        Ok(()) => response,
        Err(problem) => problem::respond(problem, &path),
    };
    if let Some(seq) = caller.request().recorded() {
        response.headers_mut().insert(ENTRY, HeaderValue::from(seq));
    }
    response
}

/// A change that was refused leaves an entry, and so does anything that the caller was not permitted.
fn refusal(caller: &Caller, operation: &str, response: &Response, mutating: bool) -> Option<Refusal> {
    let status = response.status();
    let refused = status == StatusCode::FORBIDDEN || (mutating && status.is_client_error());
    if !refused || caller.request().recorded().is_some() {
        return None;
    }
    let problem = response.extensions().get::<Report>().map_or("refused", |report| report.problem().kind().slug());
    Some(Refusal { action: operation.to_owned(), resource: None, problem })
}

async fn record(app: &App, caller: &Caller, refusal: Option<Refusal>) -> Result<(), Problem> {
    let Some(refusal) = refusal else { return Ok(()) };
    let caller = caller.clone();
    let recorded =
        app.run(move |inner| Ok(audit::refused(&inner.db, &inner.refusals, &caller, &refusal, &inner.db.moment())?));
    recorded.await.map_err(unrecorded)
}

/// What cannot be recorded does not happen, not even a refusal.
fn unrecorded(problem: Problem) -> Problem {
    problem.turned_into(Kind::AuditUnavailable)
}

fn matched(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str)
}

/// The id that the front of the server gave, or a new one where there is no front.
fn request_id(app: &App, request: &Request) -> RequestId {
    request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| app.0.db.moment().id())
}

fn authenticate(app: &App, headers: &HeaderMap, asked: &Asked) -> Result<Authenticated, Problem> {
    let presented = presented(headers)?;
    let now = app.0.db.moment().now();
    app.0.directory.authenticate(presented, asked.clone(), now).map_err(|error| {
        tracing::info!(request.id = %asked.id, cause = %error.cause, "credentials refused: {}", error.cause);
        Problem::client(Kind::Unauthenticated, &error)
    })
}

/// The one credential of a request.
fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let refuse = |why: &'static str| Problem::client(Kind::Unauthenticated, &why);
    let mut given = headers.get_all(AUTHORIZATION).iter().map(bearer);
    let mut keys = headers.get_all(X_API_KEY).iter().map(|value| value.to_str().ok());
    let first = given.next().or_else(|| keys.next());
    let first = first.ok_or_else(|| refuse("send an API key as `authorization: Bearer …` or `x-api-key`"))?;
    if given.next().is_some() || keys.next().is_some() {
        return Err(refuse("more than one credential was sent"));
    }
    first.ok_or_else(|| refuse("expected `authorization: Bearer` and an API key"))
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { Some(token.trim()) } else { None }
}

/// The caller, and the agent that its key is for.
#[derive(Debug)]
pub(crate) struct Held {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What the key is for.
    pub(crate) agent: Option<AgentId>,
}

impl FromRequestParts<App> for Held {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Some(Authenticated { caller, agent }) = parts.extensions.get::<Authenticated>().cloned() else {
            return Err(Problem::server(Kind::Internal, "the route does not admit callers"));
        };
        Ok(Self { caller, agent })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Held::from_request_parts(parts, app).await?.caller)
    }
}

/// The agent that a header names, or else the one that the caller's key is for.
#[derive(Debug)]
pub(crate) struct Meant(pub(crate) Option<AgentId>);

impl FromRequestParts<App> for Meant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(AGENT) else {
            return Ok(Self(Held::from_request_parts(parts, app).await?.agent));
        };
        let named = value.to_str().unwrap_or_default().parse();
        named.map(|agent| Self(Some(agent))).map_err(|error| Problem::client(Kind::Invalid, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<String, u16> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        presented(&headers).map(str::to_owned).map_err(|problem| problem.kind().status().as_u16())
    }

    #[test]
    fn a_key_comes_as_bearer_or_in_a_header_of_its_own_and_only_once() {
        assert_eq!(read(&[("authorization", "Bearer tfk_1")]), Ok("tfk_1".to_owned()));
        assert_eq!(read(&[("authorization", "bEARER  tfk_1 ")]), Ok("tfk_1".to_owned()));
        assert_eq!(read(&[("x-api-key", "tfk_1")]), Ok("tfk_1".to_owned()));
        for refused in [
            &[][..],
            &[("authorization", "Basic dGY6dGY=")],
            &[("authorization", "tfk_1")],
            &[("authorization", "Bearer tfk_1"), ("authorization", "Bearer tfk_2")],
            &[("authorization", "Bearer tfk_1"), ("x-api-key", "tfk_1")],
            &[("x-api-key", "tfk_1"), ("x-api-key", "tfk_2")],
        ] {
            assert_eq!(read(refused), Err(401), "{refused:?}");
        }
    }
}
