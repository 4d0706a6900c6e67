//! The REST API: what every request meets before a handler does, the handlers, and what every answer looks like.
//!
//! A handler reads its request, calls one use case and shows what it returned; who may do what is decided in the use
//! case. [`App`] is what handlers have at hand, [`router`] is all of them, [`openapi`] describes them.
//!
//! **Invariant:** a handler sees only requests that passed [`limits::Front`]: bounded in size and time, with one valid
//! host, uncompressed, and with a [`kernel::RequestId`] among their extensions.
//! **Invariant:** a refusal is a [`problem::Problem`] of the closed registry [`problem::Kind`]; what a cause says is
//! logged once and never shown.
//! **Invariant:** a request that changes something leaves exactly one ledger entry: that of the change, or
//! `request.refused`. A refusal that cannot be recorded is answered with 503.
//!
//! ```
//! use api::problem::{Kind, Problem};
//!
//! let problem = Problem::field("/name", &"must not be empty").into_body();
//! assert_eq!((problem.status, problem.kind.as_str()), (422, "/problems/invalid"));
//! assert_eq!(api::extract::parse::<u8>(b"{}{}").unwrap_err().kind(), Kind::Malformed);
//!
//! let document = api::openapi();
//! assert!(document.paths.paths.contains_key("/api/v1/agents/{agent_id}"));
//! ```

mod act;
mod admission;
mod answer;
mod app;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod approvals;
mod arrival;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod audit;
mod authentication;
mod authzen;
mod caller;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod catalog;
mod client;
mod cookies;
mod credential;
mod edition;
mod gateway;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod identity;
mod issuers;
mod metrics;
mod once;
mod openapi;
mod place;
mod policies;
mod rate;
mod removal;
mod router;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod scim;
mod sealed;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod sign_in;
mod system;
mod tokens;
#[expect(unused_qualifications, reason = "`utoipa::path` writes `params` so")]
mod usage;
mod well_known;
mod wire;

pub mod extract;
mod features;
pub mod limits;
pub mod problem;
pub mod server;

pub use app::{About, App, Parts, Signing, SigningError};
pub use place::{Edition, Place};
pub use router::{openapi, router};
pub use sealed::CookieKeyError;
