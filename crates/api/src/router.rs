//! All routes, and what stands around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, Parts};
use crate::metrics::{Metrics, measure};
use crate::{approvals, audit, caller, catalog, gateway, identity, problem, system, usage};

impl App {
    /// Puts an application together. From here on, what is changed through `db` holds for the next request.
    pub fn new(parts: Parts) -> Self {
        Self::with_metrics(parts, Metrics::of(&openapi()))
    }
}

/// What only callers with credentials reach.
fn guarded() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(crate::openapi::guarded())
        .merge(identity::routes())
        .merge(catalog::routes())
        .merge(approvals::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(gateway::routes())
        .merge(system::routes())
}

/// The description of the whole interface (OpenAPI 3.1).
pub fn openapi() -> OpenApi {
    crate::openapi::complete(guarded().into_openapi(), system::open_routes().into_openapi())
}

/// The application as a router, to be put behind [`limits::Front`](crate::limits::Front).
pub fn router(app: App) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = system::open_routes().split_for_parts();
    let document: Arc<str> = openapi().to_json().unwrap_or_default().into();
    let metrics = Arc::clone(&app.0.metrics);
    guarded
        .route_layer(from_fn_with_state(app.clone(), caller::admit))
        .merge(open)
        .with_state(app)
        .merge(Router::new().route("/openapi.json", get(system::document)).with_state(document))
        .merge(problem::pages())
        .fallback(problem::fallback)
        .method_not_allowed_fallback(problem::method_fallback)
        .layer(from_fn_with_state(metrics, measure))
}
