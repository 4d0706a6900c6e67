//! API keys, as they are known once their secrets have been handed over.

use authz::{Makers, Permissions};
use kernel::{AgentId, KeyId, Secret, Text, Timestamp, UserId};

use crate::listing::Direction;
use crate::networks::Networks;

/// What is known of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The public part of the key.
    pub id: KeyId,
    /// Whose key it is.
    pub user: UserId,
    /// What it is for.
    pub name: Text<100>,
    /// The last four characters, by which its holder tells it from others.
    pub last4: String,
    /// What it is narrowed to; `None` for all that its owner may do at each moment.
    pub scopes: Option<Permissions>,
    /// The agent that calls with this key are for, unless they name another.
    pub agent: Option<AgentId>,
    /// Where it may be used from.
    pub networks: Networks,
    /// The actors that have held its secret: who made it, and who had made what that one came with.
    pub issued_by: Makers,
    /// Until when the secret before the present one is good as well, where it was rotated with an overlap.
    pub previous_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub used_at: Option<Timestamp>,
    /// Since when it is refused, if it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// A key at the one moment when its text can be shown.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// What stays known.
    pub key: Key,
    /// The whole key, to be handed to its holder and forgotten.
    pub secret: Secret<String>,
}

/// Which keys are listed, and in which order.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Those of this user; `None` for everybody's.
    pub user: Option<UserId>,
    /// Those in this state.
    pub status: Option<KeyStatus>,
    /// Those whose name starts with this text, whatever the case, and the one whose id it is.
    pub q: Option<Text<100>>,
    /// What they are sorted by.
    pub sort: KeySort,
    /// From the first or from the last.
    pub direction: Direction,
}

/// Whether a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// What a list of keys is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they end.
    ExpiresAt,
    /// When they were last used; those that never were come first.
    UsedAt,
}

impl Key {
    /// Whether it is good at `now`.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match self.revoked_at {
            Some(_) => KeyStatus::Revoked,
            None if now >= self.expires_at => KeyStatus::Expired,
            None => KeyStatus::Active,
        }
    }
}

impl KeyStatus {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}
