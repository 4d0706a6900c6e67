//! Group commit: writers that wait for the same lock share one transaction, and one sync of the disk.
//!
//! A writer runs its job on its own thread, in a savepoint of the open group, while it holds the connection. The last
//! of those that were waiting commits for all. **Invariant:** whoever leaves a group open saw somebody waiting, and
//! whoever waits runs a job, so every group is committed; nobody is told of success before the commit.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::StoreError;
use crate::engine::{Conn, Location, Role};

/// How many jobs may share a transaction before it is committed in any case.
const MAX_JOBS: usize = 256;

#[derive(Debug)]
pub(crate) struct Writer {
    location: Location,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    conn: Conn,
    group: Option<Arc<Group>>,
    jobs: usize,
}

/// Jobs that commit or fail together.
#[derive(Debug, Default)]
struct Group {
    end: Mutex<Option<Result<(), Failure>>>,
    ended: Condvar,
}

/// A failed commit, told to every job of its group.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the shared transaction failed: {0}")]
struct Failure(Arc<StoreError>);

impl Writer {
    pub(crate) fn new(location: Location, conn: Conn) -> Self {
        Self { location, waiting: AtomicUsize::new(0), state: Mutex::new(State { conn, group: None, jobs: 0 }) }
    }

    /// Runs `job` in a savepoint and returns when what it did is durable. If the job fails, what it did is undone.
    pub(crate) fn run<T, E: From<StoreError>>(&self, job: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let group = state.join(&self.location)?;
        let result = catch_unwind(AssertUnwindSafe(|| state.run(job)));
        let last = self.waiting.load(Ordering::SeqCst) == 0 || state.jobs >= MAX_JOBS;
        if last {
            state.commit();
        }
        drop(state);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic))?;
        match group.wait() {
            Ok(()) => Ok(result),
            Err(failure) => Err(E::from(StoreError::unavailable(failure))),
        }
    }

    /// Runs each job in a savepoint of its own, all in one group; a job that fails is undone alone.
    pub(crate) fn run_all<T, J>(&self, jobs: impl Iterator<Item = J>) -> Vec<Result<T, StoreError>>
    where
        J: FnOnce(&mut Conn) -> Result<T, StoreError>,
    {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut groups = Vec::new();
        let results: Vec<Result<T, StoreError>> = jobs
            .map(|job| {
                groups.push(state.join(&self.location)?);
                state.run(job)
            })
            .collect();
        if self.waiting.load(Ordering::SeqCst) == 0 || state.jobs >= MAX_JOBS {
            state.commit();
        }
        drop(state);
        let end = groups.iter().try_for_each(|group| group.wait());
        results.into_iter().map(|result| end.clone().map_err(StoreError::unavailable).and(result)).collect()
    }

    /// Runs `work` on the connection between groups.
    #[cfg(feature = "faults")]
    pub(crate) fn exclusive<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state.lock();
        if state.group.is_some() {
            state.commit();
        }
        work(&mut state.conn)
    }
}

impl State {
    /// Joins the open group, or opens one, on a new connection if the old one is gone.
    fn join(&mut self, location: &Location) -> Result<Arc<Group>, StoreError> {
        if let Some(group) = &self.group {
            return Ok(Arc::clone(group));
        }
        if self.conn.is_closed() {
            self.conn = location.connect(Role::Writer)?;
        }
        self.conn.begin(Role::Writer)?;
        let group = Arc::new(Group::default());
        (self.group, self.jobs) = (Some(Arc::clone(&group)), 0);
        Ok(group)
    }

    fn run<T, E: From<StoreError>>(&mut self, job: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.jobs += 1;
        let mut savepoint = Savepoint { state: self, done: false };
        savepoint.state.conn.savepoint()?;
        let value = job(&mut savepoint.state.conn)?;
        savepoint.state.conn.release()?;
        savepoint.done = true;
        Ok(value)
    }

    fn commit(&mut self) {
        let end = if self.group.is_some() { self.conn.commit() } else { Ok(()) };
        if end.is_err() {
            self.conn.rollback();
        }
        self.end(end);
    }

    fn end(&mut self, end: Result<(), StoreError>) {
        if let Some(group) = self.group.take() {
            *group.end.lock() = Some(end.map_err(|error| Failure(Arc::new(error))));
            group.ended.notify_all();
        }
    }
}

/// Undoes a job that did not come to its end, by an error or a panic; if even that fails, the whole group has failed.
struct Savepoint<'a> {
    state: &'a mut State,
    done: bool,
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Err(error) = self.state.conn.undo() {
            self.state.conn.rollback();
            self.state.end(Err(error));
        }
    }
}

impl Group {
    fn wait(&self) -> Result<(), Failure> {
        let mut end = self.end.lock();
        while end.is_none() {
            self.ended.wait(&mut end);
        }
        end.clone().unwrap_or(Ok(()))
    }
}
