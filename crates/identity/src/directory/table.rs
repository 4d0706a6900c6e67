//! Keys by their ids, packed: one tenant's change copies only the shards that hold its keys.

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

/// Shards to be.
pub(super) struct Draft(Vec<Vec<Record>>);

/// Which shards hold a tenant's keys.
#[derive(Debug, Default)]
pub(super) struct Shards(Vec<usize>);

impl Default for Draft {
    fn default() -> Self {
        Self(std::iter::repeat_with(Vec::new).take(SHARDS).collect())
    }
}

impl Draft {
    /// Puts a key into its shard and says which that is.
    pub(super) fn push(&mut self, record: Record) -> usize {
        let index = shard_of(&record.name);
        if let Some(shard) = self.0.get_mut(index) {
            shard.push(record);
        }
        index
    }
}

impl Shards {
    pub(super) fn add(&mut self, index: usize) {
        self.0.push(index);
    }

    /// Ready to be looked into. The engines may order ids by a language's rules: no order of reading is relied on.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.shrink_to_fit();
        self
    }

    fn contains(&self, index: usize) -> bool {
        self.0.binary_search(&index).is_ok()
    }
}

impl Table {
    pub(super) fn of(draft: Draft) -> Self {
        let empty = Arc::new(Shard::default());
        let shards = draft.0.into_iter().map(|records| {
            ArcSwap::new(if records.is_empty() { Arc::clone(&empty) } else { Arc::new(Shard::of(records)) })
        });
        Self(shards.collect())
    }

    /// The shard that holds the key of that name, if there is one.
    pub(super) fn shard(&self, name: &str) -> Option<Guard<Arc<Shard>>> {
        self.0.get(shard_of(name.as_bytes())).map(ArcSwap::load)
    }

    /// Puts the keys of `draft` in the place of all that `tenant` had, which are in the shards `old`. Only one
    /// replacement may run at a time.
    pub(super) fn replace(&self, tenant: &TenantId, draft: Draft, old: &Shards) {
        for (index, (shard, mut records)) in self.0.iter().zip(draft.0).enumerate() {
            if records.is_empty() && !old.contains(index) {
                continue;
            }
            let current = shard.load();
            records.extend(current.0.iter().filter(|record| record.principal.tenant != *tenant).cloned());
            shard.store(Arc::new(Shard::of(records)));
        }
    }
}

impl Shard {
    fn of(mut records: Vec<Record>) -> Self {
        records.sort_unstable_by_key(|record| record.name);
        Self(records.into_boxed_slice())
    }

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
