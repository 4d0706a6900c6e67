//! Which files a package must have, and its tiles.

use std::io::{self, Read, Seek};

use tlog::Checkpoint;
use tlog::tile::{self, Coord};

use super::entries::Tiles;
use super::report::Kind;
use super::{Run, names};

/// The files that every package has, beside tiles, earlier checkpoints and objects.
const ALWAYS: [&str; 9] = [
    names::CHECKPOINT,
    names::VKEY,
    names::ENTRIES,
    names::PAYLOADS,
    names::README,
    names::SCRIPT,
    names::SUMMARY,
    names::MANIFEST,
    names::SIGNATURE,
];

impl<R: Read + Seek> Run<'_, R> {
    /// Names what is missing and what does not belong there.
    pub(super) fn structure(&mut self, head: &Checkpoint) {
        let names: Vec<String> = self.names("");
        for missing in ALWAYS.iter().filter(|expected| !names.iter().any(|name| name == *expected)) {
            self.report.find(Kind::Archive, None, format!("`{missing}` is missing"));
        }
        let mut order = 0;
        for name in &names {
            let Some(place) = place(name, head.size) else {
                self.report.find(Kind::Archive, None, format!("`{name}` does not belong in a package"));
                continue;
            };
            if place < order {
                self.report.find(Kind::Archive, None, format!("`{name}` is not in its place"));
            }
            order = order.max(place);
        }
    }

    /// The hashes of the tiles, level by level, each as far as there is no gap.
    pub(super) fn tiles(&mut self, size: u64) -> io::Result<Tiles> {
        let mut tiles = Tiles::default();
        for level in 0_u8..8 {
            let mut row = Vec::new();
            for index in 0.. {
                let Some(coord) = tile::at(size, level, index) else { break };
                let name = coord.path();
                let Some(hashes) = self.file(&name)? else {
                    self.report.find(Kind::Archive, None, format!("`{name}` is missing"));
                    break;
                };
                if hashes.len() != usize::from(coord.width) * 32 {
                    self.report.find(Kind::Tile, None, format!("`{name}` is not {} hashes", coord.width));
                    break;
                }
                row.extend_from_slice(&hashes);
            }
            match level {
                0 => tiles.leaves = row,
                _ => tiles.above.push(row),
            }
        }
        Ok(tiles)
    }
}

/// Where in a package the file stands; `None` if a package has no such file.
fn place(name: &str, size: u64) -> Option<u8> {
    let tile = || Coord::parse(name).ok().filter(|coord| tile::at(size, coord.level, coord.index) == Some(*coord));
    let earlier = || name.strip_prefix(names::CHECKPOINTS)?.parse().ok().filter(|earlier: &u64| *earlier < size);
    Some(match name {
        names::CHECKPOINT => 0,
        names::VKEY => 2,
        names::ENTRIES => 4,
        names::PAYLOADS => 5,
        names::README => 8,
        names::SCRIPT => 9,
        names::SUMMARY => 10,
        names::MANIFEST => 11,
        names::SIGNATURE => 12,
        _ if name.starts_with(crate::objects::VERSIONS) => 6,
        _ if name.starts_with(crate::objects::APPROVALS) => 7,
        _ if earlier().is_some() => 1,
        _ => tile().map(|_| 3)?,
    })
}
