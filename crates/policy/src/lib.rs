//! Policies as code: Cedar policies per tenant, their versions, tests, comparison, activation and replay.
//!
//! **Invariant:** roles come first. Policies only take away: what they are asked about, the caller's roles and its
//! credential's scopes give already.
//!
//! **Invariant:** on an action that some policy's scope includes, nothing is allowed that no policy permits; whatever
//! one forbids is refused; what cannot be evaluated is refused; the order of policies never matters. On an action that
//! none includes, the roles' word stands. No policy governs managing policies, so that a mistake can be repaired.
//!
//! **Invariant:** a rule for one thing never matches a question about no single thing.
//!
//! **Invariant:** a version is never changed, and whatever holds was valid under the schema, passed its own tests and,
//! where the tenant wants that, was approved by others than its author, by digest.
//!
//! **Invariant:** a tenant whose policies cannot be read has everything refused that they may govern ([`Policies`]).
//!
//! What policies can speak of is the [`SCHEMA`]; `docs/policies.md` explains it with examples.
//!
//! ```
//! use authz::{ActorKind, Attribute, DecisionInput, Known, Permission, Role, Roles, Verdict};
//! use policy::{Cases, Rules};
//!
//! let rules = Rules::read(r#"
//!     @id("operators") @reason("Operators run agents")
//!     permit (principal, action == Action::"agent:execute", resource)
//!     when { principal.roles.contains("operator") };
//!
//!     @id("large-refunds") @outcome("require_approval") @reason("Somebody must look at large refunds")
//!     permit (principal, action == Action::"tool:execute", resource == Tool::"refund")
//!     when { context.arguments.number.hasTag("amount") && context.arguments.number.getTag("amount") > 1000 };
//!
//!     @id("small-refunds")
//!     permit (principal, action == Action::"tool:execute", resource == Tool::"refund")
//!     when { context.arguments.number.hasTag("amount") && context.arguments.number.getTag("amount") <= 1000 };
//! "#)?;
//!
//! let cases = Cases::read(r#"
//! - name: an operator runs an agent
//!   principal: { roles: [operator] }
//!   action: agent:execute
//!   resource: agt_1
//!   expect: allow
//!   rule: operators
//! - name: a large refund waits
//!   principal: { roles: [admin] }
//!   action: tool:execute
//!   resource: refund
//!   context: { arguments: { amount: 5000 } }
//!   expect: require_approval
//! - name: a refund that does not say how much is refused
//!   principal: { roles: [admin] }
//!   action: tool:execute
//!   resource: refund
//!   context: { arguments: { amount: "5000" } }
//!   expect: deny
//!   rule: default
//! "#)?;
//! assert!(cases.run(&rules).iter().all(|tested| tested.passed()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activation;
mod annotations;
mod asked;
mod backtest;
mod cases;
mod compare;
mod depth;
mod entries;
mod input;
mod live;
mod model;
mod policies;
mod rules;
mod source;
mod store;
mod values;
mod versions;
mod vocabulary;

pub use activation::{ActivateError, activate, deactivate, follow_activation, rollback, set_shadow};
pub use backtest::{BacktestError, backtest};
pub use cases::{Cases, MAX_TESTS, Tested, UnreadableCases};
pub use compare::{Comparison, Direction, Shift};
pub use entries::ACTIONS;
pub use live::{ShadowCounts, TenantPolicies};
pub use model::{Activation, Backtest, Changed, Detail, Example, Listing, NewVersion, State, Version, digest};
pub use policies::Policies;
pub use rules::{Rules, Word};
pub use source::{Fault, Invalid, MAX_POLICIES, MAX_SOURCE};
pub use versions::{
    CreateVersionError, Manage, Plan, ReadError, ReadPolicies, TestError, create_version, diff, plan, state, test,
    version, versions,
};
pub use vocabulary::{SCHEMA, governable};
