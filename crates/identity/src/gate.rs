//! The gate that people sign in through: it slows guessing down, and writes down who was turned away.

use std::collections::HashMap;
use std::net::IpAddr;

use authz::{Action, Actor, ActorKind, Permission};
use kernel::{Moment, TenantId, Timestamp};
use parking_lot::Mutex;
use store::{Attributed, Database, StoreError};

use crate::directory::Directory;
use crate::failure::Failure;
use crate::throttle::{Attempt, Throttle, Throttled};
use crate::{Username, entries, local};

/// How many failures of one tenant are recorded one by one within a minute. The rest is counted.
pub const FAILURES_PER_MINUTE: u64 = 100;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// What signing in needs besides the database. A server has one.
#[derive(Debug, Default)]
pub struct Gate {
    throttle: Mutex<Throttle>,
    failures: Mutex<HashMap<TenantId, Counted>>,
}

/// The failures of one tenant in one minute.
#[derive(Debug, Default)]
struct Counted {
    minute: i64,
    failures: u64,
}

/// Turning somebody away. It is never refused.
#[derive(Debug)]
struct TurnAway;

impl Action for TurnAway {
    const NAME: &'static str = "identity.sign-in.turn-away";
    const PERMISSION: Option<Permission> = None;
}

impl Gate {
    /// Begins an attempt with a password, or refuses it.
    pub(crate) fn begin(
        &self,
        tenant: &TenantId,
        username: &Username,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt, Throttled> {
        self.throttle.lock().begin(&format!("{tenant}/{username}"), address, now)
    }

    pub(crate) fn succeeded(&self, attempt: Attempt) {
        self.throttle.lock().succeeded(attempt);
    }

    /// Whether this failure is recorded by itself, and how many of a minute that has ended were not.
    fn count(&self, tenant: &TenantId, now: Timestamp) -> (bool, u64) {
        let minute = now.micros().div_euclid(MINUTE);
        let mut failures = self.failures.lock();
        let counted = failures.entry(tenant.clone()).or_default();
        let mut suppressed = 0;
        if counted.minute != minute {
            suppressed = counted.failures.saturating_sub(FAILURES_PER_MINUTE);
            *counted = Counted { minute, failures: 0 };
        }
        counted.failures = counted.failures.saturating_add(1);
        (counted.failures <= FAILURES_PER_MINUTE, suppressed)
    }

    /// What was only counted in minutes that have ended, or in all of them: nothing is counted after the last.
    fn ended(&self, now: Option<Timestamp>) -> Vec<(TenantId, u64)> {
        let minute = now.map(|now| now.micros().div_euclid(MINUTE));
        let mut suppressed = Vec::new();
        self.failures.lock().retain(|tenant, counted| {
            if Some(counted.minute) != minute && counted.failures > FAILURES_PER_MINUTE {
                suppressed.push((tenant.clone(), counted.failures - FAILURES_PER_MINUTE));
            }
            Some(counted.minute) == minute
        });
        suppressed
    }
}

/// Records that somebody was turned away: in the log of the tenant, or in the system's where there is no such tenant.
/// More than a hundred a minute are counted, and leave one entry.
pub fn turn_away(
    db: &Database,
    gate: &Gate,
    directory: &Directory,
    failure: &Failure,
    at: &Moment<'_>,
) -> Result<(), StoreError> {
    let known = directory.tenant_settings(&failure.tenant).is_some();
    let log = if known { failure.tenant.clone() } else { TenantId::system() };
    let (alone, suppressed) = gate.count(&log, at.now());
    if suppressed > 0 {
        append(db, log.clone(), entries::credentials::sign_ins_suppressed(suppressed), at)?;
    }
    if alone { append(db, log, entries::credentials::sign_in_failed(failure), at) } else { Ok(()) }
}

/// Writes what was only counted in minutes that have ended. To be called each minute.
pub fn flush_failures(db: &Database, gate: &Gate, at: &Moment<'_>) -> Result<(), StoreError> {
    write(db, gate.ended(Some(at.now())), at)
}

/// Writes all that was only counted. To be called after the last request: the minute that runs then never ends here.
pub fn finish_failures(db: &Database, gate: &Gate, at: &Moment<'_>) -> Result<(), StoreError> {
    write(db, gate.ended(None), at)
}

fn write(db: &Database, ended: Vec<(TenantId, u64)>, at: &Moment<'_>) -> Result<(), StoreError> {
    ended
        .into_iter()
        .try_for_each(|(log, suppressed)| append(db, log, entries::credentials::sign_ins_suppressed(suppressed), at))
}

fn append(db: &Database, log: TenantId, entry: store::Entry, at: &Moment<'_>) -> Result<(), StoreError> {
    let nobody = local::itself(log.clone(), Actor::new(ActorKind::Anonymous, "anonymous"), at);
    let Ok(grant) = nobody.authorize::<TurnAway>() else {
        return Ok(());
    };
    let attributed = Attributed::new(&grant, entry);
    let job: store::Job<'_> = Box::new(move |_| Ok(vec![attributed]));
    db.write_shares(vec![(log, job)]).into_iter().try_for_each(|written| written.map(drop))
}
