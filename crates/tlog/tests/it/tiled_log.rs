//! The log of 15 entries that transparency-dev/tessera publishes: its checkpoints, tiles and entry bundles.

use std::fs;
use std::path::{Path, PathBuf};

use tlog::note::VerifierKey;
use tlog::{
    Checkpoint, Frontier, Hash, Tiles, consistency_proof, inclusion_proof, leaf_hash, root_of, tile,
    verify_consistency, verify_inclusion,
};

use crate::shared;

const ORIGIN: &str = "example.com/log/testdata";
const LARGEST: u64 = 15;

struct Published {
    folder: PathBuf,
    keys: Vec<VerifierKey>,
}

impl Published {
    fn load() -> Option<Self> {
        let folder = shared::path("tlog", "vectors/tlog")?;
        let key = fs::read_to_string(folder.join("log.vkey")).unwrap().trim().parse().unwrap();
        Some(Self { folder: folder.join("testdata/log"), keys: vec![key] })
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let note = fs::read_to_string(self.folder.join(format!("checkpoint.{size}"))).unwrap();
        Checkpoint::open(&note, &self.keys, ORIGIN).unwrap()
    }

    fn tiles(&self, size: u64) -> Tiles<impl FnMut(tile::Coord) -> std::io::Result<Vec<u8>>> {
        Tiles::new(size, |coord: tile::Coord| fs::read(self.folder.join(coord.path())))
    }

    fn leaf(&self, index: u64) -> Hash {
        let bytes = fs::read(self.folder.join(tile::entries_path(0, 15))).unwrap();
        leaf_hash(tile::decode_bundle(&bytes, 15).unwrap()[usize::try_from(index).unwrap()])
    }
}

#[test]
fn every_checkpoint_verifies_and_commits_to_its_tiles() {
    let Some(log) = Published::load() else { return };
    let mut decided = 0;
    for size in 0..=LARGEST {
        let checkpoint = log.checkpoint(size);
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (ORIGIN, size));
        assert_eq!(root_of(&mut log.tiles(size), size).unwrap(), checkpoint.root);
        decided += 1;
    }
    let newest = fs::read_to_string(log.folder.join("checkpoint")).unwrap();
    assert_eq!(Checkpoint::open(&newest, &log.keys, ORIGIN).unwrap(), log.checkpoint(LARGEST));
    println!("tlog: {decided} checkpoints decided");
    assert_eq!(decided, 16);
}

#[test]
fn every_entry_bundle_hashes_to_its_tile_and_root() {
    let Some(log) = Published::load() else { return };
    let mut decided = 0;
    for width in 1..=15 {
        let bundle = fs::read(log.folder.join(tile::entries_path(0, width))).unwrap();
        let entries = tile::decode_bundle(&bundle, width).unwrap();
        assert_eq!(tile::encode_bundle(&entries).unwrap(), bundle);
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let tile = fs::read(log.folder.join(tile::Coord { level: 0, index: 0, width }.path())).unwrap();
        assert_eq!(tile::decode(&tile, width).unwrap(), leaves);
        assert_eq!(tile::encode(&leaves), tile);
        let mut frontier = Frontier::empty();
        for leaf in leaves {
            frontier.append(leaf);
        }
        assert_eq!(frontier.root(), log.checkpoint(u64::from(width)).root);
        decided += 1;
    }
    println!("tlog: {decided} bundles and {decided} tiles decided");
    assert_eq!(decided, 15);
}

#[test]
fn every_path_in_the_folder_is_one_we_parse() {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let Some(log) = Published::load() else { return };
    let mut found = Vec::new();
    files(&log.folder.join("tile"), &mut found);
    for path in &found {
        let path = path.strip_prefix(&log.folder).unwrap().to_str().unwrap();
        match tile::parse_entries_path(path) {
            Ok((index, width)) => assert_eq!(tile::entries_path(index, width), path),
            Err(_) => assert_eq!(tile::Coord::parse(path).unwrap().path(), path),
        }
    }
    println!("tlog: {} paths decided", found.len());
    assert_eq!(found.len(), 30);
}

#[test]
fn every_consistency_proof_is_made_and_verified_from_the_tiles() {
    let Some(log) = Published::load() else { return };
    let mut decided = 0;
    for new in 1..=LARGEST {
        for old in 1..=new {
            let (from, to) = (log.checkpoint(old), log.checkpoint(new));
            let proof = consistency_proof(&mut log.tiles(new), old, new).unwrap();
            assert_eq!(verify_consistency(old, new, &proof, &from.root, &to.root), Ok(()));
            if old < new {
                assert!(verify_consistency(old, new, &proof, &to.root, &from.root).is_err());
            }
            decided += 1;
        }
    }
    println!("tlog: {decided} consistency proofs decided");
    assert_eq!(decided, 120);
}

#[test]
fn every_inclusion_proof_is_made_and_verified_from_the_tiles() {
    let Some(log) = Published::load() else { return };
    let mut decided = 0;
    for size in 1..=LARGEST {
        let root = log.checkpoint(size).root;
        for index in 0..size {
            let proof = inclusion_proof(&mut log.tiles(size), index, size).unwrap();
            assert_eq!(verify_inclusion(&log.leaf(index), index, size, &proof, &root), Ok(()));
            let another = log.leaf((index + 1) % LARGEST);
            assert!(verify_inclusion(&another, index, size, &proof, &root).is_err());
            decided += 1;
        }
    }
    println!("tlog: {decided} inclusion proofs decided");
    assert_eq!(decided, 120);
}
