//! What anybody may know of the server before they have credentials: how it is spoken to, what its secrets look like,
//! and where one that got out is reported.

use authz::Permission;
use axum::Json;
use axum::extract::State;
use identity::SECRET_PATTERN;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract;
use crate::problem::Problem;

/// What everybody may ask and do without credentials, so often from each network.
pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(get_protected_resource))
        .routes(routes!(get_secret_patterns))
        .routes(routes!(report_leaked_key))
}

/// The server as a resource that tokens are for (RFC 9728).
#[derive(Debug, Serialize, ToSchema)]
struct ResourceOut {
    /// The server's address.
    #[schema(example = "https://taskforce.example.org")]
    resource: String,
    /// What it is called.
    resource_name: &'static str,
    /// What tokens can be narrowed to.
    scopes_supported: Vec<&'static str>,
    /// How tokens are sent.
    bearer_methods_supported: [&'static str; 1],
    /// The description of the interface.
    resource_documentation: String,
}

/// Says how the server is spoken to with a token (RFC 9728).
///
/// Whose tokens are accepted is each tenant's own affair, and is not told to strangers.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "Sign-in",
    responses((status = 200, body = ResourceOut), Problem))]
async fn get_protected_resource(State(app): State<App>) -> Json<ResourceOut> {
    let resource = app.0.place.public_url.clone();
    Json(ResourceOut {
        resource_documentation: format!("{resource}/openapi.json"),
        resource,
        resource_name: "Taskforce",
        scopes_supported: Permission::ALL.iter().map(|permission| permission.as_str()).collect(),
        bearer_methods_supported: ["header"],
    })
}

/// What to look for in texts that should hold no secrets.
#[derive(Debug, Serialize, ToSchema)]
struct PatternsOut {
    /// The patterns.
    patterns: [PatternOut; 1],
}

/// The look of a kind of secret.
#[derive(Debug, Serialize, ToSchema)]
struct PatternOut {
    /// What it finds.
    name: &'static str,
    /// A regular expression. The last six characters of what it finds are a checksum.
    regex: &'static str,
    /// Where to report what was found: `POST` with a JSON object that has it as `key`.
    report_url: String,
}

/// Gives the pattern of this server's secrets, for secret scanners.
#[utoipa::path(get, path = "/.well-known/secret-scanning.json", tag = "Sign-in",
    responses((status = 200, body = PatternsOut), Problem))]
async fn get_secret_patterns(State(app): State<App>) -> Json<PatternsOut> {
    let report_url = format!("{}/api/v1/leaked-keys", app.0.place.public_url);
    Json(PatternsOut { patterns: [PatternOut { name: "Taskforce credential", regex: SECRET_PATTERN, report_url }] })
}

/// A key that was found where it should not be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeakedKeyIn {
    /// The whole key.
    #[schema(max_length = 256)]
    key: String,
}

/// The same thanks, whatever was sent.
#[derive(Debug, Serialize, ToSchema)]
struct ReportedOut {
    /// `received`.
    #[schema(example = "received")]
    status: &'static str,
}

/// Reports a key that was found where it should not be.
///
/// If it is one and is good, it is revoked at once, and its tenant's ledger says why. The answer is the same either way.
#[utoipa::path(post, path = "/api/v1/leaked-keys", tag = "Sign-in", request_body = LeakedKeyIn,
    responses((status = 200, body = ReportedOut), Problem))]
async fn report_leaked_key(
    State(app): State<App>,
    extract::Json(LeakedKeyIn { key }): extract::Json<LeakedKeyIn>,
) -> Result<Json<ReportedOut>, Problem> {
    app.run(move |inner| Ok(identity::report_leaked(&inner.db, &inner.directory, &key, &inner.db.moment())?)).await?;
    Ok(Json(ReportedOut { status: "received" }))
}
