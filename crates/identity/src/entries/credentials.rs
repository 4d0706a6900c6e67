//! Keys and what else lets somebody in.

use authz::{Role, RoleName};
use kernel::{KeyId, ProviderId, SessionId, Timestamp, UserId};
use serde_json::{Value, json};
use store::{Entry, Outcome, Resource};

use crate::User;
use crate::failure::Failure;
use crate::key::Key;
use crate::provider::{Provider, Subject};
use crate::session::Session;
use crate::token::{IssuedToken, Said};

pub(super) const KEY_CREATED: &str = "identity.key.created";
pub(super) const KEY_UPDATED: &str = "identity.key.updated";
pub(super) const KEY_ROTATED: &str = "identity.key.rotated";
pub(super) const KEY_REVOKED: &str = "identity.key.revoked";
pub(super) const TOKEN_ISSUED: &str = "identity.token.issued";
pub(super) const TOKEN_EXCHANGED: &str = "identity.token.exchanged";
pub(super) const TOKEN_REVOKED: &str = "identity.token.revoked";
pub(super) const PASSWORD_SET: &str = "identity.password.set";
pub(super) const SESSION_STARTED: &str = "identity.session.started";
pub(super) const SESSION_RENEWED: &str = "identity.session.renewed";
pub(super) const SESSION_ENDED: &str = "identity.session.ended";
pub(super) const SIGNED_OUT: &str = "identity.session.all_ended";
pub(super) const SIGN_IN_FAILED: &str = "identity.sign_in.failed";
pub(super) const SIGN_INS_SUPPRESSED: &str = "identity.sign_in.suppressed";
pub(super) const USER_PROVISIONED: &str = "identity.provider.provisioned";
pub(super) const PROVIDER_CREATED: &str = "identity.provider.created";
pub(super) const PROVIDER_UPDATED: &str = "identity.provider.updated";
pub(super) const PROVIDER_DELETED: &str = "identity.provider.deleted";
pub(super) const USER_LINKED: &str = "identity.provider.linked";
pub(super) const USER_UNLINKED: &str = "identity.provider.unlinked";

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
        "issued_by": issued_by.iter().collect::<Vec<_>>(),
        "previous_until": previous_until.map(|until| until.to_string()),
        "expires_at": expires_at.to_string(),
        "revision": revision,
    })
}

fn permission_names(permissions: authz::Permissions) -> Vec<&'static str> {
    permissions.iter().map(authz::Permission::as_str).collect()
}

/// A token is named by a part of the digest that it is revoked by; neither it nor its id is written down.
pub(crate) fn token_issued(issued: &IssuedToken, said: &Said) -> Entry {
    Entry::new(TOKEN_ISSUED, Resource::new("token", &issued.id)).with_payload(&token_facts(said))
}

pub(crate) fn token_exchanged(issued: &IssuedToken, said: &Said) -> Entry {
    Entry::new(TOKEN_EXCHANGED, Resource::new("token", &issued.id)).with_payload(&token_facts(said))
}

pub(crate) fn token_revoked(name: &str, until: Timestamp) -> Entry {
    let payload = json!({ "remembered_until": until.to_string() });
    Entry::new(TOKEN_REVOKED, Resource::new("token", name)).with_payload(&payload)
}

fn token_facts(said: &Said) -> Value {
    let Said { tenant: _, user, epoch, id: _, issued_at: _, expires_at, scopes, key, issued_by, act, line } = said;
    json!({
        "user_id": user.as_str(),
        "epoch": epoch,
        "scopes": scopes.map(permission_names),
        "key_id": key.as_ref().map(KeyId::as_str),
        "issued_by": issued_by.iter().collect::<Vec<_>>(),
        "act": act.iter().map(|actor| &actor.id).collect::<Vec<_>>(),
        "from": line.iter().map(crate::token::name).collect::<Vec<_>>(),
        "expires_at": expires_at.to_string(),
    })
}

pub(crate) fn password_set(user: &UserId, sessions: u64) -> Entry {
    let payload = json!({ "sessions_ended": sessions });
    Entry::new(PASSWORD_SET, Resource::new("user", user)).with_payload(&payload)
}

pub(crate) fn session_started(session: &Session) -> Entry {
    Entry::new(SESSION_STARTED, Resource::new("session", &session.id)).with_payload(&session_facts(session))
}

/// Somebody signed in with a provider, who may be new, and whose roles may be others than before.
pub(crate) fn arrived(session: &Session, before: Option<&User>, after: &User, subject: &Subject) -> Entry {
    let roles = |user: &User| user.own_roles.iter().map(RoleName::as_str).map(str::to_owned).collect::<Vec<_>>();
    let admin = RoleName::System(Role::Admin);
    let given = subject.roles.as_ref();
    let payload = json!({
        "session": session_facts(session),
        "provisioned": before.is_none().then(|| after.username.as_str()),
        "roles_before": before.map(roles),
        "roles_after": roles(after),
        // The provider no longer gives it, and nobody else has it.
        "kept_as_last_admin": given.is_some_and(|given| !given.has(&admin) && after.own_roles.has(&admin)),
    });
    Entry::new(SESSION_STARTED, Resource::new("session", &session.id)).with_payload(&payload)
}

pub(crate) fn session_renewed(before: &SessionId, session: &Session) -> Entry {
    let payload = json!({ "before": before.as_str(), "session": session_facts(session) });
    Entry::new(SESSION_RENEWED, Resource::new("session", &session.id)).with_payload(&payload)
}

pub(crate) fn session_ended(session: &Session) -> Entry {
    Entry::new(SESSION_ENDED, Resource::new("session", &session.id)).with_payload(&session_facts(session))
}

pub(crate) fn signed_out(user: &UserId, sessions: u64) -> Entry {
    let payload = json!({ "sessions_ended": sessions });
    Entry::new(SIGNED_OUT, Resource::new("user", user)).with_payload(&payload)
}

/// What was typed is not written down: it may be anything, such as a password in the wrong field.
pub(crate) fn sign_in_failed(failure: &Failure) -> Entry {
    let Failure { tenant: _, user, method, provider, cause } = failure;
    let payload = json!({
        "method": method.as_str(),
        "provider_id": provider.as_ref().map(ProviderId::as_str),
        "cause": cause.as_str(),
    });
    let resource = Resource::new("user", user.as_ref().map_or("unknown", UserId::as_str));
    Entry::new(SIGN_IN_FAILED, resource).with_outcome(Outcome::Refused).with_payload(&payload)
}

pub(crate) fn sign_ins_suppressed(count: u64) -> Entry {
    let payload = json!({ "suppressed": count });
    let entry = Entry::new(SIGN_INS_SUPPRESSED, Resource::new("user", "unknown"));
    entry.with_outcome(Outcome::Refused).with_payload(&payload)
}

fn session_facts(session: &Session) -> Value {
    let Session { id, user, method, provider, network, agent, .. } = session;
    let Session { created_at: _, authenticated_at: _, seen_at: _, expires_at, ended_at: _, .. } = session;
    json!({
        "session_id": id.as_str(),
        "user_id": user.as_str(),
        "method": method.as_str(),
        "provider_id": provider.as_ref().map(ProviderId::as_str),
        "network": network,
        "agent": agent,
        "expires_at": expires_at.to_string(),
    })
}

pub(crate) fn user_provisioned(user: &User, subject: &Subject) -> Entry {
    let payload = json!({
        "username": user.username.as_str(),
        "provider_id": subject.provider.as_str(),
        "roles": user.own_roles.iter().map(RoleName::as_str).collect::<Vec<_>>(),
    });
    Entry::new(USER_PROVISIONED, Resource::new("user", &user.id)).with_payload(&payload)
}

pub(crate) fn provider_created(provider: &Provider) -> Entry {
    Entry::new(PROVIDER_CREATED, provider_resource(&provider.id)).with_payload(&provider_facts(provider))
}

pub(crate) fn provider_updated(before: &Provider, after: &Provider) -> Entry {
    let payload = json!({ "before": provider_facts(before), "after": provider_facts(after) });
    Entry::new(PROVIDER_UPDATED, provider_resource(&after.id)).with_payload(&payload)
}

pub(crate) fn provider_deleted(provider: &Provider) -> Entry {
    Entry::new(PROVIDER_DELETED, provider_resource(&provider.id)).with_payload(&provider_facts(provider))
}

pub(crate) fn user_linked(provider: &ProviderId, user: &UserId, subject: &[u8; 32]) -> Entry {
    let payload = json!({ "user_id": user.as_str(), "subject_hash": kernel::hex(subject) });
    Entry::new(USER_LINKED, provider_resource(provider)).with_payload(&payload)
}

pub(crate) fn user_unlinked(provider: &ProviderId, user: &UserId, subjects: u64) -> Entry {
    let payload = json!({ "user_id": user.as_str(), "subjects": subjects });
    Entry::new(USER_UNLINKED, provider_resource(provider)).with_payload(&payload)
}

fn provider_resource(id: &ProviderId) -> Resource {
    Resource::new("provider", id)
}

fn provider_facts(provider: &Provider) -> Value {
    let Provider { id, name, settings, has_secret, status, created_at: _, revision } = provider;
    json!({
        "provider_id": id.as_str(),
        "name": name.as_str(),
        "settings": settings.to_json(),
        "has_secret": has_secret,
        "status": status.as_str(),
        "revision": revision,
    })
}
