//! Appending to a tenant's log inside the transaction of the change itself.
//!
//! Sequence number, leaf, frontier and root are written together with the change; a proof of inclusion exists as
//! soon as the commit does. **Invariant:** a log's head is locked before the first statement of a job that appends to it,
//! so that sequence numbers have no gaps and no two writers share one.

use kernel::{Entropy, TenantId, Timestamp, hex};
use tlog::{Frontier, Hash};

use crate::engine::Conn;
use crate::entry::{Attributed, COMMITMENT_PREFIX, LEAF_VERSION, Leaf, LeafActing, LeafActor, LeafResource};
use crate::logs::Logs;
use crate::vault::Vault;
use crate::{StoreError, Value, sql, values};

/// The largest leaf: the length of an entry in a C2SP entry bundle has 16 bits.
const MAX_LEAF: usize = 65_535;

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

/// Begins a tenant's log.
pub(crate) fn begin(conn: &mut Conn, tenant: &TenantId) -> Result<(), StoreError> {
    let empty = Frontier::empty();
    conn.execute(
        sql!("INSERT INTO ledger_heads (tenant_id, size, root, frontier, last_at) VALUES ($1, 0, $2, $3, NULL)"),
        &values![tenant, empty.root().as_bytes().as_slice(), empty.to_bytes()],
    )?;
    Ok(())
}

/// Appends the entries to the tenant's log, which the job has locked. They are written when the group is.
pub(crate) fn append(
    conn: &mut Conn,
    logs: &mut Logs,
    tenant: &TenantId,
    entries: &[Attributed],
    scribe: &Scribe<'_>,
) -> Result<Vec<Appended>, StoreError> {
    let log = logs.get(tenant)?;
    let name = origin(scribe.instance, tenant);
    let mut places = Vec::with_capacity(entries.len());
    for attributed in entries {
        let (seq, previous) = (log.frontier.size(), log.last_at);
        let at = previous.map_or(scribe.now, |last| last.max(scribe.now));
        let commitment = match &attributed.entry.payload {
            Some(payload) => {
                let (commitment, sealed) = seal_payload(conn, tenant, seq, payload, scribe)?;
                log.payloads.push(values![seq, sealed]);
                Some(commitment)
            }
            None => None,
        };
        let place = Place { log: &name, tenant, seq, at, previous };
        let leaf = leaf(&place, attributed, commitment.as_deref())?;
        let hash = tlog::leaf_hash(&leaf);
        log.frontier.append(hash);
        log.last_at = Some(at);
        log.leaves.push(columns(seq, at, leaf, &hash, attributed));
        places.push(Appended { seq, hash });
    }
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
    // The client's own words may name a person: the leaf holds their digest.
    let idempotency = request.idempotency.as_ref().map(|one| hex(tlog::sha256(one.key.as_bytes()).as_bytes()));
    let leaf = Leaf {
        v: LEAF_VERSION,
        log,
        seq: *seq,
        ts: &at.to_string(),
        actor: LeafActor {
            r#type: actor.kind.as_str(),
            id: &actor.id,
            via: actor.via.as_ref().map(authz::Via::as_str),
            act: (!actor.act.is_empty()).then(|| actor.act.iter().map(acting).collect()),
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
        idempotency: idempotency.as_deref(),
        payload_commit,
        prev_ts: previous.as_deref(),
    };
    let bytes = serde_json::to_vec(&leaf).map_err(|_| StoreError::Decode("an entry that can be written as JSON"))?;
    if bytes.len() > MAX_LEAF { Err(StoreError::EntryTooLarge(bytes.len())) } else { Ok(bytes) }
}

fn acting(link: &authz::Acting) -> LeafActing<'_> {
    LeafActing { r#type: link.kind.as_str(), id: &link.id }
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
