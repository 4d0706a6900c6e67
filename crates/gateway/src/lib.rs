//! The gateway: agents' model calls, governed on the way.
//!
//! A call is a chain of steps, each of which needs the proof that the step before it made: permission, money set aside,
//! the request's entry, the upstream's answer, its cost, the entry of its end. **Invariant:** on a request's task there
//! is no SQL, no lock that is held across a wait, and no sync of the disk; the request's entry is durable before the
//! first byte of the answer leaves, the entry of its end before the last.
//!
//! **Invariant:** roles and the tenant's policies are asked before anything is forwarded, and where policies govern tools,
//! before any part of a tool call reaches the client. What was decided, and on what, is sealed with the call. A call that
//! a policy wants approved passes once with the approval of somebody else; tool calls that need one are refused.
//!
//! **Invariant:** a call goes to an upstream that an administrator configured, with the model and the settings of the
//! agent's published version.
//!
//! ```
//! use gateway::{ChatRequest, RequestError};
//!
//! let request = ChatRequest::parse(br#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}"#)?;
//! assert!(!request.stream && request.agent().is_none());
//!
//! let elsewhere = ChatRequest::parse(br#"{"messages": [{}], "api_base": "https://elsewhere.example"}"#);
//! assert!(matches!(elsewhere, Err(RequestError::Rerouting(field)) if field == "api_base"));
//! # Ok::<(), RequestError>(())
//! ```

mod call;
pub mod entries;
mod facts;
mod flight;
mod pass;
mod plead;
mod recorder;
mod recovery;
mod request;
mod sse;
mod stream;
mod tools;
mod transcript;
mod upstream;
mod view;
mod wire;

use std::sync::Arc;

use authz::{Action, Caller, Forbidden, Permission};
use kernel::AgentId;
use store::{Database, StoreError};
use tokio_util::sync::CancellationToken;
use usage::Purse;

pub use call::{Asked, ChatError};
pub use pass::Invoke;
pub use recorder::{NotRecorded, Sequencer};
pub use recovery::recover;
pub use request::{ChatRequest, Governed, Limits, RequestError};
pub use stream::{Body, Relay};
pub use upstream::{SendError, Upstream, UpstreamConfig, UpstreamConfigError, Upstreams};

use recorder::Recorder;
use view::{Runnable, Views};

/// The gateway of one node.
#[derive(Debug)]
pub struct Gateway {
    db: Database,
    upstreams: Upstreams,
    purse: Purse,
    views: Views,
    recorder: Recorder,
    stop: CancellationToken,
}

/// Seeing which agents can be called.
#[derive(Debug)]
pub struct ListModels;

impl Action for ListModels {
    const NAME: &'static str = "gateway.models.list";
    const PERMISSION: Option<Permission> = Some(Permission::AgentRead);
}

/// An agent that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callable {
    /// What to put into `model`.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
}

impl Gateway {
    /// A gateway, and the work of its sequencer, which a thread of its own must run.
    pub fn new(db: Database, upstreams: Upstreams, purse: Purse) -> Result<(Arc<Self>, Sequencer), StoreError> {
        let (recorder, sequencer) = recorder::recorder(db.clone());
        let (views, stop) = (Views::default(), CancellationToken::new());
        let gateway = Self { db, upstreams, purse, views, recorder, stop };
        gateway.refresh()?;
        Ok((Arc::new(gateway), sequencer))
    }

    /// Takes over what has changed in the tenants' configurations. Blocks: it reads the database.
    pub fn refresh(&self) -> Result<(), StoreError> {
        self.views.refresh(&self.db)
    }

    /// Tops up the leases that run low, and gives back what is not needed. Blocks: it writes the database.
    pub fn renew(&self) -> Result<(), StoreError> {
        self.purse.renew(&self.db, self.purse.renewals(self.db.moment().now()))
    }

    /// Whether calls are recorded. While they are not, they are refused.
    pub fn is_recording(&self) -> bool {
        !self.recorder.is_failing()
    }

    /// Ends the streams that still run: each tells its reader so in a last event. A call that is dropped from now on
    /// was not left by its client.
    pub fn end_streams(&self) {
        self.stop.cancel();
    }

    /// The agents that the caller's tenant has published.
    pub fn models(&self, caller: &Caller) -> Result<Vec<Callable>, Forbidden> {
        let grant = caller.authorize::<ListModels>()?;
        let Some(view) = self.views.of(grant.tenant()) else {
            return Ok(Vec::new());
        };
        let callable = |agent: &Runnable| Callable {
            agent: agent.version.agent_id.clone(),
            name: agent.version.agent_name.clone(),
        };
        let mut all: Vec<Callable> = view.agents.values().map(callable).collect();
        all.sort_by(|one, other| one.agent.cmp(&other.agent));
        Ok(all)
    }

    const fn db(&self) -> &Database {
        &self.db
    }

    const fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    const fn purse(&self) -> &Purse {
        &self.purse
    }

    const fn views(&self) -> &Views {
        &self.views
    }

    const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    const fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
