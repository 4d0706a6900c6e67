//! Tenants, users, roles and groups.

use kernel::{BudgetId, Text, UserId};
use serde_json::{Map, Value, json};
use store::{Entry, Resource};

use super::credentials::key_facts;
use crate::leaving::Ended;
use crate::{Group, Key, Tenant, TenantRole, TenantStatus, User, UserStatus};

pub(super) const TENANT_CREATED: &str = "identity.tenant.created";
pub(super) const TENANT_UPDATED: &str = "identity.tenant.updated";
pub(super) const TENANT_SUSPENDED: &str = "identity.tenant.suspended";
pub(super) const TENANT_RESUMED: &str = "identity.tenant.resumed";
pub(super) const USER_CREATED: &str = "identity.user.created";
pub(super) const USER_UPDATED: &str = "identity.user.updated";
pub(super) const USER_DEACTIVATED: &str = "identity.user.deactivated";
pub(super) const USER_ACTIVATED: &str = "identity.user.activated";
pub(super) const USER_REMOVED: &str = "identity.user.removed";
pub(super) const ROLE_CREATED: &str = "identity.role.created";
pub(super) const ROLE_UPDATED: &str = "identity.role.updated";
pub(super) const ROLE_DELETED: &str = "identity.role.deleted";
pub(super) const GROUP_CREATED: &str = "identity.group.created";
pub(super) const GROUP_UPDATED: &str = "identity.group.updated";
pub(super) const GROUP_DELETED: &str = "identity.group.deleted";
pub(super) const PLATFORM_BOOTSTRAPPED: &str = "identity.platform.bootstrapped";

/// Stands in the system log: the tenant, its first administrator and that one's first key.
pub(crate) fn tenant_created(tenant: &Tenant, (admin, key): (&User, &Key), budget: Option<&BudgetId>) -> Entry {
    let payload = json!({
        "tenant": tenant_facts(tenant),
        "admin": user_facts(admin),
        "key": key_facts(key),
        "budget": budget.map(BudgetId::as_str),
    });
    Entry::new(TENANT_CREATED, Resource::new("tenant", &tenant.id)).with_payload(&payload)
}

/// Stands in the system log. To suspend a tenant, or to resume it, is an action of its own.
pub(crate) fn tenant_updated(before: &Tenant, after: &Tenant) -> Entry {
    let action = match after.status {
        status if status == before.status => TENANT_UPDATED,
        TenantStatus::Suspended => TENANT_SUSPENDED,
        TenantStatus::Active => TENANT_RESUMED,
    };
    let payload = json!({ "before": tenant_facts(before), "after": tenant_facts(after) });
    Entry::new(action, Resource::new("tenant", &after.id)).with_payload(&payload)
}

pub(crate) fn user_created(user: &User) -> Entry {
    Entry::new(USER_CREATED, Resource::new("user", &user.id)).with_payload(&user_facts(user))
}

/// To deactivate a user, or to activate it again, is an action of its own.
pub(crate) fn user_changed(before: &User, after: &User, ended: &Ended) -> Entry {
    let action = match after.status {
        status if status == before.status => USER_UPDATED,
        UserStatus::Deactivated => USER_DEACTIVATED,
        UserStatus::Active => USER_ACTIVATED,
    };
    let ended: Map<String, Value> = ended.0.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
    let payload = json!({ "before": user_facts(before), "after": user_facts(after), "ended": ended });
    Entry::new(action, Resource::new("user", &after.id)).with_payload(&payload)
}

pub(crate) fn user_removed(before: &User, groups: &[Group], ended: &Ended) -> Entry {
    let ended: Map<String, Value> = ended.0.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
    let groups: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    let payload = json!({ "before": user_facts(before), "groups": groups, "ended": ended });
    Entry::new(USER_REMOVED, Resource::new("user", &before.id)).with_payload(&payload)
}

pub(crate) fn role_created(role: &TenantRole) -> Entry {
    Entry::new(ROLE_CREATED, Resource::new("role", &role.name)).with_payload(&role_facts(role))
}

pub(crate) fn role_updated(before: &TenantRole, after: &TenantRole) -> Entry {
    let payload = json!({ "before": role_facts(before), "after": role_facts(after) });
    Entry::new(ROLE_UPDATED, Resource::new("role", &after.name)).with_payload(&payload)
}

pub(crate) fn role_deleted(role: &TenantRole) -> Entry {
    Entry::new(ROLE_DELETED, Resource::new("role", &role.name)).with_payload(&role_facts(role))
}

pub(crate) fn group_created(group: &Group, members: &[UserId]) -> Entry {
    let payload = json!({ "group": group_facts(group), "members": ids(members) });
    Entry::new(GROUP_CREATED, Resource::new("group", &group.id)).with_payload(&payload)
}

pub(crate) fn group_updated(before: &Group, after: &Group, (added, removed): (&[UserId], &[UserId])) -> Entry {
    let payload = json!({
        "before": group_facts(before),
        "after": group_facts(after),
        "added": ids(added),
        "removed": ids(removed),
    });
    Entry::new(GROUP_UPDATED, Resource::new("group", &after.id)).with_payload(&payload)
}

pub(crate) fn group_deleted(group: &Group, members: &[UserId]) -> Entry {
    let payload = json!({ "group": group_facts(group), "members": ids(members) });
    Entry::new(GROUP_DELETED, Resource::new("group", &group.id)).with_payload(&payload)
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
    let User {
        id,
        kind,
        username,
        display_name,
        email,
        external_id,
        attributes,
        own_roles,
        roles,
        status,
        epoch: _,
        created_at: _,
        updated_at: _,
        revision,
    } = user;
    json!({
        "user_id": id.as_str(),
        "kind": kind.as_str(),
        "username": username.as_str(),
        "display_name": display_name.as_ref().map(Text::as_str),
        "email": email.as_ref().map(crate::Email::as_str),
        "external_id": external_id.as_ref().map(Text::as_str),
        "attributes": attributes.to_json(),
        "own_roles": names(own_roles),
        "roles": names(roles),
        "status": status.as_str(),
        "revision": revision,
    })
}

fn role_facts(role: &TenantRole) -> Value {
    let TenantRole { name, description, permissions, created_at: _, revision } = role;
    json!({
        "role": name.as_str(),
        "description": description.as_str(),
        "permissions": permissions.iter().map(authz::Permission::as_str).collect::<Vec<_>>(),
        "revision": revision,
    })
}

fn group_facts(group: &Group) -> Value {
    let Group { id, display_name, external_id, roles, created_at: _, updated_at: _, revision } = group;
    json!({
        "group_id": id.as_str(),
        "display_name": display_name.as_str(),
        "external_id": external_id.as_ref().map(Text::as_str),
        "roles": names(roles),
        "revision": revision,
    })
}

fn names(roles: &authz::Roles) -> Vec<&str> {
    roles.iter().map(authz::RoleName::as_str).collect()
}

fn ids(users: &[UserId]) -> Vec<&str> {
    users.iter().map(UserId::as_str).collect()
}
