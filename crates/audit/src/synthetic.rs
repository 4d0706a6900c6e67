//! Packages of any size, made without a database: for tests and benchmarks.

use store::COMMITMENT_PREFIX;
use tlog::note::VerifierKey;
use tlog::{Checkpoint, Frontier, Hash, tile};

pub use crate::archive::TooLarge;
use crate::archive::Writer;
use crate::checkpoint::Signer;
use crate::leaf::{Leaf, to_hex};
use crate::model::{Head, Payload};
use crate::package::{self, Open};
use crate::payloads;
use crate::summary::Summary;

/// When every synthetic log begins: 2026-01-15T08:00:00Z. One entry is a millisecond later than the one before.
const START: i64 = 1_768_464_000_000_000;

/// A package that was made up.
#[derive(Clone, Debug)]
pub struct Made {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// The key that verifies it.
    pub vkey: VerifierKey,
    /// One of its leaves.
    pub leaf: Vec<u8>,
}

/// A package of so many entries, of which each tenth has a payload.
pub fn package(entries: u64) -> Result<Made, TooLarge> {
    let signer = Signer::of_tests(7);
    let log = Log { signer: &signer, tenant: "acme-corp", entries, payload_every: 10, checkpoints: &[1, 100, 10_000] };
    Ok(Made { bytes: log.package()?, vkey: signer.verifier_key().clone(), leaf: log.leaf(&log.origin(), 1) })
}

/// A log whose entries are computed when they are needed.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    /// Signs its checkpoints; its name is the installation.
    pub(crate) signer: &'a Signer,
    /// Whose log it is.
    pub(crate) tenant: &'a str,
    /// How many entries it has.
    pub(crate) entries: u64,
    /// Each so many entries have a payload; none, if 0.
    pub(crate) payload_every: u64,
    /// The sizes of earlier checkpoints, ascending.
    pub(crate) checkpoints: &'a [u64],
}

impl Log<'_> {
    /// The log's name.
    pub(crate) fn origin(&self) -> String {
        format!("{}/taskforce/t/{}", self.signer.verifier_key().name(), self.tenant)
    }

    /// The package of the whole log.
    pub(crate) fn package(&self) -> Result<Vec<u8>, TooLarge> {
        let origin = self.origin();
        let payload = |seq| self.payload(seq).map(|payload| payloads::line(seq, Some(&payload)));
        let parts = Parts {
            signer: self.signer,
            origin: &origin,
            entries: self.entries,
            leaf: &|seq| self.leaf(&origin, seq),
            payload: &payload,
            checkpoints: self.checkpoints,
        };
        parts.package()
    }

    pub(crate) fn payload(&self, seq: u64) -> Option<Payload> {
        let has = self.payload_every > 0 && seq.is_multiple_of(self.payload_every);
        let salt = *tlog::sha256(&seq.to_be_bytes()).as_bytes();
        has.then(|| Payload { salt, bytes: format!("{{\"note\":\"payload of entry {seq}\"}}").into_bytes() })
    }

    pub(crate) fn leaf(&self, origin: &str, seq: u64) -> Vec<u8> {
        let time = |seq: u64| {
            let micros = i64::try_from(seq).unwrap_or(i64::MAX).saturating_mul(1_000).saturating_add(START);
            kernel::Timestamp::from_micros(micros).to_string()
        };
        let commitment = self.payload(seq).map(|Payload { salt, bytes }| {
            format!("\"{}\"", to_hex(tlog::sha256(&[COMMITMENT_PREFIX, &salt, &bytes].concat()).as_bytes()))
        });
        let previous = seq.checked_sub(1).map(|seq| format!("\"{}\"", time(seq)));
        let action = if seq.is_multiple_of(2) { "gateway.call.requested" } else { "gateway.call.completed" };
        format!(
            "{{\"v\":\"taskforce/audit/1\",\"log\":\"{origin}\",\"seq\":{seq},\"ts\":\"{}\",\"actor\":{{\"type\":\
             \"service\",\"id\":\"usr_0190a5e0c0de7000800000000000c0de\",\"via\":\"3kTMd7pQx1Zb\",\"act\":null}},\"tenant\":\"{}\",\
             \"action\":\"{action}\",\"resource\":{{\"type\":\"call\",\"id\":\"cal_{:032x}\",\"digest\":null}},\
             \"outcome\":\"ok\",\"policy\":{{\"id\":\"ver_0190a5e0c0de7000800000000000c0de\",\"version\":7,\"rule\":\
             \"published\",\"digest\":null}},\"request_id\":\"req_{:032x}\",\"idempotency\":null,\"payload_commit\":{},\"prev_ts\":{}}}",
            time(seq),
            self.tenant,
            seq / 2,
            seq / 2,
            commitment.as_deref().unwrap_or("null"),
            previous.as_deref().unwrap_or("null"),
        )
        .into_bytes()
    }
}

/// What a package is put together from.
pub(crate) struct Parts<'a> {
    pub(crate) signer: &'a Signer,
    pub(crate) origin: &'a str,
    pub(crate) entries: u64,
    pub(crate) leaf: &'a dyn Fn(u64) -> Vec<u8>,
    pub(crate) payload: &'a dyn Fn(u64) -> Option<String>,
    pub(crate) checkpoints: &'a [u64],
}

impl Parts<'_> {
    pub(crate) fn package(&self) -> Result<Vec<u8>, TooLarge> {
        let mut frontier = Frontier::empty();
        let mut rows: Vec<Vec<u8>> = vec![Vec::new(); 8];
        let mut earlier = Vec::new();
        for seq in 0..self.entries {
            if self.checkpoints.contains(&seq) {
                earlier.push((seq, self.checkpoint(Head { size: seq, root: frontier.root() })));
            }
            frontier.append_with(tlog::leaf_hash(&(self.leaf)(seq)), |level, _index, hash: Hash| {
                if let Some(row) = rows.get_mut(usize::from(level / 8)).filter(|_| level % 8 == 0) {
                    row.extend_from_slice(hash.as_bytes());
                }
            });
        }
        let head = Head { size: self.entries, root: frontier.root() };
        let mut writer = Writer::default();
        writer.add(package::CHECKPOINT, self.checkpoint(head).as_bytes())?;
        for (size, note) in earlier {
            writer.add(&format!("{}{size}", package::CHECKPOINTS), note.as_bytes())?;
        }
        writer.add(package::VKEY, format!("{}\n", self.signer.verifier_key()).as_bytes())?;
        for coord in tile::tiles(head.size) {
            let row = rows.get(usize::from(coord.level)).map_or(&[][..], Vec::as_slice);
            let tile = row.chunks(256 * 32).nth(usize::try_from(coord.index).unwrap_or(usize::MAX));
            writer.add(&coord.path(), tile.unwrap_or_default())?;
        }
        let mut summary = Summary::default();
        writer.fill(package::ENTRIES, |bytes| {
            (0..self.entries).for_each(|seq| push(bytes, &(self.leaf)(seq), &mut summary));
            Ok::<_, TooLarge>(())
        })?;
        writer.fill(package::PAYLOADS, |bytes| {
            for line in (0..self.entries).filter_map(self.payload) {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
            Ok::<_, TooLarge>(())
        })?;
        let open = Open { writer, signer: self.signer, origin: self.origin, head, summary };
        open.close(kernel::Timestamp::from_micros(START))
    }

    fn checkpoint(&self, Head { size, root }: Head) -> String {
        self.signer.sign_unchecked(&Checkpoint { origin: self.origin.to_owned(), size, root })
    }
}

fn push(bytes: &mut Vec<u8>, leaf: &[u8], summary: &mut Summary) {
    bytes.extend_from_slice(leaf);
    bytes.push(b'\n');
    if let Ok(leaf) = Leaf::parse(leaf) {
        summary.count(&leaf);
    }
}
