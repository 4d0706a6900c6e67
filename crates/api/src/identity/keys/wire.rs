//! Keys as clients see them.

use authz::Permission;
use identity::{IssuedKey, Key, KeyChange, KeyFilter, KeySort, KeyStatus, Networks, NewKey, Rotation};
use kernel::{AgentId, Cursor, KeyId, Moment, PageSize, Text, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::wire::{Limit, Show, Sort, Written, field, present};

/// The key that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct KeyPath {
    /// The key's id: its public part.
    #[param(value_type = String, example = "7Hq2vXc0LmZ1")]
    pub(super) key_id: Written<KeyId>,
}

/// What keys are sorted by.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum KeySortIn {
    #[default]
    #[serde(rename = "created_at")]
    Created,
    #[serde(rename = "expires_at")]
    Expires,
    #[serde(rename = "used_at")]
    Used,
}

impl From<KeySortIn> for KeySort {
    fn from(sort: KeySortIn) -> Self {
        match sort {
            KeySortIn::Created => Self::CreatedAt,
            KeySortIn::Expires => Self::ExpiresAt,
            KeySortIn::Used => Self::UsedAt,
        }
    }
}

/// Whether keys are good.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyStatusIn {
    /// They are.
    Active,
    /// Their time is over.
    Expired,
    /// They were revoked.
    Revoked,
}

impl From<KeyStatusIn> for KeyStatus {
    fn from(status: KeyStatusIn) -> Self {
        match status {
            KeyStatusIn::Active => Self::Active,
            KeyStatusIn::Expired => Self::Expired,
            KeyStatusIn::Revoked => Self::Revoked,
        }
    }
}

/// Which keys, in which order, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeysQuery {
    /// Only this user's keys.
    #[param(value_type = Option<String>)]
    user_id: Option<Written<UserId>>,
    /// Only those that are good, have expired, or were revoked.
    status: Option<KeyStatusIn>,
    /// Only those whose name starts with this, and the one whose id it is.
    #[param(value_type = Option<String>, max_length = 100)]
    q: Option<Written<Text<100>>>,
    /// `created_at`, `expires_at` or `used_at`; with a minus in front, from the last.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "-created_at")]
    sort: Sort<KeySortIn>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

impl KeysQuery {
    pub(super) fn into_filter(self) -> (KeyFilter, Option<Cursor>, PageSize) {
        let Self { user_id, status, q, sort: Sort { by, direction }, cursor, limit } = self;
        let filter = KeyFilter {
            user: user_id.map(|user| user.0),
            status: status.map(KeyStatus::from),
            q: q.map(|text| text.0),
            sort: by.into(),
            direction,
        };
        (filter, cursor.map(|cursor| cursor.0), limit.0)
    }
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyIn {
    /// Whose it will be.
    #[schema(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    user_id: Written<UserId>,
    /// What it is for.
    #[schema(value_type = String, max_length = 100, example = "support desk")]
    name: Written<Text<100>>,
    /// What it is narrowed to; null for all that its owner may do at each moment.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["agent:execute"]))]
    scopes: Option<Vec<Written<Permission>>>,
    /// The networks that it may be used from, in CIDR notation; empty for anywhere.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["10.0.0.0/8"]))]
    networks: Vec<String>,
    /// From when on it is refused; 90 days from now unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Written<Timestamp>>,
    /// The agent that model calls with this key are for, unless they name another.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent_id: Option<Written<AgentId>>,
}

impl KeyIn {
    pub(super) fn into_key(self) -> Result<NewKey, Problem> {
        let Self { user_id, name, scopes, networks, expires_at, agent_id } = self;
        Ok(NewKey {
            user: user_id.0,
            name: name.0,
            scopes: scopes.map(|scopes| scopes.into_iter().map(|scope| scope.0).collect()),
            expires_at: expires_at.map(|at| at.0),
            agent: agent_id.map(|agent| agent.0),
            networks: field("/networks", Networks::new(networks))?,
        })
    }
}

/// What becomes different about a key; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPatch {
    /// What it is for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    name: Option<Written<Text<100>>>,
    /// The networks that it may be used from, in whole; empty for anywhere.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 32)]
    networks: Option<Vec<String>>,
}

impl KeyPatch {
    pub(super) fn into_change(self, expected_revision: u64) -> Result<KeyChange, Problem> {
        let Self { name, networks } = self;
        let networks = networks.map(|networks| field("/networks", Networks::new(networks))).transpose()?;
        Ok(KeyChange { expected_revision, name: name.map(|name| name.0), networks })
    }
}

/// How a key's secret is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationIn {
    /// For how many hours the secret so far stays good as well; 0 unless given.
    #[serde(default)]
    #[schema(maximum = 168)]
    overlap_hours: u16,
    /// From when on the key is refused; when it was so far, unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Written<Timestamp>>,
}

impl From<RotationIn> for Rotation {
    fn from(RotationIn { overlap_hours, expires_at }: RotationIn) -> Self {
        Self { overlap_seconds: u32::from(overlap_hours) * 3_600, expires_at: expires_at.map(|at| at.0) }
    }
}

/// What is known of a key once its secret has been handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyOut {
    /// The public part of the key.
    #[schema(example = "7Hq2vXc0LmZ1")]
    id: String,
    /// Whose key it is.
    user_id: String,
    /// What it is for.
    name: String,
    /// The last four characters, by which its holder tells it from others.
    last4: String,
    /// `active`, `expired` or `revoked`.
    #[schema(example = "active")]
    status: &'static str,
    /// What it is narrowed to.
    scopes: Option<Vec<&'static str>>,
    /// The networks that it may be used from; empty for anywhere.
    networks: Vec<String>,
    /// The agent that model calls with it are for, unless they name another.
    agent_id: Option<String>,
    /// Who was shown its secret, and who had made what that one came with.
    issued_by: Vec<String>,
    /// Until when the secret before the present one is good as well.
    previous_until: Option<String>,
    /// When it was made.
    created_at: String,
    /// From when on it is refused.
    expires_at: String,
    /// When it was last used, give or take a minute.
    used_at: Option<String>,
    /// Since when it is refused, if it was revoked.
    revoked_at: Option<String>,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// A key at the one moment when its text is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedKeyOut {
    /// What stays known.
    #[serde(flatten)]
    key: KeyOut,
    /// The whole key: keep it, it is not shown again.
    #[schema(example = "tfk_…")]
    secret: String,
}

/// A key as it is at a moment: whether it is good depends on when one looks.
#[derive(Debug)]
pub(crate) struct Seen(Key, Timestamp);

impl Seen {
    pub(super) fn at(moment: &Moment<'_>) -> impl Fn(Key) -> Self + use<> {
        let now = moment.now();
        move |key| Self(key, now)
    }
}

fn key_out(key: &Key, status: KeyStatus) -> KeyOut {
    let Key { id, user, name, last4, scopes, agent, networks, .. } = key;
    let Key { issued_by, previous_until, created_at, expires_at, used_at, revoked_at, revision, .. } = key;
    let instant = |at: &Option<Timestamp>| at.as_ref().map(ToString::to_string);
    KeyOut {
        id: id.to_string(),
        user_id: user.to_string(),
        name: name.to_string(),
        last4: last4.clone(),
        status: status.as_str(),
        scopes: scopes.map(|scopes| scopes.iter().map(Permission::as_str).collect()),
        networks: networks.iter().collect(),
        agent_id: agent.as_ref().map(ToString::to_string),
        issued_by: issued_by.iter().map(str::to_owned).collect(),
        previous_until: instant(previous_until),
        created_at: created_at.to_string(),
        expires_at: expires_at.to_string(),
        used_at: instant(used_at),
        revoked_at: instant(revoked_at),
        revision: *revision,
    }
}

impl Show for Seen {
    type Out = KeyOut;

    fn show(&self) -> KeyOut {
        key_out(&self.0, self.0.status(self.1))
    }

    fn revision(&self) -> Option<u64> {
        Some(self.0.revision)
    }
}

/// A key that was changed just now: only one that is good can be.
impl Show for Key {
    type Out = KeyOut;

    fn show(&self) -> KeyOut {
        key_out(self, if self.revoked_at.is_some() { KeyStatus::Revoked } else { KeyStatus::Active })
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

impl Show for IssuedKey {
    type Out = IssuedKeyOut;

    fn show(&self) -> IssuedKeyOut {
        let Self { key, secret } = self;
        IssuedKeyOut { key: key.show(), secret: secret.expose().clone() }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.key.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/api-keys/{}", self.key.id))
    }
}
