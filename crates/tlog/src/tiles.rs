use crate::tile::{self, Coord};
use crate::{Hash, Hashes, node_hash};

/// How many tiles [`Tiles`] keeps: two for each level of the largest tree, which is what a proof needs.
const KEPT: usize = 16;

/// Reads the hashes of a tree out of its tiles, so that a proof reads at most two tiles for each 256-fold of the size.
///
/// The tiles read last are kept with their inner nodes, so that proofs of neighbouring leaves cost no hashing.
pub struct Tiles<R> {
    size: u64,
    read: R,
    // The one used last stands last.
    kept: Vec<Tile>,
}

struct Tile {
    coord: Coord,
    // The tile's hashes, then each row of perfect subtrees above them.
    rows: Vec<Vec<Hash>>,
}

impl<R> Tiles<R> {
    /// Reads the tiles of the tree of `size` leaves with `read`, which is asked for the widest tile that tree has.
    pub const fn new(size: u64, read: R) -> Self {
        Self { size, read, kept: Vec::new() }
    }
}

impl<R> std::fmt::Debug for Tiles<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tiles").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Why a hash could not be read from tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilesError<E> {
    /// The tree has no such subtree.
    #[error("a tree of `{size}` leaves has no hash `{index}` at level `{level}`")]
    Missing {
        /// The level asked for.
        level: u8,
        /// The index asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The tile has not as many bytes as its width takes.
    #[error("`{}` is not `{}` hashes", .0.path(), .0.width)]
    Malformed(Coord),
    /// The tile could not be read.
    #[error("`{}` could not be read", coord.path())]
    Source {
        /// The tile.
        coord: Coord,
        /// Why not.
        #[source]
        source: E,
    },
}

impl<R, B, E> Hashes for Tiles<R>
where
    R: FnMut(Coord) -> Result<B, E>,
    B: AsRef<[u8]>,
{
    type Error = TilesError<E>;

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, TilesError<E>> {
        let missing = TilesError::Missing { level, index, size: self.size };
        let row = u32::from(level % 8);
        let Some(first) = index.checked_mul(1 << row) else { return Err(missing) };
        let Some(coord) = tile::at(self.size, level / 8, first / tile::WIDTH) else { return Err(missing) };
        let within = usize::try_from((first % tile::WIDTH) >> row).unwrap_or(usize::MAX);
        let rows = self.rows(coord)?;
        rows.get(usize::from(level % 8)).and_then(|row| row.get(within)).copied().ok_or(missing)
    }
}

impl<R, B, E> Tiles<R>
where
    R: FnMut(Coord) -> Result<B, E>,
    B: AsRef<[u8]>,
{
    /// The rows of the tile, from those kept or read anew.
    fn rows(&mut self, coord: Coord) -> Result<&[Vec<Hash>], TilesError<E>> {
        let kept = self.kept.iter().position(|tile| tile.coord == coord).map(|position| self.kept.remove(position));
        let tile = match kept {
            Some(tile) => tile,
            None => self.fetch(coord)?,
        };
        self.kept.push(tile);
        Ok(self.kept.last().map_or(&[], |tile| &tile.rows))
    }

    /// Reads the tile and makes room to keep it.
    fn fetch(&mut self, coord: Coord) -> Result<Tile, TilesError<E>> {
        let bytes = (self.read)(coord).map_err(|source| TilesError::Source { coord, source })?;
        let hashes = tile::decode(bytes.as_ref(), coord.width).map_err(|_| TilesError::Malformed(coord))?;
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        Ok(Tile { coord, rows: rows_above(hashes) })
    }
}

/// The row itself and every row of perfect subtrees above it.
fn rows_above(row: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut rows = vec![row];
    while let Some(below) = rows.last()
        && below.len() > 1
    {
        let (pairs, _odd) = below.as_chunks();
        let row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        rows.push(row);
    }
    rows
}
