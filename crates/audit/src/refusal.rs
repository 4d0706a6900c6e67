//! Refusals: each leaves an entry, but a flood of them leaves one each minute.

use std::collections::HashMap;

use ::store::{Database, StoreError};
use authz::{Action, Actor, ActorKind, Caller, Permission, Request, Roles, Standing};
use kernel::{Moment, TenantId, Timestamp};
use parking_lot::Mutex;

use crate::entries;
use crate::model::Refusal;
use crate::read::record;

/// How many refusals of one principal are recorded one by one within a minute.
pub const PER_MINUTE: u64 = 100;

/// How many principals are told apart. Beyond that, refusals are counted together.
const PRINCIPALS: usize = 10_000;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// Counts refusals, so that nobody can fill the disk with them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    windows: HashMap<(TenantId, String), Window>,
    /// What was refused while more principals came than are told apart.
    others: u64,
}

/// The minute in which a principal is being counted.
#[derive(Debug)]
struct Window {
    minute: i64,
    count: u64,
    caller: Caller,
}

/// What to write for refusals that were only counted.
#[derive(Debug)]
struct Summary {
    caller: Caller,
    suppressed: u64,
}

impl Window {
    /// How many of the minute's refusals were not recorded one by one.
    const fn suppressed(&self) -> u64 {
        self.count.saturating_sub(PER_MINUTE)
    }
}

impl Windows {
    /// Whether this refusal is recorded by itself, and what is to be written for the principal's minute before.
    fn count(&mut self, caller: &Caller, now: Timestamp) -> (bool, Option<Summary>) {
        let minute = now.micros().div_euclid(MINUTE);
        let principal = (caller.tenant().clone(), caller.actor().id.clone());
        if let Some(window) = self.windows.get_mut(&principal) {
            let ended = (window.minute != minute).then(|| {
                let suppressed = window.suppressed();
                (window.minute, window.count) = (minute, 0);
                suppressed
            });
            window.count = window.count.saturating_add(1);
            let summary = ended.filter(|suppressed| *suppressed > 0);
            let summary = summary.map(|suppressed| Summary { caller: window.caller.clone(), suppressed });
            return (window.count <= PER_MINUTE, summary);
        }
        if self.windows.len() >= PRINCIPALS {
            self.windows.retain(|_, window| window.minute == minute || window.suppressed() > 0);
        }
        if self.windows.len() >= PRINCIPALS {
            self.others = self.others.saturating_add(1);
            return (false, None);
        }
        self.windows.insert(principal, Window { minute, count: 1, caller: caller.clone() });
        (true, None)
    }

    /// What is to be written for minutes that have ended, or for all of them: nothing is counted after the last.
    fn ended(&mut self, now: Option<Timestamp>) -> (Vec<Summary>, u64) {
        let minute = now.map(|now| now.micros().div_euclid(MINUTE));
        let mut summaries = Vec::new();
        self.windows.retain(|_, window| {
            let suppressed = window.suppressed();
            if Some(window.minute) != minute && suppressed > 0 {
                summaries.push(Summary { caller: window.caller.clone(), suppressed });
            }
            Some(window.minute) == minute
        });
        (summaries, std::mem::take(&mut self.others))
    }
}

/// Refusing is never refused.
#[derive(Debug)]
struct Refuse;

impl Action for Refuse {
    const NAME: &'static str = "request.refuse";
    const PERMISSION: Option<Permission> = None;
}

/// Records that a request of `caller` was refused.
pub fn refused(
    db: &Database,
    refusals: &Refusals,
    caller: &Caller,
    refusal: &Refusal,
    at: &Moment<'_>,
) -> Result<(), StoreError> {
    let (alone, summary) = refusals.0.lock().count(caller, at.now());
    if let Some(summary) = summary {
        summarize(db, summary)?;
    }
    if alone { append(db, caller, entries::refused(refusal)) } else { Ok(()) }
}

/// Records, in the system's log, that a request was refused whose credentials were missing or wrong.
pub fn refused_anonymous(
    db: &Database,
    refusals: &Refusals,
    request: &Request,
    refusal: &Refusal,
    at: &Moment<'_>,
) -> Result<(), StoreError> {
    refused(db, refusals, &nobody(request.clone()), refusal, at)
}

/// Writes what was only counted in minutes that have ended. To be called each minute.
pub fn flush_refusals(db: &Database, refusals: &Refusals, at: &Moment<'_>) -> Result<(), StoreError> {
    write(db, refusals.0.lock().ended(Some(at.now())), at)
}

/// Writes all that was only counted. To be called after the last request: the minute that runs then never ends here.
pub fn finish_refusals(db: &Database, refusals: &Refusals, at: &Moment<'_>) -> Result<(), StoreError> {
    write(db, refusals.0.lock().ended(None), at)
}

fn write(db: &Database, (summaries, others): (Vec<Summary>, u64), at: &Moment<'_>) -> Result<(), StoreError> {
    if others > 0 {
        append(db, &nobody(Request::made(at)), entries::refusals_suppressed(others))?;
    }
    summaries.into_iter().try_for_each(|summary| summarize(db, summary))
}

fn summarize(db: &Database, summary: Summary) -> Result<(), StoreError> {
    let Summary { caller, suppressed } = summary;
    append(db, &caller, entries::refusals_suppressed(suppressed))
}

fn append(db: &Database, caller: &Caller, entry: ::store::Entry) -> Result<(), StoreError> {
    match caller.authorize::<Refuse>() {
        Ok(grant) => record(db, &grant, entry),
        Err(_) => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody is vouched for: the actor is anonymous and may do nothing")]
fn nobody(request: Request) -> Caller {
    let actor = Actor::new(ActorKind::Anonymous, "anonymous");
    Caller::authenticated(Standing::new(TenantId::system(), actor, Roles::default()), request)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these tests stand in for the identity crate")]
mod tests {
    use super::*;
    use kernel::FixedMoment;

    fn caller(tenant: &str, name: &str) -> Caller {
        let request = Request::made(&FixedMoment::new(0).moment());
        Caller::authenticated(Standing::new(tenant.parse().unwrap(), Actor::user(name), Roles::default()), request)
    }

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_micros(number * MINUTE + 7)
    }

    #[test]
    fn the_first_hundred_of_a_minute_are_recorded_alone_and_the_rest_is_counted() {
        let mut windows = Windows::default();
        let mallory = caller("acme-corp", "usr_mallory");
        let alone = (0..250).filter(|_| windows.count(&mallory, minute(0)).0).count();
        assert_eq!(alone, 100);
        let (alone, summary) = windows.count(&mallory, minute(1));
        assert_eq!((alone, summary.map(|summary| summary.suppressed)), (true, Some(150)));
        let (alone, summary) = windows.count(&mallory, minute(1));
        assert!(alone && summary.is_none());
    }

    #[test]
    fn one_principal_does_not_hide_another() {
        let mut windows = Windows::default();
        (0..150).for_each(|_| drop(windows.count(&caller("acme-corp", "usr_mallory"), minute(0))));
        assert!(windows.count(&caller("acme-corp", "usr_bob"), minute(0)).0);
        assert!(windows.count(&caller("globex", "usr_mallory"), minute(0)).0);
    }

    #[test]
    fn what_was_counted_is_written_when_the_minute_has_ended_and_once() {
        let mut windows = Windows::default();
        (0..101).for_each(|_| drop(windows.count(&caller("acme-corp", "usr_mallory"), minute(0))));
        windows.count(&caller("acme-corp", "usr_bob"), minute(0));
        assert!(windows.ended(Some(minute(0))).0.is_empty());
        let (summaries, others) = windows.ended(Some(minute(1)));
        assert_eq!((summaries.len(), summaries[0].suppressed, others), (1, 1, 0));
        assert!(windows.ended(Some(minute(2))).0.is_empty() && windows.windows.is_empty());
    }

    #[test]
    fn a_flood_of_principals_is_counted_together() {
        let mut windows = Windows::default();
        for number in 0..PRINCIPALS + 5 {
            windows.count(&caller("acme-corp", &format!("usr_{number}")), minute(0));
        }
        assert_eq!((windows.windows.len(), windows.others), (PRINCIPALS, 5));
        assert!(windows.count(&caller("acme-corp", "usr_late"), minute(1)).0);
        assert_eq!(windows.ended(Some(minute(1))).1, 5);
    }
}
