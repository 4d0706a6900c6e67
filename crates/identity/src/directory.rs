//! Who holds which key: everything that a request is admitted by, in memory.

mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use authz::{Actor, ActorKind, Caller, Permission, Permissions, Request, Role, Roles};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::{AgentId, KeyId, TenantId, Timestamp, UserId};
use parking_lot::Mutex;
use store::{Database, ReadTx, Reason, StoreError};

use crate::store::Credential;
use crate::{KeyFormatError, PresentedKey, Settings, Tenant, TenantStatus, User, UserKind, UserStatus, store as rows};
use table::{Record, Table, name_of};

/// A key that ended this long ago is forgotten: presented again it is unknown, no longer expired or revoked.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;

/// Every key of every tenant, and the tenants' settings.
///
/// It is asked without lock and without SQL; one tenant's share is rebuilt when that tenant's configuration changes.
pub struct Directory {
    table: Table,
    tenants: ArcSwap<HashMap<TenantId, Arc<ArcSwap<Settings>>>>,
    /// The versions that the table was built from. INVARIANT: held while a tenant is read and its share replaced, so
    /// that an older reading never replaces a newer one.
    versions: Mutex<HashMap<TenantId, u64>>,
}

/// An authenticated request.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who makes it, and what they may do.
    pub caller: Caller,
    /// The agent it is for, unless it names another.
    pub agent: Option<AgentId>,
}

/// The credentials were refused. What it prints is all that the outside may know; the cause is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(&self.cause))]
pub struct AuthError {
    /// Why.
    pub cause: Refusal,
    /// The key that was presented, if it had the form of one.
    pub key: Option<KeyId>,
    /// Whose key it is, if it is one.
    pub owner: Option<(TenantId, UserId)>,
}

/// Why credentials were refused. For the log, never for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be a key.
    #[error(transparent)]
    Form(#[from] KeyFormatError),
    /// No key has that id.
    #[error("no such key")]
    Unknown,
    /// The key's secret is another.
    #[error("the secret is wrong")]
    WrongSecret,
    /// It was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// Its owner may not act.
    #[error("the key's owner is deactivated")]
    Deactivated,
    /// Its tenant may not act.
    #[error("the tenant is suspended")]
    Suspended,
}

fn said(cause: &Refusal) -> String {
    match cause {
        Refusal::Form(KeyFormatError::OlderForm) => KeyFormatError::OlderForm.to_string(),
        Refusal::Form(KeyFormatError::Malformed | KeyFormatError::Checksum)
        | Refusal::Unknown
        | Refusal::WrongSecret
        | Refusal::Revoked
        | Refusal::Expired
        | Refusal::Deactivated
        | Refusal::Suspended => "the API key is not valid".to_owned(),
    }
}

/// A user as its keys' requests need it.
#[derive(Debug)]
struct Principal {
    tenant: TenantId,
    suspended: bool,
    user: UserId,
    kind: ActorKind,
    roles: Roles,
    active: bool,
}

/// One tenant's share, as read from the database at one instant.
struct Share {
    settings: Settings,
    records: Vec<Record>,
}

impl Directory {
    /// Reads every tenant.
    pub fn load(db: &Database) -> Result<Self, StoreError> {
        let (mut versions, mut tenants, mut records) = (HashMap::new(), HashMap::new(), Vec::new());
        let since = db.moment().now().plus_seconds(-REMEMBERED_SECONDS);
        #[expect(clippy::disallowed_methods, reason = "a key names no tenant: the directory knows the keys of all")]
        db.system(Reason::Snapshot, |tx| {
            for (tenant, version) in tx.tenants()? {
                if let Some(share) = tx.within(&tenant, |tx| share(tx, since))? {
                    records.extend(share.records);
                    tenants.insert(tenant.clone(), Arc::new(ArcSwap::from_pointee(share.settings)));
                }
                versions.insert(tenant, version);
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(Self { table: Table::of(records), tenants: ArcSwap::from_pointee(tenants), versions: Mutex::new(versions) })
    }

    /// Says who presents the key, or refuses.
    pub fn authenticate(&self, presented: &str, request: Request, now: Timestamp) -> Result<Authenticated, AuthError> {
        let refused = |cause, key, owner| AuthError { cause, key, owner };
        let presented = PresentedKey::parse(presented).map_err(|form| refused(form.into(), None, None))?;
        // The hash is taken before the look-up, so that the time taken does not tell which ids exist.
        let hash = presented.secret_hash();
        let key = presented.id().parse::<KeyId>().ok();
        let shard = self.table.shard(presented.id());
        let Some(record) = shard.as_ref().and_then(|shard| shard.record(presented.id())) else {
            return Err(refused(Refusal::Unknown, key, None));
        };
        let principal = &record.principal;
        if let Err(cause) = record.admit(&hash, now) {
            return Err(refused(cause, key, Some((principal.tenant.clone(), principal.user.clone()))));
        }
        let actor = Actor { kind: principal.kind, id: principal.user.to_string(), via: key };
        let (tenant, roles) = (principal.tenant.clone(), principal.roles.clone());
        #[expect(clippy::disallowed_methods, reason = "this is where the identity crate vouches for a caller")]
        let caller = Caller::authenticated(tenant, actor, roles, Some(record.scopes), request);
        Ok(Authenticated { caller, agent: record.agent.as_deref().cloned() })
    }

    /// The settings of a tenant.
    pub fn tenant_settings(&self, tenant: &TenantId) -> Option<Arc<Settings>> {
        self.tenants.load().get(tenant).map(|settings| settings.load_full())
    }

    /// Reads one tenant anew. Call it when the tenant's configuration has changed.
    pub fn refresh(&self, db: &Database, tenant: &TenantId) -> Result<(), StoreError> {
        let mut versions = self.versions.lock();
        let since = db.moment().now().plus_seconds(-REMEMBERED_SECONDS);
        #[expect(clippy::disallowed_methods, reason = "the directory is no caller and serves every tenant")]
        let (version, share) = db.system(Reason::Snapshot, |tx| {
            tx.within(tenant, |tx| Ok((rows::configuration_version(tx)?, share(tx, since)?)))
        })?;
        self.replace(tenant, share);
        versions.insert(tenant.clone(), version);
        Ok(())
    }

    /// Reads those tenants anew whose configuration was changed elsewhere, and names them. Called every quarter of a
    /// second it bounds how long a revoked key lives on other nodes. A tenant that cannot be read does not keep the
    /// others from being read; it is tried again the next time.
    pub fn refresh_changed(&self, db: &Database) -> Result<Vec<TenantId>, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "the configuration versions of all tenants are compared")]
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
        let current = db.system(Reason::Snapshot, |tx| tx.tenants())?;
        let changed = self.behind(current);
        let (mut refreshed, mut failure) = (Vec::with_capacity(changed.len()), None);
        for tenant in changed {
            match self.refresh(db, &tenant) {
                Ok(()) => refreshed.push(tenant),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(refreshed), Err)
    }

    fn behind(&self, current: Vec<(TenantId, u64)>) -> Vec<TenantId> {
        let versions = self.versions.lock();
        let moved = current.into_iter().filter(|(tenant, version)| versions.get(tenant) != Some(version));
        moved.map(|(tenant, _)| tenant).collect()
    }

    fn replace(&self, tenant: &TenantId, share: Option<Share>) {
        let Some(Share { settings, records }) = share else {
            return;
        };
        self.table.replace(tenant, records);
        if let Some(known) = self.tenants.load().get(tenant) {
            known.store(Arc::new(settings));
            return;
        }
        let mut tenants = HashMap::clone(&self.tenants.load());
        tenants.insert(tenant.clone(), Arc::new(ArcSwap::from_pointee(settings)));
        self.tenants.store(Arc::new(tenants));
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("tenants", &self.tenants.load().len()).finish_non_exhaustive()
    }
}

/// Reads one tenant; `None` when there is no such tenant.
fn share(tx: &mut ReadTx<'_>, since: Timestamp) -> Result<Option<Share>, StoreError> {
    let Some(tenant) = rows::tenant(tx)? else {
        return Ok(None);
    };
    let holders = rows::key_holders(tx)?.into_iter();
    let holders: HashMap<_, _> = holders.map(|user| (user.id.clone(), Arc::new(principal(&tenant, user)))).collect();
    let credentials = rows::credentials(tx, since)?.into_iter();
    let records = credentials.filter_map(|credential| record(credential, &holders)).collect();
    Ok(Some(Share { settings: tenant.settings, records }))
}

fn principal(tenant: &Tenant, user: User) -> Principal {
    // A role counts only where it can be given, whatever a row says.
    let belongs = |role: &Role| (*role == Role::PlatformAdmin) == tenant.id.is_system();
    Principal {
        tenant: tenant.id.clone(),
        suspended: tenant.status == TenantStatus::Suspended,
        kind: match user.kind {
            UserKind::User => ActorKind::User,
            UserKind::Service => ActorKind::Service,
        },
        roles: user.roles.iter().filter(belongs).collect(),
        active: user.status == UserStatus::Active,
        user: user.id,
    }
}

fn record(credential: Credential, holders: &HashMap<UserId, Arc<Principal>>) -> Option<Record> {
    let Credential { key, secret_hash } = credential;
    Some(Record {
        name: name_of(key.id.as_str())?,
        secret_hash,
        revoked: key.revoked_at.is_some(),
        expires_at: key.expires_at,
        scopes: key.scopes.unwrap_or_else(everything),
        agent: key.agent.map(Box::new),
        principal: Arc::clone(holders.get(&key.user)?),
    })
}

fn everything() -> Permissions {
    Permission::ALL.iter().copied().collect()
}

impl Record {
    /// Decides whether the key with that secret is good now. The secret comes first: what else is the matter with a key
    /// is not for those who do not hold it.
    fn admit(&self, secret_hash: &[u8; 32], now: Timestamp) -> Result<(), Refusal> {
        if verify_slices_are_equal(secret_hash, &self.secret_hash).is_err() {
            return Err(Refusal::WrongSecret);
        }
        if self.principal.suspended {
            return Err(Refusal::Suspended);
        }
        if !self.principal.active {
            return Err(Refusal::Deactivated);
        }
        if self.revoked {
            return Err(Refusal::Revoked);
        }
        if now >= self.expires_at {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}
