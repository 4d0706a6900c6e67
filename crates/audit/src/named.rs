//! What the entries of a log name: definitions by digest, and who decided on which request for approval.

use std::collections::{HashMap, HashSet};

use crate::leaf::Leaf;

/// The kind of resource that an agent's version is.
const VERSION: &str = "version";

/// The kind of resource that a request for approval is.
const APPROVAL: &str = "approval";

/// What was named so far.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The digests of versions.
    pub(crate) versions: HashSet<[u8; 32]>,
    /// The requests for approval, by id.
    pub(crate) approvals: HashMap<String, Decided>,
}

/// What the log says of one request for approval.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// The digest of what the request is about, as each entry names it.
    pub(crate) digests: HashSet<[u8; 32]>,
    /// Everybody who did something with it.
    pub(crate) actors: HashSet<String>,
}

impl Named {
    /// Takes note of what one entry names.
    pub(crate) fn note(&mut self, leaf: &Leaf<'_>) {
        match &*leaf.resource_kind {
            VERSION => self.versions.extend(leaf.digest),
            APPROVAL if leaf.outcome == "ok" => {
                let decided = self.approvals.entry(leaf.resource.to_string()).or_default();
                decided.digests.extend(leaf.digest);
                decided.actors.insert(leaf.actor.to_string());
            }
            _ => {}
        }
    }
}
