//! What a verification found.

use std::collections::BTreeMap;

use tlog::Hash;

/// How many findings are kept one by one.
const KEPT: usize = 50;

/// What was verified, and everything that is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong: first what concerns single entries, in their order, then the rest.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are listed.
    pub more: u64,
    /// Which log the package says to be of.
    pub origin: String,
    /// How many entries its checkpoint covers.
    pub size: u64,
    /// The root of those entries.
    pub root: Option<Hash>,
    /// When the first entry was appended.
    pub first: Option<String>,
    /// When the last entry was appended.
    pub last: Option<String>,
    /// How many entries there are of each action.
    pub actions: BTreeMap<String, u64>,
    /// How many payloads are what their entries committed to.
    pub payloads: u64,
    /// How many objects are what the entries name.
    pub objects: u64,
    /// How many earlier checkpoints the log is consistent with.
    pub checkpoints: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry that it concerns, where there is one.
    pub seq: Option<u64>,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What is wrong, for a person.
    pub text: String,
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An entry's bytes, fields or place.
    Entry,
    /// A payload is not what its entry committed to.
    Payload,
    /// A hash in a tile.
    Tile,
    /// The entries' root is not the signed one.
    Root,
    /// The signature of the checkpoint, or the key.
    Signature,
    /// An earlier checkpoint is not of the same log.
    Checkpoint,
    /// The checkpoint that the auditor kept is not of the same log.
    Kept,
    /// A version or approval is not what the entries name.
    Object,
    /// The list of files and their digests.
    Manifest,
    /// The zip file.
    Archive,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Payload => "payload",
            Self::Tile => "tile",
            Self::Root => "root",
            Self::Signature => "signature",
            Self::Checkpoint => "checkpoint",
            Self::Kept => "kept_checkpoint",
            Self::Object => "object",
            Self::Manifest => "manifest",
            Self::Archive => "archive",
        }
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first entry that something is wrong with.
    pub fn first_bad(&self) -> Option<u64> {
        self.findings.iter().filter_map(|finding| finding.seq).min()
    }

    pub(crate) fn find(&mut self, kind: Kind, seq: impl Into<Option<u64>>, text: impl Into<String>) {
        if self.findings.len() < KEPT {
            self.findings.push(Finding { seq: seq.into(), kind, text: text.into() });
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.seq.unwrap_or(u64::MAX), finding.kind));
    }
}
