//! Who holds which key: everything that a request is admitted by, in memory.

mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use authz::{Actor, ActorKind, Caller, Permission, Permissions, Request, Role, RoleName, Roles, Standing, Via};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::{AgentId, KeyId, TenantId, Timestamp, UserId};
use parking_lot::Mutex;
use store::{Database, ReadTx, Reason, StoreError};

use crate::store::keys::Credential;
use crate::{KeyFormatError, PresentedKey, Settings, Tenant, TenantStatus, User, UserKind, UserStatus, store as rows};
use table::{Draft, Record, Shards, Table, name_of};

/// A key that ended this long ago is forgotten: presented again it is unknown, no longer expired or revoked.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;

/// Every key of every tenant, and the tenants' settings.
///
/// It is asked without lock and without SQL; one tenant's share is rebuilt when that tenant's configuration changes.
pub struct Directory {
    table: Table,
    tenants: ArcSwap<HashMap<TenantId, Arc<ArcSwap<Settings>>>>,
    /// What the table was built from. INVARIANT: held while a tenant is read and its keys replaced, so that an older
    /// reading never replaces a newer one.
    known: Mutex<HashMap<TenantId, Known>>,
}

/// What is known of a tenant's share.
#[derive(Default)]
struct Known {
    /// The version of the configuration that it was read from.
    version: u64,
    /// The shards of the table that hold its keys.
    shards: Shards,
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

impl Directory {
    /// Reads every tenant.
    pub fn load(db: &Database) -> Result<Self, StoreError> {
        let (mut known, mut tenants, mut draft) = (HashMap::new(), HashMap::new(), Draft::default());
        let since = remembered_since(db);
        #[expect(clippy::disallowed_methods, reason = "a key names no tenant: the directory knows the keys of all")]
        db.system(Reason::Snapshot, |tx| {
            for (tenant, version) in tx.tenants()? {
                let mut shards = Shards::default();
                if let Some(settings) =
                    tx.within(&tenant, |tx| read(tx, since, |record| shards.add(draft.push(record))))?
                {
                    tenants.insert(tenant.clone(), Arc::new(ArcSwap::from_pointee(settings)));
                }
                known.insert(tenant, Known { version, shards: shards.sorted() });
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(Self { table: Table::of(draft), tenants: ArcSwap::from_pointee(tenants), known: Mutex::new(known) })
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
        let actor = Actor { via: key.map(Via::Key), ..Actor::new(principal.kind, principal.user.as_str()) };
        let standing = Standing::new(principal.tenant.clone(), actor, principal.roles.clone()).narrowed(record.scopes);
        #[expect(clippy::disallowed_methods, reason = "this is where the identity crate vouches for a caller")]
        let caller = Caller::authenticated(standing, request);
        Ok(Authenticated { caller, agent: record.agent.as_deref().cloned() })
    }

    /// The settings of a tenant.
    pub fn tenant_settings(&self, tenant: &TenantId) -> Option<Arc<Settings>> {
        self.tenants.load().get(tenant).map(|settings| settings.load_full())
    }

    /// Reads one tenant anew. Call it when the tenant's configuration has changed.
    pub fn refresh(&self, db: &Database, tenant: &TenantId) -> Result<(), StoreError> {
        let mut known = self.known.lock();
        let (mut draft, mut shards) = (Draft::default(), Shards::default());
        let since = remembered_since(db);
        #[expect(clippy::disallowed_methods, reason = "the directory is no caller and serves every tenant")]
        let (version, settings) = db.system(Reason::Snapshot, |tx| {
            tx.within(tenant, |tx| {
                let version = rows::tenants::configuration_version(tx)?;
                Ok((version, read(tx, since, |record| shards.add(draft.push(record)))?))
            })
        })?;
        let Some(settings) = settings else {
            return Ok(());
        };
        let share = known.entry(tenant.clone()).or_default();
        self.table.replace(tenant, draft, &share.shards);
        *share = Known { version, shards: shards.sorted() };
        self.set_settings(tenant, settings);
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
        let known = self.known.lock();
        let moved =
            |(tenant, version): &(TenantId, u64)| known.get(tenant).is_none_or(|share| share.version != *version);
        current.into_iter().filter(moved).map(|(tenant, _)| tenant).collect()
    }

    fn set_settings(&self, tenant: &TenantId, settings: Settings) {
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

fn remembered_since(db: &Database) -> Timestamp {
    db.moment().now().plus_seconds(-REMEMBERED_SECONDS)
}

/// Reads one tenant, hands its keys to `keep` and returns its settings; `None` when there is no such tenant.
fn read(tx: &mut ReadTx<'_>, since: Timestamp, mut keep: impl FnMut(Record)) -> Result<Option<Settings>, StoreError> {
    let Some(tenant) = rows::tenants::tenant(tx)? else {
        return Ok(None);
    };
    let holders = rows::users::key_holders(tx)?.into_iter();
    let holders: HashMap<_, _> = holders.map(|user| (user.id.clone(), Arc::new(principal(&tenant, user)))).collect();
    let mut after = String::new();
    loop {
        let credentials = rows::keys::credentials(tx, since, &after)?;
        let is_last = credentials.len() < rows::keys::CREDENTIALS;
        if let Some(last) = credentials.last() {
            last.id.as_str().clone_into(&mut after);
        }
        credentials.into_iter().filter_map(|credential| record(credential, &holders)).for_each(&mut keep);
        if is_last {
            return Ok(Some(tenant.settings));
        }
    }
}

fn principal(tenant: &Tenant, user: User) -> Principal {
    // A role counts only where it can be given, whatever a row says.
    let belongs = |role: &&RoleName| (**role == RoleName::System(Role::PlatformAdmin)) == tenant.id.is_system();
    Principal {
        tenant: tenant.id.clone(),
        suspended: tenant.status == TenantStatus::Suspended,
        kind: match user.kind {
            UserKind::User => ActorKind::User,
            UserKind::Service => ActorKind::Service,
        },
        roles: user.roles.iter().filter(belongs).cloned().collect(),
        active: user.status == UserStatus::Active,
        user: user.id,
    }
}

fn record(credential: Credential, holders: &HashMap<UserId, Arc<Principal>>) -> Option<Record> {
    let Credential { id, user, secret_hash, scopes, agent, expires_at, revoked } = credential;
    Some(Record {
        name: name_of(id.as_str())?,
        secret_hash,
        revoked,
        expires_at,
        scopes: scopes.unwrap_or_else(everything),
        agent: agent.map(Box::new),
        principal: Arc::clone(holders.get(&user)?),
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
