//! The gateway's door: OpenAI's chat completions for governed agents.

use std::sync::Arc;

use authz::Caller;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use gateway::{Asked, Callable, ChatError, RequestError, SendError};
use kernel::Timestamp;
use serde::Serialize;
use serde_json::Value;
use usage::BudgetExhausted;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::Meant;
use crate::extract::RawJson;
use crate::metrics::CallEnd;
use crate::problem::{Kind, Problem};
use crate::wire::Amount;

/// The operations that agents call.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(create_chat_completion)).routes(routes!(list_models))
}

/// Calls an agent's published version, as OpenAI's API does a model.
///
/// The agent is named by its id in `model`, or by the header `taskforce-agent`, or by the key, which may be bound to
/// one. The published version decides on model, prompt, tools and parameters; everything else in the body is passed on
/// untouched. With `stream`, the answer is a stream of events. Errors are OpenAI error objects.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "Gateway",
    params(("taskforce-agent" = Option<String>, Header, description = "The agent, if `model` does not name it.")),
    request_body(content = Object, description = "As OpenAI's chat completions.",
        example = json!({"model": "agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f", "messages": [{"role": "user", "content": "Hello"}]})),
    responses((status = 200, body = Object, description = "As OpenAI's chat completions."), Problem)
)]
async fn create_chat_completion(
    State(app): State<App>,
    caller: Caller,
    Meant(agent): Meant,
    RawJson(body): RawJson,
) -> Result<Response, Problem> {
    let asked = Asked { caller: &caller, agent, body: &body };
    let answered = Arc::clone(&app.0.gateway).chat(asked).await;
    let answered = answered.map_err(|error| problem(error, app.0.db.moment().now()));
    app.0.metrics.call(end(&answered));
    answered.map(|response| response.map(Body::new))
}

fn end(answered: &Result<http::Response<gateway::Body>, Problem>) -> CallEnd {
    match answered {
        Ok(response) if response.status().is_success() => CallEnd::Answered,
        Err(problem) if problem.kind().status().is_client_error() => CallEnd::Refused,
        Ok(_) | Err(_) => CallEnd::Failed,
    }
}

/// The agents that can be called, as OpenAI lists models.
#[derive(Debug, Serialize, ToSchema)]
struct ModelsOut {
    /// `list`.
    object: &'static str,
    /// The agents.
    data: Vec<ModelOut>,
}

/// An agent that can be called.
#[derive(Debug, Serialize, ToSchema)]
struct ModelOut {
    /// What to put into `model`.
    #[schema(example = "agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// `model`.
    object: &'static str,
    /// The agent's name.
    name: String,
    /// The tenant.
    owned_by: String,
}

/// Lists the agents that can be called, as OpenAI lists models.
#[utoipa::path(get, path = "/v1/models", tag = "Gateway", responses((status = 200, body = ModelsOut), Problem))]
async fn list_models(State(app): State<App>, caller: Caller) -> Result<Json<ModelsOut>, Problem> {
    let callable = app.0.gateway.models(&caller)?;
    let model = |Callable { agent, name }: Callable| {
        let owned_by = caller.tenant().to_string();
        ModelOut { id: agent.to_string(), object: "model", name, owned_by }
    };
    Ok(Json(ModelsOut { object: "list", data: callable.into_iter().map(model).collect() }))
}

fn problem(error: ChatError, now: Timestamp) -> Problem {
    match error {
        ChatError::Forbidden(refusal) => refusal.into(),
        ChatError::ApprovalRequired { approval, refusal } => {
            Problem::from(*refusal).with("approval", approval.as_str())
        }
        ChatError::Request(error) => request_problem(&error),
        ChatError::AgentNotNamed => Problem::field("/model", &error),
        ChatError::AgentNotFound(_) => Problem::client(Kind::NotFound, &error),
        ChatError::NoModel { .. } | ChatError::NoPrice(_) | ChatError::NoUpstream(_) => {
            Problem::client(Kind::WrongState, &error)
        }
        ChatError::Budget(exhausted) => budget_problem(&exhausted, now),
        ChatError::NotRecorded(_) => Problem::client(Kind::AuditUnavailable, &error).caused_by(error).retry_after(1),
        ChatError::Database(error) => error.into(),
        ChatError::Upstream(SendError::Timeout { .. }) => Problem::client(Kind::UpstreamTimeout, &error),
        ChatError::Upstream(SendError::Unreachable { .. }) => {
            Problem::client(Kind::UpstreamFailed, &error).caused_by(error)
        }
        ChatError::UpstreamStatus { .. } | ChatError::BrokenOff { .. } => Problem::client(Kind::UpstreamFailed, &error),
    }
}

fn request_problem(error: &RequestError) -> Problem {
    match error {
        RequestError::Malformed(_) => Problem::client(Kind::Malformed, error),
        RequestError::Invalid { pointer, detail } => Problem::field(pointer, detail),
        RequestError::Rerouting(field) => Problem::client(Kind::Malformed, error).and_field(format!("/{field}"), error),
        RequestError::ForeignTool { pointer, tool: _ } => {
            Problem::client(Kind::Forbidden, error).and_field(pointer, error)
        }
    }
}

/// Names the budget, how far it is used, and when it starts anew.
fn budget_problem(exhausted: &BudgetExhausted, now: Timestamp) -> Problem {
    let BudgetExhausted { budget, name, limit, spent, held, resets_at } = exhausted;
    let amount = |amount| serde_json::to_value(Amount::from(amount)).unwrap_or(Value::Null);
    let again = resets_at.map_or_else(|| "it does not start anew".to_owned(), |at| format!("it starts anew at {at}"));
    let problem = Problem::client(Kind::BudgetExhausted, &format_args!("{exhausted}; {again}"))
        .with("budget", budget.as_str())
        .with("name", name.as_str())
        .with("limit", amount(*limit))
        .with("spent", amount(*spent))
        .with("held", amount(*held))
        .with("reset", resets_at.map(|at| at.to_string()));
    let Some(at) = resets_at else { return problem };
    let micros = at.micros().saturating_sub(now.micros());
    problem.retry_after(u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000))
}
