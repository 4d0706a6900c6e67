use crate::{Hash, node_hash};

/// The right edge of a growing tree: the roots of its perfect subtrees, left to right, and its size.
///
/// It is all that is needed to append leaves and to know the root, in 32 bytes for each one bit of the size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    // INVARIANT: one root for each one bit of `size`, the largest subtree first.
    roots: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the tree without leaves.
    pub const fn empty() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// Appends one leaf hash. Amortized, it costs one node hash and no allocation.
    pub fn append(&mut self, leaf: Hash) {
        self.append_with(leaf, |_level, _index, _hash| ());
    }

    /// Appends one leaf hash and reports each perfect subtree it completes as `(level, index, hash)`: the leaf itself
    /// first, at level 0. The ones at levels 8, 16, … are those that tiles store.
    pub fn append_with(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        let mut node = leaf;
        let mut index = self.size;
        let mut level = 0;
        completed(level, index, node);
        // Each trailing one bit of the size is a subtree as large as the one just completed, to its left.
        while index & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            node = node_hash(&left, &node);
            index >>= 1;
            level += 1;
            completed(level, index, node);
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree: [`Hash::EMPTY_ROOT`] without leaves.
    pub fn root(&self) -> Hash {
        let from_the_right = self.roots.iter().rev().copied();
        from_the_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or(Hash::EMPTY_ROOT)
    }

    /// The frontier as bytes: the size in 8 bytes, big-endian, then the roots.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.roots.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for root in &self.roots {
            bytes.extend_from_slice(root.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk().ok_or(FrontierError::Short)?;
        let size = u64::from_be_bytes(*size);
        // The bound leaves room to append for longer than anyone can, so that `append` need not fail.
        if size > i64::MAX.unsigned_abs() {
            return Err(FrontierError::Size(size));
        }
        let (roots, rest) = rest.as_chunks::<32>();
        if !rest.is_empty() || u64::try_from(roots.len()) != Ok(u64::from(size.count_ones())) {
            return Err(FrontierError::Roots { size, expected: size.count_ones() });
        }
        Ok(Self { size, roots: roots.iter().copied().map(Hash::from_bytes).collect() })
    }
}

/// Why bytes are not a frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// There are fewer bytes than the size takes.
    #[error("the frontier ends within its size")]
    Short,
    /// The size is larger than any log's.
    #[error("a frontier cannot have size `{0}`")]
    Size(u64),
    /// The roots do not fit the size.
    #[error("a frontier of size `{size}` has exactly `{expected}` roots")]
    Roots {
        /// The stated size.
        size: u64,
        /// The number of roots that it takes.
        expected: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    #[test]
    fn a_frontier_survives_its_bytes() {
        let mut frontier = Frontier::empty();
        for leaf in 0..300_u32 {
            assert_eq!(Frontier::from_bytes(&frontier.to_bytes()), Ok(frontier.clone()));
            frontier.append(leaf_hash(&leaf.to_be_bytes()));
        }
        assert_eq!(frontier.size(), 300);
    }

    #[test]
    fn bytes_that_do_not_fit_the_size_are_refused() {
        let mut frontier = Frontier::empty();
        (0..5).for_each(|_| frontier.append(leaf_hash(b"x")));
        let bytes = frontier.to_bytes();
        assert_eq!(Frontier::from_bytes(&bytes[..7]), Err(FrontierError::Short));
        for wrong in [&bytes[..8], &bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0]].concat()] {
            assert_eq!(Frontier::from_bytes(wrong), Err(FrontierError::Roots { size: 5, expected: 2 }));
        }
        let endless = [[0xff; 8].as_slice(), &[0; 64 * 32]].concat();
        assert_eq!(Frontier::from_bytes(&endless), Err(FrontierError::Size(u64::MAX)));
    }

    #[test]
    fn an_append_reports_every_subtree_that_it_completes() {
        let mut frontier = Frontier::empty();
        let mut completed = Vec::new();
        for _ in 0..4 {
            frontier.append_with(leaf_hash(b"x"), |level, index, _hash| completed.push((level, index)));
        }
        assert_eq!(completed, [(0, 0), (0, 1), (1, 0), (0, 2), (0, 3), (1, 1), (2, 0)]);
    }
}
