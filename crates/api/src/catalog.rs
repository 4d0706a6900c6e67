//! Agents and their versions.

mod agents;
mod problem;
mod versions;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The operations about what may run.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(agents::create_agent, agents::list_agents))
        .routes(routes!(agents::get_agent, agents::update_agent))
        .routes(routes!(versions::create_version, versions::list_versions))
        .routes(routes!(versions::get_version, versions::update_version))
        .routes(routes!(versions::submit_version))
        .routes(routes!(versions::publish_version))
        .routes(routes!(versions::deprecate_version))
        .routes(routes!(versions::archive_version))
}
