//! All SQL of this crate. The ledger's tables are written by `store` alone, except `ledger_checkpoints`.

use kernel::{TenantId, Timestamp};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};
use tlog::tile::{self, Coord};
use tlog::{Frontier, Hash, TilesError};

use crate::model::{EntryView, Head, Order, Payload, Query, SignedHead};
use crate::objects::{Approval, Said};

/// The salt that a sealed payload begins with.
const SALT: usize = 32;

/// The largest sequence number that the engines can hold.
const LAST: u64 = i64::MAX.unsigned_abs();

/// Writes the head of the log as it is. The tables of the ledger are the store's; this changes nothing in them.
pub(crate) fn touch_head(tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
    tx.execute(sql!("UPDATE ledger_heads SET size = size WHERE tenant_id = $1"), values![])?;
    Ok(())
}

/// One more entry than the page holds, so that it is known whether there is a next one.
pub(crate) fn entries(tx: &mut ReadTx<'_>, query: &Query) -> Result<Vec<EntryView>, StoreError> {
    let Query { action, actor, resource, outcome, from_seq, order, size, after } = query;
    let cursor = after.as_ref().and_then(|cursor| cursor.key().parse::<u64>().ok());
    let (from, until) = match order {
        Order::OldestFirst => (from_seq.unwrap_or(0).max(cursor.map_or(0, |seq| seq.saturating_add(1))), LAST),
        Order::NewestFirst => (0, from_seq.map_or(LAST, |seq| seq.saturating_add(1)).min(cursor.unwrap_or(LAST))),
    };
    let mut values = values![
        from,
        until,
        action.as_deref().unwrap_or_default(),
        actor.as_deref().unwrap_or_default(),
        outcome.map_or("", store::Outcome::as_str),
        size.limit()
    ];
    let statement = match (order, resource) {
        (Order::NewestFirst, None) => sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries
              WHERE tenant_id = $1 AND seq >= $2 AND seq < $3
                AND (CAST($4 AS TEXT) = '' OR substr(action, 1, length($4)) = $4)
                AND (CAST($5 AS TEXT) = '' OR actor_id = $5) AND (CAST($6 AS TEXT) = '' OR outcome = $6)
              ORDER BY seq DESC LIMIT $7"
        ),
        (Order::OldestFirst, None) => sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries
              WHERE tenant_id = $1 AND seq >= $2 AND seq < $3
                AND (CAST($4 AS TEXT) = '' OR substr(action, 1, length($4)) = $4)
                AND (CAST($5 AS TEXT) = '' OR actor_id = $5) AND (CAST($6 AS TEXT) = '' OR outcome = $6)
              ORDER BY seq LIMIT $7"
        ),
        (Order::NewestFirst, Some(_)) => sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries
              WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 AND resource_id = $8
                AND (CAST($4 AS TEXT) = '' OR substr(action, 1, length($4)) = $4)
                AND (CAST($5 AS TEXT) = '' OR actor_id = $5) AND (CAST($6 AS TEXT) = '' OR outcome = $6)
              ORDER BY seq DESC LIMIT $7"
        ),
        (Order::OldestFirst, Some(_)) => sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries
              WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 AND resource_id = $8
                AND (CAST($4 AS TEXT) = '' OR substr(action, 1, length($4)) = $4)
                AND (CAST($5 AS TEXT) = '' OR actor_id = $5) AND (CAST($6 AS TEXT) = '' OR outcome = $6)
              ORDER BY seq LIMIT $7"
        ),
    };
    if let Some(resource) = resource {
        values.push(resource.as_str().into());
    }
    tx.all(statement, values, view)
}

/// The entries from `from` to before `until`, oldest first.
pub(crate) fn range(tx: &mut ReadTx<'_>, from: u64, until: u64) -> Result<Vec<EntryView>, StoreError> {
    tx.all(
        sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"
        ),
        values![from, until],
        view,
    )
}

pub(crate) fn entry(tx: &mut ReadTx<'_>, seq: u64) -> Result<Option<EntryView>, StoreError> {
    tx.optional(
        sql!(
            "SELECT seq, at, action, actor_id, resource_type, resource_id, outcome, request_id, hash, leaf
               FROM ledger_entries WHERE tenant_id = $1 AND seq = $2"
        ),
        values![seq],
        view,
    )
}

fn view(row: &mut Row) -> Result<EntryView, StoreError> {
    Ok(EntryView {
        seq: row.get()?,
        at: row.get()?,
        action: row.get()?,
        actor: row.get()?,
        resource_kind: row.get()?,
        resource: row.get()?,
        outcome: row.get()?,
        request_id: row.get()?,
        hash: hash(&row.get::<Vec<u8>>()?)?,
        leaf: row.get()?,
    })
}

fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    Hash::try_from(bytes).map_err(|_| StoreError::Decode("a hash"))
}

/// The details of one entry, opened.
pub(crate) fn payload(tx: &mut ReadTx<'_>, seq: u64) -> Result<Option<Payload>, StoreError> {
    let sealed = tx.optional(
        sql!("SELECT sealed FROM ledger_payloads WHERE tenant_id = $1 AND seq = $2"),
        values![seq],
        Row::get::<Vec<u8>>,
    )?;
    sealed.map(|sealed| open(tx, seq, &sealed)).transpose()
}

/// The details of the entries from `from` to before `until`, oldest first; `None` for what no longer opens.
pub(crate) fn payloads(tx: &mut ReadTx<'_>, from: u64, until: u64) -> Result<Vec<(u64, Option<Payload>)>, StoreError> {
    let rows = tx.all(
        sql!("SELECT seq, sealed FROM ledger_payloads WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"),
        values![from, until],
        |row| Ok((row.get::<u64>()?, row.get::<Vec<u8>>()?)),
    )?;
    let opened = rows.into_iter().map(|(seq, sealed)| match open(tx, seq, &sealed) {
        Ok(payload) => Ok((seq, Some(payload))),
        Err(StoreError::Sealed(_)) => Ok((seq, None)),
        Err(error) => Err(error),
    });
    opened.collect()
}

fn open(tx: &mut ReadTx<'_>, seq: u64, sealed: &[u8]) -> Result<Payload, StoreError> {
    let mut opened = tx.open(("ledger_payloads", "sealed", &seq.to_string()), sealed)?;
    let Some(salt) = opened.first_chunk::<SALT>().copied() else {
        return Err(StoreError::Decode("a salted payload"));
    };
    Ok(Payload { salt, bytes: opened.split_off(SALT) })
}

/// Where the tenant's log ends; `None` when there is no such tenant.
pub(crate) fn head(tx: &mut ReadTx<'_>) -> Result<Option<Head>, StoreError> {
    tx.optional(sql!("SELECT size, root FROM ledger_heads WHERE tenant_id = $1"), values![], |row| {
        Ok(Head { size: row.get()?, root: hash(&row.get::<Vec<u8>>()?)? })
    })
}

/// The right edge of the tree, as the next append will use it.
pub(crate) fn frontier(tx: &mut ReadTx<'_>) -> Result<Option<Frontier>, StoreError> {
    tx.optional(sql!("SELECT frontier FROM ledger_heads WHERE tenant_id = $1"), values![], |row| {
        Frontier::from_bytes(&row.get::<Vec<u8>>()?).map_err(|_| StoreError::Decode("a ledger frontier"))
    })
}

/// A proof made from stored tiles; `None` where they have a gap. A database that fails is no gap.
pub(crate) fn proved(
    proof: Result<Vec<Hash>, tlog::ProofError<TilesError<StoreError>>>,
) -> Result<Option<Vec<Hash>>, StoreError> {
    match proof {
        Ok(hashes) => Ok(Some(hashes)),
        Err(tlog::ProofError::Source(TilesError::Source { coord: _, source })) => Err(source),
        Err(
            tlog::ProofError::Source(TilesError::Missing { .. } | TilesError::Malformed(_))
            | tlog::ProofError::Index { .. }
            | tlog::ProofError::Sizes { .. },
        ) => Ok(None),
    }
}

/// A tile as it was in the tree that makes it `coord.width` wide. The store keeps level 0 in tiles once they are full.
pub(crate) fn tile(tx: &mut ReadTx<'_>, coord: Coord) -> Result<Vec<u8>, StoreError> {
    let Coord { level, index, width } = coord;
    if level == 0 && u64::from(width) < tile::WIDTH {
        let first = index.saturating_mul(tile::WIDTH);
        let hashes = tx.all(
            sql!("SELECT hash FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"),
            values![first, first.saturating_add(u64::from(width))],
            Row::get::<Vec<u8>>,
        )?;
        return Ok(hashes.concat());
    }
    let mut hashes = tx
        .optional(
            sql!("SELECT hashes FROM ledger_tiles WHERE tenant_id = $1 AND level = $2 AND idx = $3"),
            values![u64::from(level), index],
            Row::get::<Vec<u8>>,
        )?
        .unwrap_or_default();
    hashes.truncate(usize::from(width) * 32);
    Ok(hashes)
}

/// The largest head that was signed.
pub(crate) fn last_signed(tx: &mut ReadTx<'_>) -> Result<Option<SignedHead>, StoreError> {
    tx.optional(
        sql!("SELECT size, root, note FROM ledger_checkpoints WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1"),
        values![],
        signed_head,
    )
}

/// The head that was signed at this size.
pub(crate) fn signed_at(tx: &mut ReadTx<'_>, size: u64) -> Result<Option<SignedHead>, StoreError> {
    tx.optional(
        sql!("SELECT size, root, note FROM ledger_checkpoints WHERE tenant_id = $1 AND size = $2"),
        values![size],
        signed_head,
    )
}

/// The newest heads that were signed at less than `size`, newest first.
pub(crate) fn signed_before(tx: &mut ReadTx<'_>, size: u64, limit: u64) -> Result<Vec<SignedHead>, StoreError> {
    tx.all(
        sql!(
            "SELECT size, root, note FROM ledger_checkpoints WHERE tenant_id = $1 AND size < $2
              ORDER BY size DESC LIMIT $3"
        ),
        values![size, limit],
        signed_head,
    )
}

fn signed_head(row: &mut Row) -> Result<SignedHead, StoreError> {
    let head = Head { size: row.get()?, root: hash(&row.get::<Vec<u8>>()?)? };
    Ok(SignedHead { head, note: row.get()? })
}

/// Keeps a signed head. Of an hour that has passed only the last one is kept: a log that is written to all the time is
/// signed each second.
pub(crate) fn save_signed(tx: &mut WriteTx<'_>, signed: &SignedHead, at: Timestamp) -> Result<(), StoreError> {
    let SignedHead { head: Head { size, root }, note } = signed;
    let last = tx.optional(
        sql!("SELECT size, at FROM ledger_checkpoints WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1"),
        values![],
        |row| Ok((row.get::<u64>()?, row.get::<Timestamp>()?)),
    )?;
    if let Some((last, signed_at)) = last
        && hour(signed_at) < hour(at)
    {
        tx.execute(
            sql!("DELETE FROM ledger_checkpoints WHERE tenant_id = $1 AND size < $2 AND at >= $3"),
            values![last, hour(signed_at)],
        )?;
    }
    tx.execute(
        sql!(
            "INSERT INTO ledger_checkpoints (tenant_id, size, root, note, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, size) DO NOTHING"
        ),
        values![*size, root.as_bytes().as_slice(), note.as_str(), at],
    )?;
    Ok(())
}

/// The beginning of the hour.
fn hour(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(3_600_000_000))
}

/// The exact bytes of the entries from `from` to before `until`, oldest first.
pub(crate) fn leaves(tx: &mut ReadTx<'_>, from: u64, until: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    tx.all(
        sql!("SELECT leaf FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"),
        values![from, until],
        Row::get,
    )
}

/// The definitions in the catalog's table, by digest.
pub(crate) fn definitions(tx: &mut ReadTx<'_>) -> Result<Vec<(String, String)>, StoreError> {
    tx.all(sql!("SELECT digest, definition FROM versions WHERE tenant_id = $1 ORDER BY digest"), values![], |row| {
        Ok((row.get()?, row.get()?))
    })
}

/// A request for approval with what was decided on it, in the tables of `approvals`.
pub(crate) fn approval(tx: &mut ReadTx<'_>, id: &str) -> Result<Option<Approval>, StoreError> {
    let found = tx.optional(
        sql!(
            "SELECT request_type, resource_type, resource_id, digest, title, description, requester_id, author_ids,
                    workflow_id, workflow_revision, required_approvers, approver_roles, created_at, expires_at
               FROM approval_requests WHERE tenant_id = $1 AND review_id = $2"
        ),
        values![id],
        |row| {
            Ok(Approval {
                id: id.to_owned(),
                request_type: row.get()?,
                resource_type: row.get()?,
                resource_id: row.get()?,
                digest: row.get()?,
                title: row.get()?,
                description: row.get()?,
                requester: row.get()?,
                authors: row.get::<String>()?.split(',').map(str::to_owned).collect(),
                workflow: row.get()?,
                workflow_revision: row.get()?,
                required_approvers: row.get()?,
                approver_roles: row.get()?,
                created_at: row.get::<Timestamp>()?.to_string(),
                expires_at: row.get::<Timestamp>()?.to_string(),
                decisions: Vec::new(),
            })
        },
    )?;
    let Some(approval) = found else {
        return Ok(None);
    };
    let decisions = tx.all(
        sql!(
            "SELECT user_id, decision, comment, at FROM approval_decisions
              WHERE tenant_id = $1 AND review_id = $2 ORDER BY at, user_id"
        ),
        values![id],
        |row| {
            let (user, verdict, comment) = (row.get()?, row.get()?, row.get()?);
            Ok(Said { user, verdict, comment, at: row.get::<Timestamp>()?.to_string() })
        },
    )?;
    Ok(Some(Approval { decisions, ..approval }))
}

/// The name of a tenant's log.
pub(crate) fn origin(db: &store::Database, tenant: &TenantId) -> String {
    store::origin(db.instance(), tenant)
}
