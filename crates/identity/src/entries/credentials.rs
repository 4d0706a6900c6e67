//! Keys and what else lets somebody in.

use kernel::KeyId;
use serde_json::{Value, json};
use store::{Entry, Resource};

use crate::key::Key;

pub(super) const KEY_CREATED: &str = "identity.key.created";
pub(super) const KEY_UPDATED: &str = "identity.key.updated";
pub(super) const KEY_ROTATED: &str = "identity.key.rotated";
pub(super) const KEY_REVOKED: &str = "identity.key.revoked";

pub(crate) fn key_created(key: &Key) -> Entry {
    Entry::new(KEY_CREATED, key_resource(&key.id)).with_payload(&key_facts(key))
}

/// A key made on the server's own machine, by whoever can read its data directory.
pub(crate) fn local_key_created(key: &Key) -> Entry {
    let payload = json!({ "key": key_facts(key), "made": "on the server's own machine" });
    Entry::new(KEY_CREATED, key_resource(&key.id)).with_payload(&payload)
}

pub(crate) fn key_updated(before: &Key, after: &Key) -> Entry {
    let payload = json!({ "before": key_facts(before), "after": key_facts(after) });
    Entry::new(KEY_UPDATED, key_resource(&after.id)).with_payload(&payload)
}

pub(crate) fn key_rotated(key: &Key) -> Entry {
    Entry::new(KEY_ROTATED, key_resource(&key.id)).with_payload(&key_facts(key))
}

pub(crate) fn key_revoked(key: &Key) -> Entry {
    Entry::new(KEY_REVOKED, key_resource(&key.id)).with_payload(&key_facts(key))
}

/// A key whose text somebody found where it should not be.
pub(crate) fn key_leaked(key: &Key) -> Entry {
    let payload = json!({ "key": key_facts(key), "because": "it was reported as leaked" });
    Entry::new(KEY_REVOKED, key_resource(&key.id)).with_payload(&payload)
}

fn key_resource(id: &KeyId) -> Resource {
    Resource::new("key", id)
}

pub(super) fn key_facts(key: &Key) -> Value {
    let Key { id, user, name, last4, scopes, agent, networks, issued_by, .. } = key;
    let Key { previous_until, created_at: _, expires_at, used_at: _, revoked_at: _, revision, .. } = key;
    json!({
        "key_id": id.as_str(),
        "user_id": user.as_str(),
        "name": name.as_str(),
        "last4": last4,
        "scopes": scopes.map(permission_names),
        "agent_id": agent.as_ref().map(kernel::AgentId::as_str),
        "networks": networks.iter().collect::<Vec<_>>(),
        "issued_by": issued_by,
        "previous_until": previous_until.map(|until| until.to_string()),
        "expires_at": expires_at.to_string(),
        "revision": revision,
    })
}

fn permission_names(permissions: authz::Permissions) -> Vec<&'static str> {
    permissions.iter().map(authz::Permission::as_str).collect()
}
