//! What the hashes say together: which entry was altered, or between which two signed heads.

use tlog::{Checkpoint, tile};

use super::entries::{Bad, Entries, Mark, MarkOf, Tiles};
use super::report::{Kind, Report};

/// Names what is wrong with the entries.
pub(super) fn entries(report: &mut Report, head: &Checkpoint, entries: &Entries, tiles: &Tiles) {
    let signed = entries.marks.iter().any(|mark| mark.of == MarkOf::Head && mark.met == Some(true));
    for Bad { seq, hash, fault } in &entries.bad {
        match (hash, fault) {
            // The leaves are those that were signed: the tile is what was changed.
            (true, None) if signed => {
                let name = tile::at(head.size, 0, seq / tile::WIDTH).map(|coord| coord.path()).unwrap_or_default();
                report.find(Kind::Tile, *seq, format!("`{name}` has another hash for it; the entry itself is intact"));
            }
            (true, None) => report.find(Kind::Entry, *seq, "its bytes do not have the hash that was recorded"),
            (true, Some(fault)) => {
                report.find(Kind::Entry, *seq, format!("its bytes do not have the hash that was recorded; {fault}"));
            }
            (false, Some(fault)) => report.find(Kind::Entry, *seq, fault.clone()),
            (false, None) => {}
        }
    }
    report.more += entries.more;
    for (level, index) in &entries.above {
        above(report, entries, (*level, *index), signed);
    }
    count(report, head, entries);
    if entries.count >= head.size && !signed {
        root(report, head, entries, tiles);
    }
    earlier(report, head, entries);
}

/// A hash above the leaves that the tiles record otherwise.
fn above(report: &mut Report, entries: &Entries, (level, index): (u8, u64), signed: bool) {
    let span = 1_u64.checked_shl(8 * u32::from(level)).unwrap_or(u64::MAX);
    let (first, last) = (index.saturating_mul(span), index.saturating_add(1).saturating_mul(span) - 1);
    if signed {
        let text = format!("level {level} of the tiles has another hash for the entries {first} to {last}");
        report.find(Kind::Tile, None, text);
    } else if !entries.bad.iter().any(|bad| bad.hash && (first..=last).contains(&bad.seq)) {
        let text = format!("one of the entries {first} to {last} was altered, and its hash with it");
        report.find(Kind::Entry, first, text);
    }
}

fn count(report: &mut Report, head: &Checkpoint, entries: &Entries) {
    let (count, size) = (entries.count, head.size);
    if count < size {
        report.find(Kind::Entry, count, format!("the signed log has {size} entries, the package only {count}"));
    } else if count > size {
        report.find(Kind::Entry, size, format!("the signed log ends before it, at {size} entries"));
    }
}

/// The entries do not have the signed root.
fn root(report: &mut Report, head: &Checkpoint, entries: &Entries, tiles: &Tiles) {
    if tiles.root(head.size) == Some(head.root) {
        let text = "the entries do not have the signed root; the tiles do: the entries named were altered";
        report.find(Kind::Root, None, text);
        return;
    }
    let met = entries.marks.iter().filter(|mark| mark.met == Some(true)).map(|mark| mark.size).max().unwrap_or(0);
    let unmet = entries.marks.iter().filter(|mark| mark.met == Some(false)).map(|mark| mark.size).min();
    let last = unmet.unwrap_or(head.size).saturating_sub(1);
    let text = format!("neither entries nor tiles have the signed root: an entry from {met} to {last} was altered");
    report.find(Kind::Root, None, text);
}

/// Heads that were signed before.
fn earlier(report: &mut Report, head: &Checkpoint, entries: &Entries) {
    for Mark { size, root: _, of, met } in &entries.marks {
        match (of, met) {
            (MarkOf::Earlier | MarkOf::Kept, Some(true)) => report.checkpoints += 1,
            // There are too few entries to tell, which was said already.
            (MarkOf::Head, _) | (MarkOf::Earlier, None) => {}
            (MarkOf::Earlier, Some(false)) => {
                let text = format!("the first {size} entries are not those that `checkpoints/{size}` was signed for");
                report.find(Kind::Checkpoint, None, text);
            }
            (MarkOf::Kept, _) if *size > head.size => {
                let text = format!(
                    "you kept a checkpoint of {size} entries, and this log has {}: it was cut or set back",
                    head.size
                );
                report.find(Kind::Kept, None, text);
            }
            (MarkOf::Kept, _) => {
                let text = format!(
                    "the first {size} entries are not those of the checkpoint you kept: the log was rewritten by \
                     somebody who holds its key"
                );
                report.find(Kind::Kept, None, text);
            }
        }
    }
}
