//! Groups.

use authz::{Permission, Role, Roles};
use identity::{
    CreateGroupError, Edit, GroupChange, GroupError, GroupRefused, Leavers, MembersChange, NewGroup, NewKey,
    RolesRefused, StatusChange, UpdateGroupError, UpdateUserError, UserChange, UserError,
};
use kernel::UserId;

use crate::world::{World, new_key};

fn change(expected_revision: u64) -> GroupChange {
    GroupChange { expected_revision, ..GroupChange::default() }
}

fn replace(expected_revision: u64, members: &[&UserId]) -> GroupChange {
    let members = MembersChange::Replace(members.iter().map(|user| (*user).clone()).collect());
    GroupChange { members, ..change(expected_revision) }
}

#[test]
fn members_may_what_their_groups_may_as_long_as_they_are_in() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, vera) = (world.user("olivia", [Role::Viewer]), world.user("vera", []));
        let key = world.key(&olivia.id);
        let group = world.group("Engineers", [Role::Operator], &[&olivia.id, &olivia.id]);
        assert_eq!(group.members, std::slice::from_ref(&olivia.id));
        let now = world.now(&olivia.id);
        assert_eq!((now.own_roles, now.roles), ([Role::Viewer].into(), [Role::Operator, Role::Viewer].into()));
        assert!(world.enter(&key).permissions().contains(Permission::AgentExecute));

        let update = |change| {
            let bob = tester.again(&world.bob);
            identity::update_group(&tester.db, &bob, &group.group.id, change, &tester.moment()).unwrap()
        };
        let designers = GroupChange { roles: Some([Role::AgentDesigner].into()), ..change(1) };
        update(designers);
        assert_eq!(world.now(&olivia.id).roles, [Role::AgentDesigner, Role::Viewer].into());
        let members = MembersChange::Move { add: vec![vera.id.clone()], remove: vec![olivia.id.clone()] };
        let moved = update(GroupChange { members, ..change(2) });
        assert_eq!(moved.members, std::slice::from_ref(&vera.id));
        assert_eq!(world.now(&olivia.id).roles, [Role::Viewer].into());
        assert_eq!(world.now(&vera.id).roles, [Role::AgentDesigner].into());
        assert!(!world.enter(&key).permissions().contains(Permission::AgentExecute));

        let other = world.group("More Engineers", [Role::AgentDesigner], &[&vera.id]).group;
        identity::delete_group(&tester.db, &tester.again(&world.bob), &group.group.id, 3, &tester.moment()).unwrap();
        assert_eq!(world.now(&vera.id).roles, [Role::AgentDesigner].into(), "one group of two is left");
        let own = UserChange {
            expected_revision: world.now(&vera.id).revision,
            roles: Some([Role::Auditor].into()),
            ..UserChange::default()
        };
        identity::update_user(&tester.db, &tester.again(&world.bob), &vera.id, own, &tester.moment()).unwrap();
        assert_eq!(world.now(&vera.id).roles, [Role::AgentDesigner, Role::Auditor].into());
        identity::delete_group(&tester.db, &tester.again(&world.bob), &other.id, 1, &tester.moment()).unwrap();
        assert_eq!(world.now(&vera.id).roles, [Role::Auditor].into());
        let gone = identity::group(&tester.db, &world.bob, &other.id);
        assert!(matches!(gone, Err(GroupError::NotFound(_))));
    });
}

#[test]
fn nobody_gives_by_a_group_what_they_could_not_give_themselves() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = Some([Permission::UserManage].into_iter().collect());
        let hr = world.enter(&world.key_with(NewKey { scopes, ..new_key(&world.acme.admin.id) }));
        let eve = world.user("eve", []);
        let new = |roles: Roles| NewGroup {
            display_name: "Mine".parse().unwrap(),
            external_id: None,
            roles,
            members: vec![eve.id.clone()],
        };
        let created = identity::create_group(&tester.db, &hr, new([Role::Admin].into()), &tester.moment());
        let beyond = |refused: &GroupRefused| matches!(refused, GroupRefused::Roles(RolesRefused::Beyond(_)));
        assert!(matches!(created, Err(CreateGroupError::Refused(r)) if beyond(&r)));

        let admins = world.group("Admins", [Role::Admin], &[]).group;
        let everyone = world.group("Everyone", [], &[]).group;
        let update = |id, change| {
            identity::update_group(&tester.db, &tester.again(&hr), id, change, &tester.moment()).map(|_| ())
        };
        let joined = update(&admins.id, replace(1, &[&eve.id]));
        assert!(matches!(joined, Err(UpdateGroupError::Refused(r)) if beyond(&r)));
        let renamed = GroupChange { display_name: Some("All".parse().unwrap()), ..change(1) };
        let renamed = update(&admins.id, renamed);
        assert!(matches!(renamed, Err(UpdateGroupError::Refused(r)) if beyond(&r)));
        let raised = update(&everyone.id, GroupChange { roles: Some([Role::Admin].into()), ..change(1) });
        assert!(matches!(raised, Err(UpdateGroupError::Refused(r)) if beyond(&r)));
        assert!(update(&everyone.id, replace(1, &[&eve.id])).is_ok());
        let known_as =
            |id, name: &str| update(id, GroupChange { external_id: Edit::Set(name.parse().unwrap()), ..change(1) });
        assert!(matches!(known_as(&admins.id, "a1"), Err(UpdateGroupError::Refused(r)) if beyond(&r)));
        let others = world.group("Others", [], &[]).group;
        assert!(known_as(&others.id, "a1").is_ok());
        let platform = update(&everyone.id, GroupChange { roles: Some([Role::PlatformAdmin].into()), ..change(2) });
        let refused = |r: &GroupRefused| matches!(r, GroupRefused::Roles(RolesRefused::Platform(_)));
        assert!(matches!(platform, Err(UpdateGroupError::Refused(r)) if refused(&r)));
        assert_eq!(world.now(&eve.id).roles, Roles::default());
    });
}

#[test]
fn the_last_administrator_stays_whichever_way_they_are_to_go() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let bob = &world.acme.admin;
        let admins = world.group("Admins", [Role::Admin], &[&bob.id]).group;
        let update_user = |change: UserChange| {
            let change = UserChange { expected_revision: world.now(&bob.id).revision, ..change };
            identity::update_user(&tester.db, &tester.again(&world.bob), &bob.id, change, &tester.moment())
        };
        // From here on bob is an administrator by the group alone.
        update_user(UserChange { roles: Some(Roles::default()), ..UserChange::default() }).unwrap();
        let before = world.now(&bob.id);
        assert_eq!((&before.own_roles, &before.roles), (&Roles::default(), &[Role::Admin].into()));

        let (db, caller, at) = (&tester.db, || tester.again(&world.bob), &tester.moment());
        let last = |refused: &GroupRefused| matches!(refused, GroupRefused::LastAdmin(_));
        let emptied = identity::update_group(db, &caller(), &admins.id, replace(1, &[]), at);
        assert!(matches!(emptied, Err(UpdateGroupError::Refused(r)) if last(&r)));
        let weakened = GroupChange { roles: Some([Role::Viewer].into()), ..change(1) };
        let weakened = identity::update_group(db, &caller(), &admins.id, weakened, at);
        assert!(matches!(weakened, Err(UpdateGroupError::Refused(r)) if last(&r)));
        let deleted = identity::delete_group(db, &caller(), &admins.id, 1, at);
        assert!(matches!(deleted, Err(UpdateGroupError::Refused(r)) if last(&r)));
        let leave = StatusChange::Deactivate(Leavers::new());
        let left = update_user(UserChange { status: Some(leave), ..UserChange::default() });
        assert!(matches!(left, Err(UpdateUserError::LastAdmin(_))));
        assert_eq!(world.now(&bob.id), before, "nothing of it was kept");
        assert_eq!(identity::group(db, &world.bob, &admins.id).unwrap().members, std::slice::from_ref(&bob.id));

        let carol = world.user("carol", []);
        identity::update_group(db, &caller(), &admins.id, replace(1, &[&carol.id]), at).unwrap();
        assert_eq!(world.now_as(&world.enter(&world.key_of(&world.bob, &carol.id)), &bob.id).roles, Roles::default());
    });
}

#[test]
fn a_group_has_a_name_of_its_own_and_members_of_its_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let group = world.group("Engineers", [], &[]).group;
        let (globex, hank) = world.globex();
        let new = |name: &str, members: Vec<UserId>| NewGroup {
            display_name: name.parse().unwrap(),
            external_id: None,
            roles: Roles::default(),
            members,
        };
        let create = |new| identity::create_group(&tester.db, &tester.again(&world.bob), new, &tester.moment());
        let taken = create(new("Engineers", Vec::new()));
        assert!(matches!(taken, Err(CreateGroupError::Refused(GroupRefused::NameTaken(_)))));
        let foreign = create(new("Others", vec![globex.admin.id.clone()]));
        assert!(matches!(foreign, Err(CreateGroupError::Refused(GroupRefused::UnknownMember(_)))));
        create(new("Others", Vec::new())).unwrap();

        let update =
            |change| identity::update_group(&tester.db, &tester.again(&world.bob), &group.id, change, &tester.moment());
        let taken = update(GroupChange { display_name: Some("Others".parse().unwrap()), ..change(1) });
        assert!(matches!(taken, Err(UpdateGroupError::Refused(GroupRefused::NameTaken(_)))));
        let foreign = update(replace(1, &[&globex.admin.id]));
        assert!(matches!(foreign, Err(UpdateGroupError::Refused(GroupRefused::UnknownMember(_)))));
        assert!(update(change(1)).is_ok());
        assert!(matches!(update(change(1)), Err(UpdateGroupError::Stale(2))));

        let (db, at) = (&tester.db, &tester.moment());
        assert!(matches!(identity::group(db, &hank, &group.id), Err(GroupError::NotFound(_))));
        let updated = identity::update_group(db, &hank, &group.id, change(2), at);
        assert!(matches!(updated, Err(UpdateGroupError::NotFound(_))));
        let deleted = identity::delete_group(db, &hank, &group.id, 2, at);
        assert!(matches!(deleted, Err(UpdateGroupError::NotFound(_))));
    });
}

#[test]
fn everybody_sees_their_own_groups_and_only_who_manages_users_those_of_others() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let vera = world.caller("vera", Role::Viewer);
        let id: UserId = vera.actor().id.parse().unwrap();
        let group = world.group("Engineers", [], &[&id]).group;
        assert_eq!(identity::groups_of(&tester.db, &vera, &id).unwrap(), std::slice::from_ref(&group));
        assert_eq!(identity::groups_of(&tester.db, &world.bob, &id).unwrap(), std::slice::from_ref(&group));
        let others = identity::groups_of(&tester.db, &vera, &world.acme.admin.id);
        assert!(matches!(others, Err(UserError::Forbidden(_))));
        assert!(matches!(identity::group(&tester.db, &vera, &group.id), Err(GroupError::Forbidden(_))));
        let (_, hank) = world.globex();
        assert!(matches!(identity::groups_of(&tester.db, &hank, &id), Err(UserError::NotFound(_))));
    });
}
