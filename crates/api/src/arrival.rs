//! What is known of a request before its credentials are looked at.

use std::sync::Arc;

use audit::Refusal;
use authz::Request as Asked;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::Method;
use kernel::{RequestId, Timestamp};

use crate::app::App;
use crate::client::Client;
use crate::problem::{self, Problem};

/// What is known of a request before anything of it is believed.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The request as the ledger knows it.
    pub(crate) asked: Asked,
    /// Where it comes from.
    pub(crate) client: Client,
    /// The operation that answers it.
    pub(crate) operation: Arc<str>,
    path: String,
    mutating: bool,
}

impl Arrival {
    pub(crate) fn of(app: &App, request: &Request) -> Result<Self, Problem> {
        let matched = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let client = Client::of(request.extensions(), request.headers(), &app.0.place.trusted_proxies)?;
        Ok(Self {
            asked: Asked::new(request_id(app, request), app.0.db.moment().now()),
            client,
            operation: app.0.metrics.operation(request.method(), matched),
            path: request.uri().path().to_owned(),
            mutating: !matches!(*request.method(), Method::GET | Method::HEAD),
        })
    }

    /// When it came.
    pub(crate) fn now(&self) -> Timestamp {
        self.asked.at
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is to change something.
    pub(crate) fn is_mutating(&self) -> bool {
        self.mutating
    }

    pub(crate) fn refusal(&self, problem: &'static str) -> Refusal {
        Refusal { action: self.operation.to_string(), resource: None, problem }
    }

    pub(crate) fn answer(&self, problem: Problem) -> Response {
        problem::respond(problem, &self.path)
    }
}

/// The id that the front of the server gave, or a new one where there is no front.
fn request_id(app: &App, request: &Request) -> RequestId {
    request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| app.0.db.moment().id())
}
