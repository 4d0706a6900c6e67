//! Server-sent events, split as they arrive (WHATWG HTML, 9.2): any line ending, any cut between two reads.

use bytes::{Bytes, BytesMut};

/// The longest event that is held: what is longer is not an event of a chat completion.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Cuts a stream of bytes into events, keeping every byte.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: BytesMut,
    searched: usize,
}

/// The stream is not a sequence of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than 4 MiB")]
pub(crate) struct EventTooLong;

impl Splitter {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        self.held.extend_from_slice(bytes);
        if self.held.len() > MAX_EVENT { Err(EventTooLong) } else { Ok(()) }
    }

    /// Whether no byte is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next complete event, its blank line included.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let end = self.end()?;
        self.searched = 0;
        Some(self.held.split_to(end).freeze())
    }

    /// What is left when the stream has ended: an event without its blank line, or nothing.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.searched = 0;
        self.held.split().freeze()
    }

    /// Where the first event ends: after two line ends in a row, each `\n`, `\r` or `\r\n`.
    fn end(&mut self) -> Option<usize> {
        let mut at = self.searched;
        while at < self.held.len() {
            let first = line_end(&self.held, at);
            if first > 0 {
                let second = line_end(&self.held, at + first);
                if second > 0 {
                    return Some(at + first + second);
                }
            }
            at += 1;
        }
        // The last bytes may be the first half of a blank line.
        self.searched = self.held.len().saturating_sub(3);
        None
    }
}

/// How many bytes of `held` at `at` are a line end; zero when there is none, or when more bytes must decide.
fn line_end(held: &[u8], at: usize) -> usize {
    match (held.get(at), held.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => 2,
        (Some(b'\n'), _) | (Some(b'\r'), Some(_)) => 1,
        _ => 0,
    }
}

/// The event's data: its `data:` lines, joined. Borrowed when there is one line, as nearly always.
pub(crate) fn data(event: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let mut lines = event.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(|line| {
        let value = line.strip_prefix(b"data:")?;
        Some(value.strip_prefix(b" ").unwrap_or(value))
    });
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        None => first.into(),
        Some(second) => {
            let mut joined = [first, b"\n", second].concat();
            for line in lines {
                joined.push(b'\n');
                joined.extend_from_slice(line);
            }
            joined.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(chunk).unwrap();
            events.extend(std::iter::from_fn(|| splitter.next()));
        }
        events.push(splitter.rest());
        events
    }

    #[test]
    fn every_line_ending_ends_an_event() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\n\n"] {
            let events = split(&[text.as_bytes()]);
            assert_eq!(events.len(), 3, "{text:?}");
            assert_eq!((&*data(&events[0]), &*data(&events[1])), (&b"a"[..], &b"b"[..]), "{text:?}");
        }
    }

    #[test]
    fn data_of_several_lines_is_joined() {
        assert_eq!(&*data(b"event: x\ndata: a\ndata:b\n: comment\n\n"), b"a\nb");
        assert_eq!(&*data(b": ping\n\n"), b"");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_wherever_the_stream_is_cut(
            text in "(data: [a-z\u{e4}]{0,8}(\n|\r\n)(\n|\r\n)){0,6}", cuts in prop::collection::vec(0usize..80, 0..6)
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts {
                chunks.push(&bytes[start..cut]);
                start = cut;
            }
            chunks.push(&bytes[start..]);
            let cut_up = split(&chunks);
            prop_assert_eq!(cut_up.concat(), bytes);
            prop_assert_eq!(cut_up, split(&[bytes]));
        }
    }
}
