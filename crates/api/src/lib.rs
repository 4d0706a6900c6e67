//! The REST API: what every request meets before a handler does, and what every answer looks like.
//!
//! **Invariant:** a handler sees only requests that passed [`limits::Front`]: bounded in size and time, with one valid
//! host, uncompressed, and with a [`kernel::RequestId`] among their extensions.
//! **Invariant:** a refusal is a [`problem::Problem`] of the closed registry [`problem::Kind`]; what a cause says is
//! logged once and never shown.
//!
//! ```
//! use api::problem::{Kind, Problem};
//!
//! let problem = Problem::field("/name", &"must not be empty").into_body();
//! assert_eq!((problem.status, problem.kind.as_str()), (422, "/problems/invalid"));
//! assert_eq!(api::extract::parse::<u8>(b"{}{}").unwrap_err().kind(), Kind::Malformed);
//! ```

pub mod extract;
pub mod limits;
pub mod problem;
pub mod server;
