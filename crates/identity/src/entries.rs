//! What the ledger says about identity. Leaves hold ids; names, addresses and roles are in the payloads.

use kernel::KeyId;
use serde_json::{Value, json};
use store::{Entry, Resource};

use crate::{Key, Tenant, User, UserStatus};

const TENANT_CREATED: &str = "identity.tenant.created";
const TENANT_UPDATED: &str = "identity.tenant.updated";
const USER_CREATED: &str = "identity.user.created";
const USER_UPDATED: &str = "identity.user.updated";
const USER_DEACTIVATED: &str = "identity.user.deactivated";
const KEY_CREATED: &str = "identity.key.created";
const KEY_REVOKED: &str = "identity.key.revoked";
const PLATFORM_BOOTSTRAPPED: &str = "identity.platform.bootstrapped";

/// Every action that this domain can record.
pub const ACTIONS: &[&str] = &[
    TENANT_CREATED,
    TENANT_UPDATED,
    USER_CREATED,
    USER_UPDATED,
    USER_DEACTIVATED,
    KEY_CREATED,
    KEY_REVOKED,
    PLATFORM_BOOTSTRAPPED,
];

/// Stands in the system log: the tenant, its first administrator and that one's first key.
pub(crate) fn tenant_created(tenant: &Tenant, admin: &User, key: &Key) -> Entry {
    let payload = json!({ "tenant": tenant_facts(tenant), "admin": user_facts(admin), "key": key_facts(key) });
    Entry::new(TENANT_CREATED, Resource::new("tenant", &tenant.id)).with_payload(&payload)
}

/// Stands in the system log.
pub(crate) fn tenant_updated(before: &Tenant, after: &Tenant) -> Entry {
    let payload = json!({ "before": tenant_facts(before), "after": tenant_facts(after) });
    Entry::new(TENANT_UPDATED, Resource::new("tenant", &after.id)).with_payload(&payload)
}

pub(crate) fn user_created(user: &User) -> Entry {
    Entry::new(USER_CREATED, Resource::new("user", &user.id)).with_payload(&user_facts(user))
}

/// A deactivation is an action of its own; any other change is an update.
pub(crate) fn user_changed(before: &User, after: &User, keys_revoked: u64) -> Entry {
    let deactivated = before.status != after.status && after.status == UserStatus::Deactivated;
    let action = if deactivated { USER_DEACTIVATED } else { USER_UPDATED };
    let payload = json!({ "before": user_facts(before), "after": user_facts(after), "keys_revoked": keys_revoked });
    Entry::new(action, Resource::new("user", &after.id)).with_payload(&payload)
}

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

pub(crate) fn platform_bootstrapped(admin: &User, key: &Key) -> Entry {
    let payload = json!({ "admin": user_facts(admin), "key": key_facts(key) });
    Entry::new(PLATFORM_BOOTSTRAPPED, Resource::new("user", &admin.id)).with_payload(&payload)
}

fn key_resource(id: &KeyId) -> Resource {
    Resource::new("key", id)
}

fn tenant_facts(tenant: &Tenant) -> Value {
    let Tenant { id, name, settings, status, created_at: _, revision } = tenant;
    json!({
        "tenant_id": id.as_str(),
        "name": name.as_str(),
        "settings": settings.to_json(),
        "status": status.as_str(),
        "revision": revision,
    })
}

fn user_facts(user: &User) -> Value {
    let User { id, kind, username, email, roles, status, created_at: _, revision } = user;
    json!({
        "user_id": id.as_str(),
        "kind": kind.as_str(),
        "username": username.as_str(),
        "email": email.as_ref().map(crate::Email::as_str),
        "roles": roles.iter().map(authz::RoleName::as_str).collect::<Vec<_>>(),
        "status": status.as_str(),
        "revision": revision,
    })
}

fn key_facts(key: &Key) -> Value {
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
