//! Decisions for others who enforce them (`AuthZEN` Authorization API 1.0 of the `OpenID` Foundation): gateways and tool
//! servers ask here what this server would decide.
//!
//! **Invariant:** a decision is what [`authz::Caller::authorize`] would say for all that the subject's roles give: roles
//! and policies both allow. What cannot be named (an action, a type of thing, a subject) is refused, and is no error.
//!
//! Everybody asks about themselves; about others whoever manages users (`user:manage`) or reads the ledger
//! (`audit:read`).

mod wire;

use authz::Caller;
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use identity::{AccessQuestion, UserError};
use kernel::Moment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Database;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::act::Act;
use crate::app::{App, Inner};
use crate::problem::{Kind, Problem};
use wire::{DecisionOut, DecisionsOut, EvaluationIn, EvaluationsIn, Unknown};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The operations of those who enforce decisions.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(evaluate)).routes(routes!(evaluate_many))
}

/// What those may know before they have credentials.
pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(get_authzen_configuration))
}

/// Where decisions are made.
#[derive(Debug, Serialize, ToSchema)]
struct ConfigurationOut {
    /// The server's address.
    #[schema(example = "https://taskforce.example.org")]
    policy_decision_point: String,
    /// Where one decision is asked for.
    access_evaluation_endpoint: String,
    /// Where many are.
    access_evaluations_endpoint: String,
}

/// Says where decisions are made.
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration", tag = "AuthZEN",
    responses((status = 200, body = ConfigurationOut), Problem)
)]
async fn get_authzen_configuration(State(app): State<App>) -> Json<ConfigurationOut> {
    let server = &app.0.place.public_url;
    Json(ConfigurationOut {
        policy_decision_point: server.clone(),
        access_evaluation_endpoint: format!("{server}/access/v1/evaluation"),
        access_evaluations_endpoint: format!("{server}/access/v1/evaluations"),
    })
}

/// Who asks what. A body that is not acceptable is a bad request here, whatever is the matter with it.
struct Asked<T> {
    caller: Caller,
    id: Option<HeaderValue>,
    body: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let id = request_id(request.headers());
        let asked = Act::from_request(request, app).await;
        let Act { by: (caller, _), body } = asked.map_err(|problem| problem.on(Kind::Invalid, Kind::Malformed))?;
        Ok(Self { caller, id, body })
    }
}

/// What the client calls its request.
fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let plain = |value: &&HeaderValue| value.len() <= 128 && value.as_bytes().iter().all(u8::is_ascii_graphic);
    headers.get(X_REQUEST_ID).filter(plain).cloned()
}

/// Names the client's request again, if it did.
fn named(mut response: Response, id: Option<HeaderValue>) -> Response {
    if let Some(id) = id {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// Says whether a subject may do something, and why or why not.
///
/// The subject is a user or service account of the caller's tenant, by id; the action is a permission; the resource is of
/// the kind that the permission is about, by id, or `*` for no single thing. Nothing is done, and nothing recorded.
#[utoipa::path(
    post, path = "/access/v1/evaluation", tag = "AuthZEN", request_body = EvaluationIn,
    responses((status = 200, body = DecisionOut), Problem)
)]
async fn evaluate(State(app): State<App>, asked: Asked<EvaluationIn>) -> Result<Response, Problem> {
    let Asked { caller, id, body } = asked;
    let evaluated = app.run(move |inner| decided(inner, &caller, &body, &inner.db.moment()));
    evaluated.await.map(|decision| named(Json(decision).into_response(), id))
}

/// Says the same for many questions, in one answer.
///
/// What is said at the top holds for each question that does not say otherwise. With the semantics `deny_on_first_deny`
/// and `permit_on_first_permit` the answer ends with the first such decision.
#[utoipa::path(
    post, path = "/access/v1/evaluations", tag = "AuthZEN", request_body = EvaluationsIn,
    responses((status = 200, body = DecisionsOut), Problem)
)]
async fn evaluate_many(State(app): State<App>, asked: Asked<EvaluationsIn>) -> Result<Response, Problem> {
    let Asked { caller, id, body } = asked;
    let evaluated = app.run(move |inner| all_decided(inner, &caller, body, &inner.db.moment()));
    evaluated.await.map(|decisions| named(decisions, id))
}

fn all_decided(inner: &Inner, caller: &Caller, body: EvaluationsIn, at: &Moment<'_>) -> Result<Response, Problem> {
    let (questions, semantic) = body.questions()?;
    let Some(questions) = questions else {
        // Without questions of their own, what is said at the top is the only one.
        return Ok(Json(decided(inner, caller, &body.alone(), at)?).into_response());
    };
    let mut decisions = Vec::with_capacity(questions.len());
    for question in &questions {
        let decision = decided(inner, caller, question, at)?;
        let ends = semantic.ends_with(decision.decision);
        decisions.push(decision);
        if ends {
            break;
        }
    }
    Ok(Json(DecisionsOut { evaluations: decisions }).into_response())
}

fn decided(inner: &Inner, caller: &Caller, body: &EvaluationIn, at: &Moment<'_>) -> Result<DecisionOut, Problem> {
    let asked = match body.asked()? {
        Ok(asked) => asked,
        Err(unknown) => return Ok(unknown.into()),
    };
    let guard = inner.policies.guard_for(caller.tenant());
    let question = AccessQuestion {
        user: &asked.user,
        permission: asked.permission,
        resource: asked.resource,
        facts: asked.facts.facts(),
        guard,
    };
    explained(&inner.db, caller, &question, at)
}

fn explained(
    db: &Database,
    caller: &Caller,
    question: &AccessQuestion<'_>,
    at: &Moment<'_>,
) -> Result<DecisionOut, Problem> {
    match identity::explain(db, caller, question, at) {
        Ok(explanation) => Ok((&explanation, question.permission).into()),
        Err(UserError::NotFound(_)) => Ok(Unknown::Subject.into()),
        Err(error @ (UserError::Forbidden(_) | UserError::Database(_))) => Err(error.into()),
    }
}
