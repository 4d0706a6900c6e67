//! Who is who, who may what, and who holds which key: everything that a request is admitted by, in memory.

mod read;
mod realm;
mod table;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use authz::{Caller, Guard, Request};
use jose::{Expected, KeySet};
use kernel::{AgentId, KeyId, ProviderId, TenantId, Timestamp};
use parking_lot::Mutex;
use store::{Database, Reason, StoreError};

use crate::form::PresentedKey;
use crate::provider::Provider;
use crate::{AuthError, Refusal, Settings, store as rows};
pub(crate) use realm::{Digest, Principal, Share};
use table::{Draft, Shards, Table};

/// A key that ended this long ago is forgotten: presented again it is unknown, no longer expired or revoked.
const REMEMBERED_SECONDS: i64 = 30 * 86_400;

/// Where the policies of a tenant come from: asked whenever the tenant's share is read. A change of policies must reach
/// this source before the directory is refreshed.
pub type Guards = Arc<dyn Fn(&TenantId) -> Option<Arc<dyn Guard>> + Send + Sync>;

/// No tenant has policies.
pub fn unguarded() -> Guards {
    Arc::new(|_| None)
}

/// Every user and key of every tenant, the tenants' settings, and those who may speak for their users.
///
/// It is asked without lock and without SQL; one tenant's share is rebuilt when that tenant's configuration changes.
pub struct Directory {
    table: Table,
    shares: ArcSwap<HashMap<TenantId, Arc<ArcSwap<Share>>>>,
    issuers: ArcSwap<Issuers>,
    /// What all this was built from. INVARIANT: held while a tenant is read and its share replaced, so that an older
    /// reading never replaces a newer one.
    known: Mutex<HashMap<TenantId, Known>>,
    guards: Guards,
    stale: AtomicBool,
    /// Uses of keys that are not written down yet.
    uses: Mutex<HashMap<KeyId, (TenantId, Timestamp)>>,
}

/// The active providers of all tenants, by their issuers.
type Issuers = HashMap<String, Vec<Candidate>>;

/// Somebody who may have issued a token.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) tenant: TenantId,
    pub(crate) provider: Arc<Provider>,
    /// What its tokens must say.
    pub(crate) expected: Arc<Expected>,
    /// Its keys, where they stand in its settings.
    pub(crate) keys: Option<Arc<KeySet>>,
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

impl Directory {
    /// Reads every tenant.
    pub fn load(db: &Database, guards: Guards) -> Result<Self, StoreError> {
        let (mut known, mut shares, mut draft) = (HashMap::new(), HashMap::new(), Draft::default());
        let since = remembered_since(db);
        #[expect(clippy::disallowed_methods, reason = "a key names no tenant: the directory knows the keys of all")]
        db.system(Reason::Snapshot, |tx| {
            for (tenant, version) in tx.tenants()? {
                let mut shards = Shards::default();
                let share =
                    tx.within(&tenant, |tx| read::share(tx, &*guards, since, |key| shards.add(draft.push(key))))?;
                if let Some(share) = share {
                    shares.insert(tenant.clone(), Arc::new(ArcSwap::from_pointee(share)));
                }
                known.insert(tenant, Known { version, shards: shards.sorted() });
            }
            Ok::<_, StoreError>(())
        })?;
        let directory = Self {
            table: Table::of(draft),
            shares: ArcSwap::from_pointee(shares),
            issuers: ArcSwap::default(),
            known: Mutex::new(known),
            guards,
            stale: AtomicBool::new(false),
            uses: Mutex::default(),
        };
        directory.set_issuers();
        Ok(directory)
    }

    /// Says who presents the key from the network address `from`, or refuses.
    pub fn authenticate(
        &self,
        presented: &str,
        from: Option<IpAddr>,
        request: Request,
        now: Timestamp,
    ) -> Result<Authenticated, AuthError> {
        let refused = |cause, key, owner| AuthError { cause, key, owner };
        self.check_fresh()?;
        let presented = PresentedKey::parse(presented).map_err(|form| refused(form.into(), None, None))?;
        // The hash is taken before the look-up, so that the time taken does not tell which ids exist.
        let hash = presented.secret_hash();
        let Ok(key) = presented.id().parse::<KeyId>() else {
            return Err(refused(Refusal::Unknown, None, None));
        };
        let shard = self.table.shard(key.as_str());
        let Some(record) = shard.as_ref().and_then(|shard| shard.record(key.as_str())) else {
            return Err(refused(Refusal::Unknown, Some(key), None));
        };
        let secret = match record.admit(&hash, from, now) {
            Ok(secret) => secret,
            Err(cause) => return Err(refused(cause, Some(key), Some(record.principal.owner()))),
        };
        if record.used.is_news(now) {
            // Whoever holds the lock is writing down other uses: this one then waits for the next.
            if let Some(mut uses) = self.uses.try_lock() {
                uses.insert(key.clone(), (record.principal.realm.tenant.clone(), now));
                record.used.note(now);
            }
        }
        let agent = record.agent.as_deref().cloned();
        let caller = vouch(record.standing(secret, &key), request);
        Ok(Authenticated { caller, agent })
    }

    /// The settings of a tenant.
    pub fn tenant_settings(&self, tenant: &TenantId) -> Option<Arc<Settings>> {
        self.share(tenant).map(|share| Arc::clone(&share.settings))
    }

    /// The active providers of a tenant; none for one that does not exist.
    pub fn providers(&self, tenant: &TenantId) -> Vec<Arc<Provider>> {
        self.share(tenant).map(|share| share.providers.clone()).unwrap_or_default()
    }

    /// The active providers of all tenants.
    pub fn believed(&self) -> HashSet<ProviderId> {
        self.issuers.load().values().flatten().map(|candidate| candidate.provider.id.clone()).collect()
    }

    /// Says that this node has not heard from the database for too long, or that it has again. Meanwhile nobody is let
    /// in: nobody knows what was revoked.
    pub fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Release);
    }

    /// Reads one tenant anew. Call it when the tenant's configuration has changed.
    pub fn refresh(&self, db: &Database, tenant: &TenantId) -> Result<(), StoreError> {
        let mut known = self.known.lock();
        let (mut draft, mut shards) = (Draft::default(), Shards::default());
        let since = remembered_since(db);
        #[expect(clippy::disallowed_methods, reason = "the directory is no caller and serves every tenant")]
        let (version, share) = db.system(Reason::Snapshot, |tx| {
            tx.within(tenant, |tx| {
                let version = rows::principals::configuration_version(tx)?;
                Ok((version, read::share(tx, &*self.guards, since, |key| shards.add(draft.push(key)))?))
            })
        })?;
        let Some(share) = share else {
            return Ok(());
        };
        let entry = known.entry(tenant.clone()).or_default();
        self.table.replace(tenant, draft, &entry.shards);
        *entry = Known { version, shards: shards.sorted() };
        self.set_share(tenant, share);
        Ok(())
    }

    /// Reads those tenants anew that [`Directory::changed`] names. Called every quarter of a second it bounds how long a
    /// revoked key lives on other nodes. A tenant that cannot be read does not keep the others from being read; it is
    /// tried again the next time.
    pub fn refresh_changed(&self, db: &Database) -> Result<Vec<TenantId>, StoreError> {
        let changed = self.changed(db)?;
        let (mut refreshed, mut failure) = (Vec::with_capacity(changed.len()), None);
        for tenant in changed {
            match self.refresh(db, &tenant) {
                Ok(()) => refreshed.push(tenant),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(refreshed), Err)
    }

    /// The tenants whose configuration was changed elsewhere.
    pub fn changed(&self, db: &Database) -> Result<Vec<TenantId>, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "the configuration versions of all tenants are compared")]
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
        let current = db.system(Reason::Snapshot, |tx| tx.tenants())?;
        Ok(self.behind(current))
    }

    /// Writes down when keys were last used, for those used since the last time. To be called each minute: a key's use
    /// is written at most as often. It is no change of the configuration, and leaves no entry.
    pub fn flush_uses(&self, db: &Database) -> Result<(), StoreError> {
        let mut used: HashMap<TenantId, Vec<(KeyId, Timestamp)>> = HashMap::new();
        for (key, (tenant, at)) in std::mem::take(&mut *self.uses.lock()) {
            used.entry(tenant).or_default().push((key, at));
        }
        let jobs = used.into_iter().map(|(tenant, keys)| {
            let job: store::Job<'_> = Box::new(move |tx| {
                keys.iter().try_for_each(|(key, at)| rows::keys::save_use(tx, key, *at))?;
                Ok(Vec::new())
            });
            (tenant, job)
        });
        db.write_shares(jobs.collect()).into_iter().try_for_each(|written| written.map(drop))
    }

    /// Refuses while this node may not know what was revoked.
    pub(crate) fn check_fresh(&self) -> Result<(), AuthError> {
        if self.stale.load(Ordering::Acquire) {
            return Err(AuthError { cause: Refusal::Stale, key: None, owner: None });
        }
        Ok(())
    }

    /// What is known of a tenant.
    pub(crate) fn share(&self, tenant: &TenantId) -> Option<Arc<Share>> {
        self.shares.load().get(tenant).map(|share| share.load_full())
    }

    /// Who may have issued a token with that issuer.
    pub(crate) fn candidates(&self, issuer: &str) -> Vec<Candidate> {
        self.issuers.load().get(issuer).cloned().unwrap_or_default()
    }

    /// Whether the key that stands behind a token is good.
    pub(crate) fn check_key(&self, key: &KeyId, from: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        let shard = self.table.shard(key.as_str());
        let record = shard.as_ref().and_then(|shard| shard.record(key.as_str())).ok_or(Refusal::Unknown)?;
        record.check(from, now)
    }

    /// The tenant of a presented key whose secret is right, whatever else is the matter with it.
    pub(crate) fn tenant_of(&self, presented: &PresentedKey<'_>, now: Timestamp) -> Option<TenantId> {
        let hash = presented.secret_hash();
        let shard = self.table.shard(presented.id())?;
        let record = shard.record(presented.id())?;
        record.secret(&hash, now).map(|_| record.principal.realm.tenant.clone())
    }

    fn behind(&self, current: Vec<(TenantId, u64)>) -> Vec<TenantId> {
        let known = self.known.lock();
        let moved =
            |(tenant, version): &(TenantId, u64)| known.get(tenant).is_none_or(|share| share.version != *version);
        current.into_iter().filter(moved).map(|(tenant, _)| tenant).collect()
    }

    fn set_share(&self, tenant: &TenantId, share: Share) {
        let known = self.shares.load().get(tenant).cloned();
        let before = if let Some(known) = known {
            known.swap(Arc::new(share)).providers.clone()
        } else {
            let mut shares = HashMap::clone(&self.shares.load());
            shares.insert(tenant.clone(), Arc::new(ArcSwap::from_pointee(share)));
            self.shares.store(Arc::new(shares));
            Vec::new()
        };
        if self.share(tenant).is_none_or(|share| share.providers != before) {
            self.set_issuers();
        }
    }

    fn set_issuers(&self) {
        let mut issuers = Issuers::new();
        for (tenant, share) in &**self.shares.load() {
            for provider in &share.load().providers {
                let settings = &provider.settings;
                let (expected, keys) = (Arc::new(settings.expected()), settings.key_set().map(Arc::new));
                let candidate = Candidate { tenant: tenant.clone(), provider: Arc::clone(provider), expected, keys };
                issuers.entry(settings.issuer.clone()).or_default().push(candidate);
            }
        }
        self.issuers.store(Arc::new(issuers));
    }
}

/// The caller that verified credentials make.
pub(crate) fn vouch(standing: Arc<authz::Standing>, request: Request) -> Caller {
    #[expect(clippy::disallowed_methods, reason = "this is where the identity crate vouches for a caller")]
    Caller::authenticated(standing, request)
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("tenants", &self.shares.load().len()).finish_non_exhaustive()
    }
}

fn remembered_since(db: &Database) -> Timestamp {
    db.moment().now().plus_seconds(-REMEMBERED_SECONDS)
}
