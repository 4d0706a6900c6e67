//! The only door to the tenants' rows.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use authz::{Grant, PlatformAction};
use kernel::{Clock, Entropy, Moment, TenantId, Timestamp};
use parking_lot::RwLock;

use crate::engine::{Conn, Location, Role};
use crate::entry::{Attributed, Entry};
use crate::group::Writer;
use crate::ledger::{self, Appended, Scribe};
use crate::logs::{Heads, Logs};
use crate::pool::Pool;
use crate::tx::{Answered, ReadTx, WriteTx, answered};
use crate::vault::Vault;
use crate::{StoreError, migrate, setup};

/// What a database needs besides its place.
#[derive(Debug)]
pub struct Setup {
    /// Wraps every tenant's key.
    pub root_key: seal::RootKey,
    /// Dates entries.
    pub clock: Arc<dyn Clock>,
    /// Salts and keys.
    pub entropy: Arc<dyn Entropy>,
    /// What the origins of the logs start with; kept by the database from its first start on.
    pub instance: String,
}

/// A database of either engine. Cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    writer: Writer,
    readers: Pool,
    system: Pool,
    vault: Vault,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    instance: String,
    listeners: RwLock<Vec<Listener>>,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// What requests are decided by.
    Configuration,
    /// Anything else.
    Data,
}

/// Called with the tenant whose configuration has just changed.
type Listener = Box<dyn Fn(&TenantId) + Send + Sync>;

/// One tenant's share of a batch of data-plane writes.
pub type Job<'a> = Box<dyn FnOnce(&mut WriteTx<'_>) -> Result<Vec<Attributed>, StoreError> + 'a>;

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("instance", &self.0.instance).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens or creates an SQLite database at `path`.
    pub fn sqlite(path: &Path, setup: Setup) -> Result<Self, StoreError> {
        let location = Location::Sqlite(path.to_owned());
        migrate::run(&mut location.connect(Role::Owner)?, setup.clock.now())?;
        Self::open(location, setup)
    }

    /// Opens a PostgreSQL database as the role in `url`, which must be neither owner nor superuser. With `owner_url`
    /// the schema is brought up to date first.
    pub fn postgres(url: &str, owner_url: Option<&str>, setup: Setup) -> Result<Self, StoreError> {
        let location = Location::Postgres(setup::postgres_config(url)?);
        if let Some(owner) = owner_url {
            let owner = Location::Postgres(setup::postgres_config(owner)?);
            setup::prepare(&mut owner.connect(Role::Owner)?, &mut location.connect(Role::Reader)?, setup.clock.now())?;
        }
        Self::open(location, setup)
    }

    fn open(location: Location, setup: Setup) -> Result<Self, StoreError> {
        let Setup { root_key, clock, entropy, instance } = setup;
        let mut conn = location.connect(Role::Writer)?;
        setup::refuse_unsafe_role(&mut conn)?;
        migrate::check(&mut conn)?;
        let writer = Writer::new(location.clone(), conn);
        let vault = Vault::new(root_key, Arc::clone(&entropy));
        let instance = writer.run(Heads::None, |conn, _| setup::bootstrap(conn, &vault, instance, clock.now()))?;
        vault.keep(&TenantId::system());
        let readers = Pool::new(location.clone(), Role::Reader);
        let system = Pool::new(location, Role::System);
        let listeners = RwLock::default();
        Ok(Self(Arc::new(Inner { writer, readers, system, vault, clock, entropy, instance, listeners })))
    }

    /// What the origins of this installation's logs start with.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// The present moment, by the database's own clock.
    pub fn moment(&self) -> Moment<'_> {
        Moment::new(self.0.clock.now(), &*self.0.entropy)
    }

    /// Reads within the grant's tenant.
    pub fn read<A, T, E: From<StoreError>>(
        &self,
        grant: &Grant<A>,
        read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.reading(grant.tenant(), read)
    }

    /// Changes the grant's tenant and appends the entry of the change, both or neither, and returns when they are
    /// durable. `change` works with its transaction only: a write within a write would wait for itself.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is spent by the write that it allows")]
    pub fn write<A, T: 'static, E: From<StoreError>>(
        &self,
        grant: Grant<A>,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        let tenant = grant.tenant().clone();
        self.commit(&grant, &tenant, Effect::Configuration, |tx| change(tx))
    }

    /// The same for what no snapshot holds, such as a session that begins: the version of the tenant's configuration
    /// stays, so that no node rebuilds anything.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is spent by the write that it allows")]
    pub fn write_data<A, T: 'static, E: From<StoreError>>(
        &self,
        grant: Grant<A>,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        let tenant = grant.tenant().clone();
        self.commit(&grant, &tenant, Effect::Data, |tx| change(tx))
    }

    /// Changes `tenant` from outside, as the platform: the entry goes into the system log.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is spent by the write that it allows")]
    pub fn write_platform<A: PlatformAction, T: 'static, E: From<StoreError>>(
        &self,
        grant: Grant<A>,
        tenant: &TenantId,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        self.commit(&grant, tenant, Effect::Configuration, change)
    }

    /// Writes each tenant's share of data-plane records and entries: one commit, one savepoint for each share. The
    /// configuration does not change by it.
    pub fn write_shares(&self, shares: Vec<(TenantId, Job<'_>)>) -> Vec<Result<Vec<Appended>, StoreError>> {
        let inner = &*self.0;
        inner.writer.run_all(shares.into_iter().map(|(tenant, job)| {
            let share = move |conn: &mut Conn, logs: &mut Logs, tenant: &TenantId| {
                let now = inner.clock.now();
                let entries = job(&mut inner.tx(conn, tenant, now))?;
                inner.append(conn, logs, (tenant, now), &entries)
            };
            (tenant, share)
        }))
    }

    /// Reads across tenants. `reason` is what a reviewer will ask for.
    pub fn system<T, E: From<StoreError>>(
        &self,
        reason: Reason,
        read: impl FnOnce(&mut SystemTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        tracing::trace!(?reason, "reading across tenants");
        self.0.system.with(|conn| {
            conn.enter_system();
            read(&mut SystemTx { conn, vault: &self.0.vault })
        })
    }

    /// What the caller's idempotency key was answered before; `None` when it is new or absent.
    pub fn answered(&self, caller: &authz::Caller) -> Result<Option<Answered>, StoreError> {
        if caller.request().idempotency.is_none() {
            return Ok(None);
        }
        let now = self.0.clock.now();
        self.reading(caller.tenant(), |tx| answered(tx, caller, now))
    }

    /// Calls `listener` after each change of a tenant's configuration made through this database.
    pub fn on_change(&self, listener: impl Fn(&TenantId) + Send + Sync + 'static) {
        self.0.listeners.write().push(Box::new(listener));
    }

    /// Whether the database answers.
    pub fn ping(&self) -> Result<(), StoreError> {
        self.reading(&TenantId::system(), |tx| {
            tx.optional(crate::sql!("SELECT size FROM ledger_heads WHERE tenant_id = $1"), Vec::new(), |row| {
                row.get::<i64>()
            })
            .map(|_| ())
        })
    }

    #[cfg(feature = "faults")]
    pub(crate) fn readers(&self) -> &Pool {
        &self.0.readers
    }

    #[cfg(feature = "faults")]
    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    fn reading<T, E: From<StoreError>>(
        &self,
        tenant: &TenantId,
        read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.with(|conn| {
            conn.enter(tenant.as_str());
            read(&mut ReadTx { conn, tenant: tenant.clone(), vault: &self.0.vault })
        })
    }

    fn commit<A, T: 'static, E: From<StoreError>>(
        &self,
        grant: &Grant<A>,
        tenant: &TenantId,
        effect: Effect,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        let (inner, caller, log) = (&*self.0, grant.caller(), grant.tenant());
        let heads = if tenant == log { Heads::Own(log) } else { Heads::Platform { log, tenant } };
        let (places, value) = inner.writer.run(heads, |conn, logs| {
            let now = inner.clock.now();
            inner.tx(conn, log, now).refuse_repeated(caller)?;
            let (entry, value) = change(&mut inner.tx(conn, tenant, now))?;
            if effect == Effect::Configuration {
                logs.change(tenant);
            }
            inner.tx(conn, log, now).keep_answer(caller, &value)?;
            Ok::<_, E>((inner.append(conn, logs, (log, now), &[Attributed::new(grant, entry)])?, value))
        })?;
        inner.vault.keep(tenant);
        if let Some(place) = places.first() {
            caller.request().record(place.seq);
        }
        if effect == Effect::Configuration {
            inner.listeners.read().iter().for_each(|listener| listener(tenant));
        }
        Ok(value)
    }
}

impl Inner {
    /// The transaction, bound to `tenant`.
    fn tx<'c>(&'c self, conn: &'c mut Conn, tenant: &TenantId, now: Timestamp) -> WriteTx<'c> {
        conn.enter(tenant.as_str());
        WriteTx { read: ReadTx { conn, tenant: tenant.clone(), vault: &self.vault }, now }
    }

    fn append(
        &self,
        conn: &mut Conn,
        logs: &mut Logs,
        (log, now): (&TenantId, Timestamp),
        entries: &[Attributed],
    ) -> Result<Vec<Appended>, StoreError> {
        if entries.iter().any(|attributed| attributed.caller.tenant() != log) {
            return Err(StoreError::OtherTenant);
        }
        conn.enter(log.as_str());
        let scribe = Scribe { instance: &self.instance, now, entropy: &*self.entropy, vault: &self.vault };
        ledger::append(conn, logs, log, entries, &scribe)
    }
}

/// Why a read spans tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Rebuilding what requests are decided by: keys, roles, published versions, prices, limits.
    Snapshot,
    /// Closing what a crash left open.
    Recovery,
    /// Signing the heads of all logs.
    Checkpoints,
    /// Listing tenants for the platform.
    Registry,
}

/// Reads that span tenants.
pub struct SystemTx<'c> {
    conn: &'c mut Conn,
    vault: &'c Vault,
}

impl fmt::Debug for SystemTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemTx")
    }
}

impl SystemTx<'_> {
    /// The same read within one tenant.
    pub fn within<T>(
        &mut self,
        tenant: &TenantId,
        read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&mut ReadTx { conn: self.conn, tenant: tenant.clone(), vault: self.vault })
    }

    /// The tenants and the versions of their configurations, the reserved one included.
    pub fn tenants(&mut self) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let text = "SELECT tenant_id, version FROM config_versions ORDER BY tenant_id";
        let rows = self.conn.query_text(text, text, &[])?;
        rows.into_iter().map(|mut row| Ok((row.get()?, row.get()?))).collect()
    }

    /// How many entries the log of each tenant has, the reserved one included.
    pub fn log_sizes(&mut self) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let text = "SELECT tenant_id, size FROM ledger_heads ORDER BY tenant_id";
        let rows = self.conn.query_text(text, text, &[])?;
        rows.into_iter().map(|mut row| Ok((row.get()?, row.get()?))).collect()
    }
}
