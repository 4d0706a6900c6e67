//! Every ledger entry that approvals can write. The leaf names the request, the digest that it is about, and the rule
//! that decided; titles and comments are in the payload.

use serde_json::json;
use store::{Entry, Policy, Resource};

use crate::model::{Request, Status, Workflow};

/// The actions that this domain records.
pub const ACTIONS: &[&str] = &[
    "approvals.request.approved",
    "approvals.request.cancelled",
    "approvals.request.decided",
    "approvals.request.expired",
    "approvals.request.rejected",
    "approvals.workflow.set",
];

/// Somebody decided: the request is approved, rejected, or waits for more.
pub(crate) fn decided(request: &Request) -> Entry {
    let action = match request.status {
        Status::Approved => "approvals.request.approved",
        Status::Rejected => "approvals.request.rejected",
        Status::Pending | Status::Cancelled | Status::Expired => "approvals.request.decided",
    };
    about(action, request)
}

pub(crate) fn cancelled(request: &Request) -> Entry {
    about("approvals.request.cancelled", request)
}

pub(crate) fn expired(request: &Request) -> Entry {
    about("approvals.request.expired", request)
}

pub(crate) fn workflow_set(workflow: &Workflow) -> Entry {
    let id = workflow.id.as_ref().map_or("default", |id| id.as_str());
    Entry::new("approvals.workflow.set", Resource::new("workflow", id)).with_payload(&json!({
        "type": workflow.kind.as_str(),
        "name": workflow.name,
        "required_approvers": workflow.quorum.required(),
        "approver_roles": roles(&workflow.quorum),
        "expire_hours": workflow.expire_hours.get(),
        "revision": workflow.revision,
    }))
}

fn about(action: &'static str, request: &Request) -> Entry {
    let decisions: Vec<_> = request
        .decisions
        .iter()
        .map(|decided| {
            json!({
                "user": decided.user,
                "verdict": decided.verdict.as_str(),
                "comment": decided.comment,
                "at": decided.at.to_string(),
            })
        })
        .collect();
    Entry::new(action, Resource::new("approval", &request.id).with_digest(request.digest.as_str()))
        .with_policy(policy(request))
        .with_payload(&json!({
            "type": request.kind.as_str(),
            "resource": { "type": request.resource_kind, "id": request.resource_id },
            "title": request.title,
            "requester": request.requester,
            "authors": request.authors.iter().collect::<Vec<_>>(),
            "status": request.status.as_str(),
            "approvals": request.approvals(),
            "required_approvers": request.quorum.required(),
            "decisions": decisions,
        }))
}

/// The rule that decides `request`, as the ledger names it.
fn policy(request: &Request) -> Policy {
    let id = request.workflow.as_ref().map_or("default", |id| id.as_str());
    Policy {
        id: id.to_owned(),
        version: request.workflow_revision,
        rule: format!("{} of {}", request.quorum.required(), request.quorum.roles()),
        digest: None,
    }
}

fn roles(quorum: &crate::Quorum) -> Vec<&str> {
    quorum.roles().iter().map(authz::RoleName::as_str).collect()
}
