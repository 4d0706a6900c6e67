//! What raw SQL, sent as the application would, cannot do either.

use std::error::Error;

use approvals::Verdict;
use store::StoreError;
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, approve, asked, decide, granted, people, required};

fn decision_by(user: &str, review: &str, requester: &str, authors: &str) -> String {
    format!(
        "INSERT INTO approval_decisions (tenant_id, review_id, user_id, requester_id, author_ids, decision, comment, at)
         VALUES ('{ACME}', '{review}', '{user}', '{requester}', '{authors}', 'approve', '', 1)"
    )
}

/// The schema itself refused it, by a constraint, a trigger, or a right that the application does not have.
fn refused(t: &Tester, statement: &str) {
    let error = t.raw(ACME, statement).expect_err(statement);
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let refused = matches!(error, StoreError::Conflict(_)) || reason.contains("permission denied for table");
    assert!(refused, "{}: {statement}: {reason}", t.engine);
}

#[test]
fn the_schema_refuses_self_approval_and_double_approval() {
    on_both_engines(|t| {
        let who = people(t);
        t.user(ACME, "dora", [authz::Role::Admin]);
        required(t, &who.bob, 2);
        let request = asked(t, &who.bob, "ver_1");
        let id = request.id.as_str();
        let authors = "usr_alice,usr_dora";
        for user in ["usr_bob", "usr_alice", "usr_dora"] {
            refused(t, &decision_by(user, id, "usr_bob", authors));
        }
        // Nor by saying that somebody else asked, or that somebody else wrote it.
        refused(t, &decision_by("usr_bob", id, "usr_vera", authors));
        refused(t, &decision_by("usr_alice", id, "usr_bob", "usr_dora"));
        refused(t, &decision_by("usr_alice", id, "usr_bob", ""));
        // Nor by somebody who is not there, or on a request that is not there.
        refused(t, &decision_by("usr_nobody", id, "usr_bob", authors));
        refused(t, &decision_by("usr_carol", "apr_0", "usr_bob", authors));

        approve(t, &who.carol, &request).unwrap();
        refused(t, &decision_by("usr_carol", id, "usr_bob", authors));
    });
}

#[test]
fn what_was_decided_is_never_changed() {
    on_both_engines(|t| {
        let who = people(t);
        let request = asked(t, &who.alice, "ver_1");
        decide(t, &who.bob, &request, Verdict::Reject).unwrap();
        refused(t, "UPDATE approval_decisions SET decision = 'approve'");
        refused(t, "DELETE FROM approval_decisions");
        refused(t, "UPDATE approval_requests SET status = 'approved', decided_at = 1");
        refused(t, "DELETE FROM approval_requests");
    });
}

#[test]
fn what_approvers_look_at_is_never_changed() {
    on_both_engines(|t| {
        let who = people(t);
        asked(t, &who.alice, "ver_1");
        for change in [
            "requester_id = 'usr_vera'",
            "author_ids = 'usr_vera'",
            "digest = 'another'",
            "resource_id = 'ver_2'",
            "required_approvers = 1",
            "approver_roles = 'viewer'",
            "expires_at = 9000000000000000",
            "title = 'harmless'",
        ] {
            refused(t, &format!("UPDATE approval_requests SET {change}"));
        }
    });
}

#[test]
fn a_status_without_decisions_is_no_approval() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let request = asked(t, &who.alice, "ver_1");
        approve(t, &who.bob, &request).unwrap();
        t.raw(ACME, "UPDATE approval_requests SET status = 'approved', decided_at = 1").unwrap();
        assert_eq!(granted(t, &who.bob, "ver_1", &request.digest), None);
    });
}
