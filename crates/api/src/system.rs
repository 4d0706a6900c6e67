//! What the server says about itself.

use std::sync::Arc;

use authz::Caller;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{About, App, Inner};
use crate::problem::Problem;

/// What everybody may ask, without credentials.
pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// What every caller may ask.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(get_system))
}

/// Whether a check passed.
#[derive(Debug, Serialize, ToSchema)]
struct HealthOut {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

const WELL: Json<HealthOut> = Json(HealthOut { status: "ok" });

/// Says that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "System", responses((status = 200, body = HealthOut)))]
async fn healthz() -> Json<HealthOut> {
    WELL
}

/// Says whether requests can be served: the database answers, the ledger can be written, the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "System", responses((status = 200, body = HealthOut), Problem))]
async fn readyz(State(app): State<App>) -> Result<Json<HealthOut>, Problem> {
    app.run(Inner::ready).await?;
    Ok(WELL)
}

/// Gives the server's counters (Prometheus text format 0.0.4).
#[utoipa::path(
    get, path = "/metrics", tag = "System", responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = app.run(|inner| Ok(inner.metrics.render(audit::entry_count(&inner.db).ok()))).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
struct SystemOut {
    /// Its version.
    version: &'static str,
    /// Which edition is active: `community` or `enterprise`.
    edition: &'static str,
    /// The parts of the enterprise edition that are active.
    parts: Vec<String>,
    /// What the names of the logs start with.
    instance: String,
    /// The key that signs the logs' heads (C2SP vkey): keep it, and `taskforce verify` trusts nothing else.
    vkey: String,
}

/// Says what the server is, and which key signs its logs.
#[utoipa::path(get, path = "/api/v1/system", tag = "System", responses((status = 200, body = SystemOut), Problem))]
async fn get_system(State(app): State<App>, _: Caller) -> Json<SystemOut> {
    let About { version, edition, parts } = app.0.about.clone();
    Json(SystemOut {
        version,
        edition: edition.as_str(),
        parts,
        instance: app.0.db.instance().to_owned(),
        vkey: app.0.signer.verifier_key().to_string(),
    })
}

/// The document itself.
pub(crate) async fn document(State(text): State<Arc<str>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text.to_string()).into_response()
}
