//! What users may do, and why or why not.

use std::sync::Arc;

use authz::{
    Attribute, Basis, Caller, Facts, Guard, Judgment, Permission, Question, Request, Role, RoleName, Standing, Verdict,
};
use identity::{
    AccessQuestion, GroupChange, GroupError, Leavers, NewGroup, NewKey, NewRole, Obstacle, RoleChange, RoleError,
    StatusChange, TenantChange, TenantStatus, UpdateUserError, UserAttributes, UserChange, UserError,
};
use kernel::UserId;

use crate::world::{World, new_key, new_user};

/// Whether `user` may do `permission`, by roles alone.
fn whether(user: &UserId, permission: Permission) -> AccessQuestion<'_> {
    AccessQuestion { user, permission, resource: None, facts: Facts::default(), guard: None }
}

#[test]
fn what_somebody_may_do_names_where_it_comes_from() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        world.role("publishers", [Permission::AgentPublish]);
        let olivia = world.user("olivia", "operator,publishers".parse::<authz::Roles>().unwrap());
        let group = world.group("Engineers", [Role::Operator, Role::Viewer], &[&olivia.id]).group;
        let effective = identity::effective(&tester.db, &world.bob, &olivia.id).unwrap();
        let sources: Vec<_> =
            effective.roles.iter().map(|held| (held.role.as_str(), held.is_own, held.groups.len())).collect();
        assert_eq!(sources, [("operator", true, 1), ("viewer", false, 1), ("publishers", true, 0)]);
        assert_eq!(effective.roles[1].groups, std::slice::from_ref(&group));
        assert_eq!(effective.permissions, world.enter(&world.key(&olivia.id)).permissions());
    });
}

#[test]
fn a_refusal_is_explained_by_the_roles_that_would_allow_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        world.role("publishers", [Permission::AgentPublish]);
        let olivia = world.user("olivia", [Role::Operator, Role::Viewer]);
        let explain = |permission| {
            identity::explain(&tester.db, &world.bob, &whether(&olivia.id, permission), &tester.moment()).unwrap()
        };
        let read = explain(Permission::AgentRead);
        assert!(read.is_allowed && read.obstacles.is_empty() && read.would_be_given_by.is_empty());
        assert_eq!(read.given_by, [RoleName::from(Role::Operator), Role::Viewer.into()]);
        let publish = explain(Permission::AgentPublish);
        assert!(!publish.is_allowed && publish.given_by.is_empty());
        assert_eq!(publish.obstacles, [Obstacle::NoRole]);
        let would: Vec<_> = publish.would_be_given_by.iter().map(RoleName::as_str).collect();
        assert_eq!(would, ["admin", "agent_designer", "publishers"]);
        assert!(explain(Permission::TenantManage).would_be_given_by.is_empty());
    });
}

#[test]
fn who_may_not_act_at_all_is_told_so() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let leave = Some(StatusChange::Deactivate(Leavers::new()));
        let change = UserChange { expected_revision: 1, status: leave, ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        let suspend = Some(TenantStatus::Suspended);
        let change = TenantChange { expected_revision: 1, status: suspend, ..TenantChange::default() };
        identity::update_tenant(&tester.db, &world.platform, &world.acme.tenant.id, change).unwrap();
        let question = whether(&olivia.id, Permission::AgentRead);
        let explained = identity::explain(&tester.db, &world.bob, &question, &tester.moment()).unwrap();
        assert!(!explained.is_allowed);
        assert_eq!(explained.obstacles, [Obstacle::Suspended, Obstacle::Deactivated]);
    });
}

/// A policy that lets through who is cleared, asks somebody else about `agt_2`, and refuses the rest.
#[derive(Debug)]
struct Clearance;

impl Guard for Clearance {
    fn judge(&self, question: &Question<'_>) -> Judgment {
        let standing = question.caller.standing();
        let cleared = standing.attributes.get("clearance") == Some(&Attribute::Text("high".to_owned()));
        let verdict = match question.resource {
            Some("agt_2") => Verdict::RequireApproval(Vec::new()),
            _ if cleared => Verdict::Allow(Vec::new()),
            _ => Verdict::Deny,
        };
        let basis = Some(Basis { version: 1, digest: "d".to_owned(), rule: "clearance".to_owned() });
        Judgment { verdict, reason: format!("asked about {}", standing.actor.id), basis, shadow: None }
    }
}

#[test]
fn policies_are_asked_as_if_the_user_had_come() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let explain = |resource, permission| {
            let guard: Arc<dyn Guard> = Arc::new(Clearance);
            let question = AccessQuestion { resource, guard: Some(guard), ..whether(&olivia.id, permission) };
            identity::explain(&tester.db, &world.bob, &question, &tester.moment()).unwrap()
        };
        let refused = explain(Some("agt_1"), Permission::AgentExecute);
        assert!(!refused.is_allowed);
        assert_eq!(refused.obstacles, [Obstacle::Policy]);
        let judgment = refused.judgment.unwrap();
        assert_eq!(
            (judgment.reason, judgment.basis.unwrap().rule),
            (format!("asked about {}", olivia.id), "clearance".to_owned())
        );
        assert_eq!(explain(Some("agt_2"), Permission::AgentExecute).obstacles, [Obstacle::Approval]);
        assert_eq!(
            explain(Some("agt_1"), Permission::AgentPublish).judgment,
            None,
            "no policy gives what no role does"
        );

        let attributes = Some(UserAttributes::from_json(&serde_json::json!({"clearance": "high"})).unwrap());
        let change = UserChange { expected_revision: 1, attributes, ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        assert!(explain(Some("agt_1"), Permission::AgentExecute).is_allowed);
    });
}

#[test]
fn everybody_may_ask_about_themselves_and_few_about_others() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (vera, ada) = (world.caller("vera", Role::Viewer), world.caller("ada", Role::Auditor));
        let (own, bob): (UserId, _) = (vera.actor().id.parse().unwrap(), &world.acme.admin.id);
        let ask = |caller, user| {
            let question = whether(user, Permission::AgentRead);
            let explained = identity::explain(&tester.db, caller, &question, &tester.moment());
            let effective = identity::effective(&tester.db, caller, user);
            assert_eq!(explained.is_ok(), effective.is_ok());
            explained
        };
        assert!(ask(&vera, &own).unwrap().is_allowed);
        assert!(matches!(ask(&vera, bob), Err(UserError::Forbidden(_))));
        assert!(ask(&ada, bob).unwrap().is_allowed);
        let nobody: UserId = tester.moment().id();
        assert!(matches!(ask(&world.bob, &nobody), Err(UserError::NotFound(_))));
        let (_, hank) = world.globex();
        assert!(matches!(ask(&hank, bob), Err(UserError::NotFound(_))));

        let scopes = Some([Permission::AgentRead].into_iter().collect());
        let narrow = world.enter(&world.key_with(NewKey { scopes, ..new_key(bob) }));
        assert!(ask(&narrow, bob).unwrap().is_allowed);
        let question = whether(bob, Permission::AuditRead);
        let explained = identity::explain(&tester.db, &narrow, &question, &tester.moment()).unwrap();
        assert_eq!(explained.obstacles, [Obstacle::Credential]);
        assert!(!explained.is_allowed);
    });
}

/// Bob, as `change` makes his standing.
fn bob(world: &World<'_>, change: impl FnOnce(Standing) -> Standing) -> Caller {
    #[expect(clippy::disallowed_methods, reason = "stands in for a session, and for a tenant's policies")]
    Caller::authenticated(change(world.bob.standing().clone()), Request::made(&world.tester.moment()))
}

#[test]
fn what_outlives_a_session_wants_one_that_was_signed_in_to_just_now() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let stale = bob(&world, |bob| Standing { fresh: false, ..bob });
        let olivia = world.user("olivia", []);
        let role = world.role("publishers", [Permission::AgentPublish]);
        let group = world.group("Engineers", [], &[]).group;
        let (db, at) = (&tester.db, &tester.moment());
        let new_role = NewRole { name: "mine".parse().unwrap(), ..described(&role) };
        let new_group = NewGroup {
            display_name: "Mine".parse().unwrap(),
            external_id: None,
            roles: authz::Roles::default(),
            members: Vec::new(),
        };
        let refusals = [
            identity::create_user(db, &stale, new_user("eve", []), at).err().map(|error| error.to_string()),
            identity::update_user(db, &stale, &olivia.id, UserChange::default(), at)
                .err()
                .map(|error| error.to_string()),
            identity::create_role(db, &stale, new_role, at).err().map(|error| error.to_string()),
            identity::update_role(db, &stale, &role.name, RoleChange::default()).err().map(|error| error.to_string()),
            identity::delete_role(db, &stale, &role.name, 1).err().map(|error| error.to_string()),
            identity::create_group(db, &stale, new_group, at).err().map(|error| error.to_string()),
            identity::update_group(db, &stale, &group.id, GroupChange::default(), at)
                .err()
                .map(|error| error.to_string()),
            identity::delete_group(db, &stale, &group.id, 1, at).err().map(|error| error.to_string()),
        ];
        for refusal in refusals {
            assert!(refusal.as_ref().is_some_and(|text| text.ends_with("sign in again")), "{refusal:?}");
        }
        assert!(identity::user(db, &stale, &olivia.id).is_ok());
    });
}

fn described(role: &identity::TenantRole) -> NewRole {
    NewRole { name: role.name.clone(), description: role.description.clone(), permissions: role.permissions }
}

/// A policy that keeps everybody away from the things it names.
#[derive(Debug)]
struct Off(Vec<String>);

impl Guard for Off {
    fn judge(&self, question: &Question<'_>) -> Judgment {
        let off = question.resource.is_some_and(|resource| self.0.iter().any(|name| name == resource));
        let verdict = if off { Verdict::Deny } else { Verdict::Allow(Vec::new()) };
        Judgment { verdict, reason: "it is off limits".to_owned(), basis: None, shadow: None }
    }
}

#[test]
fn a_policy_about_one_thing_is_asked_about_that_thing() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, vera) = (world.user("olivia", []), world.user("vera", []));
        let role = world.role("publishers", [Permission::AgentPublish]);
        let group = world.group("Engineers", [], &[]).group;
        let off = vec![olivia.id.to_string(), role.name.to_string(), group.id.to_string()];
        let bob = bob(&world, |bob| Standing { guard: Some(Arc::new(Off(off))), ..bob });
        let (db, at) = (&tester.db, &tester.moment());
        let change = || UserChange { expected_revision: 1, ..UserChange::default() };
        assert!(matches!(
            identity::update_user(db, &bob, &olivia.id, change(), at),
            Err(UpdateUserError::Forbidden(_))
        ));
        assert!(matches!(identity::user(db, &bob, &olivia.id), Err(UserError::Forbidden(_))));
        assert!(matches!(identity::role(db, &bob, &role.name), Err(RoleError::Forbidden(_))));
        assert!(matches!(identity::group(db, &bob, &group.id), Err(GroupError::Forbidden(_))));
        assert!(matches!(identity::effective(db, &bob, &olivia.id), Err(UserError::Forbidden(_))));
        assert!(identity::update_user(db, &bob, &vera.id, change(), at).is_ok());
    });
}
