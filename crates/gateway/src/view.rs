//! What calls are decided by, in memory: one immutable view for each tenant, rebuilt when its configuration changes.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::Published;
use kernel::{AgentId, TenantId};
use store::{Database, Reason, StoreError, SystemTx};
use usage::{Limit, PriceBook};

/// One tenant, as calls see it.
#[derive(Debug)]
pub(crate) struct View {
    /// The version of the configuration that it was built from.
    pub(crate) version: u64,
    pub(crate) agents: HashMap<AgentId, Runnable>,
    pub(crate) prices: PriceBook,
    pub(crate) limits: Vec<Arc<Limit>>,
}

/// An agent that can be called.
#[derive(Debug)]
pub(crate) struct Runnable {
    pub(crate) version: Published,
    /// The version's number, as policies read it.
    pub(crate) number: String,
}

/// The views of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Views(ArcSwap<HashMap<TenantId, Arc<View>>>);

impl Views {
    pub(crate) fn of(&self, tenant: &TenantId) -> Option<Arc<View>> {
        self.0.load().get(tenant).cloned()
    }

    /// Rebuilds the views of the tenants whose configuration has moved. A tenant that cannot be read does not keep the
    /// others from being read; it is tried again the next time.
    #[expect(clippy::disallowed_methods, reason = "views of all tenants are built from all tenants")]
    pub(crate) fn refresh(&self, db: &Database) -> Result<(), StoreError> {
        let (fresh, failure) = db.system(Reason::Snapshot, |tx| {
            let known = self.0.load();
            let (mut fresh, mut failure) = (Vec::new(), Ok(()));
            for (tenant, version) in tx.tenants()? {
                if known.get(&tenant).is_some_and(|view| view.version == version) {
                    continue;
                }
                match load(tx, tenant, version) {
                    Ok(view) => fresh.push(view),
                    Err(error) => failure = Err(error),
                }
            }
            Ok::<_, StoreError>((fresh, failure))
        })?;
        if fresh.is_empty() {
            return failure;
        }
        self.0.rcu(|old| {
            let mut all = HashMap::clone(old);
            for (tenant, view) in &fresh {
                // Two rebuilds may overlap: the newer configuration stays.
                if all.get(tenant).is_none_or(|old| old.version < view.version) {
                    all.insert(tenant.clone(), Arc::clone(view));
                }
            }
            all
        });
        failure
    }
}

fn load(tx: &mut SystemTx<'_>, tenant: TenantId, version: u64) -> Result<(TenantId, Arc<View>), StoreError> {
    let view = tx.within(&tenant, |tx| {
        let published = catalog::published(tx)?;
        Ok(View {
            version,
            agents: published.into_iter().map(runnable).collect(),
            prices: PriceBook::load(tx)?,
            limits: usage::limits(tx)?,
        })
    })?;
    Ok((tenant, Arc::new(view)))
}

fn runnable(version: Published) -> (AgentId, Runnable) {
    let number = version.number.to_string();
    (version.agent_id.clone(), Runnable { version, number })
}
