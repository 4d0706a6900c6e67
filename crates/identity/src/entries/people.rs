//! Tenants, users, roles and groups.

use serde_json::{Value, json};
use store::{Entry, Resource};

use super::credentials::key_facts;
use crate::{Key, Tenant, User, UserStatus};

pub(super) const TENANT_CREATED: &str = "identity.tenant.created";
pub(super) const TENANT_UPDATED: &str = "identity.tenant.updated";
pub(super) const USER_CREATED: &str = "identity.user.created";
pub(super) const USER_UPDATED: &str = "identity.user.updated";
pub(super) const USER_DEACTIVATED: &str = "identity.user.deactivated";
pub(super) const PLATFORM_BOOTSTRAPPED: &str = "identity.platform.bootstrapped";

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

pub(crate) fn platform_bootstrapped(admin: &User, key: &Key) -> Entry {
    let payload = json!({ "admin": user_facts(admin), "key": key_facts(key) });
    Entry::new(PLATFORM_BOOTSTRAPPED, Resource::new("user", &admin.id)).with_payload(&payload)
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
