//! The catalog: agents, their versions, and the one version of each that runs.
//!
//! **Invariant:** a version runs only with a standing approval of exactly its content, by digest; what was submitted is
//! never changed, in code or in SQL.
//!
//! **Invariant:** at most one version of an agent runs. Publishing replaces the one that runs in the same transaction,
//! and a unique index stands behind it.
//!
//! **Invariant:** no status is skipped: draft, pending approval, approved, published, deprecated, archived. A
//! rejected, cancelled or expired version is a draft again; a deprecated one may run again while its approval stands,
//! which is how to roll back.
//!
//! ```
//! use approvals::{Decision, Followers, RequestType, Verdict};
//! use authz::Role;
//! use catalog::{Definition, NewAgent, NewVersion, Prose, Status, Tags};
//!
//! let t = testkit::Tester::sqlite();
//! let (alice, bob) = (t.user("acme-corp", "alice", [Role::AgentDesigner]), t.user("acme-corp", "bob", [Role::Admin]));
//! let (db, at) = (&t.db, &t.moment());
//!
//! let agent = catalog::create_agent(db, &alice, NewAgent {
//!     name: kernel::Text::new("Customer Support Agent")?,
//!     description: Prose::default(),
//!     category: Some(kernel::Text::new("support")?),
//!     tags: Tags::new(["production", "nlp"])?,
//! }, at)?;
//! let version = catalog::create_version(db, &alice, &agent.id, NewVersion {
//!     number: "1.1.0".parse()?,
//!     definition: Definition::new(&serde_json::json!({ "tools": ["semantic_search", "create_ticket"] }))?,
//!     changelog: Prose::new("Added ticket creation capability")?,
//! }, at)?;
//! let version = catalog::submit(db, &alice, &version.id, at)?;
//! assert!(catalog::publish(db, &bob, &version.id, at).is_err());
//!
//! let followers = Followers::new().on(RequestType::AgentPublish, catalog::follow_decision);
//! let yes = Decision { request: version.review.ok_or("submitted")?, verdict: Verdict::Approve, comment: None };
//! approvals::decide(db, &bob, yes, &followers, at)?;
//! let version = catalog::publish(db, &alice, &version.id, at)?;
//! assert_eq!(version.status, Status::Published);
//! assert_eq!(catalog::agent(db, &alice, &agent.id)?.current.map(|current| current.id), Some(version.id));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agents;
mod definition;
mod diff;
mod entries;
mod lifecycle;
mod model;
mod store;
mod versions;

pub use agents::{
    CreateAgent, CreateAgentError, ReadAgents, ReadError, UpdateAgent, UpdateAgentError, agent, agents, create_agent,
    update_agent,
};
pub use definition::{Definition, DefinitionError, MAX_DEFINITION, Tool};
pub use diff::{Change, Diff, diff};
pub use entries::ACTIONS;
pub use lifecycle::{Status, StatusError, Step, WrongStatus};
pub use model::{
    Agent, AgentListing, AgentPatch, Current, Detail, NewAgent, NewVersion, Number, NumberError, Prose, Published,
    Tags, TagsError, Version, VersionListing, VersionPatch,
};
pub use versions::{
    CreateVersion, CreateVersionError, Publish, PublishError, Retire, RetireError, Submit, SubmitError, UpdateVersion,
    UpdateVersionError, archive, create_version, deprecate, follow_decision, publish, published, submit,
    update_version, version, versions,
};
