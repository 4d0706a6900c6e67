//! Calls that a policy wants approved: exactly this one, by somebody else, once.

use ::approvals::{DecideError, Refusal};
use authz::{Caller, Obligation, Role, Verdict};
use gateway::ChatError;
use kernel::ReviewId;
use serde_json::{Value, json};

use crate::world::{Says, World, issued_by, on_both_engines, the_rule, watched};

/// Somebody whose calls need an approval.
fn pleading(world: &World<'_>) -> Caller {
    world.guarded(&Says::of_calls(Verdict::RequireApproval(Vec::new())))
}

/// The same call once more.
async fn again(world: &World<'_>, caller: &Caller, body: &Value) -> Result<String, ChatError> {
    world.answer(&world.tester.again(caller), body).await
}

/// Refused for want of an approval: the request that was opened for it.
async fn refused(world: &World<'_>, caller: &Caller, body: &Value) -> ReviewId {
    match again(world, caller, body).await {
        Err(ChatError::ApprovalRequired { approval, refusal: _ }) => approval,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_passes_once_with_the_approval_of_somebody_else() {
    on_both_engines(async |world| {
        let (olivia, body) = (pleading(world), world.hello());
        let approval = refused(world, &olivia, &body).await;
        assert_eq!(refused(world, &olivia, &body).await, approval, "one request is enough");
        assert_eq!(world.upstream.received().len(), 0);
        world.approve(&world.bob, &approval).unwrap();
        assert!(again(world, &olivia, &body).await.unwrap().contains("Hello there"));
        assert_ne!(refused(world, &olivia, &body).await, approval, "an approval is used up");
        assert_eq!(world.upstream.received().len(), 1);

        let entries = world.entries();
        let what: Vec<&str> = entries.iter().map(|entry| &*entry.what).collect();
        let no = "gateway.call.refused refused";
        assert_eq!(what, [no, no, "gateway.call.requested ok", "gateway.call.completed ok", no]);
        assert!(entries.iter().all(|entry| entry.policy == the_rule()));
        let decided = |at: usize| entries[at].payload["decision"]["verdict"].as_str().unwrap();
        assert_eq!((decided(0), decided(2)), ("require_approval", "require_approval"));
        assert_eq!(entries[2].payload["approval"], json!(approval.as_str()));
        assert_eq!(entries[0].payload["request"], world.forwarded(), "what approvers decide on");
        assert_eq!(entries[1].payload.get("request"), None);
    });
}

#[test]
fn an_approval_is_for_one_caller_and_one_body() {
    on_both_engines(async |world| {
        let (olivia, body) = (pleading(world), world.hello());
        let approval = refused(world, &olivia, &body).await;
        world.approve(&world.bob, &approval).unwrap();
        let other = world.with(&json!({ "seed": 7 }));
        assert_ne!(refused(world, &olivia, &other).await, approval);
        assert_ne!(refused(world, &pleading(world), &body).await, approval);
        again(world, &olivia, &body).await.unwrap();
    });
}

#[test]
fn nobody_approves_a_call_of_their_own_nor_one_by_a_credential_that_they_made() {
    on_both_engines(async |world| {
        let guard = Says::of_calls(Verdict::RequireApproval(Vec::new()));
        let admin = world.somebody(&[Role::Admin]);
        let own = refused(world, &watched(&admin, &guard), &world.hello()).await;
        assert!(matches!(world.approve(&admin, &own), Err(DecideError::Refused(Refusal::OwnRequest))));

        let robot = issued_by(&world.guarded(&guard), &world.bob);
        let approval = refused(world, &robot, &world.hello()).await;
        assert!(matches!(world.approve(&world.bob, &approval), Err(DecideError::Refused(Refusal::OwnWork))));
        world.approve(&world.carol, &approval).unwrap();
        again(world, &robot, &world.hello()).await.unwrap();
    });
}

#[test]
fn what_policies_oblige_a_call_to_holds_when_it_is_approved() {
    on_both_engines(async |world| {
        let obligations = vec![Obligation::MaxOutputTokens(7), Obligation::WithoutTools];
        let olivia = world.guarded(&Says::of_calls(Verdict::RequireApproval(obligations)));
        let approval = refused(world, &olivia, &world.hello()).await;
        world.approve(&world.bob, &approval).unwrap();
        again(world, &olivia, &world.hello()).await.unwrap();
        let forwarded = world.forwarded();
        let told = world.entries().remove(0);
        assert_eq!((told.payload["request"].clone(), forwarded["max_tokens"].clone()), (forwarded.clone(), json!(7)));
        assert_eq!(forwarded.get("tools"), None);
    });
}

#[test]
fn an_approval_is_of_no_use_when_its_time_is_over() {
    on_both_engines(async |world| {
        let (olivia, body) = (pleading(world), world.hello());
        let approval = refused(world, &olivia, &body).await;
        world.approve(&world.bob, &approval).unwrap();
        world.tester.clock.advance_micros(48 * 3_600_000_000);
        assert_ne!(refused(world, &olivia, &body).await, approval);
    });
}

#[test]
fn of_two_repeats_at_once_one_passes() {
    on_both_engines(async |world| {
        let (olivia, body) = (pleading(world), world.hello());
        for _ in 0..5 {
            let approval = refused(world, &olivia, &body).await;
            world.approve(&world.bob, &approval).unwrap();
            let before = world.upstream.received().len();
            let (one, other) = tokio::join!(again(world, &olivia, &body), again(world, &olivia, &body));
            let passed = [&one, &other].into_iter().filter(|answer| answer.is_ok()).count();
            assert_eq!((passed, world.upstream.received().len() - before), (1, 1), "{one:?} {other:?}");
            let refused = [one, other].into_iter().find_map(Result::err).unwrap();
            assert!(matches!(refused, ChatError::ApprovalRequired { .. }), "{refused:?}");
            // The loser has asked anew: this one is used up too, so that the next round begins alike.
            let ChatError::ApprovalRequired { approval, .. } = refused else { panic!("{refused:?}") };
            world.approve(&world.carol, &approval).unwrap();
            again(world, &olivia, &body).await.unwrap();
        }
    });
}

#[test]
fn a_call_that_is_approved_and_cannot_be_paid_uses_nothing_up() {
    on_both_engines(async |world| {
        let (olivia, body) = (pleading(world), world.hello());
        let approval = refused(world, &olivia, &body).await;
        world.approve(&world.bob, &approval).unwrap();
        let new = usage::NewBudget {
            name: usage::Name::new("Nothing").unwrap(),
            scope: usage::Scope::Tenant,
            period: usage::Period::Total,
            limit: "0.000001".parse().unwrap(),
        };
        let (db, bob) = (&world.tester.db, world.tester.again(&world.bob));
        let budget = tokio::task::block_in_place(|| {
            let budget = usage::create_budget(db, &bob, new, &world.tester.moment()).unwrap();
            world.gateway.refresh().unwrap();
            budget
        });
        assert!(matches!(again(world, &olivia, &body).await, Err(ChatError::Budget(_))));
        let change = usage::BudgetChange { limit: Some("10".parse().unwrap()), ..usage::BudgetChange::default() };
        tokio::task::block_in_place(|| {
            let bob = world.tester.again(&world.bob);
            usage::update_budget(db, &bob, &budget.id, &change, &world.tester.moment()).unwrap();
            world.gateway.refresh().unwrap();
        });
        again(world, &olivia, &body).await.unwrap();
    });
}
