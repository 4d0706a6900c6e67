//! Every ledger entry that policies can write. The leaf names the version by number and digest; notes, differences and
//! counts are in the payload.

use serde_json::{Value, json};
use store::{Entry, Resource};

use crate::compare::{Comparison, Shift};
use crate::model::{Backtest, State, Version};

/// The actions that this domain records.
pub const ACTIONS: &[&str] = &[
    "policy.activated",
    "policy.activation.requested",
    "policy.backtested",
    "policy.deactivated",
    "policy.shadow.set",
    "policy.version.created",
];

pub(crate) fn version_created(version: &Version, changes: &Comparison, tests: usize) -> Entry {
    of_version("policy.version.created", version).with_payload(&json!({
        "note": version.note,
        "tests": tests,
        "changes": changed(changes),
    }))
}

/// `version` decides from now on; with `None`, roles alone.
pub(crate) fn activated(version: Option<&Version>, state: &State, changes: &Comparison) -> Entry {
    let entry = match version {
        Some(version) => of_version("policy.activated", version),
        None => Entry::new("policy.deactivated", Resource::new("policy", "none")),
    };
    entry.with_payload(&json!({ "state": stood(state), "changes": changed(changes) }))
}

pub(crate) fn requested(version: Option<&Version>, request: &approvals::Request, changes: &Comparison) -> Entry {
    let action = "policy.activation.requested";
    let entry = match version {
        Some(version) => of_version(action, version),
        None => Entry::new(action, Resource::new("policy", "none").with_digest(&request.digest)),
    };
    entry.with_payload(&json!({
        "approval": request.id.as_str(),
        "required_approvers": request.quorum.required(),
        "expires_at": request.expires_at.to_string(),
        "changes": changed(changes),
    }))
}

pub(crate) fn shadow_set(version: Option<&Version>, state: &State) -> Entry {
    let entry = match version {
        Some(version) => of_version("policy.shadow.set", version),
        None => Entry::new("policy.shadow.set", Resource::new("policy", "none")),
    };
    entry.with_payload(&json!({ "state": stood(state) }))
}

pub(crate) fn backtested(digest: &str, report: &Backtest) -> Entry {
    let Backtest { since, until, looked_at, not_replayable, changes, approvals, callers: _ } = report;
    let changes: Vec<Value> =
        changes.iter().map(|change| json!({ "from": change.from, "to": change.to, "count": change.count })).collect();
    Entry::new("policy.backtested", Resource::new("policy", "draft").with_digest(digest)).with_payload(&json!({
        "since": since.to_string(),
        "until": until.to_string(),
        "looked_at": looked_at,
        "not_replayable": not_replayable,
        "changes": changes,
        "approvals": approvals,
    }))
}

fn of_version(action: &'static str, version: &Version) -> Entry {
    Entry::new(action, Resource::new("policy", version.number).with_digest(version.digest.as_str()))
}

fn stood(state: &State) -> Value {
    let State { active, previous, shadow, revision } = state;
    json!({ "active": active, "previous": previous, "shadow": shadow, "revision": revision })
}

fn changed(changes: &Comparison) -> Value {
    let Comparison { added, removed, changed, newly_governed, no_longer_governed, shifts } = changes;
    let shifts: Vec<Value> = shifts
        .iter()
        .map(|Shift { role, permission, from, to, direction }| {
            json!({
                "role": role.as_str(),
                "permission": permission.as_str(),
                "from": from,
                "to": to,
                "direction": direction.as_str(),
            })
        })
        .collect();
    let names =
        |permissions: &authz::Permissions| permissions.iter().map(authz::Permission::as_str).collect::<Vec<_>>();
    json!({
        "added": added,
        "removed": removed,
        "changed": changed,
        "newly_governed": names(newly_governed),
        "no_longer_governed": names(no_longer_governed),
        "verdicts": shifts,
    })
}
