//! Tiles (C2SP tlog-tiles): the tree as static files of 256 hashes, and the leaves as bundles of 256 entries.

use crate::text::decimal;
use crate::{Hash, HashError};

/// How many hashes a full tile and how many entries a full bundle holds.
pub const WIDTH: u64 = 256;

/// [`WIDTH`] as the width of a tile.
const FULL: u16 = 256;

/// The longest entry that a bundle can hold.
pub const MAX_ENTRY: usize = 65_535;

/// Which tile: its level, its index within the level, and how many hashes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coord {
    /// Level 0 holds leaf hashes; each hash of level `l + 1` is the root of a full tile of level `l`.
    pub level: u8,
    /// The tile's index within its level.
    pub index: u64,
    /// 256 for a full tile, else from 1 to 255.
    pub width: u16,
}

impl Coord {
    /// The tile's path below the log's prefix, for example `tile/0/x001/067.p/5`.
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, index_path(self.index, self.width))
    }

    /// Reads a path in the one spelling that [`Coord::path`] writes.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let (level, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(PathError)?;
        let level = decimal(level).and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 64);
        let (index, width) = parse_index_path(rest)?;
        Ok(Self { level: level.ok_or(PathError)?, index, width })
    }
}

/// The path of an entry bundle below the log's prefix, for example `tile/entries/x001/067.p/5`.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", index_path(index, width))
}

/// Reads the index and width of an entry bundle in the one spelling that [`entries_path`] writes.
pub fn parse_entries_path(path: &str) -> Result<(u64, u16), PathError> {
    parse_index_path(path.strip_prefix("tile/entries/").ok_or(PathError)?)
}

/// The path is not that of a tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile")]
pub struct PathError;

/// The index in groups of three digits, and the width if partial: `x001/x234/067.p/5`.
fn index_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width == FULL { path } else { format!("{path}.p/{width}") }
}

fn parse_index_path(path: &str) -> Result<(u64, u16), PathError> {
    let (groups, width) = match path.split_once(".p/") {
        None => (path, FULL),
        Some((groups, width)) => {
            let width = decimal(width).and_then(|width| u16::try_from(width).ok());
            (groups, width.filter(|width| (1..FULL).contains(width)).ok_or(PathError)?)
        }
    };
    let mut index = 0_u64;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value: u64 = digits.parse().map_err(|_| PathError)?;
        index = index.checked_mul(1000).and_then(|index| index.checked_add(value)).ok_or(PathError)?;
    }
    // Rendering it again refuses signs, missing or superfluous zeroes, groups and `x` in one go.
    if index_path(index, width) == path { Ok((index, width)) } else { Err(PathError) }
}

/// The tile with this level and index in the tree of `size` leaves, as wide as that tree makes it.
pub fn at(size: u64, level: u8, index: u64) -> Option<Coord> {
    let before = index.checked_mul(WIDTH)?;
    let width = row(size, level).checked_sub(before)?.min(WIDTH);
    u16::try_from(width).ok().filter(|width| *width > 0).map(|width| Coord { level, index, width })
}

/// Every tile of the tree of `size` leaves, level by level.
pub fn tiles(size: u64) -> impl Iterator<Item = Coord> {
    let levels = (0..8).take_while(move |level| row(size, *level) > 0);
    levels.flat_map(move |level| (0..row(size, level).div_ceil(WIDTH)).filter_map(move |index| at(size, level, index)))
}

/// How many hashes all tiles of a level hold together.
fn row(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// The bytes of a tile.
pub fn encode(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads the `width` hashes of a tile.
pub fn decode(bytes: &[u8], width: u16) -> Result<Vec<Hash>, HashError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return Err(HashError);
    }
    Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// The bytes of an entry bundle: each entry behind its length in two bytes, big-endian.
pub fn encode_bundle<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, BundleError> {
    if entries.is_empty() || entries.len() > usize::from(FULL) {
        return Err(BundleError::Width(entries.len()));
    }
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| 2 + entry.as_ref().len()).sum());
    for entry in entries.iter().map(AsRef::as_ref) {
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::Entry(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads the `width` entries of a bundle.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or(BundleError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(BundleError::Truncated)?;
        entries.push(entry);
        rest = after;
    }
    if entries.is_empty() || entries.len() > usize::from(FULL) || entries.len() != usize::from(width) {
        return Err(BundleError::Width(entries.len()));
    }
    Ok(entries)
}

/// Why entries do not make a bundle, or bytes are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The number of entries is not from 1 to 256, or not the expected one.
    #[error("a bundle of `{0}` entries is not what was expected")]
    Width(usize),
    /// An entry is longer than [`MAX_ENTRY`].
    #[error("an entry of `{0}` bytes does not fit in a bundle")]
    Entry(usize),
    /// The bytes end within an entry.
    #[error("the bundle ends within an entry")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coord(level: u8, index: u64, width: u16) -> Coord {
        Coord { level, index, width }
    }

    #[test]
    fn paths_are_spelled_as_the_specification_says() {
        for (coord, path) in [
            (coord(0, 0, 256), "tile/0/000"),
            (coord(0, 1067, 5), "tile/0/x001/067.p/5"),
            (coord(1, 1_234_067, 256), "tile/1/x001/x234/067"),
            (coord(63, 999, 255), "tile/63/999.p/255"),
            (coord(2, u64::MAX, 1), "tile/2/x018/x446/x744/x073/x709/x551/615.p/1"),
        ] {
            assert_eq!(coord.path(), path);
            assert_eq!(Coord::parse(path), Ok(coord));
            let entries = entries_path(coord.index, coord.width);
            assert_eq!(parse_entries_path(&entries), Ok((coord.index, coord.width)));
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/067",
            "tile/0/x067",
            "tile/0/x001/x067",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/05",
            "tile/0/000.p/",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/+00",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/-1/000",
            "tile/entries/000",
            "tile/0/000.p/1.p/1",
            "tile/0/..",
            "tile/0/x0é/000",
        ] {
            assert_eq!(Coord::parse(path), Err(PathError), "{path}");
        }
        assert_eq!(parse_entries_path("tile/0/000"), Err(PathError));
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_specifications_example() {
        let tiles: Vec<_> = tiles(70_000).collect();
        let full = |level| tiles.iter().filter(|tile| tile.level == level && tile.width == 256).count();
        assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
        let partial: Vec<_> = tiles.iter().filter(|tile| tile.width < 256).copied().collect();
        assert_eq!(partial, [coord(0, 273, 112), coord(1, 1, 17), coord(2, 0, 1)]);
    }

    #[test]
    fn the_smallest_and_largest_trees_have_their_tiles() {
        assert_eq!(tiles(0).count(), 0);
        assert_eq!(tiles(1).collect::<Vec<_>>(), [coord(0, 0, 1)]);
        assert_eq!(tiles(256).collect::<Vec<_>>(), [coord(0, 0, 256), coord(1, 0, 1)]);
        assert_eq!(at(u64::MAX, 7, 0), Some(coord(7, 0, 255)));
        assert_eq!(at(u64::MAX, 8, 0), None);
        assert_eq!(at(300, 0, 2), None);
        assert_eq!(at(512, 0, 2), None);
        assert_eq!(at(300, 255, u64::MAX), None);
    }

    #[test]
    fn a_bundle_that_is_not_whole_is_refused() {
        let bytes = encode_bundle(&[b"one".as_slice(), b"", b"three"]).unwrap();
        assert_eq!(decode_bundle(&bytes, 3), Ok(vec![b"one".as_slice(), b"", b"three"]));
        for end in [1, 2, 4, 6, 8, bytes.len() - 1] {
            assert_eq!(decode_bundle(&bytes[..end], 3), Err(BundleError::Truncated), "{end}");
        }
        assert_eq!(decode_bundle(&bytes, 2), Err(BundleError::Width(3)));
        assert_eq!(decode_bundle(&bytes[..5], 3), Err(BundleError::Width(1)));
        assert_eq!(decode_bundle(&[], 0), Err(BundleError::Width(0)));
        assert_eq!(decode_bundle(&[0; 2 * 257], 257), Err(BundleError::Width(257)));
        assert_eq!(encode_bundle::<&[u8]>(&[]), Err(BundleError::Width(0)));
        assert_eq!(encode_bundle(&[b""; 257]), Err(BundleError::Width(257)));
        assert_eq!(encode_bundle(&[vec![0; MAX_ENTRY + 1]]), Err(BundleError::Entry(65_536)));
        assert_eq!(encode_bundle(&[vec![0; MAX_ENTRY]]).unwrap().len(), 65_537);
    }
}
