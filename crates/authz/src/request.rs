//! What belongs to one request and follows it down to the ledger.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use kernel::{Moment, RequestId, Timestamp};

/// The request that a caller is making.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id: shown to the caller, kept in the ledger.
    pub id: RequestId,
    /// When it was received: policies about time ask for it.
    pub at: Timestamp,
    /// Set when the client wants the effect at most once.
    pub idempotency: Option<Arc<Idempotency>>,
    recorded: Arc<OnceLock<u64>>,
}

impl Request {
    /// A request without an idempotency key.
    pub fn new(id: RequestId, at: Timestamp) -> Self {
        Self { id, at, idempotency: None, recorded: Arc::default() }
    }

    /// A request of this moment, with an id of its own.
    pub fn made(at: &Moment<'_>) -> Self {
        Self::new(at.id(), at.now())
    }

    /// The same request, to have its effect at most once.
    #[must_use]
    pub fn once(&self, idempotency: Idempotency) -> Self {
        Self { idempotency: Some(Arc::new(idempotency)), ..self.clone() }
    }

    /// The ledger position of the entry that this request left, once it is durable.
    pub fn recorded(&self) -> Option<u64> {
        self.recorded.get().copied()
    }

    /// Called by the store when the request's entry is durable. The first entry of a request is the one that counts.
    pub fn record(&self, seq: u64) {
        self.recorded.get_or_init(|| seq);
    }
}

/// What the client was answered, kept so that it can be answered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The HTTP status.
    pub status: u16,
    /// The body, as sent.
    pub body: Vec<u8>,
}

/// Writes the answer for the value that a use case returns; `None` if the value is of another type.
pub type Render = Box<dyn Fn(&dyn Any) -> Option<Rendered> + Send + Sync>;

/// At most one effect for a key (IETF `Idempotency-Key`): the store keeps the answer in the transaction of the effect.
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// SHA-256 of method, path and body: the same key with another request is refused.
    pub fingerprint: [u8; 32],
    /// Writes the answer.
    pub render: Render,
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("key", &self.key).finish_non_exhaustive()
    }
}
