//! Group commit: writers that wait for the same lock share one transaction, and one sync of the disk.
//!
//! A writer runs its job on its own thread, in a savepoint of the open group, while it holds the connection. The last
//! of those that were waiting commits for all. **Invariant:** whoever leaves a group open saw somebody waiting, and
//! whoever waits runs a job, so every group is committed; nobody is told of an end, good or bad, before the group's.
//!
//! **Invariant:** a job's lock that another node holds is waited for only by the first job of a group, which holds
//! nothing yet: so no two nodes wait for each other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kernel::TenantId;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::StoreError;
use crate::engine::{Conn, Location, Role};
use crate::logs::{Heads, Logs, Wait};

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
    logs: Logs,
    group: Option<Arc<Group>>,
    jobs: usize,
    #[cfg(feature = "faults")]
    commits: u64,
}

/// Jobs that commit or fail together.
#[derive(Debug, Default)]
struct Group {
    end: Mutex<Option<Result<(), Failure>>>,
    ended: Condvar,
}

/// A failed commit, told to every job of its group.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the shared transaction failed")]
struct Failure(#[source] Arc<StoreError>);

/// A job that was run, and the group whose end decides.
struct Ran<T, E> {
    result: Result<T, E>,
    /// `None` when the job took no part in a group, or ended its group by failing.
    group: Option<Arc<Group>>,
}

impl Writer {
    pub(crate) fn new(location: Location, conn: Conn) -> Self {
        let state = State {
            conn,
            logs: Logs::default(),
            group: None,
            jobs: 0,
            #[cfg(feature = "faults")]
            commits: 0,
        };
        Self { location, waiting: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Locks `heads`, runs `job` in a savepoint, and returns when what it did is durable. If the job fails, what it did
    /// is undone.
    pub(crate) fn run<T, E: From<StoreError>>(
        &self,
        heads: Heads<'_>,
        job: impl FnOnce(&mut Conn, &mut Logs) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        let ran = state.run_caught(&self.location, heads, job);
        self.leave(state);
        ran.unwrap_or_else(|panic| resume_unwind(panic)).ended()
    }

    /// Runs each tenant's job in a savepoint of its own, all in one group unless a lock must be waited for; a job that
    /// fails is undone alone.
    pub(crate) fn run_all<T, J>(&self, jobs: impl Iterator<Item = (TenantId, J)>) -> Vec<Result<T, StoreError>>
    where
        J: FnOnce(&mut Conn, &mut Logs, &TenantId) -> Result<T, StoreError>,
    {
        let mut state = self.lock();
        let mut panicked = None;
        let mut ran = Vec::new();
        for (tenant, job) in jobs {
            let job = |conn: &mut Conn, logs: &mut Logs| job(conn, logs, &tenant);
            match state.run_caught(&self.location, Heads::Own(&tenant), job) {
                Ok(one) => ran.push(one),
                Err(panic) => {
                    panicked = Some(panic);
                    break;
                }
            }
        }
        self.leave(state);
        let ended = ran.into_iter().map(Ran::ended).collect();
        panicked.map_or(ended, |panic| resume_unwind(panic))
    }

    /// Waits for the connection; counted, so that whoever has it leaves the group open.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let state = self.state.lock();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        state
    }

    /// Commits, unless somebody waits who will.
    fn leave(&self, mut state: MutexGuard<'_, State>) {
        if self.waiting.load(Ordering::SeqCst) == 0 || state.jobs >= MAX_JOBS {
            state.commit();
        }
    }
}

#[cfg(feature = "faults")]
impl Writer {
    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    /// Runs `work` on the connection between groups.
    pub(crate) fn exclusive<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state.lock();
        state.commit();
        work(&mut state.conn)
    }

    /// How many writers wait for the connection.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// How many groups have been committed.
    pub(crate) fn commits(&self) -> u64 {
        self.state.lock().commits
    }
}

impl<T, E: From<StoreError>> Ran<T, E> {
    /// The job's own result, once the group is durable. A failed group takes refusals with it: they may have been
    /// decided by what an earlier job of the group did, and that is gone.
    fn ended(self) -> Result<T, E> {
        match self.group.map_or(Ok(()), |group| group.wait()) {
            Ok(()) => self.result,
            Err(failure) => Err(StoreError::unavailable(failure).into()),
        }
    }
}

impl State {
    /// Like [`State::run`]; the job's panic is returned, so that its group can be ended.
    fn run_caught<T, E: From<StoreError>>(
        &mut self,
        location: &Location,
        heads: Heads<'_>,
        job: impl FnOnce(&mut Conn, &mut Logs) -> Result<T, E>,
    ) -> std::thread::Result<Ran<T, E>> {
        catch_unwind(AssertUnwindSafe(|| {
            let result = self.run(location, heads, job);
            // A job that could not even be undone has ended its group, and knows best why.
            Ran { result, group: self.group.clone() }
        }))
    }

    fn run<T, E: From<StoreError>>(
        &mut self,
        location: &Location,
        heads: Heads<'_>,
        job: impl FnOnce(&mut Conn, &mut Logs) -> Result<T, E>,
    ) -> Result<T, E> {
        self.join(location)?;
        let alone = self.jobs == 0;
        if alone || !self.lock(heads, Wait::Never)? {
            if !alone {
                self.commit();
                self.join(location)?;
            }
            if !self.lock(heads, Wait::Until)? {
                return Err(StoreError::Decode("a known tenant").into());
            }
        }
        self.logs.mark(heads);
        let mut savepoint = Savepoint::set(self)?;
        let state = &mut *savepoint.state;
        let value = job(&mut state.conn, &mut state.logs)?;
        state.conn.release()?;
        savepoint.done = true;
        Ok(value)
    }

    /// Locks before the savepoint, so that the lock outlives a job that is undone. If the statement itself fails, there
    /// is no savepoint to go back to, and the group has failed.
    fn lock(&mut self, heads: Heads<'_>, wait: Wait) -> Result<bool, StoreError> {
        self.jobs += 1;
        let locked = self.logs.lock(&mut self.conn, heads, wait);
        if let Err(error) = self.conn.usable() {
            self.conn.rollback();
            self.end(Err(error));
        }
        locked
    }

    /// Joins the open group, or opens one: on a new connection if the old one has failed.
    fn join(&mut self, location: &Location) -> Result<(), StoreError> {
        if self.group.is_some() {
            return Ok(());
        }
        if let Err(error) = self.conn.begin(Role::Writer) {
            if !self.conn.is_postgres() {
                self.conn.rollback();
                return Err(error);
            }
            tracing::warn!(cause = error.with_causes(), "the connection for writing is made anew");
            self.conn = location.connect(Role::Writer)?;
            self.conn.begin(Role::Writer)?;
        }
        (self.group, self.jobs) = (Some(Arc::default()), 0);
        Ok(())
    }

    fn commit(&mut self) {
        if self.group.is_none() {
            return;
        }
        let end = self.logs.write(&mut self.conn).and_then(|()| self.conn.commit());
        if end.is_err() {
            self.conn.rollback();
        }
        #[cfg(feature = "faults")]
        {
            self.commits += u64::from(end.is_ok());
        }
        self.end(end);
    }

    fn end(&mut self, end: Result<(), StoreError>) {
        self.logs = Logs::default();
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

impl<'a> Savepoint<'a> {
    fn set(state: &'a mut State) -> Result<Self, StoreError> {
        state.conn.savepoint()?;
        Ok(Self { state, done: false })
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.state.logs.undo();
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
