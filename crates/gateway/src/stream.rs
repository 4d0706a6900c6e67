//! The body of an answer: in one piece, or a stream that passes by while it is metered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use usage::Tokens;

use crate::flight::{Denial, Ending, Flight, STOPPED};
use crate::recorder::Durable;
use crate::sse::{self, Splitter};
use crate::tools::Stop;
use crate::wire;

/// How long a stream may be silent.
const IDLE: Duration = Duration::from_mins(1);

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// In one piece.
    Whole(Full<Bytes>),
    /// As a stream of events.
    Relay(Box<Relay>),
}

impl Default for Body {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            Self::Relay(relay) => relay.poll_next(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Relay(relay) => matches!(relay.stage, Stage::Done),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

/// A stream on its way from the upstream to the client. Events pass as they come; the last one leaves when the call's
/// end is durable. Dropped before, the call ends as aborted.
#[derive(Debug)]
pub struct Relay {
    upstream: Incoming,
    flight: Flight,
    splitter: Splitter,
    tokens: Option<Tokens>,
    /// A policy has refused a tool: nothing more is passed on, and what the call cost is waited for.
    denied: Option<Box<Denial>>,
    ready: VecDeque<Bytes>,
    stage: Stage,
    silence: Pin<Box<Sleep>>,
    deadline: Instant,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Debug)]
enum Stage {
    /// Events come in.
    Relaying,
    /// The end is being recorded; then `last` may leave.
    Recording(Durable, Bytes),
    Done,
}

impl Relay {
    pub(crate) fn new(flight: Flight, upstream: Incoming) -> Self {
        let now = Instant::now();
        Self {
            stopped: Box::pin(flight.stopped()),
            upstream,
            flight,
            splitter: Splitter::default(),
            tokens: None,
            denied: None,
            ready: VecDeque::new(),
            stage: Stage::Relaying,
            silence: Box::pin(tokio::time::sleep_until(now + IDLE)),
            deadline: now + wire::TOTAL,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            match &mut self.stage {
                Stage::Relaying => ready!(self.poll_upstream(context)),
                Stage::Recording(durable, last) => {
                    let recorded = ready!(Pin::new(durable).poll(context));
                    let last = std::mem::take(last);
                    let recorded = matches!(recorded, Ok(Ok(_)));
                    self.ready.push_back(if recorded { last } else { wire::error_event(UNRECORDED) });
                    self.stage = Stage::Done;
                }
                Stage::Done => return self.poll_drain(context),
            }
        }
    }

    /// Takes the upstream's next bytes, or its end, or its silence; or the server's own end.
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.stopped.as_mut().poll(context).is_ready() {
            self.break_off(STOPPED);
            return Poll::Ready(());
        }
        match Pin::new(&mut self.upstream).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    self.silence.as_mut().reset((Instant::now() + IDLE).min(self.deadline));
                    self.take(bytes);
                }
            }
            Poll::Ready(Some(Err(_))) => self.break_off("the connection to the upstream broke"),
            Poll::Ready(None) => self.upstream_ended(),
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(context));
                self.break_off("the upstream was silent for too long");
            }
        }
        Poll::Ready(())
    }

    /// Passes events on. Bytes that hold whole events and nothing to hide pass as they are.
    fn take(&mut self, bytes: Bytes) {
        self.flight.answer.push(&bytes);
        if self.flight.gate.is_some() {
            return self.sift(&bytes);
        }
        let at_boundary = self.splitter.is_empty();
        if self.splitter.push(&bytes).is_err() {
            return self.break_off("an event was longer than 4 MiB");
        }
        let (mut passed, mut hidden) = (BytesMut::new(), false);
        while let Some(event) = self.splitter.next() {
            let data = sse::data(&event);
            if &*data == b"[DONE]" {
                self.pass(passed.freeze());
                return self.complete(event);
            }
            if self.is_hidden(&data) {
                hidden = true;
            } else {
                passed.extend_from_slice(&event);
            }
        }
        let untouched = at_boundary && !hidden && self.splitter.is_empty();
        self.pass(if untouched { bytes } else { passed.freeze() });
    }

    /// Passes events on as the gate lets them.
    fn sift(&mut self, bytes: &[u8]) {
        if self.splitter.push(bytes).is_err() {
            return self.break_off("an event was longer than 4 MiB");
        }
        while let Some(event) = self.splitter.next() {
            let data = sse::data(&event);
            if &*data == b"[DONE]" {
                return self.complete(event.clone());
            }
            if self.is_hidden(&data) || self.denied.is_some() {
                continue;
            }
            let Some(gate) = self.flight.gate.as_deref_mut() else { continue };
            let out = gate.event(event.clone(), &data);
            if self.let_out(out).is_break() {
                return;
            }
        }
    }

    /// Passes on what the gate lets out. It breaks where the answer cannot be read; after a refusal it goes on, so that
    /// the upstream can still say what was used.
    fn let_out(&mut self, out: Result<Bytes, Stop>) -> ControlFlow<()> {
        match out {
            Ok(bytes) => self.pass(bytes),
            Err(Stop::Denied(refusal)) => self.denied = Some(Box::new(Denial::from(*refusal))),
            Err(Stop::Unreadable(reason)) => {
                self.break_off(reason);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Ends a stream that came to its end: `last` leaves when that is durable.
    fn complete(&mut self, last: Bytes) {
        if self.denied.is_none()
            && let Some(gate) = self.flight.gate.as_deref_mut()
        {
            let out = gate.end();
            if self.let_out(out).is_break() {
                return;
            }
        }
        if self.denied.is_some() {
            return self.break_off("a policy refuses a tool of it");
        }
        let tokens = self.tokens.take();
        self.finish(&Ending::Completed(tokens), last);
    }

    /// Notes what an event reports, and says whether it is one that only we asked for.
    fn is_hidden(&mut self, data: &[u8]) -> bool {
        let Some(chunk) = wire::chunk(data) else {
            return false;
        };
        self.tokens = chunk.tokens.or(self.tokens.take());
        chunk.only_usage && !self.flight.call().wants_usage
    }

    fn pass(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
    }

    /// The upstream ended without a whole `[DONE]` event: complete if it only lacks its blank line, or reported what was
    /// used; broken off if not. An event without its end is none to its reader, and would swallow the one that says so.
    fn upstream_ended(&mut self) {
        let rest = self.splitter.rest();
        let done = &*sse::data(&rest) == b"[DONE]";
        if !done && self.tokens.is_none() {
            return self.break_off("the upstream ended the stream early");
        }
        // What has no end was not read, and may be read all the same.
        let unread = !done && self.flight.gate.is_some();
        self.complete(if unread { Bytes::new() } else { rest });
    }

    /// Ends the stream before its end; by the refusal of a tool, if that came first.
    fn break_off(&mut self, reason: &'static str) {
        if let Some(denial) = self.denied.take() {
            let last = wire::refusal_event(&denial.refusal);
            let tokens = self.tokens.take();
            return self.finish(&Ending::Denied(tokens, denial), last);
        }
        self.finish(&Ending::BrokenOff(reason), wire::error_event(reason));
    }

    fn finish(&mut self, ending: &Ending, last: Bytes) {
        self.stage = Stage::Recording(self.flight.end(ending), last);
    }

    /// Reads what the upstream still sends after its end, so that its connection can be used again.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut self.upstream).poll_frame(context) {}
        Poll::Ready(None)
    }
}

const UNRECORDED: &str = "the record of this call could not be made durable";
