//! Keys and what else lets somebody in.

use kernel::KeyId;
use serde_json::{Value, json};
use store::{Entry, Resource};

use crate::Key;

pub(super) const KEY_CREATED: &str = "identity.key.created";
pub(super) const KEY_REVOKED: &str = "identity.key.revoked";

pub(crate) fn key_created(key: &Key) -> Entry {
    Entry::new(KEY_CREATED, key_resource(&key.id)).with_payload(&key_facts(key))
}

/// A key made on the server's own machine, by whoever can read its data directory.
pub(crate) fn local_key_created(key: &Key) -> Entry {
    let payload = json!({ "key": key_facts(key), "made": "on the server's own machine" });
    Entry::new(KEY_CREATED, key_resource(&key.id)).with_payload(&payload)
}

pub(crate) fn key_revoked(key: &Key) -> Entry {
    Entry::new(KEY_REVOKED, key_resource(&key.id)).with_payload(&key_facts(key))
}

fn key_resource(id: &KeyId) -> Resource {
    Resource::new("key", id)
}

pub(super) fn key_facts(key: &Key) -> Value {
    let Key { id, user, name, last4, scopes, agent, created_at: _, expires_at, revoked_at: _ } = key;
    json!({
        "key_id": id.as_str(),
        "user_id": user.as_str(),
        "name": name.as_str(),
        "last4": last4,
        "scopes": scopes.map(|scopes| scopes.iter().map(authz::Permission::as_str).collect::<Vec<_>>()),
        "agent_id": agent.as_ref().map(kernel::AgentId::as_str),
        "expires_at": expires_at.to_string(),
    })
}
