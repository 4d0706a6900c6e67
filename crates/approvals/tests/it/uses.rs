//! What an approval allows once.

use std::sync::Barrier;

use approvals::Approval;
use authz::Caller;
use kernel::Timestamp;
use store::{Database, Entry, Resource, StoreError};
use testkit::{Tester, on_both_engines};

use crate::given::{Act, approve, asked, granted, hours, people};

/// Uses the approval up and writes an entry; the error says that there was nothing to use.
fn consume(db: &Database, caller: &Caller, resource: &str, now: Timestamp) -> Result<Approval, StoreError> {
    let digest = format!("digest of {resource}");
    db.write(caller.authorize::<Act>().unwrap(), |tx| {
        let approval = approvals::consume(tx, resource, &digest, now)?;
        let approval = approval.ok_or(StoreError::Decode("an approval that was not used"))?;
        Ok((Entry::new("test.used", Resource::new("call", resource)), approval))
    })
}

fn usable(t: &Tester, caller: &Caller, resource: &str, digest: &str) -> bool {
    let grant = caller.authorize::<Act>().unwrap();
    let found: Result<_, StoreError> =
        t.db.read(&grant, |tx| approvals::usable(tx, resource, digest, t.moment().now()));
    found.unwrap().is_some()
}

#[test]
fn an_approval_is_used_up_once_and_a_new_one_can_be_asked_for() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "call_1");
        assert!(!usable(t, &who.alice, "call_1", &request.digest), "nobody has approved it");
        approve(t, &who.bob, &request).unwrap();
        assert!(usable(t, &who.alice, "call_1", &request.digest));
        assert!(!usable(t, &who.alice, "call_1", "another digest"));

        let now = t.moment().now();
        let approval = consume(&t.db, &t.again(&who.alice), "call_1", now).unwrap();
        assert_eq!((approval.request(), approval.approvers()), (&request.id, &["usr_bob".to_owned()][..]));
        assert!(consume(&t.db, &t.again(&who.alice), "call_1", now).is_err());
        assert!(granted(t, &who.alice, "call_1", &request.digest).is_some(), "it was approved, and stays so");

        t.clock.advance_micros(2_000);
        let second = asked(t, &who.alice, "call_1");
        approve(t, &who.carol, &second).unwrap();
        assert_eq!(consume(&t.db, &t.again(&who.alice), "call_1", now).unwrap().request(), &second.id);
    });
}

#[test]
fn what_is_not_committed_uses_nothing_up() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "call_1");
        approve(t, &who.bob, &request).unwrap();
        let failed = t.db.write(who.alice.authorize::<Act>().unwrap(), |tx| {
            approvals::consume(tx, "call_1", &request.digest, t.moment().now())?;
            Err::<(Entry, ()), _>(StoreError::Decode("an entry that can be written"))
        });
        assert!(failed.is_err());
        assert!(usable(t, &who.alice, "call_1", &request.digest));
    });
}

#[test]
fn an_approval_is_of_no_use_when_its_time_is_over_or_its_approver_may_no_longer() {
    on_both_engines(|t| {
        let who = people(t);
        let (late, lost) = (asked(t, &who.alice, "call_1"), asked(t, &who.alice, "call_2"));
        for request in [&late, &lost] {
            approve(t, &who.bob, request).unwrap();
        }
        t.raw("acme-corp", "UPDATE users SET roles = 'viewer' WHERE user_id = 'usr_bob'").unwrap();
        assert!(!usable(t, &who.alice, "call_2", &lost.digest));
        t.raw("acme-corp", "UPDATE users SET roles = 'admin' WHERE user_id = 'usr_bob'").unwrap();
        assert!(usable(t, &who.alice, "call_1", &late.digest));
        hours(t, 48);
        assert!(!usable(t, &who.alice, "call_1", &late.digest));
        assert!(consume(&t.db, &t.again(&who.alice), "call_1", t.moment().now()).is_err());
    });
}

#[test]
fn of_many_who_use_an_approval_at_once_one_does() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "call_1");
        approve(t, &who.bob, &request).unwrap();
        let nodes = [t.db.clone(), t.db.clone(), t.second_node(), t.second_node()];
        let (start, now) = (Barrier::new(nodes.len()), t.moment().now());
        let used = std::thread::scope(|scope| {
            let racing = nodes.each_ref().map(|db| {
                let (start, caller) = (&start, t.again(&who.alice));
                scope.spawn(move || {
                    start.wait();
                    consume(db, &caller, "call_1", now).is_ok()
                })
            });
            racing.into_iter().map(|thread| thread.join().unwrap()).filter(|used| *used).count()
        });
        assert_eq!(used, 1);
    });
}
