//! Reading one tenant's share.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use authz::{ActorKind, Attributes, Guard, Makers};
use kernel::{TenantId, Timestamp, UserId};
use store::{ReadTx, StoreError};

use super::realm::{Principal, Realm, Share};
use super::table::{Previous, Record, Secret, Used, name_of};
use crate::store as rows;
use crate::{ProviderStatus, TenantStatus, UserKind, UserStatus};

/// Reads one tenant and hands its keys to `keep`; `None` when there is no such tenant. What ended before `since` is left
/// out.
pub(super) fn share(
    tx: &mut ReadTx<'_>,
    guard: impl FnOnce(&TenantId) -> Option<Arc<dyn Guard>>,
    since: Timestamp,
    keep: impl FnMut(Record),
) -> Result<Option<Share>, StoreError> {
    let Some(tenant) = rows::tenants::tenant(tx)? else {
        return Ok(None);
    };
    let realm = Arc::new(Realm {
        guard: guard(&tenant.id),
        book: rows::roles::book(tx)?,
        suspended: tenant.status == TenantStatus::Suspended,
        tenant: tenant.id,
    });
    let users = users(tx, &realm)?;
    keys(tx, &users, since, keep)?;
    let providers = rows::providers::providers(tx)?.into_iter();
    let links = rows::principals::links(tx)?.into_iter();
    let revoked = rows::principals::revoked_tokens(tx, since)?.into_iter();
    Ok(Some(Share {
        settings: Arc::new(tenant.settings),
        realm,
        users,
        providers: providers.filter(|provider| provider.status == ProviderStatus::Active).map(Arc::new).collect(),
        links: links.map(|(provider, subject, user)| ((provider, subject), user)).collect(),
        revoked: revoked.map(|token| (token.digest, token.user)).collect(),
    }))
}

fn users(tx: &mut ReadTx<'_>, realm: &Arc<Realm>) -> Result<HashMap<UserId, Arc<Principal>>, StoreError> {
    let (mut users, mut after) = (HashMap::new(), String::new());
    let nothing = Arc::new(Attributes::default());
    loop {
        let found = rows::principals::principals(tx, &after)?;
        let is_last = found.len() < rows::principals::ROWS;
        if let Some(last) = found.last() {
            last.user.as_str().clone_into(&mut after);
        }
        users.extend(found.into_iter().map(|user| (user.user.clone(), Arc::new(principal(realm, user, &nothing)))));
        if is_last {
            return Ok(users);
        }
    }
}

fn principal(realm: &Arc<Realm>, row: rows::principals::Principal, nothing: &Arc<Attributes>) -> Principal {
    let rows::principals::Principal { user, kind, roles, attributes, status, epoch } = row;
    let (roles, allowed) = realm.effective(&roles);
    let attributes = attributes.as_map();
    Principal {
        realm: Arc::clone(realm),
        user,
        kind: match kind {
            UserKind::User => ActorKind::User,
            UserKind::Service => ActorKind::Service,
        },
        roles,
        allowed,
        attributes: if attributes.is_empty() { Arc::clone(nothing) } else { Arc::new(attributes.clone()) },
        epoch,
        active: status == UserStatus::Active,
    }
}

fn keys(
    tx: &mut ReadTx<'_>,
    users: &HashMap<UserId, Arc<Principal>>,
    since: Timestamp,
    mut keep: impl FnMut(Record),
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let found = rows::keys::credentials(tx, since, &after)?;
        let is_last = found.len() < rows::principals::ROWS;
        if let Some(last) = found.last() {
            last.id.as_str().clone_into(&mut after);
        }
        found.into_iter().filter_map(|credential| record(credential, users)).for_each(&mut keep);
        if is_last {
            return Ok(());
        }
    }
}

fn record(credential: rows::keys::Credential, users: &HashMap<UserId, Arc<Principal>>) -> Option<Record> {
    let rows::keys::Credential { id, user, secret_hash, issued_by, previous, scopes, .. } = credential;
    let rows::keys::Credential { networks, agent, expires_at, used_at, revoked, .. } = credential;
    let secret =
        |hash, makers: Makers| Secret { hash, issued_by: makers.but(user.as_str()), standing: OnceLock::new() };
    let previous = previous.map(|previous| {
        Box::new(Previous { secret: secret(previous.hash, previous.issued_by), until: previous.until })
    });
    Some(Record {
        name: name_of(id.as_str())?,
        secret: secret(secret_hash, issued_by),
        previous,
        revoked,
        expires_at,
        scopes,
        networks: (!networks.is_empty()).then(|| Box::new(networks)),
        agent: agent.map(Box::new),
        used: Used::at(used_at),
        principal: Arc::clone(users.get(&user)?),
    })
}
