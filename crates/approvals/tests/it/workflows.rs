use approvals::{ExpireHours, Quorum, RequestType, SetWorkflowError, Status, WorkflowIn, WorkflowInvalid};
use authz::{Permission, Role, Roles};
use kernel::Text;
use testkit::on_both_engines;

use crate::given::{approve, asked, people, recorded, required};

fn strict(required: u32, expected_revision: Option<u64>) -> WorkflowIn {
    WorkflowIn {
        name: Text::new("Strict Agent Publishing").unwrap(),
        quorum: Quorum::new(required, [Role::Admin].into()).unwrap(),
        expire_hours: ExpireHours::new(24).unwrap(),
        expected_revision,
    }
}

#[test]
fn one_approval_within_two_days_is_the_rule_where_none_is_set() {
    on_both_engines(|t| {
        let who = people(t);
        let rule = approvals::workflow(&t.db, &who.alice, RequestType::AgentPublish).unwrap();
        assert_eq!((rule.id, rule.quorum.required(), rule.expire_hours.get(), rule.revision), (None, 1, 48, 0));
        assert_eq!(rule.quorum.roles().to_string(), "admin,agent_designer");
        let request = asked(t, &who.alice, "ver_1");
        assert_eq!(approve(t, &who.bob, &request).unwrap().status, Status::Approved);
    });
}

#[test]
fn a_request_follows_the_rule_that_held_when_it_was_made() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let old = asked(t, &who.alice, "ver_1");
        required(t, &who.bob, 1);
        let new = asked(t, &who.alice, "ver_2");
        assert_eq!(approve(t, &who.bob, &old).unwrap().status, Status::Pending);
        assert_eq!(approve(t, &who.bob, &new).unwrap().status, Status::Approved);
    });
}

#[test]
fn a_rule_is_changed_from_what_it_was_and_by_who_may() {
    on_both_engines(|t| {
        let who = people(t);
        let set =
            |caller, new| approvals::set_workflow(&t.db, &t.again(caller), RequestType::AgentPublish, new, &t.moment());
        assert!(matches!(set(&who.alice, strict(2, None)), Err(SetWorkflowError::Forbidden(_))));
        assert!(matches!(set(&who.bob, strict(2, Some(1))), Err(SetWorkflowError::Stale(0))));
        let first = set(&who.bob, strict(2, Some(0))).unwrap();
        assert_eq!((first.revision, first.quorum.required()), (1, 2));
        assert!(matches!(set(&who.bob, strict(3, Some(0))), Err(SetWorkflowError::Stale(1))));
        let second = set(&who.bob, strict(3, Some(1))).unwrap();
        assert_eq!((second.revision, &second.id), (2, &first.id));
        let rule = approvals::workflow(&t.db, &who.vera, RequestType::AgentPublish).unwrap();
        assert_eq!(rule, second);
        assert_eq!(recorded(t, &who.bob), ["approvals.workflow.set"; 2]);
    });
}

#[test]
fn the_rule_of_one_tenant_is_not_the_rule_of_another() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let eve = t.user("globex", "eve", [Role::Admin]);
        required(t, &eve, 1);
        let rule = approvals::workflow(&t.db, &who.bob, RequestType::AgentPublish).unwrap();
        assert_eq!(rule.quorum.required(), 2);
        let request = asked(t, &who.alice, "ver_1");
        assert_eq!(approve(t, &who.bob, &request).unwrap().status, Status::Pending);
    });
}

#[test]
fn a_rule_that_approves_nothing_or_anything_cannot_be_written() {
    let admins = || Roles::from([Role::Admin]);
    assert_eq!(Quorum::new(0, admins()), Err(WorkflowInvalid::Required));
    assert_eq!(Quorum::new(21, admins()), Err(WorkflowInvalid::Required));
    assert_eq!(Quorum::new(1, Roles::default()), Err(WorkflowInvalid::NoRoles));
    let viewers = Roles::from([Role::Admin, Role::Viewer]);
    assert_eq!(Quorum::new(1, viewers), Err(WorkflowInvalid::CannotApprove(Role::Viewer, Permission::AgentApprove)));
    assert!(ExpireHours::new(0).is_err() && ExpireHours::new(8_761).is_err());
}

#[test]
fn whoever_is_asked_about_policies_must_be_able_to_manage_them() {
    on_both_engines(|t| {
        let who = people(t);
        let designers = WorkflowIn { quorum: Quorum::new(1, [Role::AgentDesigner].into()).unwrap(), ..strict(1, None) };
        let set = approvals::set_workflow(&t.db, &who.bob, RequestType::PolicyActivate, designers, &t.moment());
        let expected = WorkflowInvalid::CannotApprove(Role::AgentDesigner, Permission::PolicyManage);
        assert!(matches!(set, Err(SetWorkflowError::Invalid(invalid)) if invalid == expected));
        let rule = approvals::workflow(&t.db, &who.bob, RequestType::PolicyActivate).unwrap();
        assert_eq!(rule.quorum.roles(), &Roles::from([Role::Admin]));
    });
}
