//! Which version holds, and who decides that.

use approvals::{
    Authors, CancelError, DecideError, Decision, ExpireHours, Followers, Quorum, Refusal, Request, RequestType,
    Verdict, WorkflowIn,
};
use authz::{Caller, Cause, Role, Verdict as Word};
use kernel::{ReviewId, Text};
use policy::{ActivateError, Activation, Policies, ShadowCounts, State};
use store::StoreError;
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, ASKING, Execute, MORNINGS, NOTHING, guarded, held, ledger, made, people};

fn followers() -> Followers {
    Followers::new().on(RequestType::PolicyActivate, policy::follow_activation)
}

/// From now on an activation needs so many admins.
fn approved_by(t: &Tester, admin: &Caller, required: u32) {
    let rule = WorkflowIn {
        name: Text::new("Policies").unwrap(),
        quorum: Quorum::new(required, [Role::Admin].into()).unwrap(),
        expire_hours: ExpireHours::new(24).unwrap(),
        expected_revision: None,
    };
    approvals::set_workflow(&t.db, &t.again(admin), RequestType::PolicyActivate, rule, &t.moment()).unwrap();
}

fn decide(t: &Tester, caller: &Caller, id: &ReviewId, verdict: Verdict) -> Result<Request, DecideError> {
    let decision = Decision { request: id.clone(), verdict, comment: None };
    approvals::decide(&t.db, &t.again(caller), decision, &followers(), &t.moment())
}

fn activate(t: &Tester, caller: &Caller, number: u64) -> Result<Activation, ActivateError> {
    policy::activate(&t.db, &t.again(caller), number, None, &t.moment())
}

fn waiting(activation: Result<Activation, ActivateError>) -> ReviewId {
    match activation.unwrap() {
        Activation::Waiting(id) => id,
        Activation::Done(state) => panic!("{state:?}"),
    }
}

fn active(t: &Tester, caller: &Caller) -> Option<u64> {
    policy::state(&t.db, caller).unwrap().active
}

#[test]
fn without_a_workflow_a_version_holds_at_once_and_rolls_back() {
    on_both_engines(|t| {
        let who = people(t);
        let (first, second) = (made(t, &who.bob, MORNINGS).number, made(t, &who.bob, ASKING).number);
        let done = activate(t, &who.bob, first).unwrap();
        let state = State { active: Some(first), previous: None, shadow: None, revision: 1 };
        assert_eq!(done, Activation::Done(state));
        activate(t, &who.carol, second).unwrap();
        let back = policy::rollback(&t.db, &t.again(&who.bob), Some(2), &t.moment()).unwrap();
        let state = State { active: Some(first), previous: Some(second), shadow: None, revision: 3 };
        assert_eq!(back, Activation::Done(state));
        let off = policy::deactivate(&t.db, &t.again(&who.bob), None, &t.moment()).unwrap();
        let state = State { active: None, previous: Some(first), shadow: None, revision: 4 };
        assert_eq!(off, Activation::Done(state));
        let actions = ledger(t, &who.bob);
        let last = ["policy.activated", "policy.activated", "policy.activated", "policy.deactivated"];
        assert_eq!(actions[actions.len() - 4..], last);
        assert!(actions.iter().all(|action| policy::ACTIONS.contains(&action.as_str())), "{actions:?}");
    });
}

#[test]
fn what_is_stale_missing_foreign_or_so_already_changes_nothing() {
    on_both_engines(|t| {
        let who = people(t);
        let first = held(t, &who.bob, MORNINGS).number;
        let before = policy::state(&t.db, &who.bob).unwrap();
        let (db, at, bob) = (&t.db, t.moment(), || t.again(&who.bob));
        assert!(matches!(policy::activate(db, &bob(), first, Some(7), &at), Err(ActivateError::Stale(1))));
        assert!(matches!(policy::activate(db, &bob(), first, None, &at), Err(ActivateError::Already)));
        assert!(matches!(policy::activate(db, &bob(), 9, None, &at), Err(ActivateError::NotFound(9))));
        assert!(matches!(policy::rollback(db, &bob(), None, &at), Err(ActivateError::NothingBefore)));
        assert!(matches!(policy::set_shadow(db, &bob(), Some(9), None), Err(ActivateError::NotFound(9))));
        assert!(matches!(policy::set_shadow(db, &bob(), None, None), Err(ActivateError::Already)));
        assert!(matches!(activate(t, &who.audra, first), Err(ActivateError::Forbidden(_))));
        let eve = t.user("globex", "eve", [Role::Admin]);
        assert!(matches!(activate(t, &eve, first), Err(ActivateError::NotFound(1))));
        assert!(matches!(policy::deactivate(db, &eve, None, &at), Err(ActivateError::Already)));
        assert_eq!(policy::state(db, &who.bob).unwrap(), before);
    });
}

#[test]
fn with_a_workflow_another_than_author_and_requester_must_approve() {
    on_both_engines(|t| {
        let who = people(t);
        let dave = t.user(ACME, "dave", [Role::Admin]);
        approved_by(t, &who.bob, 1);
        let version = made(t, &who.bob, MORNINGS);
        let id = waiting(activate(t, &who.carol, version.number));
        assert_eq!(active(t, &who.bob), None);
        assert!(matches!(activate(t, &who.bob, version.number), Err(ActivateError::Pending(pending)) if pending == id));
        let refused = |caller| decide(t, caller, &id, Verdict::Approve).unwrap_err();
        assert!(matches!(refused(&who.bob), DecideError::Refused(Refusal::OwnWork)));
        assert!(matches!(refused(&who.carol), DecideError::Refused(Refusal::OwnRequest)));
        let designer = t.user(ACME, "alice", [Role::AgentDesigner]);
        assert!(matches!(refused(&designer), DecideError::Forbidden(_)));
        let request = decide(t, &dave, &id, Verdict::Approve).unwrap();
        assert_eq!((request.digest, request.authors), (version.digest, Authors::of("usr_bob")));
        assert!(request.description.contains("New policies: mornings."), "{}", request.description);
        assert_eq!(active(t, &who.bob), Some(version.number));
        let actions = ledger(t, &who.bob);
        assert_eq!(actions[actions.len() - 2..], ["policy.activation.requested", "approvals.request.approved"]);
    });
}

#[test]
fn what_allows_more_needs_the_same_approval() {
    on_both_engines(|t| {
        let who = people(t);
        let (first, second) = (held(t, &who.bob, MORNINGS).number, held(t, &who.bob, ASKING).number);
        approved_by(t, &who.bob, 1);
        let off = waiting(policy::deactivate(&t.db, &t.again(&who.bob), None, &t.moment()));
        let back = waiting(policy::rollback(&t.db, &t.again(&who.carol), None, &t.moment()));
        assert_eq!(active(t, &who.bob), Some(second));
        decide(t, &who.bob, &back, Verdict::Approve).unwrap_err();
        let dave = t.user(ACME, "dave", [Role::Admin]);
        decide(t, &dave, &back, Verdict::Approve).unwrap();
        assert_eq!(active(t, &who.bob), Some(first));
        // What Carol would approve now is not what Bob asked for: other policies hold.
        assert!(matches!(
            decide(t, &who.carol, &off, Verdict::Approve),
            Err(DecideError::Database(StoreError::Conflict(_)))
        ));
        assert_eq!(active(t, &who.bob), Some(first));
        decide(t, &who.carol, &off, Verdict::Reject).unwrap();
        let off = waiting(policy::deactivate(&t.db, &t.again(&who.bob), None, &t.moment()));
        decide(t, &who.carol, &off, Verdict::Approve).unwrap();
        assert_eq!(active(t, &who.bob), None);
    });
}

#[test]
fn a_rejection_and_a_cancellation_change_nothing_and_it_can_be_asked_again() {
    on_both_engines(|t| {
        let who = people(t);
        approved_by(t, &who.bob, 1);
        let number = made(t, &who.bob, MORNINGS).number;
        let id = waiting(activate(t, &who.bob, number));
        decide(t, &who.carol, &id, Verdict::Reject).unwrap();
        let id = waiting(activate(t, &who.bob, number));
        let cancel = |caller| approvals::cancel(&t.db, &t.again(caller), &id, &followers(), &t.moment());
        assert!(matches!(cancel(&who.olivia), Err(CancelError::Forbidden(_))));
        cancel(&who.bob).unwrap();
        assert_eq!(active(t, &who.bob), None);
        waiting(activate(t, &who.bob, number));
    });
}

#[test]
fn policies_that_refuse_everything_can_be_replaced_even_by_approval() {
    on_both_engines(|t| {
        let who = people(t);
        let policies = Policies::load(&t.db).unwrap();
        approved_by(t, &who.bob, 1);
        let never = waiting(activate(t, &who.bob, made(t, &who.bob, NOTHING).number));
        decide(t, &who.carol, &never, Verdict::Approve).unwrap();
        policies.refresh(&t.db, who.bob.tenant()).unwrap();
        let (bob, carol) = (guarded(t, &policies, &who.bob), guarded(t, &policies, &who.carol));
        assert!(matches!(bob.authorize::<Execute>().unwrap_err().cause, Cause::Policy { .. }));
        let id = waiting(policy::deactivate(&t.db, &bob, None, &t.moment()));
        let decision = Decision { request: id, verdict: Verdict::Approve, comment: None };
        approvals::decide(&t.db, &carol, decision, &followers(), &t.moment()).unwrap();
        policies.refresh(&t.db, who.bob.tenant()).unwrap();
        // The caller's standing is the one from before: the policies behind it have followed.
        assert!(bob.authorize::<Execute>().is_ok());
    });
}

#[test]
fn callers_are_bound_from_the_activation_on() {
    on_both_engines(|t| {
        let who = people(t);
        let policies = Policies::load(&t.db).unwrap();
        assert!(policies.guard_for(who.olivia.tenant()).is_none());
        let version = held(t, &who.bob, MORNINGS);
        policies.refresh(&t.db, who.olivia.tenant()).unwrap();
        let olivia = guarded(t, &policies, &who.olivia);
        let grant = olivia.authorize_on::<Execute>("agt_1").unwrap();
        let basis = grant.basis().unwrap();
        assert_eq!(
            (basis.version, basis.digest.as_str(), basis.rule.as_str()),
            (1, version.digest.as_str(), "mornings")
        );
        t.clock.advance_micros(5 * 3_600 * 1_000_000);
        let refused = t.again(&olivia).authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::Policy { basis: Some(basis), .. } if basis.rule == "default"));
        held(t, &who.bob, ASKING);
        policies.refresh(&t.db, who.olivia.tenant()).unwrap();
        let refused = olivia.authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::NeedsApproval { .. }));
    });
}

#[test]
fn a_shadow_is_asked_and_decides_nothing() {
    on_both_engines(|t| {
        let who = people(t);
        held(t, &who.bob, MORNINGS);
        let tried = made(t, &who.bob, ASKING);
        let state = policy::set_shadow(&t.db, &t.again(&who.bob), Some(tried.number), Some(1)).unwrap();
        assert_eq!((state.active, state.shadow), (Some(1), Some(2)));
        let policies = Policies::load(&t.db).unwrap();
        let olivia = guarded(t, &policies, &who.olivia);
        let grant = olivia.authorize_on::<Execute>("agt_1").unwrap();
        let shadow = grant.shadow().unwrap();
        assert_eq!(shadow.verdict, Word::RequireApproval(Vec::new()));
        assert_eq!(shadow.basis.as_ref().map(|basis| (basis.version, basis.rule.as_str())), Some((2, "ask")));
        t.clock.advance_micros(5 * 3_600 * 1_000_000);
        let refused = t.again(&olivia).authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::Policy { shadow: Some(_), .. }));
        let counts = policies.shadow_counts();
        assert_eq!(counts, [(who.olivia.tenant().clone(), ShadowCounts { compared: 2, differed: 2 })]);
        // Alone, without any version in force, a shadow still decides nothing.
        policy::deactivate(&t.db, &t.again(&who.bob), None, &t.moment()).unwrap();
        policies.refresh(&t.db, who.olivia.tenant()).unwrap();
        let grant = guarded(t, &policies, &who.olivia).authorize_on::<Execute>("agt_1").unwrap();
        assert!(grant.basis().is_none() && grant.shadow().is_some());
    });
}

#[test]
fn policies_that_cannot_be_read_refuse_everything_that_they_may_govern() {
    let broken = [
        "INSERT INTO policy_state VALUES ('acme-corp', 7, NULL, NULL, 1)",
        "INSERT INTO policy_versions VALUES ('acme-corp', 1, 'd', 'permit', '', '', 'usr_bob', 0);
         INSERT INTO policy_state VALUES ('acme-corp', 1, NULL, NULL, 1)",
        "INSERT INTO policy_versions VALUES
             ('acme-corp', 1, 'd', '@id(\"all\") permit (principal, action, resource);', '', '', 'usr_bob', 0);
         INSERT INTO policy_state VALUES ('acme-corp', 1, NULL, NULL, 1)",
    ];
    for statements in broken {
        on_both_engines(|t| {
            let who = people(t);
            t.raw(ACME, statements).unwrap();
            let policies = Policies::load(&t.db).unwrap();
            let bob = guarded(t, &policies, &who.bob);
            let refused = bob.authorize_on::<Execute>("agt_1").unwrap_err();
            assert!(matches!(refused.cause, Cause::Policy { basis: None, .. }), "{statements}");
            // And they can be repaired.
            assert!(matches!(policy::deactivate(&t.db, &bob, None, &t.moment()), Ok(Activation::Done(_))));
            policies.refresh(&t.db, bob.tenant()).unwrap();
            assert!(bob.authorize_on::<Execute>("agt_1").is_ok());
        });
    }
}

#[test]
fn a_shadow_that_cannot_be_read_changes_nothing() {
    on_both_engines(|t| {
        let who = people(t);
        t.raw(ACME, "INSERT INTO policy_state VALUES ('acme-corp', NULL, NULL, 7, 1)").unwrap();
        let policies = Policies::load(&t.db).unwrap();
        assert!(policies.guard_for(who.bob.tenant()).is_none());
    });
}
