//! Connections for reading: made when first needed, lent for one transaction each.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::StoreError;
use crate::engine::{Conn, Location, Role};

/// How many read transactions of one kind may run at once.
const READERS: usize = 4;

/// How long a read waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Pool {
    location: Location,
    role: Role,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Conn>,
    /// How many there are, idle or lent.
    made: usize,
}

/// Every connection was busy for too long.
#[derive(Debug, thiserror::Error)]
#[error("no connection for reading became free in time")]
struct Busy;

impl Pool {
    pub(crate) fn new(location: Location, role: Role) -> Self {
        Self { location, role, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs `read` in a transaction of its own.
    pub(crate) fn with<T, E: From<StoreError>>(&self, read: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut lent = self.begun()?;
        match &mut lent.conn {
            Some(conn) => read(conn),
            None => Err(StoreError::Decode("an open connection").into()),
        }
    }

    /// A connection in a fresh transaction. One that cannot begin has lost its server: it is replaced.
    fn begun(&self) -> Result<Lent<'_>, StoreError> {
        let mut lent = Lent { pool: self, conn: self.take()? };
        if let Some(conn) = &mut lent.conn
            && conn.begin(self.role).is_ok()
        {
            return Ok(lent);
        }
        lent.conn = None;
        let mut conn = self.location.connect(self.role)?;
        conn.begin(self.role)?;
        lent.conn = Some(conn);
        Ok(lent)
    }

    /// An idle connection, or `None` when one may be made: its place is taken.
    fn take(&self) -> Result<Option<Conn>, StoreError> {
        let mut state = self.state.lock();
        loop {
            if let Some(conn) = state.idle.pop() {
                return Ok(Some(conn));
            }
            if state.made < READERS {
                state.made += 1;
                return Ok(None);
            }
            if self.returned.wait_for(&mut state, PATIENCE).timed_out() {
                return Err(StoreError::unavailable(Busy));
            }
        }
    }
}

/// A connection that goes back to its pool, its transaction ended; or the place for one.
struct Lent<'a> {
    pool: &'a Pool,
    conn: Option<Conn>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let conn = self.conn.take().map(|mut conn| {
            conn.rollback();
            conn
        });
        let mut state = self.pool.state.lock();
        match conn {
            Some(conn) => state.idle.push(conn),
            None => state.made -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
