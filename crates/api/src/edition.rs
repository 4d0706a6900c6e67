//! What is switched on only where the installation has the enterprise edition.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::place::Edition;
use crate::problem::{self, Kind, Problem};

/// What the paths of the enterprise edition start with.
const ENTERPRISE: [&str; 13] = [
    "/api/v1/admin/tenants",
    "/api/v1/admin/users",
    "/api/v1/admin/roles",
    "/api/v1/admin/groups",
    "/api/v1/admin/sessions",
    "/api/v1/admin/identity-providers",
    "/api/v1/admin/policies",
    "/api/v1/tokens",
    "/api/v1/me/password",
    "/access/v1",
    "/auth/",
    "/oauth/",
    "/scim/v2",
];

/// Lets requests through to what is switched on.
pub(crate) async fn active(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if app.0.about.edition == Edition::Enterprise || !ENTERPRISE.iter().any(|part| path.starts_with(part)) {
        return next.run(request).await;
    }
    let detail = "this belongs to the enterprise edition, which the profile does not switch on: add its `enterprise` \
                  section, which `taskforce init` writes, and start the server again";
    problem::respond(Problem::client(Kind::NotFound, &detail), request.uri().path())
}
