//! What handlers know of who is asking.

use authz::Caller;
use axum::extract::FromRequestParts;
use http::header::HeaderName;
use http::request::Parts;
use identity::Authenticated;
use kernel::AgentId;

use crate::app::App;
use crate::problem::{Kind, Problem};

const AGENT: HeaderName = HeaderName::from_static("taskforce-agent");

/// The caller, and the agent that its key is for.
#[derive(Debug)]
pub(crate) struct Held {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What the key is for.
    pub(crate) agent: Option<AgentId>,
}

impl FromRequestParts<App> for Held {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Some(Authenticated { caller, agent }) = parts.extensions.get::<Authenticated>().cloned() else {
            return Err(Problem::server(Kind::Internal, "the route does not admit callers"));
        };
        Ok(Self { caller, agent })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Held::from_request_parts(parts, app).await?.caller)
    }
}

/// The agent that a header names, or else the one that the caller's key is for.
#[derive(Debug)]
pub(crate) struct Meant(pub(crate) Option<AgentId>);

impl FromRequestParts<App> for Meant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(AGENT) else {
            return Ok(Self(Held::from_request_parts(parts, app).await?.agent));
        };
        let named = value.to_str().unwrap_or_default().parse();
        named.map(|agent| Self(Some(agent))).map_err(|error| Problem::client(Kind::Invalid, &error))
    }
}
