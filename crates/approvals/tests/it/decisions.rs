use approvals::{CancelError, DecideError, Followers, Listing, Refusal, RequestType, Status, Verdict};
use authz::{Actor, ActorKind, Caller, Permission, Permissions, Role};
use kernel::{KeyId, PageSize, ReviewId};
use store::StoreError;
use testkit::on_both_engines;

use crate::given::{
    ACME, approve, asked, decide, decision, granted, hours, listed, noted, open, people, recorded, required,
    stored_status,
};

#[test]
fn the_last_approval_that_is_needed_approves_and_what_follows_happens_once() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let request = asked(t, &who.alice, "ver_1");
        assert_eq!((request.status, request.quorum.required(), request.workflow_revision), (Status::Pending, 2, 1));

        let request = approve(t, &who.bob, &request).unwrap();
        assert_eq!((request.status, request.approvals(), noted(t, &who.bob).len()), (Status::Pending, 1, 0));
        assert_eq!(granted(t, &who.bob, "ver_1", &request.digest), None);
        let request = approve(t, &who.carol, &request).unwrap();
        assert_eq!((request.status, request.decided_at), (Status::Approved, Some(t.moment().now())));
        assert_eq!(noted(t, &who.bob), ["approved"]);

        let shown = approvals::request(&t.db, &who.vera, &request.id, &t.moment()).unwrap();
        assert_eq!(shown.request, request);
        let deciders: Vec<&str> = request.decisions.iter().map(|decided| decided.user.as_str()).collect();
        assert_eq!(deciders, ["usr_bob", "usr_carol"]);
        assert_eq!(request.decisions[0].comment, "after review");
        let approval = granted(t, &who.bob, "ver_1", &request.digest).unwrap();
        assert_eq!(approval.approvers(), ["usr_bob", "usr_carol"]);
        assert!(approval.covers("ver_1", "digest of ver_1") && !approval.covers("ver_2", "digest of ver_1"));
        assert_eq!(
            recorded(t, &who.bob),
            ["approvals.workflow.set", "approvals.request.decided", "approvals.request.approved"]
        );
        assert!(recorded(t, &who.bob).iter().all(|action| approvals::ACTIONS.contains(&action.as_str())));
    });
}

#[test]
fn nobody_decides_on_their_own_request_or_their_own_work() {
    on_both_engines(|t| {
        let who = people(t);
        let dora = t.user(ACME, "dora", [Role::Admin]);
        let request = asked(t, &who.bob, "ver_1");
        let refusal = |caller: &Caller, verdict| {
            let error = decide(t, caller, &request, verdict).unwrap_err();
            let DecideError::Refused(refusal) = error else { panic!("{error}") };
            refusal
        };
        for verdict in [Verdict::Approve, Verdict::Reject] {
            assert_eq!(refusal(&who.bob, verdict), Refusal::OwnRequest);
            assert_eq!(refusal(&who.alice, verdict), Refusal::OwnWork);
            assert_eq!(refusal(&dora, verdict), Refusal::OwnWork);
        }
        assert_eq!(recorded(t, &who.bob), [""; 0], "a refused decision leaves nothing");
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate, with keys")]
fn two_keys_of_one_person_count_once_and_a_service_counts_not_at_all() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let request = asked(t, &who.alice, "ver_1");
        let with_key = |kind| {
            let via = Some(authz::Via::Key(KeyId::generate(&*t.clock)));
            let actor = Actor { via, ..Actor::new(kind, "usr_bob") };
            let standing = authz::Standing { actor, ..who.bob.standing().clone() };
            Caller::authenticated(standing, authz::Request::made(&t.moment()))
        };
        let refused = approve(t, &with_key(ActorKind::Service), &request).unwrap_err();
        assert!(matches!(refused, DecideError::Refused(Refusal::NotAPerson)));
        approve(t, &with_key(ActorKind::User), &request).unwrap();
        for verdict in [Verdict::Approve, Verdict::Reject] {
            let refused = decide(t, &with_key(ActorKind::User), &request, verdict).unwrap_err();
            assert!(matches!(refused, DecideError::Refused(Refusal::AlreadyDecided)));
        }
        assert_eq!(listed(t, &who.bob, Some(Status::Pending)), [("ver_1".to_owned(), false)]);
        assert_eq!(listed(t, &who.carol, Some(Status::Pending)), [("ver_1".to_owned(), true)]);
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate, with scopes")]
fn the_role_is_asked_when_somebody_decides_not_when_they_signed_in() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        t.raw(ACME, "UPDATE users SET roles = 'viewer' WHERE user_id = 'usr_bob'").unwrap();
        t.raw(ACME, "UPDATE users SET status = 'deactivated' WHERE user_id = 'usr_carol'").unwrap();
        let refused = approve(t, &who.bob, &request).unwrap_err();
        assert!(matches!(refused, DecideError::Refused(Refusal::WrongRole(_))), "{refused}");
        let refused = approve(t, &who.carol, &request).unwrap_err();
        assert!(matches!(refused, DecideError::Refused(Refusal::NotActive)), "{refused}");
        assert!(matches!(approve(t, &who.vera, &request), Err(DecideError::Forbidden(_))));
        let standing = who.bob.standing().clone().narrowed(Permissions::NONE.with(Permission::AgentRead));
        let narrow = Caller::authenticated(standing, authz::Request::made(&t.moment()));
        assert!(matches!(approve(t, &narrow, &request), Err(DecideError::Forbidden(_))));
    });
}

#[test]
fn an_approval_stands_while_its_approvers_may_approve() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let request = asked(t, &who.alice, "ver_1");
        approve(t, &who.bob, &request).unwrap();
        approve(t, &who.carol, &request).unwrap();
        let stands = || granted(t, &who.bob, "ver_1", &request.digest).is_some();
        assert!(stands());
        t.raw(ACME, "UPDATE users SET roles = 'operator' WHERE user_id = 'usr_carol'").unwrap();
        assert!(!stands());
        t.raw(ACME, "UPDATE users SET roles = 'agent_designer' WHERE user_id = 'usr_carol'").unwrap();
        assert!(stands());
        t.raw(ACME, "UPDATE users SET status = 'deactivated' WHERE user_id = 'usr_carol'").unwrap();
        assert!(!stands());
        assert_eq!(granted(t, &who.bob, "ver_1", "another digest"), None);
        assert_eq!(granted(t, &who.bob, "ver_2", &request.digest), None);
    });
}

#[test]
fn one_rejection_ends_a_request_and_says_who() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let request = asked(t, &who.alice, "ver_1");
        approve(t, &who.bob, &request).unwrap();
        let request = decide(t, &who.carol, &request, Verdict::Reject).unwrap();
        assert_eq!(request.status, Status::Rejected);
        assert_eq!(request.decisions.last().unwrap().user, "usr_carol");
        assert_eq!(noted(t, &who.bob), ["rejected"]);
        let again = t.user(ACME, "dave", [Role::Admin]);
        let refused = approve(t, &again, &request).unwrap_err();
        assert!(matches!(refused, DecideError::Refused(Refusal::NotPending(Status::Rejected))));
        assert_eq!(granted(t, &who.bob, "ver_1", &request.digest), None);
        assert_eq!(recorded(t, &who.bob).last().unwrap(), "approvals.request.rejected");
    });
}

#[test]
fn a_request_that_nobody_decided_in_time_has_expired() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        hours(t, 48);
        let shown = approvals::request(&t.db, &who.bob, &request.id, &t.moment()).unwrap();
        assert_eq!((shown.request.status, shown.may_decide), (Status::Expired, false));
        assert_eq!(listed(t, &who.bob, Some(Status::Pending)), []);
        assert_eq!(listed(t, &who.bob, Some(Status::Expired)), [("ver_1".to_owned(), false)]);
        assert_eq!(stored_status(t, &who.bob, &request), "pending");

        for _ in 0..2 {
            let refused = approve(t, &who.bob, &request).unwrap_err();
            assert!(matches!(refused, DecideError::Refused(Refusal::Expired(_))), "{refused}");
        }
        assert_eq!(stored_status(t, &who.bob, &request), "expired");
        assert_eq!(noted(t, &who.bob), ["expired"]);
        assert_eq!(recorded(t, &who.bob), ["approvals.request.expired"]);
        assert!(matches!(
            approvals::cancel(&t.db, &who.alice, &request.id, &Followers::new(), &t.moment()),
            Err(CancelError::NotPending(Status::Expired))
        ));
    });
}

#[test]
fn one_thing_waits_once_and_may_be_asked_for_again_after_it_expired() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        assert_eq!(open(t, &who.bob, "ver_1"), Err(format!("pending: {}", request.id)));
        hours(t, 49);
        let second = asked(t, &who.alice, "ver_1");
        assert_eq!(stored_status(t, &who.bob, &request), "expired");
        assert_eq!(approve(t, &who.bob, &second).unwrap().status, Status::Approved);
    });
}

#[test]
fn who_asked_or_an_admin_takes_a_request_back() {
    on_both_engines(|t| {
        let who = people(t);
        let dora = t.user(ACME, "dora", [Role::AgentDesigner]);
        let cancel = |caller: &Caller, id: &ReviewId| {
            approvals::cancel(&t.db, &t.again(caller), id, &crate::given::noting(), &t.moment())
        };
        let (one, two) = (asked(t, &who.alice, "ver_1"), asked(t, &who.alice, "ver_2"));
        assert!(matches!(cancel(&dora, &one.id), Err(CancelError::NotYours)));
        assert!(matches!(cancel(&who.vera, &one.id), Err(CancelError::Forbidden(_))));
        assert_eq!(cancel(&who.alice, &one.id).unwrap().status, Status::Cancelled);
        assert_eq!(cancel(&who.bob, &two.id).unwrap().status, Status::Cancelled);
        assert!(matches!(cancel(&who.bob, &two.id), Err(CancelError::NotPending(Status::Cancelled))));
        assert_eq!(noted(t, &who.bob), ["cancelled", "cancelled"]);
        let refused = approve(t, &who.bob, &one).unwrap_err();
        assert!(matches!(refused, DecideError::Refused(Refusal::NotPending(Status::Cancelled))));
        assert_eq!(recorded(t, &who.bob), ["approvals.request.cancelled"; 2]);
    });
}

#[test]
fn when_what_follows_fails_nothing_was_decided() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        let failing =
            Followers::new().on(RequestType::AgentPublish, |_, _| Err(StoreError::Decode("a follower that works")));
        let failed = approvals::decide(&t.db, &who.bob, decision(&request, Verdict::Approve), &failing, &t.moment());
        assert!(matches!(failed, Err(DecideError::Database(_))));
        let shown = approvals::request(&t.db, &who.bob, &request.id, &t.moment()).unwrap().request;
        assert_eq!(shown, request);
        assert_eq!(recorded(t, &who.bob), [""; 0]);
        assert_eq!(approve(t, &who.bob, &request).unwrap().status, Status::Approved);
    });
}

#[test]
fn another_tenant_knows_nothing_of_a_request() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        let eve = t.user("globex", "eve", [Role::Admin]);
        assert!(matches!(approve(t, &eve, &request), Err(DecideError::NotFound(_))));
        assert!(matches!(
            approvals::cancel(&t.db, &eve, &request.id, &Followers::new(), &t.moment()),
            Err(CancelError::NotFound(_))
        ));
        assert!(matches!(
            approvals::request(&t.db, &eve, &request.id, &t.moment()),
            Err(approvals::ReadError::NotFound(_))
        ));
        assert_eq!(listed(t, &eve, None), []);
        assert_eq!(granted(t, &eve, "ver_1", &request.digest), None);
    });
}

#[test]
fn requests_come_in_pages_oldest_first() {
    on_both_engines(|t| {
        let who = people(t);
        for number in 1..=5 {
            t.clock.advance_micros(2_000);
            asked(t, &who.alice, &format!("ver_{number}"));
        }
        let mut listing =
            Listing { size: PageSize::new(2).unwrap(), status: Some(Status::Pending), ..Listing::default() };
        let mut found = Vec::new();
        loop {
            let page = approvals::requests(&t.db, &who.vera, &listing, &t.moment()).unwrap();
            assert!(page.items.iter().all(|listed| !listed.may_decide), "a viewer decides nothing");
            found.extend(page.items.into_iter().map(|listed| listed.request.resource_id));
            let Some(next) = page.next else { break };
            listing.after = Some(next);
        }
        assert_eq!(found, ["ver_1", "ver_2", "ver_3", "ver_4", "ver_5"]);
        let olivia = t.user(ACME, "olivia", [Role::Operator]);
        assert!(matches!(
            approvals::requests(&t.db, &olivia, &listing, &t.moment()),
            Err(approvals::ReadError::Forbidden(_))
        ));
    });
}
