//! Every ledger entry that the catalog can write. The leaf names agents and versions by id, and versions by digest;
//! names, changelogs and differences are in the payload.

use std::collections::BTreeMap;

use approvals::{Approval, Request};
use serde_json::{Value, json};
use store::{Entry, Resource};

use crate::diff::{Change, Diff};
use crate::model::{Agent, Version};

/// The actions that this domain records.
pub const ACTIONS: &[&str] = &[
    "catalog.agent.created",
    "catalog.agent.updated",
    "catalog.version.archived",
    "catalog.version.created",
    "catalog.version.deprecated",
    "catalog.version.published",
    "catalog.version.submitted",
    "catalog.version.updated",
];

pub(crate) fn agent_created(agent: &Agent) -> Entry {
    of_agent("catalog.agent.created", agent)
}

pub(crate) fn agent_updated(agent: &Agent) -> Entry {
    of_agent("catalog.agent.updated", agent)
}

pub(crate) fn version_created(version: &Version, diff: &Diff) -> Entry {
    of_version("catalog.version.created", version, json!({ "diff": differences(diff) }))
}

pub(crate) fn version_updated(version: &Version, diff: &Diff) -> Entry {
    of_version("catalog.version.updated", version, json!({ "diff": differences(diff) }))
}

pub(crate) fn version_submitted(version: &Version, request: &Request, diff: &Diff) -> Entry {
    let details = json!({
        "approval": request.id.as_str(),
        "required_approvers": request.quorum.required(),
        "expires_at": request.expires_at.to_string(),
        "diff": differences(diff),
    });
    of_version("catalog.version.submitted", version, details)
}

/// `previous` ran until now, if another one did.
pub(crate) fn version_published(version: &Version, approval: &Approval, previous: Option<&Version>) -> Entry {
    let details = json!({
        "approval": approval.request().as_str(),
        "approvers": approval.approvers(),
        "previous": previous.map(|previous| json!({ "id": previous.id.as_str(), "digest": previous.digest })),
    });
    of_version("catalog.version.published", version, details)
}

pub(crate) fn version_deprecated(version: &Version) -> Entry {
    of_version("catalog.version.deprecated", version, json!({}))
}

pub(crate) fn version_archived(version: &Version) -> Entry {
    of_version("catalog.version.archived", version, json!({}))
}

fn of_agent(action: &'static str, agent: &Agent) -> Entry {
    Entry::new(action, Resource::new("agent", &agent.id)).with_payload(&json!({
        "name": agent.name,
        "description": agent.description,
        "category": agent.category,
        "tags": agent.tags.iter().collect::<Vec<_>>(),
        "owner": agent.owner,
        "revision": agent.revision,
    }))
}

fn of_version(action: &'static str, version: &Version, details: Value) -> Entry {
    let mut payload = json!({
        "agent": version.agent_id.as_str(),
        "number": version.number.to_string(),
        "status": version.status.as_str(),
        "changelog": version.changelog,
        "authors": version.authors.iter().collect::<Vec<_>>(),
        "revision": version.revision,
    });
    if let (Value::Object(payload), Value::Object(details)) = (&mut payload, details) {
        payload.extend(details);
    }
    Entry::new(action, Resource::new("version", &version.id).with_digest(version.digest.as_str()))
        .with_payload(&payload)
}

fn differences(diff: &Diff) -> Value {
    let Diff { model, system_prompt, tools_added, tools_removed, tools_changed, parameters, other } = diff;
    let parameters: BTreeMap<&String, Value> =
        parameters.iter().map(|(name, change)| (name, before_and_after(change))).collect();
    json!({
        "widens": diff.widens(),
        "model": model.as_ref().map(before_and_after),
        "system_prompt": system_prompt.as_ref().map(before_and_after),
        "tools_added": tools_added,
        "tools_removed": tools_removed,
        "tools_changed": tools_changed,
        "parameters": parameters,
        "other": other,
    })
}

fn before_and_after(change: &Change) -> Value {
    json!({ "old": change.old, "new": change.new })
}
