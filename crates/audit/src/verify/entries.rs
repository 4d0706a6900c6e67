//! The entries, one after another: their bytes against the tiles, their fields against the log and each other.

use std::io::{self, BufRead};

use tlog::{Frontier, Hash, tile};

use crate::leaf::Leaf;
use crate::named::Named;
use crate::summary::Summary;

use super::lines::next_line;

/// How many bad entries are told apart.
const TOLD: usize = 20;

/// The tiles of a package.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    /// The hashes at level 0, as many as there are without a gap.
    pub(super) leaves: Vec<u8>,
    /// The hashes at the levels above, each level without a gap.
    pub(super) above: Vec<Vec<u8>>,
}

impl Tiles {
    /// Whether the hash is the one that the tiles record. Where they record none, there is nothing to object to.
    fn agree(&self, level: u8, index: u64, hash: &Hash) -> bool {
        let row = match level.checked_sub(1) {
            None => Some(&self.leaves),
            Some(above) => self.above.get(usize::from(above)),
        };
        let at = usize::try_from(index).ok().and_then(|index| index.checked_mul(32));
        let recorded = row.zip(at).and_then(|(row, at)| row.get(at..)?.first_chunk::<32>());
        recorded.is_none_or(|recorded| recorded == hash.as_bytes())
    }

    /// The root over the first `size` leaves that level 0 records, if it records so many.
    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        let (leaves, _) = self.leaves.as_chunks::<32>();
        let leaves = leaves.get(..usize::try_from(size).ok()?)?;
        let mut frontier = Frontier::empty();
        for leaf in leaves {
            frontier.append(Hash::from_bytes(*leaf));
        }
        Some(frontier.root())
    }
}

/// What every entry of the log must agree with.
pub(super) struct Expected<'a> {
    pub(super) origin: &'a str,
    pub(super) tenant: &'a str,
    pub(super) tiles: &'a Tiles,
    /// The present, if the auditor gave it.
    pub(super) now: Option<String>,
}

/// A head that was signed: the entries up to it must have this root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) of: MarkOf,
    /// Whether the entries have it; `None` while there are not so many.
    pub(super) met: Option<bool>,
}

/// Whose mark it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkOf {
    /// The package's checkpoint.
    Head,
    /// An earlier one in the package.
    Earlier,
    /// One that the auditor kept.
    Kept,
}

/// An entry that something is wrong with.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) seq: u64,
    /// Whether its bytes are not those whose hash the tile records.
    pub(super) hash: bool,
    /// What is wrong with its fields.
    pub(super) fault: Option<String>,
}

/// What reading the entries gave.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) count: u64,
    pub(super) bad: Vec<Bad>,
    /// How many more are bad.
    pub(super) more: u64,
    /// Hashes above level 0 that the tiles record otherwise, as level and index.
    pub(super) above: Vec<(u8, u64)>,
    pub(super) marks: Vec<Mark>,
    pub(super) named: Named,
    pub(super) summary: Summary,
    /// The entries that have a payload, with what they commit to.
    pub(super) commitments: Vec<(u64, [u8; 32])>,
}

impl Entries {
    /// Nothing was read yet. `marks` are in the order of their sizes.
    pub(super) fn new(marks: Vec<Mark>) -> Self {
        let (named, summary) = (Named::default(), Summary::default());
        Self { count: 0, bad: vec![], more: 0, above: vec![], marks, named, summary, commitments: vec![] }
    }

    /// Reads every entry.
    pub(super) fn read(&mut self, lines: &mut impl BufRead, expected: &Expected<'_>) -> io::Result<()> {
        let mut frontier = Frontier::empty();
        let (mut line, mut previous, mut next_mark) = (Vec::new(), None, 0);
        self.meet(&frontier, &mut next_mark);
        while next_line(lines, &mut line, tile::MAX_ENTRY)? {
            let seq = self.count;
            let mut hash = false;
            frontier.append_with(tlog::leaf_hash(&line), |level, index, node| {
                if level % 8 == 0 && !expected.tiles.agree(level / 8, index, &node) {
                    match level {
                        0 => hash = true,
                        _ if self.above.len() < TOLD => self.above.push((level / 8, index)),
                        _ => {}
                    }
                }
            });
            let fault = self.examine(seq, &line, expected, &mut previous);
            if (hash || fault.is_some()) && self.bad.len() < TOLD {
                self.bad.push(Bad { seq, hash, fault });
            } else if hash || fault.is_some() {
                self.more += 1;
            }
            self.count += 1;
            self.meet(&frontier, &mut next_mark);
        }
        Ok(())
    }

    /// Compares the root with those that were signed at this size.
    fn meet(&mut self, frontier: &Frontier, next: &mut usize) {
        while let Some(mark) = self.marks.get_mut(*next).filter(|mark| mark.size == frontier.size()) {
            mark.met = Some(mark.root == frontier.root());
            *next += 1;
        }
    }

    /// What is wrong with the fields of one entry, if anything is; what they name is kept.
    fn examine(
        &mut self,
        seq: u64,
        line: &[u8],
        expected: &Expected<'_>,
        previous: &mut Option<String>,
    ) -> Option<String> {
        let leaf = match Leaf::parse(line) {
            Ok(leaf) => leaf,
            Err(error) => {
                *previous = None;
                return Some(format!("it is not an entry: {error}"));
            }
        };
        self.summary.count(&leaf);
        self.named.note(&leaf);
        if let Some(commitment) = leaf.payload_commit {
            self.commitments.push((seq, commitment));
        }
        let fault = place(&leaf, seq, expected).or_else(|| time(&leaf, seq, previous.as_deref(), expected));
        match previous {
            Some(previous) => leaf.ts.clone_into(previous),
            none => *none = Some(leaf.ts.to_owned()),
        }
        fault
    }
}

fn place(leaf: &Leaf<'_>, seq: u64, expected: &Expected<'_>) -> Option<String> {
    if leaf.log != expected.origin {
        return Some(format!("it is of the log `{}`", leaf.log));
    }
    if leaf.tenant != expected.tenant {
        return Some(format!("it is of the tenant `{}`", leaf.tenant));
    }
    (leaf.seq != seq).then(|| format!("it says to be entry {}", leaf.seq))
}

/// Times of this form are in the order of their texts.
fn time(leaf: &Leaf<'_>, seq: u64, previous: Option<&str>, expected: &Expected<'_>) -> Option<String> {
    match (leaf.prev_ts, previous) {
        (Some(before), _) if seq == 0 => return Some(format!("the log begins with it, but {before} is before it")),
        (None, _) if seq > 0 => return Some("it does not say when the entry before it was".to_owned()),
        (Some(before), Some(previous)) if before != previous => {
            return Some(format!("it says that the entry before it is of {before}, which is of {previous}"));
        }
        (Some(before), _) if leaf.ts < before => {
            return Some(format!("it is of {}, earlier than the entry before it", leaf.ts));
        }
        (Some(_) | None, _) => {}
    }
    let late = expected.now.as_deref().is_some_and(|now| leaf.ts > now);
    late.then(|| format!("it is of {}, which is yet to come", leaf.ts))
}
