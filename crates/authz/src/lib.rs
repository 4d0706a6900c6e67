//! Who may do what: permissions, system roles, the authenticated [`Caller`], and the [`Grant`] that proves a decision.
//!
//! **Invariant:** a [`Grant`] is made by [`Caller::authorize`] alone, and the store opens no transaction without one.
//! Deny is the default: a permission that no role and no scope gives is missing.
//!
//! **Invariant:** a tenant's policies ([`Guard`]) only take away: role and policy must both allow.
//!
//! ```
//! use authz::{Action, Actor, Caller, Permission, Request, Role, Standing};
//! use kernel::FixedMoment;
//!
//! struct Publish;
//! impl Action for Publish {
//!     const NAME: &'static str = "catalog.version.publish";
//!     const PERMISSION: Option<Permission> = Some(Permission::AgentPublish);
//! }
//!
//! let standing = Standing::new("acme-corp".parse()?, Actor::user("usr_vera"), [Role::Viewer].into());
//! # #[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
//! let vera = Caller::authenticated(standing, Request::made(&FixedMoment::new(0).moment()));
//! assert!(vera.authorize::<Publish>().is_err());
//! # Ok::<(), kernel::TenantIdError>(())
//! ```
//!
//! A grant cannot be made up, and a grant for one action is not a grant for another:
//!
//! ```compile_fail
//! let _: authz::Grant<()> = authz::Grant { caller: todo!(), obligations: vec![], basis: None, shadow: None, action: std::marker::PhantomData };
//! ```

mod caller;
mod guard;
mod input;
mod makers;
mod permission;
mod request;
mod role;

pub use caller::{Acting, Action, Actor, ActorKind, Caller, Cause, Forbidden, Grant, PlatformAction, Standing, Via};
pub use guard::{
    Attribute, Attributes, Basis, Facts, Guard, Judgment, Obligation, ObligationError, Question, Shadow, Verdict,
};
pub use input::{DecisionInput, Evidence, Known, NoInput};
pub use makers::Makers;
pub use permission::{Permission, PermissionError, Permissions};
pub use request::{Idempotency, Render, Rendered, Request};
pub use role::{CustomRole, CustomRoleError, Role, RoleError, RoleName, Roles};
