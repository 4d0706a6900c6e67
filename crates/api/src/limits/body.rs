//! A request's body, with bounds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Limits;

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than its address accepts.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// It arrives too slowly.
    #[error("the body arrives too slowly")]
    TooSlow,
    /// The connection broke, or its framing is wrong.
    #[error("the body is broken")]
    Broken(#[source] BoxError),
}

/// A body that ends in an error when it grows too large or arrives too slowly.
pub(crate) struct Bounded<B> {
    inner: B,
    limit: u64,
    received: u64,
    grace: Duration,
    rate: u64,
    started: Option<Instant>,
    pace: Option<Pin<Box<Sleep>>>,
    arrived: Arc<AtomicBool>,
}

impl<B: Body> Bounded<B> {
    /// Bounds `inner` by `limit` bytes; `arrived` becomes true once all of it is here.
    pub(super) fn new(inner: B, limit: u64, limits: &Limits, arrived: Arc<AtomicBool>) -> Self {
        let (grace, rate) = (limits.body_grace, limits.body_rate);
        Self { inner, limit, received: 0, grace, rate, started: None, pace: None, arrived }
    }

    /// Until when what has been received is enough.
    fn enough_until(&self, started: Instant) -> Instant {
        let earned = Duration::from_secs(self.received / self.rate.max(1) + 1);
        started + self.grace.max(earned)
    }

    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let started = *self.started.get_or_insert_with(Instant::now);
        let until = self.enough_until(started);
        let pace = self.pace.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        while pace.as_mut().poll(cx).is_ready() {
            if pace.deadline() >= until {
                return Poll::Ready(BodyError::TooSlow);
            }
            pace.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), BodyError> {
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.received = self.received.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if self.received > self.limit { Err(BodyError::TooLarge(self.limit)) } else { Ok(()) }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.inner.is_end_stream() {
                    this.arrived.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(this.count(&frame).map(|()| frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error.into())))),
            Poll::Ready(None) => {
                this.arrived.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_pace(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
