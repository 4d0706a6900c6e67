//! Looking at a header while it comes, for what the protocol library does not tell afterwards.

use std::io::BufRead;

/// Why a header must not be acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request line does not end.
    TooLong,
    /// It says twice where the body ends, which two readers may understand differently. The library would read the
    /// one and drop the other.
    TwoLengths,
}

const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// Follows the lines of one header.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The start of the present line, in lower case.
    start: [u8; CODING.len() + 1],
    length: usize,
    lines: usize,
    has_length: bool,
    has_coding: bool,
    complete: bool,
}

impl Head {
    /// Looks at the next bytes; the request line may have `longest` bytes.
    pub(super) fn look(&mut self, mut bytes: &[u8], longest: usize) -> Result<(), Refusal> {
        while !self.complete && !bytes.is_empty() {
            let (line, ends, rest) = split_line(bytes);
            let free = self.start.iter_mut().skip(self.length);
            for (place, byte) in free.zip(line) {
                *place = byte.to_ascii_lowercase();
            }
            self.length += line.len();
            if self.lines == 0 && self.length > longest {
                return Err(Refusal::TooLong);
            }
            if ends {
                self.line()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn line(&mut self) -> Result<(), Refusal> {
        let start = self.start.get(..self.length).unwrap_or(&self.start);
        let is = |name: &[u8]| start.strip_prefix(name).is_some_and(|rest| rest.starts_with(b":"));
        self.has_length |= is(LENGTH);
        self.has_coding |= is(CODING);
        let blank = matches!(start, b"" | b"\r");
        // Blank lines may precede a request line.
        self.complete = blank && self.lines > 0;
        self.lines += usize::from(!blank);
        self.length = 0;
        if self.has_length && self.has_coding { Err(Refusal::TwoLengths) } else { Ok(()) }
    }
}

/// The first line, whether it ends here, and what follows it.
fn split_line(bytes: &[u8]) -> (&[u8], bool, &[u8]) {
    let mut rest = bytes;
    // Of the ways to find a byte that the standard library offers, this one is fast; from memory it cannot fail.
    let length = rest.skip_until(b'\n').unwrap_or(bytes.len());
    let line = bytes.get(..length).unwrap_or(bytes);
    line.strip_suffix(b"\n").map_or((line, false, rest), |line| (line, true, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Result<(), Refusal> {
        let outcomes = [1, 2, 3, 7, 10_000].map(|size| {
            let mut head = Head::default();
            text.as_bytes().chunks(size).try_for_each(|part| head.look(part, 50))
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn a_body_has_one_length() {
        for good in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length-X: 1\n\n",
            "\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\ntransfer-encoding: x\r\n",
            "GET /content-length: HTTP/1.1\r\nx: content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(look(good), Ok(()), "{good}");
        }
        for bad in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\na: b\r\ncontent-length:5\r\n\r\n",
            "\r\n\r\nPOST / HTTP/1.1\ntransfer-encoding: chunked\ncontent-length: 5\n\n",
        ] {
            assert_eq!(look(bad), Err(Refusal::TwoLengths), "{bad}");
        }
    }

    #[test]
    fn a_request_line_ends() {
        assert_eq!(look(&format!("GET /{} HTTP/1.1\r\nx: {}\r\n", "a".repeat(20), "a".repeat(100))), Ok(()));
        assert_eq!(look(&format!("GET /{}", "a".repeat(60))), Err(Refusal::TooLong));
    }
}
