//! Requests of somebody who leaves.

use approvals::Status;
use store::{Entry, Resource, StoreError};

use crate::given::{ACME, Act, approve, asked, noted, noting, people, required};

#[test]
fn the_pending_requests_of_who_leaves_end_and_those_of_others_stay() {
    testkit::on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let lapsed = asked(t, &who.alice, "ver_1");
        t.clock.advance_micros(49 * 3_600_000_000);
        let (pending, granted) = (asked(t, &who.alice, "ver_2"), asked(t, &who.alice, "ver_3"));
        let others = asked(t, &t.user(ACME, "dave", [authz::Role::AgentDesigner]), "ver_4");
        approve(t, &who.bob, &granted).unwrap();
        approve(t, &who.carol, &granted).unwrap();
        let leave = |id: &str| {
            let grant = t.again(&who.bob).authorize::<Act>().unwrap();
            let entry = Entry::new("test.left", Resource::new("user", id));
            t.db.write(grant, |tx| {
                let count = approvals::withdraw_all(tx, id, &noting(), t.moment().now())?;
                Ok::<_, StoreError>((entry, count))
            })
        };
        assert_eq!(leave("usr_alice").unwrap(), 1);
        let status = |request: &approvals::Request| {
            approvals::request(&t.db, &who.bob, &request.id, &t.moment()).unwrap().request.status
        };
        assert_eq!(
            [&lapsed, &pending, &granted, &others].map(status),
            [Status::Expired, Status::Cancelled, Status::Approved, Status::Pending]
        );
        let mut followed = noted(t, &who.bob);
        followed.sort_unstable();
        assert_eq!(followed, ["approved", "cancelled", "expired"]);
        assert_eq!(leave("usr_alice").unwrap(), 0);
    });
}
