//! All SQL of policies. The tables of the ledger and `custom_roles` are others': they are read here, and nothing of them
//! is ever written.

use authz::{CustomRole, Permissions, RoleName};
use kernel::Timestamp;
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::compare::RolesOfTenant;
use crate::model::{Detail, Listing, State, Version};

pub(crate) fn insert(tx: &mut WriteTx<'_>, detail: &Detail) -> Result<(), StoreError> {
    let Detail { version: Version { number, digest, note, created_by, created_at }, source, tests } = detail;
    tx.execute(
        sql!(
            "INSERT INTO policy_versions (tenant_id, number, digest, source, tests, note, created_by, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        ),
        values![
            *number,
            digest.as_str(),
            source.as_str(),
            tests.as_str(),
            note.as_str(),
            created_by.as_str(),
            *created_at
        ],
    )?;
    Ok(())
}

/// The highest number given so far; 0 for none.
pub(crate) fn latest(tx: &mut ReadTx<'_>) -> Result<u64, StoreError> {
    let found = tx.optional(
        sql!("SELECT number FROM policy_versions WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1"),
        values![],
        Row::get,
    )?;
    Ok(found.unwrap_or(0))
}

pub(crate) fn version(tx: &mut ReadTx<'_>, number: u64) -> Result<Option<Detail>, StoreError> {
    tx.optional(
        sql!(
            "SELECT number, digest, note, created_by, created_at, source, tests
               FROM policy_versions WHERE tenant_id = $1 AND number = $2"
        ),
        values![number],
        |row| Ok(Detail { version: read(row)?, source: row.get()?, tests: row.get()? }),
    )
}

pub(crate) fn versions(tx: &mut ReadTx<'_>, listing: &Listing) -> Result<Vec<Version>, StoreError> {
    let after = listing.after.as_ref().and_then(|cursor| cursor.key().parse::<u64>().ok()).unwrap_or(0);
    tx.all(
        sql!(
            "SELECT number, digest, note, created_by, created_at
               FROM policy_versions WHERE tenant_id = $1 AND number > $2 ORDER BY number LIMIT $3"
        ),
        values![after, listing.size.limit()],
        read,
    )
}

fn read(row: &mut Row) -> Result<Version, StoreError> {
    Ok(Version {
        number: row.get()?,
        digest: row.get()?,
        note: row.get()?,
        created_by: row.get()?,
        created_at: row.get()?,
    })
}

pub(crate) fn state(tx: &mut ReadTx<'_>) -> Result<State, StoreError> {
    let found = tx.optional(
        sql!("SELECT active, previous, shadow, revision FROM policy_state WHERE tenant_id = $1"),
        values![],
        |row| Ok(State { active: row.get()?, previous: row.get()?, shadow: row.get()?, revision: row.get()? }),
    )?;
    Ok(found.unwrap_or_default())
}

/// Saves the state that follows revision `revision - 1`. The writer of a tenant is one at a time: nobody is in between.
pub(crate) fn save_state(tx: &mut WriteTx<'_>, state: &State) -> Result<(), StoreError> {
    let State { active, previous, shadow, revision } = *state;
    let saved = tx.execute(
        sql!(
            "INSERT INTO policy_state (tenant_id, active, previous, shadow, revision) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id) DO UPDATE
                SET active = excluded.active, previous = excluded.previous, shadow = excluded.shadow,
                    revision = excluded.revision
              WHERE policy_state.revision = excluded.revision - 1"
        ),
        values![active, previous, shadow, revision],
    )?;
    if saved == 1 { Ok(()) } else { Err(StoreError::Conflict("the policies were changed meanwhile".to_owned())) }
}

/// The roles that the tenant defines for itself, with what each allows.
pub(crate) fn custom_roles(tx: &mut ReadTx<'_>) -> Result<RolesOfTenant, StoreError> {
    tx.all(sql!("SELECT name, permissions FROM custom_roles WHERE tenant_id = $1 ORDER BY name"), values![], |row| {
        let role = row.get::<String>()?.parse::<CustomRole>().map_err(|_| StoreError::Decode("the name of a role"))?;
        Ok((RoleName::Custom(role), row.get::<Permissions>()?))
    })
}

/// How many entries the log has.
pub(crate) fn log_size(tx: &mut ReadTx<'_>) -> Result<u64, StoreError> {
    let found = tx.optional(sql!("SELECT size FROM ledger_heads WHERE tenant_id = $1"), values![], Row::get)?;
    Ok(found.unwrap_or(0))
}

/// When an entry was written.
pub(crate) fn written_at(tx: &mut ReadTx<'_>, seq: u64) -> Result<Option<Timestamp>, StoreError> {
    tx.optional(sql!("SELECT at FROM ledger_entries WHERE tenant_id = $1 AND seq = $2"), values![seq], Row::get)
}

/// An entry that may keep a decision.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    /// Whether it says what was decided about a call. Its end says only what was decided about tools, if anything was.
    pub(crate) decides: bool,
    /// Its details; `None` where they are gone.
    pub(crate) payload: Option<Vec<u8>>,
}

/// The salt that a sealed payload begins with.
const SALT: usize = 32;

/// What was decided about calls and tools among the entries from `from` to before `until`, with their details opened.
pub(crate) fn entered(tx: &mut ReadTx<'_>, from: u64, until: u64) -> Result<Vec<Entered>, StoreError> {
    let rows = tx.all(
        sql!(
            "SELECT e.seq, e.at, e.action, p.sealed FROM ledger_entries e
               LEFT JOIN ledger_payloads p ON p.tenant_id = e.tenant_id AND p.seq = e.seq
              WHERE e.tenant_id = $1 AND e.seq >= $2 AND e.seq < $3
                AND e.action IN ('gateway.call.requested', 'gateway.call.refused', 'gateway.call.completed',
                                 'gateway.call.failed', 'gateway.call.aborted')
              ORDER BY e.seq"
        ),
        values![from, until],
        |row| Ok((row.get::<u64>()?, row.get()?, row.get::<String>()?, row.get::<Option<Vec<u8>>>()?)),
    )?;
    let opened = rows.into_iter().map(|(seq, at, action, sealed)| {
        let payload = sealed.map_or(Ok(None), |sealed| open(tx, seq, &sealed))?;
        let decides = matches!(&*action, "gateway.call.requested" | "gateway.call.refused");
        Ok(Entered { seq, at, decides, payload })
    });
    opened.collect()
}

/// What was sealed; `None` for what no longer opens.
fn open(tx: &mut ReadTx<'_>, seq: u64, sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match tx.open(("ledger_payloads", "sealed", &seq.to_string()), sealed) {
        Ok(opened) => Ok(opened.get(SALT..).map(<[u8]>::to_vec)),
        Err(StoreError::Sealed(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
