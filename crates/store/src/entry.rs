//! What the ledger will say happened.

use authz::Caller;
use serde::Serialize;

/// How the recorded action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or begun.
    Ok,
    /// It was refused: by permission, state, limit or form.
    Refused,
    /// It was begun and failed.
    Failed,
    /// The client went away before the end.
    Aborted,
    /// A crash came between; what happened outside is not known.
    Unknown,
}

impl Outcome {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// What an action was done to, by opaque id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The kind of thing: `agent`, `version`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// The SHA-256 digest of its content in hexadecimal, where it has one.
    pub digest: Option<String>,
}

impl Resource {
    /// A thing by kind and id.
    pub fn new(kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self { kind, id: id.to_string(), digest: None }
    }

    /// The same thing, with the digest of its content.
    #[must_use]
    pub fn with_digest(self, digest: impl Into<String>) -> Self {
        Self { digest: Some(digest.into()), ..self }
    }
}

/// One entry to be: an action in the past tense, what it was done to, and what belongs to it.
///
/// The leaf holds only opaque ids; names, texts, prompts and differences go into the payload, which is sealed and
/// erasable and of which the leaf keeps a commitment.
#[derive(Clone, Debug)]
#[must_use = "an entry that is not returned from a transaction is not written"]
pub struct Entry {
    pub(crate) action: &'static str,
    pub(crate) resource: Resource,
    pub(crate) outcome: Outcome,
    pub(crate) policy: Option<Policy>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// The rule that a decision followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The policy's id: `rbac`, a workflow's id, a budget's id.
    pub id: String,
    /// Its version at the time.
    pub version: u64,
    /// The rule within it.
    pub rule: String,
    /// The SHA-256 digest of its text in hexadecimal, where it has one.
    pub digest: Option<String>,
}

impl Entry {
    /// An action that was done: `catalog.version.published`.
    pub fn new(action: &'static str, resource: Resource) -> Self {
        Self { action, resource, outcome: Outcome::Ok, policy: None, payload: None }
    }

    /// The same entry with another end.
    pub fn with_outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// The same entry with the rule that decided it.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// The same entry with details that are sealed beside it.
    pub fn with_payload(self, payload: &serde_json::Value) -> Self {
        self.with_payload_bytes(payload.to_string().into_bytes())
    }

    /// The same entry with details as bytes of JSON.
    pub fn with_payload_bytes(self, payload: Vec<u8>) -> Self {
        Self { payload: Some(payload), ..self }
    }

    /// The action's name.
    pub const fn action(&self) -> &'static str {
        self.action
    }

    /// What it was done to.
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }
}

/// An entry and who stands for it.
#[derive(Clone, Debug)]
pub struct Attributed {
    pub(crate) caller: Caller,
    pub(crate) entry: Entry,
}

impl Attributed {
    /// The entry of an action that `grant` allowed.
    pub fn new<A>(grant: &authz::Grant<A>, entry: Entry) -> Self {
        let policy = entry.policy.or_else(|| grant.basis().map(Policy::from));
        Self { caller: grant.caller().clone(), entry: Entry { policy, ..entry } }
    }
}

impl From<&authz::Basis> for Policy {
    fn from(basis: &authz::Basis) -> Self {
        let authz::Basis { version, digest, rule } = basis;
        Self { id: "policy".to_owned(), version: *version, rule: rule.clone(), digest: Some(digest.clone()) }
    }
}

/// The first field of every leaf.
pub const LEAF_VERSION: &str = "taskforce/audit/1";

/// What a payload's commitment starts with, before the salt.
pub const COMMITMENT_PREFIX: &[u8] = b"taskforce/payload/1\0";

/// The leaf, field by field, in the order in which it is written.
#[derive(Serialize)]
pub(crate) struct Leaf<'a> {
    pub(crate) v: &'static str,
    pub(crate) log: &'a str,
    pub(crate) seq: u64,
    pub(crate) ts: &'a str,
    pub(crate) actor: LeafActor<'a>,
    pub(crate) tenant: &'a str,
    pub(crate) action: &'a str,
    pub(crate) resource: LeafResource<'a>,
    pub(crate) outcome: &'static str,
    pub(crate) policy: Option<&'a Policy>,
    pub(crate) request_id: &'a str,
    pub(crate) idempotency: Option<&'a str>,
    pub(crate) payload_commit: Option<&'a str>,
    pub(crate) prev_ts: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct LeafActor<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) id: &'a str,
    pub(crate) via: Option<&'a str>,
    pub(crate) act: Option<Vec<LeafActing<'a>>>,
}

#[derive(Serialize)]
pub(crate) struct LeafActing<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct LeafResource<'a> {
    pub(crate) r#type: &'a str,
    pub(crate) id: &'a str,
    pub(crate) digest: Option<&'a str>,
}
