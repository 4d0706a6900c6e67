//! The only door to the tenants' rows.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use authz::{Grant, PlatformAction};
use kernel::{Clock, Entropy, Moment, TenantId};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::engine::{Conn, Location, Role};
use crate::entry::{Attributed, Entry};
use crate::group::Writer;
use crate::ledger::{self, Appended, Scribe};
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

/// Called with the tenant whose configuration has just changed.
type Listener = Box<dyn Fn(&TenantId) + Send + Sync>;

/// How many read transactions may run at once.
const READERS: usize = 4;

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
        let mut conn = location.connect(Role::Writer)?;
        migrate::run(&mut conn, setup.clock.now())?;
        if let Conn::Sqlite(conn) = &conn {
            conn.guard(Role::Writer)?;
        }
        Self::open(location, conn, setup)
    }

    /// Opens a PostgreSQL database as the role in `url`, which must be neither owner nor superuser. With `owner_url`
    /// the schema is brought up to date first.
    pub fn postgres(url: &str, owner_url: Option<&str>, setup: Setup) -> Result<Self, StoreError> {
        let location = Location::Postgres(setup::postgres_config(url)?);
        if let Some(owner) = owner_url {
            let mut owner = Location::Postgres(setup::postgres_config(owner)?).connect(Role::Writer)?;
            migrate::run(&mut owner, setup.clock.now())?;
            setup::grant(&mut owner, &location)?;
        }
        let mut conn = location.connect(Role::Writer)?;
        setup::refuse_unsafe_role(&mut conn)?;
        Self::open(location, conn, setup)
    }

    fn open(location: Location, conn: Conn, setup: Setup) -> Result<Self, StoreError> {
        let Setup { root_key, clock, entropy, instance } = setup;
        let writer = Writer::new(location.clone(), conn);
        let vault = Vault::new(root_key, Arc::clone(&entropy));
        let instance = writer.run(|conn| setup::bootstrap(conn, &vault, instance, clock.now()))?;
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
    /// durable.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is spent by the write that it allows")]
    pub fn write<A, T: 'static, E: From<StoreError>>(
        &self,
        grant: Grant<A>,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        let tenant = grant.tenant().clone();
        self.commit(&grant, &tenant, |tx| change(tx))
    }

    /// Changes `tenant` from outside, as the platform: the entry goes into the system log.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is spent by the write that it allows")]
    pub fn write_platform<A: PlatformAction, T: 'static, E: From<StoreError>>(
        &self,
        grant: Grant<A>,
        tenant: &TenantId,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        self.commit(&grant, tenant, change)
    }

    /// Writes each tenant's share of data-plane records and entries: one commit, one savepoint for each share. The
    /// configuration does not change by it.
    pub fn write_shares(&self, shares: Vec<(TenantId, Job<'_>)>) -> Vec<Result<Vec<Appended>, StoreError>> {
        let inner = &*self.0;
        inner.writer.run_all(shares.into_iter().map(|(tenant, job)| {
            move |conn: &mut Conn| {
                inner
                    .within(conn, &tenant, &tenant, |tx| Ok::<_, StoreError>((job(tx)?, ())))
                    .map(|(places, ())| places)
            }
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
            conn.enter_system()?;
            read(&mut SystemTx { conn, vault: &self.0.vault })
        })
    }

    /// What the caller's idempotency key was answered before; `None` when it is new or absent.
    pub fn answered(&self, caller: &authz::Caller) -> Result<Option<Answered>, StoreError> {
        if caller.request().idempotency.is_none() {
            return Ok(None);
        }
        self.reading(caller.tenant(), |tx| answered(tx, caller))
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
    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    fn reading<T, E: From<StoreError>>(
        &self,
        tenant: &TenantId,
        read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.with(|conn| {
            conn.enter(tenant.as_str())?;
            read(&mut ReadTx { conn, tenant: tenant.clone(), vault: &self.0.vault })
        })
    }

    fn commit<A, T: 'static, E: From<StoreError>>(
        &self,
        grant: &Grant<A>,
        tenant: &TenantId,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Entry, T), E>,
    ) -> Result<T, E> {
        let caller = grant.caller();
        let (places, value) = self.0.writer.run(|conn| {
            self.0.within(conn, grant.tenant(), tenant, |tx| {
                let (entry, value) = change(tx)?;
                tx.bump()?;
                tx.keep_answer(caller, &value)?;
                Ok::<_, E>((vec![Attributed::new(grant, entry)], value))
            })
        })?;
        if let Some(place) = places.first() {
            caller.request().record(place.seq);
        }
        for listener in &*self.0.listeners.read() {
            listener(tenant);
        }
        Ok(value)
    }
}

impl Inner {
    /// One job: locks the log's head, runs `change` within `tenant`, appends its entries to the log of `log`.
    fn within<T, E: From<StoreError>>(
        &self,
        conn: &mut Conn,
        log: &TenantId,
        tenant: &TenantId,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<(Vec<Attributed>, T), E>,
    ) -> Result<(Vec<Appended>, T), E> {
        conn.enter(log.as_str())?;
        let head = ledger::lock(conn, log)?.ok_or(StoreError::Decode("a known tenant"))?;
        if tenant != log {
            conn.enter(tenant.as_str())?;
        }
        let now = self.clock.now();
        let read = ReadTx { conn, tenant: tenant.clone(), vault: &self.vault };
        let (entries, value) = change(&mut WriteTx { read, now })?;
        if entries.iter().any(|attributed| attributed.caller.tenant() != log) {
            return Err(StoreError::OtherTenant.into());
        }
        conn.enter(log.as_str())?;
        let scribe = Scribe { instance: &self.instance, now, entropy: &*self.entropy, vault: &self.vault };
        Ok((ledger::append(conn, log, head, &entries, &scribe)?, value))
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

/// Connections for reading, made when first needed.
#[derive(Debug)]
struct Pool {
    location: Location,
    role: Role,
    idle: Mutex<(Vec<Conn>, usize)>,
    returned: Condvar,
}

impl Pool {
    fn new(location: Location, role: Role) -> Self {
        Self { location, role, idle: Mutex::new((Vec::new(), 0)), returned: Condvar::new() }
    }

    fn with<T, E: From<StoreError>>(&self, read: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut lent = Lent { pool: self, conn: self.take()? };
        let Some(conn) = &mut lent.conn else {
            return Err(StoreError::Decode("an open connection").into());
        };
        conn.begin(self.role)?;
        read(conn)
    }

    fn take(&self) -> Result<Option<Conn>, StoreError> {
        let mut idle = self.idle.lock();
        loop {
            if let Some(conn) = idle.0.pop() {
                if !conn.is_closed() {
                    return Ok(Some(conn));
                }
                idle.1 -= 1;
            } else if idle.1 < READERS {
                idle.1 += 1;
                drop(idle);
                return self.connect().map(Some).inspect_err(|_| self.forget());
            } else {
                self.returned.wait(&mut idle);
            }
        }
    }

    fn connect(&self) -> Result<Conn, StoreError> {
        let conn = self.location.connect(self.role)?;
        if let Conn::Sqlite(conn) = &conn {
            conn.guard(self.role)?;
        }
        Ok(conn)
    }

    fn forget(&self) {
        self.idle.lock().1 -= 1;
        self.returned.notify_one();
    }
}

/// A connection that goes back to its pool, its transaction ended.
struct Lent<'a> {
    pool: &'a Pool,
    conn: Option<Conn>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut conn) = self.conn.take() {
            conn.rollback();
            self.pool.idle.lock().0.push(conn);
            self.pool.returned.notify_one();
        }
    }
}
