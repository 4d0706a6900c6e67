//! Proofs about a range of leaves that is a subtree of its own (draft-ietf-plants-merkle-tree-certs).
//!
//! A range is a subtree if its start is a multiple of the smallest power of two that covers it. The whole tree of
//! RFC 6962 is the case that starts at 0.

use std::ops::Range;

use crate::{Hash, VerifyError, node_hash};

/// Checks that `leaf` is leaf `index` of the log, within the subtree that has this `root`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    subtree: Range<u64>,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), VerifyError> {
    let length = length_of(&subtree)?;
    let within = index.checked_sub(subtree.start).ok_or(VerifyError::Index { index, size: length })?;
    crate::verify_inclusion(leaf, within, length, proof, root)
}

/// Checks that the tree of `size` leaves with this `root` contains the subtree with `subtree_root`.
///
/// The empty subtree is in every tree: for it, `root` is not looked at.
pub fn verify_consistency(
    subtree: Range<u64>,
    size: u64,
    proof: &[Hash],
    subtree_root: &Hash,
    root: &Hash,
) -> Result<(), VerifyError> {
    let length = length_of(&subtree)?;
    if subtree.end > size {
        return Err(VerifyError::Sizes { old: subtree.end, new: size });
    }
    if length == 0 {
        return match (proof.is_empty(), *subtree_root == Hash::EMPTY_ROOT) {
            (false, _) => Err(VerifyError::Length),
            (true, false) => Err(VerifyError::Root),
            (true, true) => Ok(()),
        };
    }
    climb(Edges { first: subtree.start, last: subtree.end - 1, end: size - 1 }, proof, subtree_root, root)
}

/// The length of the range, if it is a subtree.
fn length_of(subtree: &Range<u64>) -> Result<u64, VerifyError> {
    let &Range { start, end } = subtree;
    let refused = VerifyError::Subtree { start, end };
    let length = end.checked_sub(start).ok_or(refused)?;
    // A length above 2^63 has no covering power of two: such a subtree can start at 0 only.
    let aligned = length.checked_next_power_of_two().map_or(start == 0, |cover| start.is_multiple_of(cover));
    if aligned { Ok(length) } else { Err(refused) }
}

/// Three nodes of one row of the tree: the subtree's first and last, and the tree's last.
struct Edges {
    first: u64,
    last: u64,
    end: u64,
}

impl Edges {
    fn up(&mut self, rows: u32) {
        // More rows than a number has bits lead to the single node above all of them.
        self.first = self.first.checked_shr(rows).unwrap_or(0);
        self.last = self.last.checked_shr(rows).unwrap_or(0);
        self.end = self.end.checked_shr(rows).unwrap_or(0);
    }
}

/// Climbs from the largest perfect subtree at the right edge of the smaller range, folding the proof into the root of
/// that range and of the whole tree at once.
fn climb(mut row: Edges, proof: &[Hash], subtree_root: &Hash, root: &Hash) -> Result<(), VerifyError> {
    // Rows up to where the subtree is one node. Where it shares the tree's right edge, its root takes part as it is;
    // else only up to the largest perfect subtree that ends it.
    let whole = 64 - (row.first ^ row.last).leading_zeros();
    row.up(if row.last == row.end { whole } else { whole.min(row.last.trailing_ones()) });
    let (mut small, mut large, rest) = if row.first == row.last {
        (*subtree_root, *subtree_root, proof)
    } else {
        let (seed, rest) = proof.split_first().ok_or(VerifyError::Length)?;
        (*seed, *seed, rest)
    };
    for hash in rest {
        if row.end == 0 {
            return Err(VerifyError::Length);
        }
        if row.last & 1 == 1 || row.last == row.end {
            if row.first < row.last {
                small = node_hash(hash, &small);
            }
            large = node_hash(hash, &large);
            // The last node of an odd row has no sibling: it moves up as it is, until it is a right child.
            row.up(row.last.trailing_zeros());
        } else {
            large = node_hash(&large, hash);
        }
        row.up(1);
    }
    if row.end != 0 {
        return Err(VerifyError::Length);
    }
    if small == *subtree_root && large == *root { Ok(()) } else { Err(VerifyError::Root) }
}
