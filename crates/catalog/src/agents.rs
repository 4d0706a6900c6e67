//! Use cases about agents.

use authz::{Action, Caller, Forbidden, Permission};
use kernel::{AgentId, Moment, Page};
use store::{Database, StoreError};

use crate::entries;
use crate::model::{Agent, AgentListing, AgentPatch, NewAgent};
use crate::store as rows;

/// Creating agents.
#[derive(Debug)]
pub struct CreateAgent;

impl Action for CreateAgent {
    const NAME: &'static str = "catalog.agent.create";
    const PERMISSION: Option<Permission> = Some(Permission::AgentCreate);
}

/// Seeing agents and versions.
#[derive(Debug)]
pub struct ReadAgents;

impl Action for ReadAgents {
    const NAME: &'static str = "catalog.agent.read";
    const PERMISSION: Option<Permission> = Some(Permission::AgentRead);
}

/// Changing agents.
#[derive(Debug)]
pub struct UpdateAgent;

impl Action for UpdateAgent {
    const NAME: &'static str = "catalog.agent.update";
    const PERMISSION: Option<Permission> = Some(Permission::AgentUpdate);
}

/// Why an agent was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateAgentError {
    /// The caller may not create agents.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has as many as its setting `max_agents` allows.
    #[error("the tenant may have {limit} agents and has them")]
    Quota {
        /// How many it may have.
        limit: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates an agent without versions.
pub fn create_agent(db: &Database, caller: &Caller, new: NewAgent, at: &Moment<'_>) -> Result<Agent, CreateAgentError> {
    let grant = caller.authorize::<CreateAgent>()?;
    db.write(grant, |tx| {
        if let Some(limit) = rows::max_agents(tx)?
            && rows::count_agents(tx)? >= limit
        {
            return Err(CreateAgentError::Quota { limit });
        }
        let NewAgent { name, description, category, tags } = new;
        let agent = Agent {
            id: at.id(),
            name: name.as_str().to_owned(),
            description: description.as_str().to_owned(),
            category: category.map_or_else(|| "general".to_owned(), |category| category.as_str().to_owned()),
            tags,
            owner: caller.actor().id.clone(),
            current: None,
            created_at: at.now(),
            updated_at: at.now(),
            revision: 1,
        };
        rows::insert_agent(tx, &agent)?;
        Ok((entries::agent_created(&agent), agent))
    })
}

/// Why agents or versions cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller may not see agents.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such agent or version in this tenant.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// `agent` or `version`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One page of the tenant's agents, in the order of their creation.
pub fn agents(db: &Database, caller: &Caller, listing: &AgentListing) -> Result<Page<Agent>, ReadError> {
    let grant = caller.authorize::<ReadAgents>()?;
    db.read(&grant, |tx| {
        let found = rows::agents(tx, listing)?;
        Ok(Page::of(found, listing.size, |agent| agent.id.to_string()))
    })
}

/// One agent.
pub fn agent(db: &Database, caller: &Caller, id: &AgentId) -> Result<Agent, ReadError> {
    let grant = caller.authorize_on::<ReadAgents>(id.as_str())?;
    let missing = || ReadError::NotFound { kind: "agent", id: id.to_string() };
    db.read(&grant, |tx| rows::agent(tx, id)?.ok_or_else(missing))
}

/// Why an agent was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateAgentError {
    /// The caller may not change agents.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such agent in this tenant.
    #[error("there is no agent `{0}`")]
    NotFound(AgentId),
    /// Somebody changed it in between.
    #[error("the agent has changed since: its revision is {0}")]
    Stale(u64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes what an agent is called and found by.
pub fn update_agent(
    db: &Database,
    caller: &Caller,
    id: &AgentId,
    patch: AgentPatch,
    at: &Moment<'_>,
) -> Result<Agent, UpdateAgentError> {
    let grant = caller.authorize_on::<UpdateAgent>(id.as_str())?;
    db.write(grant, |tx| {
        let agent = rows::agent(tx, id)?.ok_or_else(|| UpdateAgentError::NotFound(id.clone()))?;
        if patch.expected_revision.is_some_and(|expected| expected != agent.revision) {
            return Err(UpdateAgentError::Stale(agent.revision));
        }
        let before = agent.revision;
        let agent = Agent { updated_at: at.now(), revision: before + 1, ..patched(agent, patch) };
        rows::save_agent(tx, &agent, before)?;
        Ok((entries::agent_updated(&agent), agent))
    })
}

fn patched(agent: Agent, patch: AgentPatch) -> Agent {
    let AgentPatch { expected_revision: _, name, description, category, tags } = patch;
    Agent {
        name: name.map_or(agent.name, |name| name.as_str().to_owned()),
        description: description.map_or(agent.description, |description| description.as_str().to_owned()),
        category: category.map_or(agent.category, |category| category.as_str().to_owned()),
        tags: tags.unwrap_or(agent.tags),
        ..agent
    }
}
