//! What a package consists of, and how it is closed.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::archive::{TooLarge, Writer};
use crate::checkpoint::Signer;
use crate::leaf::to_hex;
use crate::model::Head;
use crate::summary::{self, Summary};

/// The first field of a manifest, and the first line of what is signed of it.
pub(crate) const FORMAT: &str = "taskforce/package/1";

/// How many earlier checkpoints a package holds at most: the newest ones.
pub(crate) const MAX_CHECKPOINTS: u64 = 1_000;

pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const CHECKPOINTS: &str = "checkpoints/";
pub(crate) const VKEY: &str = "log.vkey";
pub(crate) const ENTRIES: &str = "entries.ndjson";
pub(crate) const PAYLOADS: &str = "payloads.ndjson";
pub(crate) const README: &str = "README.md";
pub(crate) const SCRIPT: &str = "verify.py";
pub(crate) const SUMMARY: &str = "summary.html";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SIGNATURE: &str = "manifest.sig";

/// Every file of a package but the last two, with its digest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) tool: String,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: String,
    pub(crate) exported_at: String,
    pub(crate) files: Vec<File>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// What the signature of a manifest is over. It is not the text of a checkpoint: its second line is no number.
pub(crate) fn signed_text(origin: &str, manifest: &[u8]) -> String {
    format!("{FORMAT}\n{origin}\n{}\n", to_hex(tlog::sha256(manifest).as_bytes()))
}

/// A package that lacks only what is said about it as a whole.
pub(crate) struct Open<'a> {
    pub(crate) writer: Writer,
    pub(crate) signer: &'a Signer,
    pub(crate) origin: &'a str,
    pub(crate) head: Head,
    pub(crate) summary: Summary,
}

impl Open<'_> {
    /// Adds the recipe, the summary, the manifest and its signature.
    pub(crate) fn close(self, at: Timestamp) -> Result<Vec<u8>, TooLarge> {
        let Open { mut writer, signer, origin, head, summary } = self;
        let exported_at = at.to_string();
        writer.add(README, include_bytes!("package/README.md"))?;
        writer.add(SCRIPT, include_bytes!("package/verify.py"))?;
        writer.add(SUMMARY, summary::html(&summary, origin, head, &exported_at).as_bytes())?;
        let files = writer.files().map(|(name, content)| File {
            name: name.to_owned(),
            size: content.len() as u64,
            sha256: to_hex(tlog::sha256(content).as_bytes()),
        });
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            tool: concat!("taskforce ", env!("CARGO_PKG_VERSION")).to_owned(),
            origin: origin.to_owned(),
            size: head.size,
            root: head.root.to_base64(),
            exported_at,
            files: files.collect(),
        };
        let manifest = manifest.render();
        writer.add(MANIFEST, manifest.as_bytes())?;
        writer.add(SIGNATURE, signer.sign_text(&signed_text(origin, manifest.as_bytes())).as_bytes())?;
        writer.finish()
    }
}

impl Manifest {
    /// One line for each file, so that it can be read.
    fn render(&self) -> String {
        let lines = serde_json::to_string(self).unwrap_or_default();
        lines.replace("[{\"name\"", "[\n{\"name\"").replace("},{\"name\"", "},\n{\"name\"") + "\n"
    }
}

/// Whether the file closes the package, so that the manifest cannot list it.
pub(crate) fn closes(name: &str) -> bool {
    matches!(name, MANIFEST | SIGNATURE)
}
