//! The self-check: whether what is stored still fits together. For the server's start and for `taskforce doctor`.
//!
//! It finds what a person with access to the database changed by hand. That they changed everything together, it
//! cannot find: for that there are checkpoints and packages outside.

use ::store::{COMMITMENT_PREFIX, Database, ReadTx, Reason, StoreError};
use kernel::TenantId;
use tlog::{Frontier, Hash, Tiles, root_of, tile};

use crate::leaf::Leaf;
use crate::model::{EntryView, Payload};
use crate::store;
use crate::verify::{Kind, Report};

/// How many entries are read at once. A multiple of a tile's width.
const CHUNK: u64 = 4_096;

/// Compares the stored leaves of one log with their hashes, tiles, payloads and search columns, and derives the root
/// anew: for all entries, or for the last so many.
pub fn check(db: &Database, tenant: &TenantId, last: Option<u64>) -> Result<Report, StoreError> {
    let origin = store::origin(db, tenant);
    #[expect(clippy::disallowed_methods, reason = "the check is nobody's request")]
    db.system(Reason::Checkpoints, |tx| {
        tx.within(tenant, |tx| {
            let mut check = Check { tx, origin, tenant, report: Report::default() };
            check.all(last)?;
            check.report.sort();
            Ok(check.report)
        })
    })
}

struct Check<'a, 'c> {
    tx: &'a mut ReadTx<'c>,
    origin: String,
    tenant: &'a TenantId,
    report: Report,
}

impl Check<'_, '_> {
    fn all(&mut self, last: Option<u64>) -> Result<(), StoreError> {
        let (Some(head), Some(frontier)) = (store::head(self.tx)?, store::frontier(self.tx)?) else {
            self.report.find(Kind::Root, None, "there is no such log");
            return Ok(());
        };
        (self.report.origin, self.report.size, self.report.root) = (self.origin.clone(), head.size, Some(head.root));
        if (frontier.size(), frontier.root()) != (head.size, head.root) {
            self.report.find(Kind::Root, None, "size and root are not those of the frontier that the next entry uses");
        }
        // From the beginning of a tile, so that whole tiles are compared.
        let from = last.map_or(0, |last| head.size.saturating_sub(last) / tile::WIDTH * tile::WIDTH);
        let mut start = from;
        while start < head.size {
            let until = head.size.min(start + CHUNK);
            self.entries(start, until)?;
            start = until;
        }
        if store::entry(self.tx, head.size)?.is_some() {
            self.report.find(Kind::Entry, head.size, "the log ends before it");
        }
        self.tiles_above(from, head.size)?;
        if self.root(head.size)? != Some(head.root) {
            self.report.find(Kind::Root, None, "the root of the stored tiles is not the log's root");
        }
        self.checkpoint(head.size)
    }

    fn entries(&mut self, from: u64, until: u64) -> Result<(), StoreError> {
        let entries = store::range(self.tx, from, until)?;
        let payloads = store::payloads(self.tx, from, until)?;
        let mut hashes = Vec::with_capacity(entries.len() * 32);
        let (mut entries, mut payloads) = (entries.into_iter().peekable(), payloads.into_iter().peekable());
        for seq in from..until {
            let payload = payloads.next_if(|(of, _)| *of == seq).and_then(|(_, payload)| payload);
            let Some(view) = entries.next_if(|view| view.seq == seq) else {
                self.report.find(Kind::Entry, seq, "it is missing");
                hashes.extend_from_slice(&[0; 32]);
                continue;
            };
            let hash = tlog::leaf_hash(&view.leaf);
            hashes.extend_from_slice(hash.as_bytes());
            if hash != view.hash {
                self.report.find(Kind::Entry, seq, "its bytes do not have the hash that is stored beside them");
            }
            self.fields(&view, payload.as_ref());
        }
        self.leaf_tiles(from, &hashes)
    }

    /// The columns that are searched say what the leaf says, and the payload is what it committed to.
    fn fields(&mut self, view: &EntryView, payload: Option<&Payload>) {
        let leaf = match Leaf::parse(&view.leaf) {
            Ok(leaf) => leaf,
            Err(error) => {
                self.report.find(Kind::Entry, view.seq, format!("it is not an entry: {error}"));
                return;
            }
        };
        if (&*leaf.log, &*leaf.tenant, leaf.seq) != (self.origin.as_str(), self.tenant.as_str(), view.seq) {
            self.report.find(Kind::Entry, view.seq, "it belongs to another place");
        }
        let EntryView { seq, at, action, actor, resource_kind, resource, outcome, request_id, leaf: _, hash: _ } = view;
        for (column, stored, said) in [
            ("at", &at.to_string(), leaf.ts),
            ("action", action, leaf.action),
            ("actor_id", actor, &leaf.actor),
            ("resource_type", resource_kind, &leaf.resource_kind),
            ("resource_id", resource, &leaf.resource),
            ("outcome", outcome, leaf.outcome),
            ("request_id", request_id, &leaf.request_id),
        ] {
            if stored != said {
                let text = format!("the column `{column}` says `{stored}`, the entry itself `{said}`");
                self.report.find(Kind::Entry, *seq, text);
            }
        }
        let found = payload.map(|payload| tlog::sha256(&[COMMITMENT_PREFIX, &payload.salt, &payload.bytes].concat()));
        if found.map(|found| *found.as_bytes()) == leaf.payload_commit {
            self.report.payloads += u64::from(found.is_some());
        } else {
            self.report.find(Kind::Payload, *seq, "its payload is gone or not what it committed to");
        }
    }

    /// The full tiles at level 0 hold the hashes of the leaves.
    fn leaf_tiles(&mut self, from: u64, hashes: &[u8]) -> Result<(), StoreError> {
        for (index, computed) in (from / tile::WIDTH..).zip(hashes.chunks_exact(256 * 32)) {
            let coord = tile::Coord { level: 0, index, width: 256 };
            let stored = store::tile(self.tx, coord)?;
            let differs = |at: &usize| stored.chunks(32).nth(*at) != computed.chunks(32).nth(*at);
            for at in (0..256).filter(differs).take(1) {
                let seq = index * tile::WIDTH + u64::try_from(at).unwrap_or(0);
                self.report.find(Kind::Tile, seq, format!("`{}` has another hash for it", coord.path()));
            }
        }
        Ok(())
    }

    /// Each full tile has its root in the tile above.
    fn tiles_above(&mut self, from: u64, size: u64) -> Result<(), StoreError> {
        let mut span = tile::WIDTH;
        for level in 0_u8..7 {
            for index in from / span..size / span {
                let coord = tile::Coord { level, index, width: 256 };
                let root = root_of_tile(&store::tile(self.tx, coord)?);
                let recorded = match tile::at(size, level + 1, index / tile::WIDTH) {
                    Some(above) => store::tile(self.tx, above)?,
                    None => Vec::new(),
                };
                let at = usize::try_from(index % tile::WIDTH).unwrap_or(0);
                if recorded.chunks(32).nth(at) != Some(root.as_bytes().as_slice()) {
                    let text = format!("the tile above `{}` does not have its root", coord.path());
                    self.report.find(Kind::Tile, None, text);
                }
            }
            span = span.saturating_mul(tile::WIDTH);
        }
        Ok(())
    }

    /// The root of the first `size` entries; `None` where the tiles have a gap.
    fn root(&mut self, size: u64) -> Result<Option<Hash>, StoreError> {
        let mut tiles = Tiles::new(size, |coord| store::tile(self.tx, coord));
        match root_of(&mut tiles, size) {
            Ok(root) => Ok(Some(root)),
            Err(tlog::TilesError::Source { coord: _, source }) => Err(source),
            Err(tlog::TilesError::Missing { .. } | tlog::TilesError::Malformed(_)) => Ok(None),
        }
    }

    /// The log still begins with what was signed last.
    fn checkpoint(&mut self, size: u64) -> Result<(), StoreError> {
        let Some(signed) = store::last_signed(self.tx)? else {
            return Ok(());
        };
        let signed = signed.head;
        if signed.size > size {
            let text = format!("a head of {} entries was signed, and there are {size}", signed.size);
            self.report.find(Kind::Checkpoint, None, text);
        } else if self.root(signed.size)? == Some(signed.root) {
            self.report.checkpoints += 1;
        } else {
            let text = format!("the first {} entries are not those that were signed", signed.size);
            self.report.find(Kind::Checkpoint, None, text);
        }
        Ok(())
    }
}

fn root_of_tile(hashes: &[u8]) -> Hash {
    let mut frontier = Frontier::empty();
    let (hashes, _) = hashes.as_chunks::<32>();
    for hash in hashes {
        frontier.append(Hash::from_bytes(*hash));
    }
    frontier.root()
}
