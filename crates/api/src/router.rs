//! All routes, and what stands around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, Parts, SigningError};
use crate::metrics::{Metrics, measure};
use crate::{
    admission, approvals, audit, authzen, catalog, edition, gateway, identity, policies, problem, scim, sign_in,
    system, tokens, usage, well_known,
};

impl App {
    /// Puts an application together. From here on, what is changed through `db` holds for the next request.
    pub fn new(parts: Parts) -> Result<Self, SigningError> {
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
        .merge(policies::routes())
        .merge(authzen::routes())
        .merge(scim::routes())
        .merge(system::routes())
        .merge(sign_in::routes())
        .merge(tokens::routes())
}

/// What needs no credentials.
fn open() -> OpenApiRouter<App> {
    system::open_routes().merge(authzen::open_routes())
}

/// What needs no credentials and lets somebody in, or a key be revoked: so often from each network.
fn entrance() -> OpenApiRouter<App> {
    well_known::open_routes().merge(sign_in::open_routes())
}

/// The description of the whole interface (OpenAPI 3.1).
pub fn openapi() -> OpenApi {
    let open = open().merge(entrance());
    crate::openapi::complete(guarded().into_openapi(), open.into_openapi())
}

/// The application as a router, to be put behind [`limits::Front`](crate::limits::Front).
pub fn router(app: App) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = open().split_for_parts();
    let (entrance, _) = entrance().split_for_parts();
    let document: Arc<str> = openapi().to_json().unwrap_or_default().into();
    let metrics = Arc::clone(&app.0.metrics);
    guarded
        .route_layer(from_fn_with_state(app.clone(), admission::admit))
        .merge(entrance.route_layer(from_fn_with_state(app.clone(), admission::enter)))
        .merge(open)
        .route_layer(from_fn_with_state(app.clone(), edition::active))
        .with_state(app)
        .merge(Router::new().route("/openapi.json", get(system::document)).with_state(document))
        .merge(problem::pages())
        .fallback(problem::fallback)
        .method_not_allowed_fallback(problem::method_fallback)
        .layer(from_fn_with_state(metrics, measure))
}

#[cfg(test)]
mod tests {
    use crate::limits::SLOW;
    use crate::metrics::operations;
    use crate::rate::HEAVY;

    #[test]
    fn what_is_said_to_cost_much_exists() {
        let document = super::openapi();
        let all = document.paths.paths.values().flat_map(operations);
        let ids: Vec<_> = all.filter_map(|(_, operation)| operation.operation_id.as_deref()).collect();
        assert!(HEAVY.iter().all(|heavy| ids.contains(heavy)), "{ids:?}");
    }

    #[test]
    fn what_costs_much_has_the_time_for_it() {
        let document = super::openapi();
        let mut heavy = document.paths.paths.iter().filter(|(_, item)| {
            operations(item).any(|(_, operation)| HEAVY.iter().any(|id| operation.operation_id.as_deref() == Some(*id)))
        });
        assert!(heavy.all(|(path, _)| SLOW.contains(&path.as_str())));
    }
}
