use crate::{Hash, node_hash};

/// Where the hashes of a tree's perfect subtrees are read from: tiles, a table, memory.
pub trait Hashes {
    /// Why a hash could not be read.
    type Error;

    /// The hash of the perfect subtree of `2^level` leaves that begins with leaf `index << level`.
    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// The leaf is not in the tree.
    #[error("leaf `{index}` is not in a tree of `{size}` leaves")]
    Index {
        /// The leaf asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The smaller tree is empty, which proves nothing, or larger than the larger one.
    #[error("a tree of `{new}` leaves has no consistency proof from `{old}`")]
    Sizes {
        /// The smaller size asked for.
        old: u64,
        /// The larger size asked for.
        new: u64,
    },
    /// A hash could not be read.
    #[error("a hash of the tree could not be read")]
    Source(#[source] E),
}

/// The hashes that lead from leaf `index` to the root of the tree of `size` leaves, from the leaf upwards.
pub fn inclusion_proof<H: Hashes>(hashes: &mut H, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<H::Error>> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        let sibling = if index < middle { (middle, end) } else { (start, middle) };
        proof.push(range_root(hashes, sibling.0, sibling.1).map_err(ProofError::Source)?);
        if index < middle {
            end = middle;
        } else {
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that prove that the tree of `new` leaves begins with the tree of `old` leaves (RFC 6962, 2.1.2).
///
/// There is none from the empty tree: every tree begins with it.
pub fn consistency_proof<H: Hashes>(hashes: &mut H, old: u64, new: u64) -> Result<Vec<Hash>, ProofError<H::Error>> {
    if old == 0 || old > new {
        return Err(ProofError::Sizes { old, new });
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, new);
    while old != end {
        let middle = start + split(end - start);
        let sibling = if old <= middle { (middle, end) } else { (start, middle) };
        proof.push(range_root(hashes, sibling.0, sibling.1).map_err(ProofError::Source)?);
        if old <= middle {
            end = middle;
        } else {
            start = middle;
        }
    }
    // What remains is the old tree itself, whose root the verifier has, or its last subtree, which it has not.
    if start > 0 {
        proof.push(range_root(hashes, start, end).map_err(ProofError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of `size` leaves.
pub fn root_of<H: Hashes>(hashes: &mut H, size: u64) -> Result<Hash, H::Error> {
    range_root(hashes, 0, size)
}

/// The largest power of two below `size`, which is how many leaves the left child of a tree of `size > 1` leaves has.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the leaves from `start` to before `end`.
// INVARIANT: `start` is a multiple of the smallest power of two that covers the range, as for every node of a tree.
fn range_root<H: Hashes>(hashes: &mut H, start: u64, end: u64) -> Result<Hash, H::Error> {
    let mut root = None;
    let mut end = end;
    // From the right, each one bit of the range's length is a perfect subtree, the smallest first.
    while end > start {
        let level = (end - start).trailing_zeros();
        end -= 1 << level;
        let left = hashes.hash(u8::try_from(level).unwrap_or(u8::MAX), end >> level)?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    Ok(root.unwrap_or(Hash::EMPTY_ROOT))
}
