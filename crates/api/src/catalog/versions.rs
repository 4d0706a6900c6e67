//! Versions of agents and their way to running.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use catalog::{
    Change, Definition, Detail, Diff, NewVersion, Number, Prose, Version, VersionListing, VersionPatch as Patch,
};
use kernel::{AgentId, Moment, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Database;
use utoipa::{IntoParams, ToSchema};

use super::agents::AgentPath;
use crate::act::{Act, Expected, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{PageOut, PageQuery, Show, Written, present};

/// The version that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct VersionPath {
    /// The agent's id.
    #[param(value_type = String, example = "agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    agent_id: Written<AgentId>,
    /// The version's id.
    #[param(value_type = String, example = "ver_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    version_id: Written<VersionId>,
}

impl VersionPath {
    /// The version, read. An address that pairs it with another agent names nothing.
    fn detail(&self, db: &Database, caller: &Caller, at: &Moment<'_>) -> Result<Detail, Problem> {
        let Self { agent_id: Written(agent), version_id: Written(id) } = self;
        let detail = catalog::version(db, caller, id, at)?;
        if detail.version.agent_id == *agent {
            return Ok(detail);
        }
        Err(Problem::client(Kind::NotFound, &format_args!("the agent `{agent}` has no version `{id}`")))
    }

    /// The version's id, if it is the agent's.
    fn version(&self, db: &Database, caller: &Caller, at: &Moment<'_>) -> Result<&VersionId, Problem> {
        self.detail(db, caller, at)?;
        Ok(&self.version_id.0)
    }
}

/// A version to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionIn {
    /// Its number (Semantic Versioning 2.0.0), greater than those before it.
    #[schema(value_type = String, example = "1.1.0")]
    number: Written<Number>,
    /// What the agent does: `model`, `system_prompt`, `tools` and `parameters` bind every call; other fields are kept.
    #[schema(value_type = Object, example = json!({"model": "gpt-4o-mini", "tools": ["semantic_search"]}))]
    definition: Map<String, Value>,
    /// What is new.
    #[serde(default = "nothing_said")]
    #[schema(value_type = String, required = false, example = "Added ticket creation capability")]
    changelog: Written<Prose<16_384>>,
}

fn nothing_said() -> Written<Prose<16_384>> {
    Written(Prose::default())
}

impl VersionIn {
    fn parse(self) -> Result<NewVersion, Problem> {
        let Self { number, definition, changelog } = self;
        Ok(NewVersion { number: number.0, definition: define(definition)?, changelog: changelog.0 })
    }
}

fn define(definition: Map<String, Value>) -> Result<Definition, Problem> {
    Definition::new(&Value::Object(definition))
        .map_err(|error| Problem::field(format!("/definition{}", error.pointer), &error.reason))
}

/// A change of a draft; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionPatch {
    /// What the agent does, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Object, required = false)]
    definition: Option<Map<String, Value>>,
    /// What is new.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    changelog: Option<Written<Prose<16_384>>>,
}

impl VersionPatch {
    fn parse(self, expected: Expected) -> Result<Patch, Problem> {
        let Self { definition, changelog } = self;
        let definition = definition.map(define).transpose()?;
        Ok(Patch { expected_revision: Some(expected.0), definition, changelog: changelog.map(|changelog| changelog.0) })
    }
}

/// A version of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionOut {
    /// Its id.
    #[schema(example = "ver_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// The agent's id.
    agent_id: String,
    /// Its number.
    #[schema(example = "1.1.0")]
    number: String,
    /// `draft`, `pending_approval`, `approved`, `published`, `deprecated` or `archived`.
    #[schema(example = "draft")]
    status: &'static str,
    /// The SHA-256 digest of its definition in canonical form (RFC 8785).
    digest: String,
    /// What is new, in its author's words.
    changelog: String,
    /// The user who created it.
    created_by: String,
    /// Everybody whose work it is: none of them may approve it.
    author_ids: Vec<String>,
    /// The request for approval that it was last submitted with.
    approval_id: Option<String>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
    /// When it last began to run.
    published_at: Option<String>,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// A version with what it does and what it would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionDetailOut {
    /// The version.
    #[serde(flatten)]
    version: VersionOut,
    /// What the agent does.
    #[schema(value_type = Object)]
    definition: Map<String, Value>,
    /// The number of the version that it is compared with: the one that runs, or the one before.
    compared_with: Option<String>,
    /// What it changes about that version.
    diff: DiffOut,
}

/// What one definition changes about another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiffOut {
    /// Whether the agent may do more than before.
    widens: bool,
    /// Another model.
    model: Option<ChangeOut>,
    /// Another system prompt.
    system_prompt: Option<ChangeOut>,
    /// Tools that the agent may call from then on.
    tools_added: Vec<String>,
    /// Tools that it may no longer call.
    tools_removed: Vec<String>,
    /// Tools that are described differently.
    tools_changed: Vec<String>,
    /// Parameters with another value, by name.
    parameters: std::collections::BTreeMap<String, ChangeOut>,
    /// Other fields that differ, by name.
    other: Vec<String>,
}

/// A value before and after; null where there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeOut {
    /// Before.
    old: Option<Value>,
    /// After.
    new: Option<Value>,
}

impl From<&Change> for ChangeOut {
    fn from(Change { old, new }: &Change) -> Self {
        Self { old: old.clone(), new: new.clone() }
    }
}

impl From<&Diff> for DiffOut {
    fn from(diff: &Diff) -> Self {
        let Diff { model, system_prompt, tools_added, tools_removed, tools_changed, parameters, other } = diff;
        Self {
            widens: diff.widens(),
            model: model.as_ref().map(ChangeOut::from),
            system_prompt: system_prompt.as_ref().map(ChangeOut::from),
            tools_added: tools_added.clone(),
            tools_removed: tools_removed.clone(),
            tools_changed: tools_changed.clone(),
            parameters: parameters.iter().map(|(name, change)| (name.clone(), change.into())).collect(),
            other: other.clone(),
        }
    }
}

impl Show for Version {
    type Out = VersionOut;

    fn show(&self) -> VersionOut {
        let Self {
            id,
            agent_id,
            number,
            status,
            digest,
            changelog,
            created_by,
            authors,
            review,
            created_at,
            updated_at,
            published_at,
            revision,
        } = self;
        VersionOut {
            id: id.to_string(),
            agent_id: agent_id.to_string(),
            number: number.to_string(),
            status: status.as_str(),
            digest: digest.clone(),
            changelog: changelog.clone(),
            created_by: created_by.clone(),
            author_ids: authors.iter().map(str::to_owned).collect(),
            approval_id: review.as_ref().map(ToString::to_string),
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            published_at: published_at.as_ref().map(ToString::to_string),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/agents/{}/versions/{}", self.agent_id, self.id))
    }
}

impl Show for Detail {
    type Out = VersionDetailOut;

    fn show(&self) -> VersionDetailOut {
        let Self { version, definition, compared_with, diff } = self;
        VersionDetailOut {
            version: version.show(),
            definition: definition.fields().clone(),
            compared_with: compared_with.as_ref().map(ToString::to_string),
            diff: diff.into(),
        }
    }

    fn revision(&self) -> Option<u64> {
        self.version.revision()
    }
}

/// Creates a version of an agent, as a draft.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/versions", tag = "Versions", params(AgentPath), request_body = VersionIn,
    responses((status = 201, body = VersionOut), Problem)
)]
pub(crate) async fn create_version(
    State(app): State<App>,
    Path(AgentPath { agent_id }): Path<AgentPath>,
    act: Act<VersionIn>,
) -> Result<Response, Problem> {
    let new = act.body.parse()?;
    app.create(act.by, move |db, caller, at| catalog::create_version(db, caller, &agent_id.0, new, at)).await
}

/// Lists the versions of an agent, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/agents/{agent_id}/versions", tag = "Versions", params(AgentPath, PageQuery),
    responses((status = 200, body = PageOut<VersionOut>), Problem)
)]
pub(crate) async fn list_versions(
    State(app): State<App>,
    caller: Caller,
    Path(AgentPath { agent_id }): Path<AgentPath>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    let listing = VersionListing { after: page.after().cloned(), size: page.size() };
    app.read(caller, move |db, caller, at| catalog::versions(db, caller, &agent_id.0, &listing, at)).await
}

/// Shows a version with its definition, and what it changes about the one that runs.
#[utoipa::path(
    get, path = "/api/v1/agents/{agent_id}/versions/{version_id}", tag = "Versions", params(VersionPath),
    responses((status = 200, body = VersionDetailOut), Problem)
)]
pub(crate) async fn get_version(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<VersionPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| path.detail(db, caller, at)).await
}

/// Changes a draft.
///
/// Whoever changes it becomes one of its authors, and may not approve it.
#[utoipa::path(
    patch, path = "/api/v1/agents/{agent_id}/versions/{version_id}", tag = "Versions", params(VersionPath),
    request_body = VersionPatch, responses((status = 200, body = VersionOut), Problem)
)]
pub(crate) async fn update_version(
    State(app): State<App>,
    Path(path): Path<VersionPath>,
    expected: Expected,
    act: Act<VersionPatch>,
) -> Result<Response, Problem> {
    let patch = act.body.parse(expected)?;
    let update = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        Ok::<_, Problem>(catalog::update_version(db, caller, path.version(db, caller, at)?, patch, at)?)
    };
    app.act(act.by, update).await
}

/// Submits a draft: it is frozen, and a request for its approval is opened.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/versions/{version_id}/submit", tag = "Versions", params(VersionPath),
    request_body = Option<Nothing>, responses((status = 200, body = VersionOut), Problem)
)]
pub(crate) async fn submit_version(
    State(app): State<App>,
    Path(path): Path<VersionPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let submit = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        Ok::<_, Problem>(catalog::submit(db, caller, path.version(db, caller, at)?, at)?)
    };
    app.act(act.by, submit).await
}

/// Publishes an approved version: it runs from now on, and the one that ran is deprecated.
///
/// A deprecated version whose approval stands can be published again, which is how to roll back.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/versions/{version_id}/publish", tag = "Versions", params(VersionPath),
    request_body = Option<Nothing>, responses((status = 200, body = VersionOut), Problem)
)]
pub(crate) async fn publish_version(
    State(app): State<App>,
    Path(path): Path<VersionPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let publish = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        Ok::<_, Problem>(catalog::publish(db, caller, path.version(db, caller, at)?, at)?)
    };
    app.act(act.by, publish).await
}

/// Stops the version that runs: the agent cannot be called until another is published.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/versions/{version_id}/deprecate", tag = "Versions", params(VersionPath),
    request_body = Option<Nothing>, responses((status = 200, body = VersionOut), Problem)
)]
pub(crate) async fn deprecate_version(
    State(app): State<App>,
    Path(path): Path<VersionPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let deprecate = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        Ok::<_, Problem>(catalog::deprecate(db, caller, path.version(db, caller, at)?, at)?)
    };
    app.act(act.by, deprecate).await
}

/// Puts a deprecated version away for good.
#[utoipa::path(
    post, path = "/api/v1/agents/{agent_id}/versions/{version_id}/archive", tag = "Versions", params(VersionPath),
    request_body = Option<Nothing>, responses((status = 200, body = VersionOut), Problem)
)]
pub(crate) async fn archive_version(
    State(app): State<App>,
    Path(path): Path<VersionPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let archive = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        Ok::<_, Problem>(catalog::archive(db, caller, path.version(db, caller, at)?, at)?)
    };
    app.act(act.by, archive).await
}
