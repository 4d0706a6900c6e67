//! Who may do what: permissions, system roles, the authenticated [`Caller`], and the [`Grant`] that proves a decision.
//!
//! **Invariant:** a [`Grant`] is made by [`Caller::authorize`] alone, and the store opens no transaction without one.
//! Deny is the default: a permission that no role and no scope gives is missing.
//!
//! ```
//! use authz::{Action, Caller, Permission, Permissions, Request, Role};
//! use kernel::FixedMoment;
//!
//! struct Publish;
//! impl Action for Publish {
//!     const NAME: &'static str = "catalog.version.publish";
//!     const PERMISSION: Option<Permission> = Some(Permission::AgentPublish);
//! }
//!
//! let request = Request::new(FixedMoment::new(0).moment().id());
//! # #[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
//! let vera = Caller::authenticated("acme-corp".parse()?, authz::Actor::user("usr_vera"), [Role::Viewer].into(), None, request);
//! assert!(vera.authorize::<Publish>().is_err());
//! # Ok::<(), kernel::TenantIdError>(())
//! ```
//!
//! A grant cannot be made up, and a grant for one action is not a grant for another:
//!
//! ```compile_fail
//! let _: authz::Grant<()> = authz::Grant { caller: todo!(), action: std::marker::PhantomData };
//! ```

mod caller;
mod permission;
mod request;
mod role;

pub use caller::{Action, Actor, ActorKind, Caller, Forbidden, Grant, PlatformAction};
pub use permission::{Permission, PermissionError, Permissions};
pub use request::{Idempotency, Render, Rendered, Request};
pub use role::{Role, RoleError, Roles};
