//! Agents.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use catalog::{Agent, AgentListing, AgentPatch as Patch, Current, NewAgent, Prose, Tags};
use kernel::{AgentId, Cursor, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::wire::{Limit, PageOut, Show, Written, field, present};

/// The agent that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AgentPath {
    /// The agent's id.
    #[param(value_type = String, example = "agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    pub(crate) agent_id: Written<AgentId>,
}

/// Which agents, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentsQuery {
    /// Only agents of this category.
    category: Option<String>,
    /// Only agents with this tag.
    tag: Option<String>,
    /// Only agents whose name, description or tags contain this.
    q: Option<String>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

impl From<AgentsQuery> for AgentListing {
    fn from(AgentsQuery { category, tag, q, cursor, limit }: AgentsQuery) -> Self {
        Self { category, tag, query: q, after: cursor.map(|cursor| cursor.0), size: limit.0 }
    }
}

/// An agent to be. Its owner is who creates it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentIn {
    /// What people call it.
    #[schema(value_type = String, max_length = 128, example = "Customer Support Agent")]
    name: Written<Text<128>>,
    /// What it does.
    #[serde(default = "nothing_said")]
    #[schema(value_type = String, required = false, max_length = 4096)]
    description: Written<Prose<4_096>>,
    /// What kind of agent it is; `general` unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 64, example = "support")]
    category: Option<Written<Text<64>>>,
    /// Words that it is found by.
    #[serde(default)]
    #[schema(example = json!(["production", "nlp"]))]
    tags: Vec<String>,
}

fn nothing_said() -> Written<Prose<4_096>> {
    Written(Prose::default())
}

impl AgentIn {
    fn parse(self) -> Result<NewAgent, Problem> {
        let Self { name, description, category, tags } = self;
        let category = category.map(|category| category.0);
        Ok(NewAgent { name: name.0, description: description.0, category, tags: parse_tags(&tags)? })
    }
}

fn parse_tags(tags: &[String]) -> Result<Tags, Problem> {
    field("/tags", Tags::new(tags.iter().map(String::as_str)))
}

/// A change of an agent; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 128)]
    name: Option<Written<Text<128>>>,
    /// What it does.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 4096)]
    description: Option<Written<Prose<4_096>>>,
    /// What kind of agent it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 64)]
    category: Option<Written<Text<64>>>,
    /// Words that it is found by, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    tags: Option<Vec<String>>,
}

impl AgentPatch {
    fn parse(self, expected: Expected) -> Result<Patch, Problem> {
        let Self { name, description, category, tags } = self;
        Ok(Patch {
            expected_revision: Some(expected.0),
            name: name.map(|name| name.0),
            description: description.map(|description| description.0),
            category: category.map(|category| category.0),
            tags: tags.as_deref().map(parse_tags).transpose()?,
        })
    }
}

/// A governed agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentOut {
    /// Its id: what model calls name.
    #[schema(example = "agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// What people call it.
    name: String,
    /// What it does; may be empty.
    description: String,
    /// What kind of agent it is.
    category: String,
    /// Words that it is found by.
    tags: Vec<String>,
    /// The user who answers for it.
    owner_id: String,
    /// The version that runs; null while none does.
    current_version: Option<CurrentOut>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// The version of an agent that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentOut {
    /// Its id.
    id: String,
    /// Its number.
    #[schema(example = "1.1.0")]
    number: String,
}

impl From<&Current> for CurrentOut {
    fn from(Current { id, number }: &Current) -> Self {
        Self { id: id.to_string(), number: number.to_string() }
    }
}

impl Show for Agent {
    type Out = AgentOut;

    fn show(&self) -> AgentOut {
        let Self { id, name, description, category, tags, owner, current, created_at, updated_at, revision } = self;
        AgentOut {
            id: id.to_string(),
            name: name.clone(),
            description: description.clone(),
            category: category.clone(),
            tags: tags.iter().map(str::to_owned).collect(),
            owner_id: owner.clone(),
            current_version: current.as_ref().map(CurrentOut::from),
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/agents/{}", self.id))
    }
}

/// Creates an agent, without a version.
#[utoipa::path(
    post, path = "/api/v1/agents", tag = "Agents", request_body = AgentIn,
    responses((status = 201, body = AgentOut), Problem)
)]
pub(crate) async fn create_agent(State(app): State<App>, act: Act<AgentIn>) -> Result<Response, Problem> {
    let new = act.body.parse()?;
    app.create(act.by, move |db, caller, at| catalog::create_agent(db, caller, new, at)).await
}

/// Lists agents, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/agents", tag = "Agents", params(AgentsQuery),
    responses((status = 200, body = PageOut<AgentOut>), Problem)
)]
pub(crate) async fn list_agents(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AgentsQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| catalog::agents(db, caller, &query.into())).await
}

/// Shows an agent.
#[utoipa::path(
    get, path = "/api/v1/agents/{agent_id}", tag = "Agents", params(AgentPath),
    responses((status = 200, body = AgentOut), Problem)
)]
pub(crate) async fn get_agent(
    State(app): State<App>,
    caller: Caller,
    Path(AgentPath { agent_id }): Path<AgentPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| catalog::agent(db, caller, &agent_id.0)).await
}

/// Changes what an agent is called and found by.
#[utoipa::path(
    patch, path = "/api/v1/agents/{agent_id}", tag = "Agents", params(AgentPath), request_body = AgentPatch,
    responses((status = 200, body = AgentOut), Problem)
)]
pub(crate) async fn update_agent(
    State(app): State<App>,
    Path(AgentPath { agent_id }): Path<AgentPath>,
    expected: Expected,
    act: Act<AgentPatch>,
) -> Result<Response, Problem> {
    let patch = act.body.parse(expected)?;
    app.act(act.by, move |db, caller, at| catalog::update_agent(db, caller, &agent_id.0, patch, at)).await
}
