//! What a connection is doing and since when, and until when that is acceptable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::limits::Limits;

/// A connection's marks. Its task, its requests and the accept loop set them; its task reads them.
///
/// Instants are milliseconds since the connection began, plus one; zero is "not".
#[derive(Debug)]
pub(super) struct Marks {
    born: Instant,
    spoken: AtomicBool,
    http2: AtomicBool,
    head_since: AtomicU64,
    idle_since: AtomicU64,
    in_flight: AtomicU32,
    unread: AtomicU32,
    unread_since: AtomicU64,
    closing: AtomicBool,
    waker: AtomicWaker,
}

/// What happens when a deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The connection has nothing to do: close it politely.
    Close,
    /// The client keeps the server waiting: cut the connection.
    Cut,
}

impl Marks {
    /// The marks of a connection that has just been accepted.
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            spoken: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(1),
            in_flight: AtomicU32::new(0),
            unread: AtomicU32::new(0),
            unread_since: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn after(&self, mark: u64, time: Duration) -> Instant {
        self.born + Duration::from_millis(mark.saturating_sub(1)) + time
    }

    /// Bytes came; whether a request begins with them. On HTTP/2, where much else may come, they mean nothing.
    pub(super) fn received(&self) -> bool {
        if self.is_busy() || self.http2.load(Ordering::Relaxed) {
            return false;
        }
        self.spoken.store(true, Ordering::Relaxed);
        let begins = self.head_since.load(Ordering::Relaxed) == 0;
        if begins {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
        begins
    }

    /// Whether a request is being worked on.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// The client speaks HTTP/2, of which one frame after the other is read: no request has begun.
    pub(super) fn speaks_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        self.idle_since.store(self.now(), Ordering::Relaxed);
    }

    /// A request's header is complete; the connection is busy until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight { marks: Arc::clone(self), unread: false }
    }

    /// The server wants to stop.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the server wants to stop; if not, `waker` is woken when it does.
    pub(super) fn closing(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.closing.load(Ordering::Acquire)
    }

    /// Until when what the connection is doing is acceptable; `None` while the server itself is at work.
    pub(super) fn due(&self, limits: &Limits) -> Option<(Instant, End)> {
        if self.is_busy() {
            let unread = self.unread.load(Ordering::Relaxed) > 0;
            let since = self.unread_since.load(Ordering::Relaxed);
            return unread.then(|| (self.after(since, limits.stream_idle), End::Cut));
        }
        let head_since = self.head_since.load(Ordering::Relaxed);
        if head_since > 0 {
            return Some((self.after(head_since, limits.headers), End::Cut));
        }
        if !self.spoken.load(Ordering::Relaxed) {
            return Some((self.born + limits.first_byte, End::Cut));
        }
        Some((self.after(self.idle_since.load(Ordering::Relaxed), limits.keep_alive), End::Close))
    }
}

/// A request that is being worked on, or whose response is being sent.
#[derive(Debug)]
pub(super) struct InFlight {
    marks: Arc<Marks>,
    unread: bool,
}

impl InFlight {
    /// A part of the response was handed over; until the next is asked for, it is the client that is waited for.
    pub(super) fn handed_over(&mut self) {
        self.marks.unread_since.store(self.marks.now(), Ordering::Relaxed);
        if !self.unread {
            self.unread = true;
            self.marks.unread.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The next part of the response was asked for.
    pub(super) fn asked(&mut self) {
        if self.unread {
            self.unread = false;
            self.marks.unread.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.asked();
        self.marks.idle_since.store(self.marks.now(), Ordering::Relaxed);
        self.marks.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn due_in(marks: &Marks) -> Option<(u64, End)> {
        let (at, end) = marks.due(&Limits::default())?;
        Some(((at - Instant::now()).as_secs(), end))
    }

    #[tokio::test(start_paused = true)]
    async fn each_thing_a_connection_does_has_its_time() {
        let marks = Arc::new(Marks::new());
        assert_eq!(due_in(&marks), Some((10, End::Cut)), "silent");
        pass(9).await;
        marks.received();
        pass(4).await;
        marks.received();
        assert_eq!(due_in(&marks), Some((6, End::Cut)), "a header that has begun");
        let mut request = marks.begin();
        marks.received();
        assert_eq!(due_in(&marks), None, "a request");
        request.handed_over();
        pass(5).await;
        assert_eq!(due_in(&marks), Some((55, End::Cut)), "a response that is not read");
        request.asked();
        assert_eq!(due_in(&marks), None, "a response that is made");
        drop(request);
        pass(5).await;
        assert_eq!(due_in(&marks), Some((70, End::Close)), "idle");
        marks.received();
        assert_eq!(due_in(&marks), Some((10, End::Cut)), "the next header");
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_requests_do_not_keep_http2_open() {
        let marks = Arc::new(Marks::new());
        marks.received();
        marks.speaks_http2();
        pass(70).await;
        marks.received();
        assert_eq!(due_in(&marks), Some((5, End::Close)));
    }
}
