//! Transactions, bound to one tenant.

use std::fmt;

use authz::{Caller, Rendered};
use kernel::{TenantId, Timestamp};

use crate::engine::Conn;
use crate::vault::Vault;
use crate::{Row, StoreError, TenantSql, Value, sql, values};

/// Reads of one tenant, all at the same instant.
pub struct ReadTx<'c> {
    pub(crate) conn: &'c mut Conn,
    pub(crate) tenant: TenantId,
    pub(crate) vault: &'c Vault,
}

impl fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl ReadTx<'_> {
    /// The tenant whose rows these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The first row of the result, read with `read`; `None` if there is none. `$1` is the tenant.
    pub fn optional<T>(
        &mut self,
        sql: TenantSql,
        values: Vec<Value>,
        read: impl Fn(&mut Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.rows(sql, values)?;
        rows.into_iter().next().map(|mut row| read(&mut row)).transpose()
    }

    /// Every row of the result, read with `read`. `$1` is the tenant.
    pub fn all<T>(
        &mut self,
        sql: TenantSql,
        values: Vec<Value>,
        read: impl Fn(&mut Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(sql, values)?.iter_mut().map(read).collect()
    }

    /// Opens what [`WriteTx::seal`] sealed for the same place.
    pub fn open(&mut self, place: (&str, &str, &str), sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.vault.open(self.conn, &self.tenant, place, sealed)
    }

    fn rows(&mut self, sql: TenantSql, mut values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        values.insert(0, Value::from(&self.tenant));
        self.conn.query(sql, &values)
    }
}

/// Reads and writes of one tenant. It ends with its entry, or leaves nothing.
///
/// There is no `commit`: a write commits when the closure given to the database returns its entry.
/// ```compile_fail
/// fn finish(tx: store::WriteTx<'_>) { tx.commit(); }
/// ```
pub struct WriteTx<'c> {
    pub(crate) read: ReadTx<'c>,
    pub(crate) now: Timestamp,
}

impl fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTx").field("tenant", &self.read.tenant).finish_non_exhaustive()
    }
}

impl<'c> std::ops::Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl std::ops::DerefMut for WriteTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.read
    }
}

impl WriteTx<'_> {
    /// Runs a statement and says how many rows it changed. `$1` is the tenant.
    pub fn execute(&mut self, sql: TenantSql, mut values: Vec<Value>) -> Result<u64, StoreError> {
        values.insert(0, Value::from(&self.read.tenant));
        self.read.conn.execute(sql, &values)
    }

    /// Runs one `INSERT … VALUES ($1, $2, …)` for each of `rows`, as a batch. No two of them may be the same row.
    #[expect(clippy::needless_pass_by_value, reason = "the rows are made for this, and gone with it")]
    pub fn execute_many(&mut self, sql: TenantSql, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let tenant = Value::from(&self.read.tenant);
        self.read.conn.execute_many(sql, &tenant, &rows)
    }

    /// Seals `plaintext` under the tenant's key, bound to table, column and record.
    pub fn seal(&mut self, place: (&str, &str, &str), plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
        let read = &mut self.read;
        read.vault.seal(read.conn, &read.tenant, place, plaintext)
    }

    /// Gives the transaction's tenant what every tenant has from its first moment: a log, a key, a configuration. For
    /// the use case that creates a tenant.
    pub fn open_tenant(&mut self) -> Result<(), StoreError> {
        let now = self.now;
        let read = &mut self.read;
        crate::setup::open_tenant(read.conn, read.vault, &read.tenant, now)
    }

    /// Forgets answers that are a day old, and refuses a request whose key was answered while it was on its way.
    pub(crate) fn refuse_repeated(&mut self, caller: &Caller) -> Result<(), StoreError> {
        let Some(idempotency) = &caller.request().idempotency else {
            return Ok(());
        };
        let oldest = self.now.plus_seconds(-ANSWERS_KEPT);
        self.execute(sql!("DELETE FROM idempotency_keys WHERE tenant_id = $1 AND at < $2"), values![oldest])?;
        let found = self.optional(
            sql!("SELECT at FROM idempotency_keys WHERE tenant_id = $1 AND principal = $2 AND key = $3"),
            values![principal(caller), idempotency.key.as_str()],
            Row::get::<Timestamp>,
        )?;
        found.map_or(Ok(()), |_| Err(StoreError::Repeated))
    }

    /// Keeps the answer of a request that carries an idempotency key, in the transaction of its effect.
    pub(crate) fn keep_answer(&mut self, caller: &Caller, value: &dyn std::any::Any) -> Result<(), StoreError> {
        let Some(idempotency) = &caller.request().idempotency else {
            return Ok(());
        };
        let Some(Rendered { status, body }) = (idempotency.render)(value) else {
            return Ok(());
        };
        let (principal, key) = (principal(caller), idempotency.key.as_str());
        let sealed = self.seal(("idempotency_keys", "body", &format!("{principal}/{key}")), &body)?;
        let now = self.now;
        self.execute(
            sql!(
                "INSERT INTO idempotency_keys (tenant_id, principal, key, fingerprint, status, body, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)"
            ),
            values![principal, key, idempotency.fingerprint.as_slice(), i64::from(status), sealed, now],
        )?;
        Ok(())
    }
}

/// What was kept for an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The same request was answered so.
    Same(Rendered),
    /// Another request used the key.
    Other,
}

/// For how long answers are kept, in seconds: a day.
const ANSWERS_KEPT: i64 = 86_400;

/// Whose idempotency key it is: the credential's, so that a narrower key of the same user is not answered what a wider
/// one was.
fn principal(caller: &Caller) -> String {
    let actor = caller.actor();
    actor.via.as_ref().map_or_else(|| actor.id.clone(), |via| format!("{}/{}", actor.id, via.as_str()))
}

/// Looks up what the caller's idempotency key was answered; `None` when it is new.
pub(crate) fn answered(tx: &mut ReadTx<'_>, caller: &Caller, now: Timestamp) -> Result<Option<Answered>, StoreError> {
    let Some(idempotency) = &caller.request().idempotency else {
        return Ok(None);
    };
    let (principal, key) = (principal(caller), idempotency.key.as_str());
    let found = tx.optional(
        sql!(
            "SELECT fingerprint, status, body FROM idempotency_keys
             WHERE tenant_id = $1 AND principal = $2 AND key = $3 AND at >= $4"
        ),
        values![principal.as_str(), key, now.plus_seconds(-ANSWERS_KEPT)],
        |row| Ok((row.get::<Vec<u8>>()?, row.get::<u32>()?, row.get::<Vec<u8>>()?)),
    )?;
    let Some((fingerprint, status, sealed)) = found else {
        return Ok(None);
    };
    if fingerprint != idempotency.fingerprint {
        return Ok(Some(Answered::Other));
    }
    let body = tx.open(("idempotency_keys", "body", &format!("{principal}/{key}")), &sealed)?;
    let status = u16::try_from(status).map_err(|_| StoreError::Decode("an HTTP status"))?;
    Ok(Some(Answered::Same(Rendered { status, body })))
}
