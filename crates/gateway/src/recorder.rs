//! The sequencer of the data plane: one thread that writes the entries of many calls with one commit.
//!
//! **Invariant:** a record is acknowledged after its commit. The end of a call that cannot be written now is kept and
//! written later; the beginning of one is refused, and with it the call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::time::Duration;

use kernel::TenantId;
use store::{Attributed, Database, Job, StoreError, WriteTx};
use tokio::sync::oneshot;
use usage::{OpenCall, Usage};

/// How many records may wait before no more calls are taken. The ends of calls that were taken always find a place.
const QUEUE: usize = 8_192;
/// How many records share a commit.
const BATCH: usize = 1_024;
/// How soon ends that could not be written are tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Why a record is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The database did not take it.
    #[error("the ledger cannot be written at the moment")]
    Unavailable,
    /// Too many records are waiting.
    #[error("the ledger is written too slowly for the calls that come in")]
    Overloaded,
}

/// What a call leaves besides its entry.
#[derive(Debug)]
pub(crate) enum Change {
    Opened(OpenCall),
    /// A policy refused the call: there is nothing besides the entry.
    Refused,
    Ended(Box<Usage>),
}

/// One record on its way.
#[derive(Debug)]
struct Record {
    tenant: TenantId,
    entry: Attributed,
    change: Change,
    done: Option<oneshot::Sender<Result<u64, NotRecorded>>>,
}

/// Where calls hand in their records.
#[derive(Debug)]
pub(crate) struct Recorder {
    records: Sender<Record>,
    waiting: Arc<AtomicUsize>,
    failing: Arc<AtomicBool>,
}

/// Becomes ready when the record is durable, with the entry's place in the ledger.
pub(crate) type Durable = oneshot::Receiver<Result<u64, NotRecorded>>;

/// The sequencer's work. Runs until every [`Recorder`] is gone, and writes what is left first.
#[derive(Debug)]
pub struct Sequencer {
    db: Database,
    records: Receiver<Record>,
    waiting: Arc<AtomicUsize>,
    kept: VecDeque<Record>,
    failing: Arc<AtomicBool>,
}

pub(crate) fn recorder(db: Database) -> (Recorder, Sequencer) {
    let ((send, records), waiting, failing) = (channel(), Arc::default(), Arc::default());
    let recorder = Recorder { records: send, waiting: Arc::clone(&waiting), failing: Arc::clone(&failing) };
    (recorder, Sequencer { db, records, waiting, kept: VecDeque::new(), failing })
}

impl Recorder {
    /// Whether records wait that could not be written: then a call is refused before it costs anything. It does not
    /// last: the records are tried again and again.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Hands in a record. Never blocks.
    pub(crate) fn submit(&self, tenant: TenantId, entry: Attributed, change: Change) -> Durable {
        let (done, durable) = oneshot::channel();
        let mut record = Record { tenant, entry, change, done: Some(done) };
        if matches!(record.change, Change::Opened(_) | Change::Refused) && self.waiting.load(Ordering::Relaxed) >= QUEUE
        {
            record.answer(Err(NotRecorded::Overloaded));
            return durable;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(SendError(mut record)) = self.records.send(record) {
            record.answer(Err(NotRecorded::Unavailable));
        }
        durable
    }
}

impl Record {
    /// Whether it was kept before. What was never tried has somebody who waits.
    const fn was_tried(&self) -> bool {
        self.done.is_none()
    }

    fn answer(&mut self, result: Result<u64, NotRecorded>) {
        if let Some(done) = self.done.take() {
            // A call that no longer waits has ended; its record is durable all the same.
            let _ended = done.send(result);
        }
    }
}

impl Sequencer {
    /// Writes records until the gateway is gone.
    pub fn run(mut self) {
        loop {
            let first = if self.kept.is_empty() {
                self.records.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.records.recv_timeout(RETRY)
            };
            let closed = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut batch: Vec<Record> = self.kept.drain(..).collect();
            let kept = batch.len();
            batch.extend(first.ok());
            batch.extend(self.records.try_iter().take(BATCH));
            self.waiting.fetch_sub(batch.len() - kept, Ordering::Relaxed);
            self.write(batch);
            self.note();
            if closed {
                return;
            }
        }
    }

    /// Says when failing begins and when it ends.
    fn note(&self) {
        let failing = !self.kept.is_empty();
        let failed = self.failing.swap(failing, Ordering::Relaxed);
        if failing && !failed {
            tracing::error!("calls are refused until the ledger can be written again");
        } else if failed && !failing {
            tracing::info!("the ledger can be written again; calls are taken");
        }
    }

    fn write(&mut self, batch: Vec<Record>) {
        let mut shares: Vec<Vec<Record>> = Vec::new();
        for record in batch {
            match shares.iter_mut().find(|share| share.first().is_some_and(|first| first.tenant == record.tenant)) {
                Some(share) => share.push(record),
                None => shares.push(vec![record]),
            }
        }
        let jobs = shares.iter().filter_map(|share| Some((share.first()?.tenant.clone(), job(share)))).collect();
        let results = self.db.write_shares(jobs);
        for (share, result) in shares.into_iter().zip(results) {
            match result {
                Ok(places) => {
                    for (mut record, place) in share.into_iter().zip(places) {
                        record.answer(Ok(place.seq));
                        if let Change::Ended(usage) = record.change {
                            usage.committed();
                        }
                    }
                }
                Err(StoreError::Unavailable(error)) => self.keep(share, &*error),
                // One record may have spoiled the share: the others are written without it.
                Err(_) if share.len() > 1 => share.into_iter().for_each(|record| self.write(vec![record])),
                Err(StoreError::Conflict(_)) if share.iter().all(|record| self.has(record)) => finish(share),
                Err(error) => refuse(share, &error),
            }
        }
    }

    /// Whether the database has a record that was kept because its commit seemed lost.
    fn has(&self, record: &Record) -> bool {
        let Change::Ended(usage) = &record.change else {
            return false;
        };
        let mut found = Ok(false);
        let look: Job<'_> = Box::new(|tx: &mut WriteTx<'_>| {
            found = usage::is_recorded(tx, &usage.call.id);
            Ok(Vec::new())
        });
        let looked = self.db.write_shares(vec![(record.tenant.clone(), look)]).into_iter().all(|end| end.is_ok());
        record.was_tried() && looked && found.unwrap_or(false)
    }

    /// Keeps the ends for later and refuses the beginnings.
    fn keep(&mut self, share: Vec<Record>, error: &(dyn std::error::Error + 'static)) {
        tracing::warn!(error, records = share.len(), "the ledger cannot be written");
        for mut record in share {
            record.answer(Err(NotRecorded::Unavailable));
            if matches!(record.change, Change::Ended(_)) {
                self.kept.push_back(record);
            }
        }
    }
}

/// A record that was kept because its commit was lost, and that the database has after all.
fn finish(share: Vec<Record>) {
    for record in share {
        if let Change::Ended(usage) = record.change {
            usage.committed();
        }
    }
}

/// A record that the database will never take: a defect. Its call stays open and is closed as unknown at the next start.
fn refuse(share: Vec<Record>, error: &StoreError) {
    for mut record in share {
        tracing::error!(error = error as &dyn std::error::Error, tenant.id = %record.tenant, "a record was refused");
        record.answer(Err(NotRecorded::Unavailable));
    }
}

fn job(share: &[Record]) -> Job<'_> {
    Box::new(move |tx: &mut WriteTx<'_>| {
        let (mut opened, mut ended) = (Vec::new(), Vec::new());
        for record in share {
            match &record.change {
                Change::Opened(call) => opened.push(call),
                Change::Refused => {}
                Change::Ended(usage) => ended.push(&**usage),
            }
        }
        usage::open_calls(tx, &opened)?;
        usage::record(tx, &ended)?;
        Ok(share.iter().map(|record| record.entry.clone()).collect())
    })
}
