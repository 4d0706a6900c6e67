//! What is asked of a ledger and what it answers.

use kernel::{Cursor, PageSize, Timestamp};
use store::{Outcome, Resource};
use tlog::Hash;

/// Which entries to list, and from where.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only actions that begin so: `catalog.` or `catalog.version.published`.
    pub action: Option<String>,
    /// Only what this actor did, by id.
    pub actor: Option<String>,
    /// Only what was done to this resource, by id.
    pub resource: Option<String>,
    /// Only what ended so.
    pub outcome: Option<Outcome>,
    /// Starts at this entry, itself included.
    pub from_seq: Option<u64>,
    /// Newest first or oldest first.
    pub order: Order,
    /// How many entries a page holds.
    pub size: PageSize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

/// In which order entries are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest entry comes first.
    #[default]
    NewestFirst,
    /// The log from its beginning.
    OldestFirst,
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Its position in the tenant's log, from 0.
    pub seq: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened, in the past tense.
    pub action: String,
    /// Who did it: an opaque id.
    pub actor: String,
    /// The kind of thing it was done to.
    pub resource_kind: String,
    /// The thing it was done to.
    pub resource: String,
    /// How it ended.
    pub outcome: String,
    /// The request it belongs to.
    pub request_id: String,
    /// The exact bytes that are hashed: one line of JSON.
    pub leaf: Vec<u8>,
    /// The hash of the leaf in the tree.
    pub hash: Hash,
}

/// One entry with the details that are sealed beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDetail {
    /// The entry.
    pub view: EntryView,
    /// The details, opened; `None` when it has none.
    pub payload: Option<Payload>,
}

/// The opened details of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What the commitment in the leaf begins with, so that it can be checked.
    pub salt: [u8; 32],
    /// One JSON document.
    pub bytes: Vec<u8>,
}

/// The head of a log: how many entries it has, and the root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// A head that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// The signed note (C2SP tlog-checkpoint), verbatim.
    pub note: String,
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was tried: the action's name, or method and route where it did not come to an action.
    pub action: String,
    /// What it was tried on, if that is known and of the caller's own tenant.
    pub resource: Option<Resource>,
    /// The slug of the problem that was answered.
    pub problem: &'static str,
}
