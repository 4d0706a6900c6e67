use crate::{Hash, node_hash};

/// Why a proof does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The leaf is not in the tree or range that the proof is about.
    #[error("leaf `{index}` is not in a tree of `{size}` leaves")]
    Index {
        /// The leaf.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The smaller tree is larger than the larger one, or empty, from which nothing can be proved.
    #[error("nothing proves a tree of `{new}` leaves consistent with one of `{old}`")]
    Sizes {
        /// The smaller size.
        old: u64,
        /// The larger size.
        new: u64,
    },
    /// The range is not one that a single hash of the tree can cover.
    #[error("the leaves from `{start}` to before `{end}` are not a subtree")]
    Subtree {
        /// The first leaf.
        start: u64,
        /// The leaf after the last.
        end: u64,
    },
    /// The proof has more or fewer hashes than the sizes take.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes lead to another root: the leaf, the proof or a root is not what it is said to be.
    #[error("the proof leads to another root")]
    Root,
}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with this `root`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::Index { index, size });
    }
    let mut node = index;
    let mut last = size - 1;
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(VerifyError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // The last node of an odd row has no sibling: it moves up as it is, until it is a right child.
            let up = node.trailing_zeros();
            node >>= up;
            last >>= up;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::Length);
    }
    if hash == *root { Ok(()) } else { Err(VerifyError::Root) }
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`.
///
/// A proof from the empty tree to a larger one is refused: it would verify for any root, so a caller who has seen
/// nothing yet must say so rather than call this.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), VerifyError> {
    if old > new || (old == 0 && new != 0) {
        return Err(VerifyError::Sizes { old, new });
    }
    if new == 0 {
        return match (proof.is_empty(), [*old_root, *new_root] == [Hash::EMPTY_ROOT; 2]) {
            (false, _) => Err(VerifyError::Length),
            (true, false) => Err(VerifyError::Root),
            (true, true) => Ok(()),
        };
    }
    climb(Edges { first: 0, last: old - 1, end: new - 1 }, proof, old_root, new_root)
}

/// Three nodes of one row of the tree: the subtree's first and last, and the tree's last.
pub(crate) struct Edges {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) end: u64,
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
pub(crate) fn climb(mut row: Edges, proof: &[Hash], subtree_root: &Hash, root: &Hash) -> Result<(), VerifyError> {
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
