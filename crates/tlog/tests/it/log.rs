//! A log in memory, as a product would keep it: a frontier, and the hashes that go into tiles.

use std::collections::HashMap;
use std::convert::Infallible;

use tlog::{Frontier, Hash, Hashes, ProofError, Tiles, consistency_proof, inclusion_proof, leaf_hash, root_of, tile};

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) frontier: Frontier,
    pub(crate) leaves: Vec<Hash>,
    /// What tiles store: the hashes at levels 0, 8, 16, …
    stored: HashMap<(u8, u64), Hash>,
}

impl Log {
    pub(crate) fn of(entries: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut log = Self { frontier: Frontier::empty(), leaves: Vec::new(), stored: HashMap::new() };
        for entry in entries {
            let leaf = leaf_hash(entry.as_ref());
            log.leaves.push(leaf);
            log.frontier.append_with(leaf, |level, index, hash| {
                if level.is_multiple_of(8) {
                    log.stored.insert((level / 8, index), hash);
                }
            });
        }
        log
    }

    pub(crate) fn counting(size: u64) -> Self {
        Self::of((0..size).map(u64::to_be_bytes))
    }

    pub(crate) fn tile(&self, coord: tile::Coord) -> Vec<u8> {
        let first = coord.index * tile::WIDTH;
        let hashes = first..first + u64::from(coord.width);
        let hashes: Vec<_> = hashes.map(|index| self.stored[&(coord.level, index)]).collect();
        tile::encode(&hashes)
    }

    pub(crate) fn tiles(&self, size: u64) -> impl Hashes<Error = tlog::TilesError<Infallible>> {
        Tiles::new(size, |coord| Ok::<_, Infallible>(self.tile(coord)))
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        root_of(&mut self.tiles(size), size).unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(&mut self.tiles(size), index, size).unwrap()
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(&mut self.tiles(new), old, new).unwrap()
    }
}

#[test]
fn every_stored_hash_is_in_exactly_one_tile() {
    for size in [1, 255, 256, 257, 1000, 65_535, 65_536, 70_000] {
        let log = Log::counting(size);
        let held: u64 = tile::tiles(size).map(|coord| u64::from(coord.width)).sum();
        assert_eq!(held, u64::try_from(log.stored.len()).unwrap(), "{size}");
        for coord in tile::tiles(size) {
            assert_eq!(tile::decode(&log.tile(coord), coord.width).unwrap().len(), usize::from(coord.width));
        }
    }
}

#[test]
fn a_proof_reads_at_most_two_tiles_of_each_level() {
    let log = Log::counting(70_000);
    let mut most = 0;
    for index in (0..70_000).step_by(997) {
        let mut read = Vec::new();
        let mut tiles = Tiles::new(70_000, |coord| {
            read.push(coord);
            Ok::<_, Infallible>(log.tile(coord))
        });
        inclusion_proof(&mut tiles, index, 70_000).unwrap();
        consistency_proof(&mut tiles, index + 1, 70_000).unwrap();
        most = most.max(read.len());
    }
    assert!(most <= 6, "{most}");
}

#[test]
fn proofs_of_neighbours_read_each_tile_once() {
    let log = Log::counting(1000);
    let mut read = 0;
    let mut tiles = Tiles::new(1000, |coord| {
        read += 1;
        Ok::<_, Infallible>(log.tile(coord))
    });
    for index in 0..1000 {
        inclusion_proof(&mut tiles, index, 1000).unwrap();
    }
    assert_eq!(read, tile::tiles(1000).count());
}

#[test]
fn what_a_tree_lacks_has_no_proof() {
    let log = Log::counting(5);
    let mut tiles = log.tiles(5);
    assert_eq!(inclusion_proof(&mut tiles, 5, 5), Err(ProofError::Index { index: 5, size: 5 }));
    assert_eq!(inclusion_proof(&mut tiles, 0, 0), Err(ProofError::Index { index: 0, size: 0 }));
    assert_eq!(consistency_proof(&mut tiles, 6, 5), Err(ProofError::Sizes { old: 6, new: 5 }));
    assert_eq!(consistency_proof(&mut tiles, 0, 5), Err(ProofError::Sizes { old: 0, new: 5 }));
    assert!(matches!(inclusion_proof(&mut tiles, 0, 6), Err(ProofError::Source(tlog::TilesError::Missing { .. }))));
    for (level, index) in [(0, 5), (0, u64::MAX), (3, 0), (63, 1), (64, 0), (255, 0), (255, u64::MAX)] {
        assert!(tiles.hash(level, index).is_err(), "{level} {index}");
    }
}

#[test]
fn a_tile_that_is_cut_short_or_unreadable_stops_the_proof() {
    let log = Log::counting(300);
    let short = |coord| {
        let mut bytes = log.tile(coord);
        bytes.pop();
        Ok::<_, Infallible>(bytes)
    };
    let error = root_of(&mut Tiles::new(300, short), 300).unwrap_err();
    assert_eq!(error.to_string(), "`tile/0/001.p/44` is not `44` hashes");
    let error = root_of(&mut Tiles::new(300, |_| Err::<Vec<u8>, _>(std::fmt::Error)), 300).unwrap_err();
    assert_eq!(error.to_string(), "`tile/0/001.p/44` could not be read");
}
