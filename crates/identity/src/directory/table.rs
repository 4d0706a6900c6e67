//! Keys by their ids, packed: one tenant's change copies only the shards that hold its keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use authz::Permissions;
use kernel::{AgentId, TenantId, Timestamp};

use super::Principal;

/// A key's id, as bytes.
pub(super) type Name = [u8; 12];

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) secret_hash: [u8; 32],
    pub(super) revoked: bool,
    pub(super) expires_at: Timestamp,
    pub(super) scopes: Permissions,
    pub(super) agent: Option<Box<AgentId>>,
    pub(super) principal: Arc<Principal>,
}

/// How many shards there are: one for each pair of base62 digits. Ids are random, so that their first two digits spread
/// them evenly and no hash is needed.
const SHARDS: usize = 62 * 62;

/// All keys. A shard is an array sorted by name.
pub(super) struct Table(Box<[ArcSwap<Shard>]>);

/// The keys whose ids start with the same two characters.
#[derive(Debug, Default)]
pub(super) struct Shard(Box<[Record]>);

impl Table {
    pub(super) fn of(records: Vec<Record>) -> Self {
        let empty = Arc::new(Shard::default());
        let table = Self((0..SHARDS).map(|_| ArcSwap::new(Arc::clone(&empty))).collect());
        let mut shards: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        for record in records {
            shards.entry(shard_of(&record.name)).or_default().push(record);
        }
        for (index, records) in shards {
            table.store(index, records);
        }
        table
    }

    /// The shard that holds the key of that name, if there is one.
    pub(super) fn shard(&self, name: &str) -> Option<Guard<Arc<Shard>>> {
        self.0.get(shard_of(name.as_bytes())).map(ArcSwap::load)
    }

    /// Puts `records` in the place of all that `tenant` had. Only one replacement may run at a time.
    pub(super) fn replace(&self, tenant: &TenantId, records: Vec<Record>) {
        let mut new: Vec<Vec<Record>> = Vec::new();
        new.resize_with(SHARDS, Vec::new);
        for record in records {
            if let Some(shard) = new.get_mut(shard_of(&record.name)) {
                shard.push(record);
            }
        }
        for (index, mut records) in new.into_iter().enumerate() {
            let Some(old) = self.0.get(index).map(ArcSwap::load) else {
                continue;
            };
            let of_tenant = |record: &&Record| record.principal.tenant == *tenant;
            if records.is_empty() && !old.0.iter().any(|record| of_tenant(&record)) {
                continue;
            }
            records.extend(old.0.iter().filter(|record| !of_tenant(record)).cloned());
            self.store(index, records);
        }
    }

    fn store(&self, index: usize, mut records: Vec<Record>) {
        records.sort_unstable_by_key(|record| record.name);
        if let Some(shard) = self.0.get(index) {
            shard.store(Arc::new(Shard(records.into_boxed_slice())));
        }
    }
}

impl Shard {
    pub(super) fn record(&self, name: &str) -> Option<&Record> {
        let name = name_of(name)?;
        let place = self.0.binary_search_by(|record| record.name.cmp(&name)).ok()?;
        self.0.get(place)
    }
}

pub(super) fn name_of(id: &str) -> Option<Name> {
    id.as_bytes().try_into().ok()
}

fn shard_of(name: &[u8]) -> usize {
    let digit = |at: usize| match name.get(at).copied().unwrap_or_default() {
        digit @ b'0'..=b'9' => usize::from(digit - b'0'),
        upper @ b'A'..=b'Z' => usize::from(upper - b'A') + 10,
        lower @ b'a'..=b'z' => usize::from(lower - b'a') + 36,
        _ => 0,
    };
    digit(0) * 62 + digit(1)
}
