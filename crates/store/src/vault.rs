//! The tenants' keys: wrapped by the root key in the database, opened in memory when first needed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kernel::{Entropy, TenantId, Timestamp, hex};
use parking_lot::{Mutex, RwLock};
use seal::{Context, DataKey, KeyRing, RootKey};

use crate::engine::Conn;
use crate::{StoreError, sql, values};

/// Seals and opens with the keys of tenants.
#[derive(Debug)]
pub(crate) struct Vault {
    root: RootKey,
    entropy: Arc<dyn Entropy>,
    rings: RwLock<HashMap<TenantId, Arc<KeyRing>>>,
    /// Tenants whose key stands in a transaction that has not been committed, and may never be: if such a key stayed in
    /// memory and the tenant were created again, data would be sealed under a key that the database does not have.
    fresh: Mutex<HashSet<TenantId>>,
}

impl Vault {
    pub(crate) fn new(root: RootKey, entropy: Arc<dyn Entropy>) -> Self {
        Self { root, entropy, rings: RwLock::default(), fresh: Mutex::default() }
    }

    /// Makes the tenant's first key and keeps it, wrapped.
    pub(crate) fn create(&self, conn: &mut Conn, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let key = DataKey::generate(1, &*self.entropy);
        let wrapped = key.wrap(&self.root, tenant.as_str(), &*self.entropy).map_err(unopened)?;
        conn.execute(
            sql!("INSERT INTO tenant_keys (tenant_id, version, wrapped, created_at) VALUES ($1, $2, $3, $4)"),
            &values![tenant, key.version(), wrapped, now],
        )?;
        self.fresh.lock().insert(tenant.clone());
        Ok(())
    }

    /// Says that the tenant's key, if it was made just now, is in the database for good.
    pub(crate) fn keep(&self, tenant: &TenantId) {
        self.fresh.lock().remove(tenant);
    }

    /// Whether the root key is the one that the database belongs to.
    pub(crate) fn check(&self, conn: &mut Conn, tenant: &TenantId) -> Result<(), StoreError> {
        self.ring(conn, tenant).map(|_| ())
    }

    /// Seals `plaintext` for one place: table, column and record are bound to it.
    pub(crate) fn seal(
        &self,
        conn: &mut Conn,
        tenant: &TenantId,
        (table, column, record): (&str, &str, &str),
        plaintext: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let context = Context { tenant, table, column, record, version: 0 };
        let ring = self.ring(conn, tenant)?;
        ring.seal(&context, plaintext, &*self.entropy).map_err(unopened)
    }

    /// Opens what was sealed for that place.
    pub(crate) fn open(
        &self,
        conn: &mut Conn,
        tenant: &TenantId,
        (table, column, record): (&str, &str, &str),
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let context = Context { tenant, table, column, record, version: 0 };
        self.ring(conn, tenant)?.open(&context, sealed).map_err(unopened)
    }

    fn ring(&self, conn: &mut Conn, tenant: &TenantId) -> Result<Arc<KeyRing>, StoreError> {
        if let Some(ring) = self.rings.read().get(tenant) {
            return Ok(Arc::clone(ring));
        }
        let rows = conn
            .query(sql!("SELECT wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY version"), &values![tenant])?;
        let mut ring = KeyRing::new(1);
        for mut row in rows {
            let wrapped: Vec<u8> = row.get()?;
            ring.insert(self.unwrap(tenant, &wrapped)?);
        }
        if ring.primary().is_none() {
            return Err(StoreError::Decode("a tenant's key"));
        }
        let ring = Arc::new(ring);
        if self.fresh.lock().contains(tenant) {
            return Ok(ring);
        }
        self.rings.write().insert(tenant.clone(), Arc::clone(&ring));
        Ok(ring)
    }

    fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<DataKey, StoreError> {
        let (expected, given) = (RootKey::id_of_wrapped(wrapped).map_err(unopened)?, self.root.id());
        if expected != given {
            return Err(StoreError::WrongKey { expected: hex(&expected), given: hex(&given) });
        }
        DataKey::unwrap(wrapped, &self.root, tenant.as_str()).map_err(unopened)
    }
}

fn unopened(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Sealed(Box::new(error))
}
