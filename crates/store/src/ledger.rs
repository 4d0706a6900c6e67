//! Appending to a tenant's log inside the transaction of the change itself.
//!
//! Sequence number, leaf, frontier and root are written together with the change; a proof of inclusion exists as
//! soon as the commit does. **Invariant:** `ledger_heads` is locked from the transaction's first statement on, so that
//! sequence numbers have no gaps and no two writers share one.

use kernel::{Entropy, TenantId, Timestamp, hex};
use tlog::{Frontier, Hash};

use crate::engine::Conn;
use crate::entry::{Attributed, COMMITMENT_PREFIX, LEAF_VERSION, Leaf, LeafActor, LeafResource};
use crate::group::Wait;
use crate::vault::Vault;
use crate::{StoreError, TenantSql, Value, sql, values};

/// The largest leaf: the length of an entry in a C2SP entry bundle has 16 bits.
const MAX_LEAF: usize = 65_535;

/// How many hashes one tile holds.
const TILE: u64 = tlog::tile::WIDTH;

/// Where a tenant's log ends.
pub(crate) struct Head {
    frontier: Frontier,
    last_at: Option<Timestamp>,
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position in the tenant's log, from 0.
    pub seq: u64,
    /// The hash of its leaf.
    pub hash: Hash,
}

/// What an append needs besides the transaction.
pub(crate) struct Scribe<'a> {
    pub(crate) instance: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) vault: &'a Vault,
}

/// The name of a tenant's log, which its checkpoints carry.
pub fn origin(instance: &str, tenant: &TenantId) -> String {
    format!("{instance}/taskforce/t/{tenant}")
}

/// Locks and reads the tenant's head; `None` when there is no such tenant, or when another node holds the lock and it
/// may not be waited for.
pub(crate) fn lock(conn: &mut Conn, tenant: &TenantId, wait: Wait) -> Result<Option<Head>, StoreError> {
    const UNTIL: TenantSql = sql! {
        sqlite: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1",
        postgres: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1 FOR UPDATE",
    };
    const NEVER: TenantSql = sql! {
        sqlite: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1",
        postgres: "SELECT frontier, last_at FROM ledger_heads WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED",
    };
    conn.enter(tenant.as_str())?;
    let lock = match wait {
        Wait::Until => UNTIL,
        Wait::Never => NEVER,
    };
    let Some(mut row) = conn.query(lock, &values![tenant])?.pop() else {
        return Ok(None);
    };
    let frontier: Vec<u8> = row.get()?;
    let frontier = Frontier::from_bytes(&frontier).map_err(|_| StoreError::Decode("a ledger frontier"))?;
    Ok(Some(Head { frontier, last_at: row.get()? }))
}

/// Begins a tenant's log.
pub(crate) fn begin(conn: &mut Conn, tenant: &TenantId) -> Result<(), StoreError> {
    let empty = Frontier::empty();
    conn.execute(
        sql!("INSERT INTO ledger_heads (tenant_id, size, root, frontier, last_at) VALUES ($1, 0, $2, $3, NULL)"),
        &values![tenant, empty.root().as_bytes().as_slice(), empty.to_bytes()],
    )?;
    Ok(())
}

/// Appends the entries and moves the head.
pub(crate) fn append(
    conn: &mut Conn,
    tenant: &TenantId,
    mut head: Head,
    entries: &[Attributed],
    scribe: &Scribe<'_>,
) -> Result<Vec<Appended>, StoreError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let size = head.frontier.size();
    let mut places = Vec::with_capacity(entries.len());
    let (mut leaves, mut payloads) = (Vec::with_capacity(entries.len()), Vec::new());
    let log = origin(scribe.instance, tenant);
    for attributed in entries {
        let seq = head.frontier.size();
        let at = head.last_at.map_or(scribe.now, |last| last.max(scribe.now));
        let commitment = match &attributed.entry.payload {
            Some(payload) => {
                let (commitment, sealed) = seal_payload(conn, tenant, seq, payload, scribe)?;
                payloads.push(values![seq, sealed]);
                Some(commitment)
            }
            None => None,
        };
        let place = Place { log: &log, tenant, seq, at, previous: head.last_at };
        let leaf = leaf(&place, attributed, commitment.as_deref())?;
        let hash = tlog::leaf_hash(&leaf);
        head.frontier.append(hash);
        head.last_at = Some(at);
        leaves.push(columns(seq, at, leaf, &hash, attributed));
        places.push(Appended { seq, hash });
    }
    write(conn, tenant, &leaves, &payloads)?;
    fill_tiles(conn, tenant, size, head.frontier.size())?;
    save(conn, tenant, &head)?;
    Ok(places)
}

fn columns(seq: u64, at: Timestamp, leaf: Vec<u8>, hash: &Hash, attributed: &Attributed) -> Vec<Value> {
    let Attributed { caller, entry } = attributed;
    values![
        seq,
        at,
        entry.action,
        caller.actor().id.as_str(),
        entry.resource.kind,
        entry.resource.id.as_str(),
        entry.outcome.as_str(),
        caller.request().id.as_str(),
        hash.as_bytes().as_slice(),
        leaf
    ]
}

fn write(conn: &mut Conn, tenant: &TenantId, leaves: &[Vec<Value>], payloads: &[Vec<Value>]) -> Result<(), StoreError> {
    let tenant = Value::from(tenant);
    conn.execute_many(
        sql!(
            "INSERT INTO ledger_entries (tenant_id, seq, at, action, actor_id, resource_type, resource_id, outcome,
                                         request_id, hash, leaf)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        &tenant,
        leaves,
    )?;
    conn.execute_many(
        sql!("INSERT INTO ledger_payloads (tenant_id, seq, sealed) VALUES ($1, $2, $3)"),
        &tenant,
        payloads,
    )
}

fn save(conn: &mut Conn, tenant: &TenantId, head: &Head) -> Result<(), StoreError> {
    let Head { frontier, last_at } = head;
    conn.execute(
        sql!("UPDATE ledger_heads SET size = $2, root = $3, frontier = $4, last_at = $5 WHERE tenant_id = $1"),
        &values![tenant, frontier.size(), frontier.root().as_bytes().as_slice(), frontier.to_bytes(), *last_at],
    )?;
    Ok(())
}

/// Where an entry stands.
struct Place<'a> {
    log: &'a str,
    tenant: &'a TenantId,
    seq: u64,
    at: Timestamp,
    previous: Option<Timestamp>,
}

fn leaf(place: &Place<'_>, attributed: &Attributed, payload_commit: Option<&str>) -> Result<Vec<u8>, StoreError> {
    let Place { log, tenant, seq, at, previous } = place;
    let Attributed { caller, entry } = attributed;
    let (actor, request) = (caller.actor(), caller.request());
    let previous = previous.map(|at| at.to_string());
    let leaf = Leaf {
        v: LEAF_VERSION,
        log,
        seq: *seq,
        ts: &at.to_string(),
        actor: LeafActor {
            r#type: actor.kind.as_str(),
            id: &actor.id,
            via: actor.via.as_ref().map(kernel::KeyId::as_str),
        },
        tenant: tenant.as_str(),
        action: entry.action,
        resource: LeafResource {
            r#type: entry.resource.kind,
            id: &entry.resource.id,
            digest: entry.resource.digest.as_deref(),
        },
        outcome: entry.outcome.as_str(),
        policy: entry.policy.as_ref(),
        request_id: request.id.as_str(),
        idempotency: request.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()),
        payload_commit,
        prev_ts: previous.as_deref(),
    };
    let bytes = serde_json::to_vec(&leaf).map_err(|_| StoreError::Decode("an entry that can be written as JSON"))?;
    if bytes.len() > MAX_LEAF { Err(StoreError::EntryTooLarge(bytes.len())) } else { Ok(bytes) }
}

/// Seals salt and payload together, and commits to both: without the salt the commitment says nothing.
fn seal_payload(
    conn: &mut Conn,
    tenant: &TenantId,
    seq: u64,
    payload: &[u8],
    scribe: &Scribe<'_>,
) -> Result<(String, Vec<u8>), StoreError> {
    let mut opened = vec![0; 32];
    scribe.entropy.fill(&mut opened);
    opened.extend_from_slice(payload);
    let commitment = tlog::sha256(&[COMMITMENT_PREFIX, &opened].concat());
    let sealed = scribe.vault.seal(conn, tenant, ("ledger_payloads", "sealed", &seq.to_string()), &opened)?;
    Ok((hex(commitment.as_bytes()), sealed))
}

/// Writes the tiles that became full, level by level.
fn fill_tiles(conn: &mut Conn, tenant: &TenantId, old: u64, new: u64) -> Result<(), StoreError> {
    for index in old / TILE..new / TILE {
        let rows = conn.query(
            sql!("SELECT hash FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"),
            &values![tenant, index * TILE, (index + 1) * TILE],
        )?;
        let mut hashes = Vec::with_capacity(rows.len() * 32);
        for mut row in rows {
            hashes.extend(row.get::<Vec<u8>>()?);
        }
        put_tile(conn, tenant, 0, index, &hashes)?;
        raise(conn, tenant, 0, index, &hashes)?;
    }
    Ok(())
}

/// Adds the root of a full tile to the tile above it, and so on while those become full.
fn raise(conn: &mut Conn, tenant: &TenantId, mut level: u64, mut index: u64, full: &[u8]) -> Result<(), StoreError> {
    let mut hashes = full.to_vec();
    while hashes.len() as u64 == TILE * 32 {
        let root = tile_root(&hashes)?;
        (level, index) = (level + 1, index / TILE);
        hashes = tile(conn, tenant, level, index)?;
        hashes.extend_from_slice(root.as_bytes());
        put_tile(conn, tenant, level, index, &hashes)?;
    }
    Ok(())
}

fn tile(conn: &mut Conn, tenant: &TenantId, level: u64, index: u64) -> Result<Vec<u8>, StoreError> {
    let rows = conn.query(
        sql!("SELECT hashes FROM ledger_tiles WHERE tenant_id = $1 AND level = $2 AND idx = $3"),
        &values![tenant, level, index],
    )?;
    rows.into_iter().next().map_or_else(|| Ok(Vec::new()), |mut row| row.get())
}

fn put_tile(conn: &mut Conn, tenant: &TenantId, level: u64, index: u64, hashes: &[u8]) -> Result<(), StoreError> {
    conn.execute(
        sql!(
            "INSERT INTO ledger_tiles (tenant_id, level, idx, hashes) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, level, idx) DO UPDATE SET hashes = excluded.hashes"
        ),
        &values![tenant, level, index, hashes],
    )?;
    Ok(())
}

fn tile_root(hashes: &[u8]) -> Result<Hash, StoreError> {
    let mut frontier = Frontier::empty();
    for hash in hashes.chunks(32) {
        frontier.append(Hash::try_from(hash).map_err(|_| StoreError::Decode("a tile of hashes"))?);
    }
    Ok(frontier.root())
}
