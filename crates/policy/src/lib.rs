//! Policies as code: Cedar policy sets per tenant, their versions, tests, replay and activation.

mod annotations;
mod asked;
mod cases;
mod input;
mod live;
mod rules;
mod source;
mod values;
mod vocabulary;

pub use cases::{Cases, MAX_TESTS, Tested, UnreadableCases};
pub use live::{ShadowCounts, TenantPolicies};
pub use rules::{Rules, Word};
pub use source::{Fault, Invalid, MAX_POLICIES, MAX_SOURCE};
pub use vocabulary::{SCHEMA, governable};
