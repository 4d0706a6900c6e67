//! The store: one SQL text on two engines, transactions bound to a tenant, and no commit without a ledger entry.
//!
//! **Invariant:** a tenant's row is reached through four locks: only a [`Grant`](authz::Grant) opens a transaction,
//! a statement that does not name its tenant does not compile ([`sql!`]), every key starts with `tenant_id`, and the
//! engine itself refuses foreign rows (views and triggers on SQLite, forced row-level security on PostgreSQL).
//!
//! **Invariant:** this is the only crate that names a database driver.
//!
//! ```
//! # use std::sync::Arc;
//! # use kernel::{FixedMoment, TenantId};
//! use store::{Database, Entry, Resource, Setup, StoreError, sql, values};
//! # struct Touch;
//! # impl authz::Action for Touch {
//! #     const NAME: &'static str = "example.touch";
//! #     const PERMISSION: Option<authz::Permission> = None;
//! # }
//! # let dir = tempfile::tempdir()?;
//! # let clock = Arc::new(FixedMoment::new(1_800_000_000_000_000));
//! # let standing = authz::Standing::new(TenantId::system(), authz::Actor::user("usr_1"), authz::Roles::default());
//! # #[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
//! # let caller = authz::Caller::authenticated(standing, authz::Request::made(&clock.moment()));
//! let setup = Setup { root_key: seal::RootKey::generate(&*clock), clock: clock.clone(), entropy: clock, instance: "tf".into() };
//! let db = Database::sqlite(&dir.path().join("taskforce.db"), setup)?;
//!
//! let name = db.write(caller.authorize::<Touch>()?, |tx| {
//!     let name = tx.optional(sql!("SELECT name FROM tenants WHERE tenant_id = $1"), values![], |row| row.get::<String>())?;
//!     Ok::<_, StoreError>((Entry::new("example.touched", Resource::new("tenant", tx.tenant())), name))
//! })?;
//! assert_eq!(name.as_deref(), Some("Installation"));
//! assert_eq!(caller.request().recorded(), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A write that returns no entry does not compile:
//! ```compile_fail
//! fn silent<A>(db: &store::Database, grant: authz::Grant<A>) {
//!     let _ = db.write(grant, |_| Ok::<_, store::StoreError>(()));
//! }
//! ```
//! Nor does a transaction without a grant:
//! ```compile_fail
//! fn open(db: &store::Database) {
//!     let _ = db.read("acme-corp", |_| Ok::<_, store::StoreError>(()));
//! }
//! ```

mod database;
mod engine;
mod entry;
mod error;
#[cfg(feature = "faults")]
mod faults;
mod group;
mod guards;
mod ledger;
mod logs;
mod migrate;
mod pool;
mod setup;
mod sql;
mod tiles;
mod tx;
mod value;
mod vault;

pub use database::{Database, Job, Reason, Setup, SystemTx};
pub use entry::{Attributed, COMMITMENT_PREFIX, Entry, LEAF_VERSION, Outcome, Policy, Resource};
pub use error::StoreError;
pub use guards::TENANT_TABLES;
pub use ledger::{Appended, origin};
pub use sql::TenantSql;
#[doc(hidden)]
pub use sql::{sqlite_length, sqlite_text};
pub use tx::{Answered, ReadTx, WriteTx};
pub use value::{FromValue, Row, Value};
