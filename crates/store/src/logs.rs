//! The logs that the open group appends to: each is locked and read once, and written once, before the commit.
//!
//! However many jobs of a group append to one log, its head is updated once: PostgreSQL would otherwise keep a version
//! of the row for each, and walk through all of them for the next.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{TenantId, Timestamp};
use tlog::Frontier;

use crate::engine::Conn;
use crate::{StoreError, TenantSql, Value, sql, tiles, values};

/// Which heads a job locks, in this order on every node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heads<'a> {
    /// None: it makes the database.
    None,
    /// That of its own tenant.
    Own(&'a TenantId),
    /// That of the log which its entry goes into, and that of the tenant which it changes from outside, if there is one
    /// yet.
    Platform { log: &'a TenantId, tenant: &'a TenantId },
}

/// Whether a lock may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until it is free.
    Until,
    /// Not at all.
    Never,
}

/// What the open group appends and changes.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    open: BTreeMap<TenantId, Log>,
    /// The tenants whose configuration may have changed.
    changed: BTreeSet<TenantId>,
    mark: Mark,
}

/// A log that the group has locked.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) frontier: Frontier,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) leaves: Vec<Vec<Value>>,
    pub(crate) payloads: Vec<Vec<Value>>,
    /// Its size in the database.
    stored: u64,
}

/// How things stood before the present job.
#[derive(Debug, Default)]
struct Mark {
    log: Option<MarkedLog>,
    newly_changed: Option<TenantId>,
}

#[derive(Debug)]
struct MarkedLog {
    tenant: TenantId,
    frontier: Frontier,
    last_at: Option<Timestamp>,
    leaves: usize,
    payloads: usize,
}

impl Logs {
    /// Locks and reads what `heads` says; `false` when a log is not there, or is locked by another node and may not be
    /// waited for.
    pub(crate) fn lock(&mut self, conn: &mut Conn, heads: Heads<'_>, wait: Wait) -> Result<bool, StoreError> {
        match heads {
            Heads::None => Ok(true),
            Heads::Own(tenant) => self.lock_one(conn, tenant, wait),
            Heads::Platform { log, tenant } => {
                let known = self.lock_one(conn, log, wait)?;
                Ok(known && (self.lock_one(conn, tenant, wait)? || wait == Wait::Until))
            }
        }
    }

    /// Remembers how things stand, for [`Logs::undo`].
    pub(crate) fn mark(&mut self, heads: Heads<'_>) {
        let marked = match heads {
            Heads::None => None,
            Heads::Own(log) | Heads::Platform { log, .. } => self.open.get(log).map(|open| MarkedLog {
                tenant: log.clone(),
                frontier: open.frontier.clone(),
                last_at: open.last_at,
                leaves: open.leaves.len(),
                payloads: open.payloads.len(),
            }),
        };
        self.mark = Mark { log: marked, newly_changed: None };
    }

    /// Forgets what the present job appended and changed.
    pub(crate) fn undo(&mut self) {
        let Mark { log, newly_changed } = std::mem::take(&mut self.mark);
        if let Some(tenant) = newly_changed {
            self.changed.remove(&tenant);
        }
        let Some(MarkedLog { tenant, frontier, last_at, leaves, payloads }) = log else {
            return;
        };
        if let Some(open) = self.open.get_mut(&tenant) {
            (open.frontier, open.last_at) = (frontier, last_at);
            open.leaves.truncate(leaves);
            open.payloads.truncate(payloads);
        }
    }

    /// The log, which the present job has locked.
    pub(crate) fn get(&mut self, tenant: &TenantId) -> Result<&mut Log, StoreError> {
        self.open.get_mut(tenant).ok_or(StoreError::Decode("a locked log"))
    }

    /// Says that the tenant's configuration changes: snapshots made from the present one are out of date.
    pub(crate) fn change(&mut self, tenant: &TenantId) {
        if self.changed.insert(tenant.clone()) {
            self.mark.newly_changed = Some(tenant.clone());
        }
    }

    /// Writes everything, right before the commit.
    pub(crate) fn write(&self, conn: &mut Conn) -> Result<(), StoreError> {
        for (tenant, log) in &self.open {
            if !log.leaves.is_empty() {
                conn.enter(tenant.as_str());
                log.write(conn, tenant)?;
            }
        }
        for tenant in &self.changed {
            conn.enter(tenant.as_str());
            conn.execute(
                sql!("UPDATE config_versions SET version = version + 1 WHERE tenant_id = $1"),
                &values![tenant],
            )?;
        }
        Ok(())
    }

    fn lock_one(&mut self, conn: &mut Conn, tenant: &TenantId, wait: Wait) -> Result<bool, StoreError> {
        if self.open.contains_key(tenant) {
            return Ok(true);
        }
        let found = Log::lock(conn, tenant, wait)?;
        let known = found.is_some();
        self.open.extend(found.map(|log| (tenant.clone(), log)));
        Ok(known)
    }
}

impl Log {
    fn lock(conn: &mut Conn, tenant: &TenantId, wait: Wait) -> Result<Option<Self>, StoreError> {
        const UNTIL: TenantSql = sql! {
            sqlite: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1",
            postgres: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1 FOR UPDATE",
        };
        const NEVER: TenantSql = sql! {
            sqlite: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1",
            postgres: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED",
        };
        conn.enter(tenant.as_str());
        let lock = match wait {
            Wait::Until => UNTIL,
            Wait::Never => NEVER,
        };
        let Some(mut row) = conn.query(lock, &values![tenant])?.pop() else {
            return Ok(None);
        };
        let frontier: Vec<u8> = row.get()?;
        let frontier = Frontier::from_bytes(&frontier).map_err(|_| StoreError::Decode("a ledger frontier"))?;
        let (stored, last_at) = (frontier.size(), row.get()?);
        Ok(Some(Self { frontier, last_at, leaves: Vec::new(), payloads: Vec::new(), stored }))
    }

    fn write(&self, conn: &mut Conn, tenant: &TenantId) -> Result<(), StoreError> {
        let Self { frontier, last_at, leaves, payloads, stored } = self;
        let value = Value::from(tenant);
        conn.execute_many(
            sql!(
                "INSERT INTO ledger_entries (tenant_id, seq, at, action, actor_id, resource_type, resource_id, outcome,
                                             request_id, hash, leaf)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
            ),
            &value,
            leaves,
        )?;
        conn.execute_many(
            sql!("INSERT INTO ledger_payloads (tenant_id, seq, sealed) VALUES ($1, $2, $3)"),
            &value,
            payloads,
        )?;
        tiles::fill(conn, tenant, *stored, frontier.size())?;
        conn.execute(
            sql!("UPDATE ledger_heads SET size = $2, root = $3, frontier = $4, last_at = $5 WHERE tenant_id = $1"),
            &values![tenant, frontier.size(), frontier.root().as_bytes().as_slice(), frontier.to_bytes(), *last_at],
        )?;
        Ok(())
    }
}
