//! The zip file of a package, in the one form in which every reader of zip files sees the same: members stored one
//! after another, no gaps, no comments, no extra fields, the same header twice.
//!
//! Stored, not compressed: what is read is what was hashed, a damaged byte damages one entry, and nothing unpacks into
//! more than was sent.

use std::io::{self, Read, Seek, SeekFrom};

/// The size of the record that ends a zip file without a comment.
const END: usize = 22;

/// The size of a local header, without the name.
const LOCAL: usize = 30;

/// The size of a record in the directory, without the name.
const RECORD: usize = 46;

/// The day on which every member was last changed: 1980-01-01, the first that zip can say.
const DATE: u16 = 0x0021;

/// One file in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    /// Where its local header begins.
    pub(crate) offset: u32,
}

impl Member {
    /// What both headers say.
    fn common(&self) -> Vec<u8> {
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(RECORD + self.name.len());
        // Version 1.0 suffices; no flags; stored; midnight.
        for field in [10, 0, 0, 0, DATE] {
            bytes.extend_from_slice(&u16::to_le_bytes(field));
        }
        for field in [self.crc, self.size, self.size] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes
    }

    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04", self.common().as_slice(), self.name.as_bytes()].concat()
    }

    fn record(&self) -> Vec<u8> {
        // No comment, first disk, no attributes.
        let rest = [[0; 10].as_slice(), &self.offset.to_le_bytes()].concat();
        [b"PK\x01\x02\x0a\x00", self.common().as_slice(), &rest, self.name.as_bytes()].concat()
    }

    /// Where its bytes begin.
    fn start(&self) -> u64 {
        u64::from(self.offset) + LOCAL as u64 + self.name.len() as u64
    }

    /// Where the next local header begins.
    fn end(&self) -> u64 {
        self.start() + u64::from(self.size)
    }
}

fn end_record(members: usize, directory: u64, at: u64) -> Option<[u8; END]> {
    let members = u16::try_from(members).ok().filter(|members| *members < u16::MAX)?;
    let (directory, at) = (u32::try_from(directory).ok()?, u32::try_from(at).ok().filter(|at| *at < u32::MAX)?);
    let fields = [&members.to_le_bytes()[..], &members.to_le_bytes(), &directory.to_le_bytes(), &at.to_le_bytes()];
    [b"PK\x05\x06\0\0\0\0", fields.concat().as_slice(), &[0, 0]].concat().try_into().ok()
}

/// A package is larger than 4 GiB or has more than 65,534 files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is too long for one package: 4 GiB, about eight million entries, is the most")]
pub struct TooLarge;

/// Writes an archive in memory.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    members: Vec<Member>,
}

impl Writer {
    /// Adds a file.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) -> Result<(), TooLarge> {
        self.fill(name, |bytes| {
            bytes.extend_from_slice(content);
            Ok(())
        })
    }

    /// Adds a file that `write` appends to what is there already.
    pub(crate) fn fill<E: From<TooLarge>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let offset = u32::try_from(self.bytes.len()).map_err(|_| TooLarge)?;
        let mut member = Member { name: name.to_owned(), crc: 0, size: 0, offset };
        self.bytes.extend_from_slice(&member.local());
        let start = self.bytes.len();
        write(&mut self.bytes)?;
        let content = self.bytes.get(start..).unwrap_or_default();
        (member.crc, member.size) = (crc32fast::hash(content), u32::try_from(content.len()).map_err(|_| TooLarge)?);
        // The header is as long as before: only the sum and the sizes were unknown.
        if let Some(header) = self.bytes.get_mut(start - LOCAL - name.len()..start) {
            header.copy_from_slice(&member.local());
        }
        self.members.push(member);
        Ok(())
    }

    /// The files added so far, with their bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.members.iter().map(|member| {
            let range = usize::try_from(member.start()).ok().zip(usize::try_from(member.end()).ok());
            let content = range.and_then(|(start, end)| self.bytes.get(start..end));
            (member.name.as_str(), content.unwrap_or_default())
        })
    }

    /// The archive.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, TooLarge> {
        let at = self.bytes.len() as u64;
        for member in &self.members {
            self.bytes.extend_from_slice(&member.record());
        }
        let end = end_record(self.members.len(), self.bytes.len() as u64 - at, at).ok_or(TooLarge)?;
        self.bytes.extend_from_slice(&end);
        Ok(self.bytes)
    }
}

/// Why a file is not an archive in the one form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It does not end as a package does.
    #[error("not a package, or cut off: it does not end with the end of a zip file")]
    End,
    /// The directory is not where and as long as the end says, or is not spelled in the one way.
    #[error(
        "the zip file's directory is not as Taskforce writes it, from file {0} on: it was packed anew by another \
         program, or is damaged; verify the file as it was exported"
    )]
    Directory(usize),
    /// Two files have one name.
    #[error("there are two files named `{0}`")]
    Duplicate(String),
    /// A name that could lead out of the folder that it is unpacked into.
    #[error("`{0}` is not the name of a file in a package")]
    Name(String),
    /// A local header is not what the directory says, or not where the file before it ends.
    #[error("the zip file's header of `{0}` is not what its directory says")]
    Header(String),
    /// There is something between the last file and the directory.
    #[error("there are bytes that belong to no file")]
    Gap,
    /// Reading failed.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// The files of an archive.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: R,
    members: Vec<Member>,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the directory and compares every header with it.
    pub(crate) fn open(mut source: R) -> Result<Self, ArchiveError> {
        let length = source.seek(SeekFrom::End(0))?;
        let end_at = length.checked_sub(END as u64).ok_or(ArchiveError::End)?;
        let mut end = [0; END];
        read_at(&mut source, end_at, &mut end)?;
        let (directory, at) = (u32_at(&end, 12), u32_at(&end, 16));
        let members = usize::from(u16_at(&end, 10));
        if end_record(members, directory.into(), at.into()) != Some(end)
            || u64::from(at) + u64::from(directory) != end_at
        {
            return Err(ArchiveError::End);
        }
        let mut bytes = vec![0; usize::try_from(directory).map_err(|_| ArchiveError::End)?];
        read_at(&mut source, at.into(), &mut bytes)?;
        let members = directory_of(&bytes, members)?;
        let mut expected = 0;
        for member in &members {
            let local = member.local();
            let mut found = vec![0; local.len()];
            if u64::from(member.offset) != expected || member.end() > at.into() {
                return Err(ArchiveError::Header(member.name.clone()));
            }
            read_at(&mut source, expected, &mut found)?;
            if found != local {
                return Err(ArchiveError::Header(member.name.clone()));
            }
            expected = member.end();
        }
        if expected == u64::from(at) { Ok(Self { source, members }) } else { Err(ArchiveError::Gap) }
    }

    /// The files, in order.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bytes of one file, to be read to their end. Nothing else can be read meanwhile.
    pub(crate) fn content(&mut self, member: &Member) -> io::Result<io::Take<&mut R>> {
        self.source.seek(SeekFrom::Start(member.start()))?;
        Ok(self.source.by_ref().take(member.size.into()))
    }
}

/// The members that the directory lists, each spelled in the one way.
fn directory_of(bytes: &[u8], count: usize) -> Result<Vec<Member>, ArchiveError> {
    let mut members = Vec::with_capacity(count);
    let mut names = std::collections::HashSet::with_capacity(count);
    let mut rest = bytes;
    for index in 0..count {
        let damaged = || ArchiveError::Directory(index);
        let length = RECORD + usize::from(rest.get(..RECORD).map(|head| u16_at(head, 28)).ok_or_else(damaged)?);
        let (record, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let name = record.get(RECORD..).and_then(|name| std::str::from_utf8(name).ok()).ok_or_else(damaged)?;
        let (crc, size, offset) = (u32_at(record, 16), u32_at(record, 20), u32_at(record, 42));
        let member = Member { name: name.to_owned(), crc, size, offset };
        if member.record() != record {
            return Err(damaged());
        }
        if !is_name(name) {
            return Err(ArchiveError::Name(name.to_owned()));
        }
        if !names.insert(name) {
            return Err(ArchiveError::Duplicate(name.to_owned()));
        }
        members.push(member);
        rest = after;
    }
    if rest.is_empty() { Ok(members) } else { Err(ArchiveError::Directory(count)) }
}

/// Whether every system unpacks a file of this name where it belongs.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
    };
    name.len() <= 256 && name.split('/').all(part)
}

/// A file that became shorter while it is read is one that was cut off.
fn read_at<R: Read + Seek>(source: &mut R, at: u64, bytes: &mut [u8]) -> Result<(), ArchiveError> {
    source.seek(SeekFrom::Start(at))?;
    Ok(source.read_exact(bytes)?)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::default();
        for (name, content) in files {
            writer.add(name, content).unwrap();
        }
        writer.finish().unwrap()
    }

    const FILES: &[(&str, &[u8])] = &[("checkpoint", b"one"), ("tile/0/000", b""), ("entries.ndjson", b"{}\n{}\n")];

    #[test]
    fn another_reader_of_zip_files_reads_the_same() {
        let mut theirs = zip::ZipArchive::new(Cursor::new(archive(FILES))).unwrap();
        assert_eq!(theirs.len(), FILES.len());
        for (index, (name, content)) in FILES.iter().enumerate() {
            let mut file = theirs.by_index(index).unwrap();
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!((&*file.name().unwrap(), read.as_slice()), (*name, *content));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut reader = Reader::open(Cursor::new(archive(FILES))).unwrap();
        let members = reader.members().to_vec();
        for (member, (name, content)) in members.iter().zip(FILES) {
            let mut read = Vec::new();
            reader.content(member).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!((member.name.as_str(), read.as_slice()), (*name, *content));
            assert_eq!(member.crc, crc32fast::hash(content));
        }
    }

    #[test]
    fn every_flip_outside_the_contents_is_refused() {
        let bytes = archive(FILES);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                let Ok(mut reader) = Reader::open(Cursor::new(other)) else { continue };
                let members = reader.members().to_vec();
                let sums = members.iter().all(|member| {
                    let mut read = Vec::new();
                    reader.content(member).unwrap().read_to_end(&mut read).unwrap();
                    crc32fast::hash(&read) == member.crc
                });
                assert!(!sums, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn an_archive_that_could_be_read_in_two_ways_is_refused() {
        let bytes = archive(FILES);
        let refusal = |bytes: Vec<u8>| Reader::open(Cursor::new(bytes)).unwrap_err().to_string();
        for length in 0..bytes.len() {
            assert!(Reader::open(Cursor::new(bytes[..length].to_vec())).is_err(), "{length}");
        }
        assert_eq!(refusal([&bytes[..], b"x"].concat()), ArchiveError::End.to_string());
        assert_eq!(refusal([b"x", &bytes[..]].concat()), ArchiveError::End.to_string());
        assert_eq!(refusal(archive(&[("a", b"1"), ("a", b"2")])), "there are two files named `a`");
        for name in ["../a", "/a", "a/../b", "a//b", "a\\b", "", "c:a", "a\0", "a/", "ä"] {
            assert!(refusal(archive(&[(name, b"")])).contains("is not the name"), "{name}");
        }
    }

    #[test]
    fn the_archive_of_another_writer_is_refused() {
        let mut theirs = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        theirs.start_file("checkpoint", options.compression_method(zip::CompressionMethod::Deflated)).unwrap();
        let bytes = theirs.finish().unwrap().into_inner();
        assert!(Reader::open(Cursor::new(bytes)).is_err());
    }
}
