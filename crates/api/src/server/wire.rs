//! A connection's bytes, on their way to and from the protocol library.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::head::{Head, Refusal};
use super::http2::{CALM, Meter, PREFACE};
use super::marks::Marks;
use crate::limits::Limits;

const TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TWO_LENGTHS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// A request line is a method, the address and the version: so much more than the address.
const REQUEST_LINE: usize = 64;
/// For how long, and how many bytes, a client that is still sending is listened to after the last answer. Closing
/// at once would make its side throw that answer away.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
const SCRATCH: usize = 8 * 1024;

/// A socket that marks what comes, and stops reading from a client that sends what must not be acted upon.
pub(super) struct Wire {
    io: TokioIo<TcpStream>,
    marks: Arc<Marks>,
    stage: Stage,
    head: Head,
    /// Whether bytes came while a request was worked on: the next header may have begun among them.
    mixed: bool,
    uri_bytes: usize,
    control_frames: u32,
    linger: Option<Linger>,
}

enum Stage {
    /// Nothing is known yet but that so many bytes came which begin HTTP/2.
    Opening(usize),
    Http1,
    Http2(Meter),
    /// The last word is said.
    Refused,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, marks: Arc<Marks>, limits: &Limits) -> Self {
        Self {
            io: TokioIo::new(stream),
            marks,
            stage: Stage::Opening(0),
            head: Head::default(),
            mixed: false,
            uri_bytes: limits.uri_bytes,
            control_frames: limits.h2_control_frames,
            linger: None,
        }
    }

    /// Looks at what came; the last words to the client if it must not go on.
    fn look(&mut self, bytes: &[u8]) -> Option<&'static [u8]> {
        match &mut self.stage {
            Stage::Opening(seen) => {
                let preface = PREFACE.get(*seen..).unwrap_or_default();
                let (start, rest) = bytes.split_at(bytes.len().min(preface.len()));
                if !preface.starts_with(start) {
                    // What came before was the start of a method that begins as the preface does.
                    let before = PREFACE.get(..*seen).unwrap_or_default();
                    self.stage = Stage::Http1;
                    return self.look_at_head(before).or_else(|| self.look_at_head(bytes));
                }
                *seen += start.len();
                if *seen < PREFACE.len() {
                    return None;
                }
                self.marks.speaks_http2();
                let mut meter = Meter::new(self.control_frames);
                let flood = meter.look(rest).is_err();
                self.stage = Stage::Http2(meter);
                flood.then_some(CALM)
            }
            Stage::Http1 => self.look_at_head(bytes),
            Stage::Http2(meter) => meter.look(bytes).is_err().then_some(CALM),
            Stage::Refused => None,
        }
    }

    fn look_at_head(&mut self, bytes: &[u8]) -> Option<&'static [u8]> {
        let longest = if self.mixed { usize::MAX } else { self.uri_bytes + REQUEST_LINE };
        match self.head.look(bytes, longest) {
            Ok(()) => None,
            Err(Refusal::TooLong) => Some(TOO_LONG),
            Err(Refusal::TwoLengths) => Some(TWO_LENGTHS),
        }
    }

    fn poll_looked_at(&mut self, cx: &mut Context<'_>, buf: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [MaybeUninit::uninit(); SCRATCH];
        let mut read = ReadBuf::uninit(scratch.get_mut(..buf.remaining().min(SCRATCH)).unwrap_or_default());
        ready!(Pin::new(self.io.inner_mut()).poll_read(cx, &mut read))?;
        if !read.filled().is_empty() && self.marks.received() {
            self.head = Head::default();
        }
        if let Some(last_words) = self.look(read.filled()) {
            // Whether they arrive is the client's concern: what matters is that the connection ends.
            let _ = self.io.inner().try_write(last_words);
            self.stage = Stage::Refused;
            return self.poll_end(cx);
        }
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }

    /// Ends the sending side and listens for a moment more.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        let linger = self
            .linger
            .get_or_insert_with(|| Linger { until: Box::pin(tokio::time::sleep(LINGER)), left: LINGER_BYTES });
        loop {
            if linger.left == 0 || linger.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut scratch = [MaybeUninit::uninit(); SCRATCH];
            let mut read = ReadBuf::uninit(&mut scratch);
            let ended = ready!(Pin::new(self.io.inner_mut()).poll_read(cx, &mut read)).is_err();
            if ended || read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            linger.left = linger.left.saturating_sub(read.filled().len());
        }
    }

    fn refused(&self) -> io::Result<()> {
        if matches!(self.stage, Stage::Refused) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.stage {
            Stage::Http1 if self.marks.is_busy() => {
                // A body, which is nobody's business here.
                ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
                self.mixed = true;
                Poll::Ready(Ok(()))
            }
            Stage::Opening(_) | Stage::Http1 | Stage::Http2(_) => self.poll_looked_at(cx, &mut buf),
            Stage::Refused => self.poll_end(cx),
        }
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.refused()?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.refused()?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)
    }
}
