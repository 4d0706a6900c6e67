//! Keys by their ids, packed: one tenant's change copies only the shards that hold its keys.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use authz::{Makers, Permissions, Standing, Via};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::{AgentId, KeyId, TenantId, Timestamp};

use super::realm::{Digest, Principal};
use crate::Refusal;
use crate::networks::Networks;

/// A key's id, as bytes.
pub(super) type Name = [u8; 12];

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) secret: Secret,
    /// The secret before, while it is good as well.
    pub(super) previous: Option<Box<Previous>>,
    pub(super) revoked: bool,
    pub(super) expires_at: Timestamp,
    pub(super) scopes: Option<Permissions>,
    pub(super) networks: Option<Box<Networks>>,
    pub(super) agent: Option<Box<AgentId>>,
    pub(super) used: Used,
    pub(super) principal: Arc<Principal>,
}

/// A secret, by its hash, and who is let in by it.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) hash: Digest,
    /// Who has held it besides the key's owner.
    pub(super) issued_by: Makers,
    /// Made when it is presented for the first time.
    pub(super) standing: OnceLock<Arc<Standing>>,
}

/// A secret that was replaced.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) secret: Secret,
    pub(super) until: Timestamp,
}

/// When a key was last used, in microseconds since 1970; 0 for never.
#[derive(Debug, Default)]
pub(super) struct Used(AtomicI64);

/// How far apart two uses of a key are that are both written down, in microseconds: a minute.
const USES_APART: i64 = 60_000_000;

impl Used {
    pub(super) fn at(at: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(at.map_or(0, Timestamp::micros)))
    }

    /// Whether this use is to be written down.
    pub(super) fn is_news(&self, now: Timestamp) -> bool {
        now.micros().saturating_sub(self.0.load(Ordering::Relaxed)) >= USES_APART
    }

    pub(super) fn note(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::Relaxed);
    }
}

impl Clone for Used {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Record {
    /// The secret of this key that has the hash, if it is good now. It comes first: what else is the matter with a key is
    /// not for those who do not hold it.
    pub(super) fn admit(&self, hash: &Digest, from: Option<IpAddr>, now: Timestamp) -> Result<&Secret, Refusal> {
        let secret = self.secret(hash, now).ok_or(Refusal::WrongSecret)?;
        self.check(from, now)?;
        Ok(secret)
    }

    /// Whether the key, presented or standing behind a token, is good now.
    pub(super) fn check(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        self.principal.admit()?;
        if self.revoked {
            return Err(Refusal::Revoked);
        }
        if now >= self.expires_at {
            return Err(Refusal::Expired);
        }
        if self.networks.as_ref().is_some_and(|networks| !networks.admit(from)) {
            return Err(Refusal::Network);
        }
        Ok(())
    }

    /// The secret with that hash. Both comparisons are made, whatever the first says.
    pub(super) fn secret(&self, hash: &Digest, now: Timestamp) -> Option<&Secret> {
        let is = |secret: &Secret| verify_slices_are_equal(hash, &secret.hash).is_ok();
        let present = is(&self.secret);
        let previous = self.previous.as_ref().filter(|previous| is(&previous.secret) && now < previous.until);
        if present { Some(&self.secret) } else { previous.map(|previous| &previous.secret) }
    }

    /// What a caller is who presents `secret`, one of this record's.
    pub(super) fn standing(&self, secret: &Secret, key: &KeyId) -> Arc<Standing> {
        let standing = secret.standing.get_or_init(|| {
            let mut standing = self.principal.standing();
            standing.actor.via = Some(Via::Key(key.clone()));
            standing.scopes = self.scopes;
            standing.issued_by.clone_from(&secret.issued_by);
            Arc::new(standing)
        });
        Arc::clone(standing)
    }
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
            records.extend(current.0.iter().filter(|record| record.principal.realm.tenant != *tenant).cloned());
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
