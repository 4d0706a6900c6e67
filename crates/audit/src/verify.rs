//! Verifying a package: no server, no database, no network, and no trust in anything but the auditor's own key.

mod conclude;
mod entries;
mod lines;
mod report;
mod structure;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Read, Seek};

use kernel::Timestamp;
use tlog::note::VerifierKey;
use tlog::{Checkpoint, note};

pub use report::{Finding, Kind, Report};

use crate::archive::{ArchiveError, Reader};
use crate::leaf::to_hex;
use crate::named::Named;
use crate::objects;
use crate::package::{self as names, File, Manifest};
use crate::payloads::Line;

use entries::{Entries, Expected, Mark, MarkOf};
use lines::{Summed, Sums, next_line};

/// The longest line of payloads.
const MAX_PAYLOAD: usize = 1 << 26;

/// The largest file of a package that is read as a whole.
const MAX_FILE: u32 = 1 << 26;

/// How much is read at once.
const BUFFER: usize = 1 << 18;

/// What the auditor knows besides the key.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which log it must be: `<instance>/taskforce/t/<tenant>`. Without it any log of the key's installation will do.
    pub origin: Option<String>,
    /// A signed checkpoint of the same log that the auditor kept. Only with it is it found that a log was set back, or
    /// begun anew, by somebody who holds the signing key.
    pub checkpoint: Option<String>,
    /// The present: no entry may be later.
    pub now: Option<Timestamp>,
}

/// Verifies a package against `keys`, which may sign for the log. Fails only when it cannot be read; what is wrong with
/// it is in the report.
pub fn verify<R: Read + Seek>(package: R, keys: &[VerifierKey], options: &Options) -> io::Result<Report> {
    let mut report = Report::default();
    let archive = match Reader::open(package) {
        Ok(archive) => archive,
        Err(ArchiveError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        Err(error) => {
            report.find(Kind::Archive, None, error.to_string());
            return Ok(report);
        }
    };
    let sums = vec![None; archive.members().len()];
    let names = archive.members().iter().enumerate().map(|(index, member)| (member.name.clone(), index)).collect();
    let mut run = Run { archive, names, sums, keys, options, report };
    run.all()?;
    run.report.sort();
    Ok(run.report)
}

struct Run<'a, R> {
    archive: Reader<R>,
    /// Where in the archive each file is.
    names: HashMap<String, usize>,
    /// The sums of the files that were read.
    sums: Vec<Option<Sums>>,
    keys: &'a [VerifierKey],
    options: &'a Options,
    report: Report,
}

impl<R: Read + Seek> Run<'_, R> {
    fn all(&mut self) -> io::Result<()> {
        let Some(head) = self.head()? else {
            return Ok(());
        };
        self.structure(&head);
        let tiles = self.tiles(head.size)?;
        let marks = self.marks(&head)?;
        let tenant = head.origin.rsplit('/').next().unwrap_or_default().to_owned();
        let now = self.options.now.map(|now| now.to_string());
        let expected = Expected { origin: &head.origin, tenant: &tenant, tiles: &tiles, now };
        let mut entries = Entries::new(marks);
        self.by_lines(names::ENTRIES, |lines, _report| entries.read(lines, &expected))?;
        conclude::entries(&mut self.report, &head, &entries, &tiles);
        self.payloads(&entries.commitments)?;
        self.objects(&entries.named)?;
        self.rest()?;
        self.manifest(&head)?;
        let Entries { summary, .. } = entries;
        (self.report.actions, self.report.first, self.report.last) = (summary.actions, summary.first, summary.last);
        Ok(())
    }

    /// The checkpoint, even if its signature is wrong: then everything else is still compared with what it says.
    fn head(&mut self) -> io::Result<Option<Checkpoint>> {
        let Some(bytes) = self.file(names::CHECKPOINT)? else {
            self.report.find(Kind::Archive, None, "`checkpoint` is missing");
            return Ok(None);
        };
        let signed = String::from_utf8(bytes).unwrap_or_default();
        if let Err(fault) = self.opened(&signed) {
            self.report.find(Kind::Signature, None, format!("the checkpoint is not accepted: {fault}"));
        }
        let text = signed.find("\n\n").and_then(|end| signed.get(..=end)).unwrap_or_default();
        let Ok(head) = Checkpoint::parse(text) else {
            self.report.find(Kind::Signature, None, "the checkpoint has no text that can be read");
            return Ok(None);
        };
        if let Some(origin) = &self.options.origin
            && *origin != head.origin
        {
            self.report.find(Kind::Signature, None, format!("it is of the log `{}`, not of `{origin}`", head.origin));
        }
        (self.report.origin, self.report.size, self.report.root) = (head.origin.clone(), head.size, Some(head.root));
        Ok(Some(head))
    }

    /// Opens a checkpoint: a key of the auditor's must have signed it, and be one that may sign for its log.
    fn opened(&self, signed: &str) -> Result<Checkpoint, String> {
        let opened = note::open(signed, self.keys).map_err(|error| error.to_string())?;
        let checkpoint = Checkpoint::parse(opened.text).map_err(|error| error.to_string())?;
        let instance = checkpoint.origin.rsplit_once("/taskforce/t/").map_or("", |(instance, _tenant)| instance);
        if opened.verified_by.iter().any(|key| key.name() == instance) {
            Ok(checkpoint)
        } else {
            Err(format!("the key of another installation has signed for `{}`", checkpoint.origin))
        }
    }

    /// The heads that the entries must have had: the package's, earlier ones, and the one that the auditor kept.
    fn marks(&mut self, head: &Checkpoint) -> io::Result<Vec<Mark>> {
        let mut marks = vec![Mark { size: head.size, root: head.root, of: MarkOf::Head, met: None }];
        let earlier = self.names(names::CHECKPOINTS);
        for name in earlier.iter().take(usize::try_from(names::MAX_CHECKPOINTS).unwrap_or(usize::MAX)) {
            let signed = String::from_utf8(self.file(name)?.unwrap_or_default()).unwrap_or_default();
            match self.opened(&signed) {
                Ok(Checkpoint { origin, size, root }) if origin == head.origin && size < head.size => {
                    marks.push(Mark { size, root, of: MarkOf::Earlier, met: None });
                }
                Ok(_) => {
                    self.report.find(Kind::Checkpoint, None, format!("`{name}` is not an earlier one of this log"));
                }
                Err(fault) => self.report.find(Kind::Checkpoint, None, format!("`{name}` is not accepted: {fault}")),
            }
        }
        if let Some(kept) = &self.options.checkpoint {
            match self.opened(kept) {
                Ok(Checkpoint { origin, size, root }) if origin == head.origin => {
                    marks.push(Mark { size, root, of: MarkOf::Kept, met: None });
                }
                Ok(kept) => {
                    self.report.find(Kind::Kept, None, format!("the checkpoint you kept is of `{}`", kept.origin));
                }
                Err(fault) => {
                    self.report.find(Kind::Kept, None, format!("the checkpoint you kept is not accepted: {fault}"));
                }
            }
        }
        marks.sort_by_key(|mark| mark.size);
        Ok(marks)
    }

    fn payloads(&mut self, commitments: &[(u64, [u8; 32])]) -> io::Result<()> {
        self.by_lines(names::PAYLOADS, |lines, report| {
            let (mut line, mut scratch) = (Vec::new(), Vec::new());
            let mut expected = commitments.iter().peekable();
            while next_line(lines, &mut line, MAX_PAYLOAD)? {
                let Some(Line { seq, commitment: found }) = Line::parse(&line, &mut scratch) else {
                    let next = expected.peek().map(|(seq, _)| *seq);
                    report.find(Kind::Payload, next, "a line of payloads is damaged");
                    continue;
                };
                while let Some((missing, _)) = expected.next_if(|(next, _)| *next < seq) {
                    report.find(Kind::Payload, *missing, "its payload is missing");
                }
                let Some((_, committed)) = expected.next_if(|(next, _)| *next == seq) else {
                    report.find(Kind::Payload, seq, "a payload that it did not commit to");
                    continue;
                };
                match found {
                    Some(found) if found.as_bytes() == committed => report.payloads += 1,
                    Some(_) => report.find(Kind::Payload, seq, "its payload is not what it committed to"),
                    None => {
                        report.find(Kind::Payload, seq, "its payload is gone, and no entry says that it was erased");
                    }
                }
            }
            expected.for_each(|(missing, _)| report.find(Kind::Payload, *missing, "its payload is missing"));
            Ok(())
        })
    }

    fn objects(&mut self, named: &Named) -> io::Result<()> {
        for name in self.names("objects/") {
            let content = self.file(&name)?.unwrap_or_default();
            match objects::fault(&name, &content, named) {
                None => self.report.objects += 1,
                Some(fault) => self.report.find(Kind::Object, None, format!("`{name}` {fault}")),
            }
        }
        Ok(())
    }

    /// The key that the package carries, and the files that are for people.
    fn rest(&mut self) -> io::Result<()> {
        let carried = self.file(names::VKEY)?.unwrap_or_default();
        if !self.keys.iter().any(|key| format!("{key}\n").as_bytes() == carried) {
            self.report.find(Kind::Signature, None, "`log.vkey` is not a key that you gave");
        }
        for name in [names::README, names::SCRIPT, names::SUMMARY] {
            self.file(name)?;
        }
        Ok(())
    }

    /// The list of files: signed, and true of every file.
    fn manifest(&mut self, head: &Checkpoint) -> io::Result<()> {
        let bytes = self.file(names::MANIFEST)?.unwrap_or_default();
        let signed = String::from_utf8(self.file(names::SIGNATURE)?.unwrap_or_default()).unwrap_or_default();
        match note::open(&signed, self.keys) {
            Ok(opened) if opened.text == names::signed_text(&head.origin, &bytes) => {}
            Ok(_) => self.report.find(Kind::Manifest, None, "`manifest.json` is not the one that was signed"),
            Err(error) => self.report.find(Kind::Manifest, None, format!("`manifest.sig` is not accepted: {error}")),
        }
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            self.report.find(Kind::Manifest, None, "`manifest.json` is no manifest");
            return Ok(());
        };
        let Manifest { format, tool: _, origin, size, root, exported_at: _, files } = manifest;
        if (format.as_str(), &origin, size, root) != (names::FORMAT, &head.origin, head.size, head.root.to_base64()) {
            self.report.find(Kind::Manifest, None, "`manifest.json` is of another checkpoint");
        }
        self.compare(&files);
        Ok(())
    }

    fn compare(&mut self, files: &[File]) {
        let mut listed: BTreeMap<&str, &File> = files.iter().map(|file| (file.name.as_str(), file)).collect();
        if listed.len() != files.len() {
            self.report.find(Kind::Manifest, None, "`manifest.json` lists a file twice");
        }
        for (member, sums) in self.archive.members().iter().zip(&self.sums) {
            let fault = match (listed.remove(member.name.as_str()), sums) {
                (None, _) if names::closes(&member.name) => continue,
                (None, _) => "is not listed",
                (Some(file), Some(sums))
                    if file.sha256 == to_hex(&sums.sha256) && file.size == u64::from(member.size) =>
                {
                    continue;
                }
                (Some(_), _) => "is not the file that is listed",
            };
            self.report.find(Kind::Manifest, None, format!("`{}` {fault} in `manifest.json`", member.name));
        }
        for name in listed.into_keys() {
            self.report.find(Kind::Manifest, None, format!("`{name}` is listed in `manifest.json` and missing"));
        }
    }

    /// The names of the files that begin so, in the order of the archive.
    fn names(&self, prefix: &str) -> Vec<String> {
        let names = self.archive.members().iter().map(|member| member.name.as_str());
        names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// All of one file; `None` if there is none.
    fn file(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(member) = self.names.get(name).and_then(|index| self.archive.members().get(*index)) else {
            return Ok(None);
        };
        let mut content = Vec::new();
        if member.size > MAX_FILE {
            self.report.find(Kind::Archive, None, format!("`{name}` is larger than any such file"));
            return Ok(None);
        }
        self.by_lines(name, |lines, _report| lines.read_to_end(&mut content).map(|_| ()))?;
        Ok(Some(content))
    }

    /// Reads one file, if it is there, and keeps its sums.
    fn by_lines(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut BufReader<Summed<io::Take<&mut R>>>, &mut Report) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(index) = self.names.get(name).copied() else {
            return Ok(());
        };
        let Some(member) = self.archive.members().get(index).cloned() else {
            return Ok(());
        };
        let mut lines = BufReader::with_capacity(BUFFER, Summed::new(self.archive.content(&member)?));
        read(&mut lines, &mut self.report)?;
        let sums = lines.into_inner().finish()?;
        if sums.crc != member.crc {
            self.report.find(Kind::Archive, None, format!("`{name}` is damaged: its checksum is another"));
        }
        if let Some(kept) = self.sums.get_mut(index) {
            *kept = Some(sums);
        }
        Ok(())
    }
}
