//! Proofs about a range of leaves that is a subtree of its own (draft-ietf-plants-merkle-tree-certs).
//!
//! A range is a subtree if its start is a multiple of the smallest power of two that covers it. The whole tree of
//! RFC 6962 is the case that starts at 0.

use std::ops::Range;

use crate::Hash;
use crate::verify::{self, Edges, VerifyError};

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
    verify::verify_inclusion(leaf, within, length, proof, root)
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
    verify::climb(Edges { first: subtree.start, last: subtree.end - 1, end: size - 1 }, proof, subtree_root, root)
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
