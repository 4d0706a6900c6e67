//! What is known of each tenant, credential and network: an instant, in a table of bounded size.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use kernel::Timestamp;
use parking_lot::Mutex;

use super::{Earned, Quota, Taken, take};

/// How many parts the table has, each with a lock of its own.
const SHARDS: usize = 64;
/// How many instants a part holds. Past that, those closest to being earned are forgotten, which only gives.
const MOST: usize = 4_096;

/// The table. Whom an instant is for is kept as 128 bits of a hash under keys of this process, in which the kind of
/// limit and the tenant take part: neither can anybody choose names that meet, nor does a look-up allocate.
#[derive(Debug)]
pub(super) struct Buckets {
    hashers: [RandomState; 2],
    shards: Box<[Shard]>,
}

/// A part of the table.
type Shard = Mutex<HashMap<(u64, u64), Earned>>;

impl Default for Buckets {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS);
        Self { hashers: [RandomState::new(), RandomState::new()], shards: shards.collect() }
    }
}

impl Buckets {
    /// Takes one of `whose` quota.
    pub(super) fn take(&self, whose: impl Hash, quota: Quota, now: Timestamp) -> Taken {
        let [first, second] = &self.hashers;
        let name = (first.hash_one((quota.name, &whose)), second.hash_one((quota.name, &whose)));
        let now = u64::try_from(now.micros()).unwrap_or(0).saturating_mul(1_000);
        let shard = usize::try_from(name.0 % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else {
            return take(Earned::default(), quota, now).1;
        };
        let mut known = shard.lock();
        let before = known.get(&name).copied().unwrap_or_default();
        let (after, taken) = take(before, quota, now);
        if known.len() >= MOST && !known.contains_key(&name) {
            forget(&mut known, now);
        }
        known.insert(name, after);
        taken
    }
}

/// Makes room: forgets what has been earned, which says no more than nothing does, and if that is too little, a quarter
/// of the rest.
fn forget(known: &mut HashMap<(u64, u64), Earned>, now: u64) {
    known.retain(|_, earned| earned.0 > now);
    if known.len() < MOST {
        return;
    }
    let mut instants: Vec<u64> = known.values().map(|earned| earned.0).collect();
    let (_, bound, _) = instants.select_nth_unstable(MOST / 4);
    let bound = *bound;
    known.retain(|_, earned| earned.0 > bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn passes(buckets: &Buckets, whose: &str, quota: Quota) -> bool {
        matches!(buckets.take(whose, quota, NOW), Taken::Passed(_))
    }

    #[test]
    fn everybody_and_every_kind_of_limit_is_counted_apart() {
        let buckets = Buckets::default();
        let (tenant, key) = (Quota::per_minute("tenant", 1), Quota::per_minute("key", 1));
        assert!(passes(&buckets, "acme-corp", tenant));
        assert!(!passes(&buckets, "acme-corp", tenant));
        assert!(passes(&buckets, "globex", tenant));
        assert!(passes(&buckets, "acme-corp", key));
        assert!(matches!(buckets.take("acme-corp", tenant, NOW.plus_seconds(60)), Taken::Passed(_)));
    }

    #[test]
    fn the_table_does_not_grow_without_end_and_forgets_the_heaviest_last() {
        let buckets = Buckets::default();
        let quota = Quota::per_minute("network", 60);
        while passes(&buckets, "flood", quota) {}
        for n in 0..400_000 {
            passes(&buckets, &n.to_string(), quota);
        }
        let held: usize = buckets.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(held <= SHARDS * MOST, "{held}");
        assert!(!passes(&buckets, "flood", quota));
    }
}
