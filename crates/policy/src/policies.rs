//! The policies of all tenants, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use ::store::{Database, ReadTx, Reason, StoreError};
use authz::Guard;
use kernel::TenantId;
use parking_lot::RwLock;

use crate::live::{Edition, InForce, ShadowCounts, TenantPolicies};
use crate::model::{Detail, State, digest};
use crate::rules::Rules;
use crate::store;

/// The policies that are in force on this node, for every tenant.
///
/// **Invariant:** a tenant whose policies are not known, cannot be read or do not match their digest has everything
/// refused that policies may govern. It never counts as a tenant without policies.
#[derive(Debug, Default)]
pub struct Policies {
    tenants: RwLock<HashMap<TenantId, Arc<TenantPolicies>>>,
}

/// What the database has for one tenant.
struct Stored {
    state: State,
    active: Option<Detail>,
    shadow: Option<Detail>,
}

impl Policies {
    /// Loads the policies of every tenant.
    pub fn load(db: &Database) -> Result<Self, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "every request of every tenant is decided by them")]
        let all = db.system(Reason::Snapshot, |tx| {
            let mut all = Vec::new();
            for (tenant, _) in tx.tenants()? {
                let stored = tx.within(&tenant, stored)?;
                all.push((tenant, stored));
            }
            Ok::<_, StoreError>(all)
        })?;
        let made = all.into_iter().map(|(tenant, stored)| {
            let in_force = compile(&tenant, stored);
            (tenant.clone(), Arc::new(TenantPolicies::new(tenant, in_force)))
        });
        Ok(Self { tenants: RwLock::new(made.collect()) })
    }

    /// Brings one tenant's policies up to date: after a change of its configuration, and before its callers' standings
    /// are made anew. When the database does not answer, everything that policies may govern is refused until it does.
    pub fn refresh(&self, db: &Database, tenant: &TenantId) -> Result<(), StoreError> {
        self.of(tenant).replace(|known| {
            #[expect(clippy::disallowed_methods, reason = "whatever changed, the tenant's policies must follow")]
            let stored = db.system(Reason::Snapshot, |tx| tx.within(tenant, stored))?;
            let same = matches!(known, InForce::These { revision, .. } if *revision == stored.state.revision);
            Ok(if same { None } else { Some(compile(tenant, stored)) })
        })
    }

    /// What stands behind the roles of a tenant's callers; `None` where it has no policies.
    pub fn guard_for(&self, tenant: &TenantId) -> Option<Arc<dyn Guard>> {
        let policies = self.of(tenant);
        policies.speaks().then_some(policies as Arc<dyn Guard>)
    }

    /// How often the versions that are only tried were asked, and how often they differed, since this node started.
    pub fn shadow_counts(&self) -> Vec<(TenantId, ShadowCounts)> {
        let tenants = self.tenants.read();
        let counts = tenants.iter().map(|(tenant, policies)| (tenant.clone(), policies.shadow_counts()));
        counts.filter(|(_, counts)| counts.compared > 0).collect()
    }

    /// The policies of a tenant. Of one that is not known yet, everything is refused until it is refreshed.
    fn of(&self, tenant: &TenantId) -> Arc<TenantPolicies> {
        if let Some(known) = self.tenants.read().get(tenant) {
            return Arc::clone(known);
        }
        let mut tenants = self.tenants.write();
        let unknown = || Arc::new(TenantPolicies::new(tenant.clone(), InForce::unusable()));
        Arc::clone(tenants.entry(tenant.clone()).or_insert_with(unknown))
    }
}

fn stored(tx: &mut ReadTx<'_>) -> Result<Stored, StoreError> {
    let state = store::state(tx)?;
    let mut detail = |number: Option<u64>| match number {
        Some(number) => store::version(tx, number),
        None => Ok(None),
    };
    Ok(Stored { active: detail(state.active)?, shadow: detail(state.shadow)?, state })
}

fn compile(tenant: &TenantId, stored: Stored) -> InForce {
    let Stored { state, active, shadow } = stored;
    let told = |what: &str, number: Option<u64>, why: &str| {
        tracing::error!(
            tenant.id = %tenant, policy.version = number, error = why, "the {what} policies of a tenant cannot be used"
        );
    };
    let active = match edition(state.active, active) {
        Ok(active) => active,
        Err(why) => {
            told("active", state.active, &why);
            return InForce::unusable();
        }
    };
    let shadow = edition(state.shadow, shadow).unwrap_or_else(|why| {
        told("shadow", state.shadow, &why);
        None
    });
    InForce::These { active, shadow, revision: state.revision }
}

/// The version with that number, ready to be asked.
fn edition(number: Option<u64>, detail: Option<Detail>) -> Result<Option<Edition>, String> {
    let Some(number) = number else {
        return Ok(None);
    };
    let Detail { version, source, tests } = detail.ok_or("it is not there")?;
    if digest(&source, &tests) != version.digest {
        return Err("it is not what its digest names".to_owned());
    }
    let rules = Rules::read(&source).map_err(|error| error.to_string())?;
    Ok(Some(Edition { number, digest: version.digest, rules }))
}
