//! The words every other crate uses: identifiers with prefixes, time, randomness, money, secrets, pages.
//!
//! **Invariant:** nothing here performs I/O, and nothing here reads the clock: time and randomness arrive as a
//! [`Moment`], which the edges make and everything below takes as an argument.
//!
//! ```
//! use kernel::{AgentId, FixedMoment, Money};
//!
//! let moment = FixedMoment::new(1_800_000_000_000_000);
//! let id: AgentId = moment.moment().id();
//! assert!(id.as_str().starts_with("agt_"));
//! assert_eq!(id.as_str().parse(), Ok(id));
//! assert_eq!("0.0000025".parse::<Money>().map(Money::nanos), Ok(2_500));
//! ```

mod id;
mod json;
mod moment;
mod money;
mod page;
mod secret;
mod text;

pub use id::{
    AgentId, BudgetId, CallId, GroupId, Id, IdError, KeyId, KeyIdError, NodeId, PriceId, ProviderId, RequestId,
    ReviewId, SessionId, TenantId, TenantIdError, UserId, VersionId, WorkflowId,
};
pub use json::{JsonError, MAX_JSON_DEPTH, check_json};
pub use moment::{Clock, Entropy, FixedMoment, Moment, OsEntropy, SeededEntropy, Timestamp, TimestampError};
pub use money::{Money, MoneyError};
pub use page::{Cursor, CursorError, Page, PageSize};
pub use secret::Secret;
pub use text::{Text, TextError, hex};
