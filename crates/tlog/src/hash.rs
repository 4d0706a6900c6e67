use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A SHA-256 hash: of a leaf, of a node, or the root of a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The root of the tree without leaves: the hash of no bytes.
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// Takes 32 bytes as a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash in standard, padded base64, as checkpoints and receipts write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Hash::to_base64`] writes and nothing else.
    pub fn from_base64(text: &str) -> Result<Self, HashError> {
        // A hash is 44 characters long; the check keeps a hostile line from being decoded at all.
        if text.len() != 44 {
            return Err(HashError);
        }
        let bytes = STANDARD.decode(text).map_err(|_| HashError)?;
        Self::try_from(bytes.as_slice())
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = HashError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashError> {
        bytes.try_into().map(Self).map_err(|_| HashError)
    }
}

/// The bytes or the text are not one SHA-256 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hash of 32 bytes")]
pub struct HashError;

/// The plain SHA-256 of `bytes`, without a prefix.
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Hash(hash)
}

/// The hash of a leaf: SHA-256 of `0x00` and the leaf's bytes.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    // A digest context costs a heap allocation, so a usual leaf is put behind its prefix on the stack instead.
    let mut buffer = [0; 1024];
    if let Some(message) = buffer.get_mut(..=bytes.len())
        && let Some((_prefix, room)) = message.split_first_mut()
    {
        room.copy_from_slice(bytes);
        return sha256(message);
    }
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0]);
    context.update(bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

/// The hash of an inner node: SHA-256 of `0x01`, the left child and the right child.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut message = [1; 65];
    message[1..33].copy_from_slice(&left.0);
    message[33..].copy_from_slice(&right.0);
    sha256(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(Hash::EMPTY_ROOT, sha256(b""));
        assert_eq!(
            format!("{:?}", Hash::EMPTY_ROOT),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_leaf_hashes_alike_below_and_above_the_stack_buffer() {
        for length in [0, 1, 399, 1022, 1023, 1024, 1025, 65_535] {
            let leaf = vec![0x5a; length];
            let prefixed = [&[0], leaf.as_slice()].concat();
            assert_eq!(leaf_hash(&leaf), sha256(&prefixed), "{length}");
        }
    }

    #[test]
    fn a_leaf_cannot_pose_as_a_node() {
        let (left, right) = (leaf_hash(b"l"), leaf_hash(b"r"));
        let forged = [&[1], left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_eq!(node_hash(&left, &right), sha256(&forged));
        assert_ne!(node_hash(&left, &right), leaf_hash(&forged));
        assert_ne!(node_hash(&left, &right), leaf_hash(&forged[1..]));
    }

    #[test]
    fn base64_has_one_spelling() {
        let text = Hash::EMPTY_ROOT.to_base64();
        assert_eq!(Hash::from_base64(&text), Ok(Hash::EMPTY_ROOT));
        // The last digit's two lowest bits are unused: a lenient decoder would take `V` for `U`.
        let twin = text.replace("U=", "V=");
        assert_ne!(text, twin);
        for other in [twin.as_str(), text.trim_end_matches('='), &text.replace('/', "_"), &format!("{text}\n"), ""] {
            assert_eq!(Hash::from_base64(other), Err(HashError), "{other}");
        }
    }
}
