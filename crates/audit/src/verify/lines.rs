//! Reading files of a package: by lines, with their sums.

use std::io::{self, BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};

/// Reads the next line without its newline. A line longer than `most` bytes is cut into several, none of which is an
/// entry; the last line needs its newline, without which it is given back with one byte more than any line has.
pub(super) fn next_line(lines: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    line.clear();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    if lines.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.pop_if(|last| *last == b'\n').is_none() {
        line.push(0);
    }
    Ok(true)
}

/// Sums up what is read through it.
pub(super) struct Summed<R> {
    inner: R,
    crc: crc32fast::Hasher,
    sha256: Context,
}

/// The sums of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) crc: u32,
    pub(super) sha256: [u8; 32],
}

impl<R: Read> Summed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, crc: crc32fast::Hasher::new(), sha256: Context::new(&SHA256) }
    }

    /// The sums of all of it, read to its end.
    pub(super) fn finish(mut self) -> io::Result<Sums> {
        io::copy(&mut self, &mut io::sink())?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        Ok(Sums { crc: self.crc.finalize(), sha256 })
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let read = buffer.get(..length).unwrap_or_default();
        self.crc.update(read);
        self.sha256.update(read);
        Ok(length)
    }
}
