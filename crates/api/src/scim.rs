//! SCIM 2.0 (RFC 7643, RFC 7644): directories provision people and groups.
//!
//! Any credential with `user:manage` may ask; the enterprise extension becomes attributes, by which policies decide, and
//! therefore needs `policy:manage` too. SCIM sees people, not service accounts; it gives no roles: a group has those that
//! an administrator gave it.

mod about;
mod expression;
mod fields;
mod groups;
mod list;
mod patch;
mod refusal;
mod revision;
mod schema;
mod select;
mod team;
mod users;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The operations of directories.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(about::service_provider))
        .routes(routes!(about::list_resource_types))
        .routes(routes!(about::get_resource_type))
        .routes(routes!(about::list_schemas))
        .routes(routes!(about::get_schema))
        .routes(routes!(about::search))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::replace, users::change, users::delete))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::get, groups::replace, groups::change, groups::delete))
}
