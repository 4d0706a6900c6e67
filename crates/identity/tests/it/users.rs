//! Users.

use authz::{Permission, Role, Roles};
use identity::{
    AttributesRefused, CreateUserError, Edit, FirstRoles, Leavers, NewKey, NewUser, Refusal, Removal, RolesRefused,
    Settings, StatusChange, TenantChange, UpdateTenantError, UpdateUserError, User, UserAttributes, UserChange,
    UserError, UserFilter, UserKind, UserStatus,
};
use kernel::PageSize;

use crate::world::{World, new_key, new_user};

fn change(user: &User) -> UserChange {
    UserChange { expected_revision: user.revision, ..UserChange::default() }
}

fn deactivate(user: &User) -> UserChange {
    UserChange { status: Some(StatusChange::Deactivate(Leavers::new())), ..change(user) }
}

fn give(user: &User, roles: impl Into<Roles>) -> UserChange {
    UserChange { roles: Some(roles.into()), ..change(user) }
}

fn of(user: &kernel::UserId) -> identity::KeyFilter {
    identity::KeyFilter { user: Some(user.clone()), ..identity::KeyFilter::default() }
}

#[test]
fn a_username_is_taken_once_in_a_tenant_and_free_in_every_other() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let create =
            |caller: &authz::Caller| identity::create_user(&tester.db, caller, new_user("alice", []), &tester.moment());
        let alice = create(&world.bob).unwrap();
        assert_eq!(alice.email.unwrap().as_str(), "alice@example.com");
        assert!(matches!(create(&tester.again(&world.bob)), Err(CreateUserError::UsernameTaken(_))));
        let (_, hank) = world.globex();
        assert!(create(&hank).is_ok());
    });
}

#[test]
fn a_user_without_roles_may_do_nothing() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("nobody", []);
        let caller = world.enter(&world.key(&user.id));
        assert_eq!(caller.permissions().iter().count(), 0);
    });
}

#[test]
fn a_service_account_acts_as_one() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let new = NewUser { kind: UserKind::Service, email: None, ..new_user("ci-bot", [Role::Operator]) };
        let bot = identity::create_user(&tester.db, &world.bob, new, &tester.moment()).unwrap();
        let caller = world.enter(&world.key(&bot.id));
        assert_eq!(caller.actor().kind, authz::ActorKind::Service);
    });
}

#[test]
fn only_an_admin_manages_users_and_everybody_sees_themselves() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for role in [Role::AgentDesigner, Role::Operator, Role::Viewer, Role::Auditor] {
            let caller = world.caller(role.as_str(), role);
            let created = identity::create_user(&tester.db, &caller, new_user("eve", []), &tester.moment());
            assert!(matches!(created, Err(CreateUserError::Forbidden(_))), "{role}");
            let other = identity::user(&tester.db, &caller, &world.acme.admin.id);
            assert!(matches!(other, Err(UserError::Forbidden(_))), "{role}");
            let listed = identity::users(&tester.db, &caller, &UserFilter::default(), None, PageSize::default());
            assert!(listed.is_err(), "{role}");
            let own = identity::user(&tester.db, &caller, &caller.actor().id.parse().unwrap()).unwrap();
            assert_eq!(own.username.as_str(), role.as_str());
            let raise =
                identity::update_user(&tester.db, &caller, &own.id, give(&own, [Role::Admin]), &tester.moment());
            assert!(matches!(raise, Err(UpdateUserError::Forbidden(_))), "{role}");
        }
    });
}

#[test]
fn users_of_another_tenant_are_not_found_by_any_door() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let alice = world.user("alice", [Role::Operator]);
        let key = world.key(&alice.id);
        let (_, hank) = world.globex();
        let (db, at) = (&tester.db, &tester.moment());
        assert!(matches!(identity::user(db, &hank, &alice.id), Err(UserError::NotFound(_))));
        let updated = identity::update_user(db, &hank, &alice.id, deactivate(&alice), at);
        assert!(matches!(updated, Err(UpdateUserError::NotFound(_))));
        let created = identity::create_key(db, &hank, new_key(&alice.id), at);
        assert!(matches!(created, Err(identity::CreateKeyError::UserNotFound(_))));
        assert!(matches!(identity::key(db, &hank, &key.key.id), Err(identity::KeyError::NotFound(_))));
        let revoked = identity::revoke_key(db, &hank, &key.key.id, at);
        assert!(matches!(revoked, Err(identity::RevokeKeyError::NotFound(_))));
        let listed = identity::keys(db, &hank, &of(&alice.id), None, PageSize::default()).unwrap();
        assert!(listed.items.is_empty());
        let listed = identity::users(db, &hank, &UserFilter::default(), None, PageSize::default()).unwrap();
        assert!(listed.items.iter().all(|user| user.id != alice.id));
        assert!(world.present(key.secret.expose()).is_ok());
    });
}

#[test]
fn nobody_makes_a_platform_administrator_in_a_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let new = new_user("eve", [Role::PlatformAdmin]);
        let created = identity::create_user(&tester.db, &world.bob, new, &tester.moment());
        assert!(matches!(created, Err(CreateUserError::Roles(RolesRefused::Platform(_)))));
        let admin = &world.acme.admin;
        let both = give(admin, [Role::Admin, Role::PlatformAdmin]);
        let updated = identity::update_user(&tester.db, &world.bob, &admin.id, both, &tester.moment());
        assert!(matches!(updated, Err(UpdateUserError::Roles(RolesRefused::Platform(_)))));
    });
}

#[test]
fn a_platform_role_in_a_tenants_row_counts_for_nothing() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let eve = world.user("eve", [Role::Viewer]);
        let key = world.key(&eve.id);
        tester
            .raw("acme-corp", &format!("UPDATE users SET roles = 'viewer,platform_admin' WHERE user_id = '{}'", eve.id))
            .unwrap();
        world.directory.refresh(&tester.db, &world.acme.tenant.id).unwrap();
        let caller = world.enter(&key);
        assert_eq!(caller.roles(), &[Role::Viewer].into());
        assert!(!caller.permissions().contains(Permission::TenantManage));
    });
}

#[test]
fn a_narrowed_key_of_an_admin_gives_no_role_beyond_itself() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = [Permission::UserManage, Permission::KeyManage, Permission::AgentRead].into_iter().collect();
        let key = world.key_with(NewKey { scopes: Some(scopes), ..new_key(&world.acme.admin.id) });
        let narrowed = world.enter(&key);
        let created = identity::create_user(&tester.db, &narrowed, new_user("eve", [Role::Admin]), &tester.moment());
        assert!(matches!(created, Err(CreateUserError::Roles(RolesRefused::Beyond(_)))));
        let nobody = identity::create_user(&tester.db, &narrowed, new_user("nobody", []), &tester.moment()).unwrap();
        let raised = identity::update_user(
            &tester.db,
            &tester.again(&narrowed),
            &nobody.id,
            give(&nobody, [Role::Operator]),
            &tester.moment(),
        );
        assert!(matches!(raised, Err(UpdateUserError::Roles(RolesRefused::Beyond(_)))));
    });
}

#[test]
fn a_deactivated_user_loses_every_key_for_good() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let (first, second) = (world.key(&olivia.id), world.key(&olivia.id));
        world.enter(&first);
        let gone =
            identity::update_user(&tester.db, &world.bob, &olivia.id, deactivate(&olivia), &tester.moment()).unwrap();
        assert_eq!(world.refusal(first.secret.expose()), Refusal::Deactivated);
        assert_eq!(world.refusal(second.secret.expose()), Refusal::Deactivated);
        let bob = tester.again(&world.bob);
        let created = identity::create_key(&tester.db, &bob, new_key(&olivia.id), &tester.moment());
        assert!(matches!(created, Err(identity::CreateKeyError::Deactivated(_))));

        let back = UserChange { status: Some(StatusChange::Activate), ..change(&gone) };
        identity::update_user(&tester.db, &tester.again(&world.bob), &olivia.id, back, &tester.moment()).unwrap();
        assert_eq!(world.refusal(first.secret.expose()), Refusal::Revoked);
        assert!(world.present(world.key(&olivia.id).secret.expose()).is_ok());
    });
}

#[test]
fn the_last_active_administrator_stays() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let bob = &world.acme.admin;
        let update = |caller: &authz::Caller, user: &User, change| {
            identity::update_user(&tester.db, &tester.again(caller), &user.id, change, &tester.moment())
        };
        assert!(matches!(update(&world.bob, bob, deactivate(bob)), Err(UpdateUserError::LastAdmin(_))));
        let demote = update(&world.bob, bob, give(bob, [Role::Viewer]));
        assert!(matches!(demote, Err(UpdateUserError::LastAdmin(_))));

        let carol = world.user("carol", [Role::Admin, Role::Viewer]);
        let carol = update(&world.bob, &carol, deactivate(&carol)).unwrap();
        assert!(matches!(update(&world.bob, bob, deactivate(bob)), Err(UpdateUserError::LastAdmin(_))));
        let carol =
            update(&world.bob, &carol, UserChange { status: Some(StatusChange::Activate), ..change(&carol) }).unwrap();
        update(&world.bob, bob, give(bob, [Role::Viewer])).unwrap();
        let caller = world.enter(&world.key(&carol.id));
        assert!(matches!(update(&caller, &carol, deactivate(&carol)), Err(UpdateUserError::LastAdmin(_))));
    });
}

#[test]
fn an_administrator_of_another_tenant_does_not_count() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        world.globex();
        let bob = &world.acme.admin;
        let gone = identity::update_user(&tester.db, &world.bob, &bob.id, deactivate(bob), &tester.moment());
        assert!(matches!(gone, Err(UpdateUserError::LastAdmin(_))));
    });
}

#[test]
fn two_changes_of_one_revision_do_not_both_happen() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let update =
            |change| identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment());
        let moved = UserChange { email: Edit::Set("o@example.com".parse().unwrap()), ..change(&user) };
        let first = update(moved).unwrap();
        assert_eq!((first.revision, first.email.as_ref().unwrap().as_str()), (2, "o@example.com"));
        assert!(matches!(update(give(&user, [])), Err(UpdateUserError::Stale(2))));
        let removed = update(UserChange { email: Edit::Remove, ..change(&first) }).unwrap();
        assert_eq!(removed, User { email: None, revision: 3, updated_at: tester.moment().now(), ..user.clone() });
        assert_eq!(identity::user(&tester.db, &world.bob, &user.id).unwrap(), removed);
    });
}

#[test]
fn a_user_created_without_roles_gets_the_default_of_the_tenant_or_else_of_the_profile() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let create = |name, roles| {
            let new = NewUser { roles, ..new_user(name, []) };
            identity::create_user(&tester.db, &tester.again(&world.bob), new, &tester.moment())
        };
        let profile = || FirstRoles::Default(Some(Role::Viewer.into()));
        assert_eq!(create("given", FirstRoles::Given(Roles::default())).unwrap().roles, Roles::default());
        assert_eq!(create("none", FirstRoles::Default(None)).unwrap().roles, Roles::default());
        assert_eq!(create("profile", profile()).unwrap().roles, [Role::Viewer].into());
        let set = |revision, role: &str| {
            let settings = Some(Settings { default_role: Some(role.parse().unwrap()), ..Settings::default() });
            let change = TenantChange { expected_revision: revision, settings, ..TenantChange::default() };
            let platform = tester.again(&world.platform);
            identity::update_tenant(&tester.db, &platform, &world.acme.tenant.id, change)
        };
        set(1, "operator").unwrap();
        assert_eq!(create("tenant", profile()).unwrap().roles, [Role::Operator].into());
        let refused = set(2, "no-such-role");
        assert!(matches!(refused, Err(UpdateTenantError::DefaultRole(_))), "{refused:?}");
    });
}

#[test]
fn a_user_is_renamed_and_described() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        world.user("carol", []);
        let update =
            |change| identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment());
        let taken = UserChange { username: Some("carol".parse().unwrap()), ..change(&user) };
        assert!(matches!(update(taken), Err(UpdateUserError::UsernameTaken(_))));
        let attributes = UserAttributes::from_json(&serde_json::json!({"clearance": "high"})).unwrap();
        let described = UserChange {
            username: Some("olivia.new".parse().unwrap()),
            display_name: Edit::Set("Olivia".parse().unwrap()),
            external_id: Edit::Set("00u1".parse().unwrap()),
            attributes: Some(attributes.clone()),
            ..change(&user)
        };
        let after = update(described).unwrap();
        assert_eq!(world.now(&user.id), after);
        assert_eq!((after.username.as_str(), &after.attributes, after.roles), ("olivia.new", &attributes, user.roles));
        assert_eq!(after.display_name.unwrap().as_str(), "Olivia");
        assert_eq!(after.external_id.unwrap().as_str(), "00u1");
    });
}

#[test]
fn attributes_are_set_by_those_who_may_change_what_policies_make_of_them() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = Some([Permission::UserManage].into_iter().collect());
        let hr = world.enter(&world.key_with(NewKey { scopes, ..new_key(&world.acme.admin.id) }));
        let attributes = UserAttributes::from_json(&serde_json::json!({"clearance": "high"})).unwrap();
        let new = NewUser { attributes: attributes.clone(), ..new_user("eve", []) };
        let created = identity::create_user(&tester.db, &hr, new, &tester.moment());
        assert!(matches!(created, Err(CreateUserError::Attributes(AttributesRefused))));
        let eve = world.user("eve", []);
        let raise = UserChange { attributes: Some(attributes), ..change(&eve) };
        let raised = identity::update_user(&tester.db, &hr, &eve.id, raise.clone(), &tester.moment());
        assert!(matches!(raised, Err(UpdateUserError::Attributes(AttributesRefused))));
        let raised = identity::update_user(&tester.db, &world.bob, &eve.id, raise, &tester.moment()).unwrap();
        let rename = UserChange { display_name: Edit::Set("Eve".parse().unwrap()), ..change(&raised) };
        let renamed = identity::update_user(&tester.db, &tester.again(&hr), &eve.id, rename, &tester.moment());
        assert_eq!(renamed.unwrap().attributes, raised.attributes);
    });
}

#[test]
fn whoever_leaves_leaves_nothing_open() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        world.key(&olivia.id);
        let leave = |leavers| UserChange { status: Some(StatusChange::Deactivate(leavers)), ..change(&olivia) };
        let update =
            |change| identity::update_user(&tester.db, &tester.again(&world.bob), &olivia.id, change, &tester.moment());
        let failing = Leavers::new().with("approvals", |_, _, _| Err(store::StoreError::Decode("anything")));
        assert!(matches!(update(leave(failing)), Err(UpdateUserError::Database(_))));
        assert_eq!(world.now(&olivia.id), olivia, "if one of them fails, nothing of it has happened");

        let gone = update(leave(Leavers::new().with("approvals", |_, _, _| Ok(3)))).unwrap();
        assert_eq!((gone.status, gone.epoch), (UserStatus::Deactivated, 2));
        let again = UserChange { status: Some(StatusChange::Deactivate(Leavers::new())), ..change(&gone) };
        assert_eq!(update(again).unwrap().epoch, 2);
        let back = UserChange { status: Some(StatusChange::Activate), ..change(&world.now(&olivia.id)) };
        assert_eq!(update(back).unwrap().epoch, 2);
    });
}

#[test]
fn whoever_comes_back_is_given_all_that_they_had_by_somebody_who_may_give_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = Some([Permission::UserManage].into_iter().collect());
        let hr = world.enter(&world.key_with(NewKey { scopes, ..new_key(&world.acme.admin.id) }));
        let update = |caller: &authz::Caller, user: &User, change| {
            identity::update_user(&tester.db, &tester.again(caller), &user.id, change, &tester.moment())
        };
        let carol = world.user("carol", [Role::Admin]);
        let carol = update(&hr, &carol, deactivate(&carol)).unwrap();
        let back = || UserChange { status: Some(StatusChange::Activate), ..change(&carol) };
        let refused = update(&hr, &carol, back());
        assert!(matches!(refused, Err(UpdateUserError::Roles(RolesRefused::Beyond(_)))));
        update(&world.bob, &carol, back()).unwrap();
    });
}

#[test]
fn whoever_was_removed_stays_so_and_nobody_else_looks_removed() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let update = |user: &User, change| {
            identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment())
        };
        let carol = world.user("carol", []);
        let hidden = UserChange { username: Some(carol.id.as_str().parse().unwrap()), ..change(&carol) };
        assert!(matches!(update(&carol, hidden), Err(UpdateUserError::UsernameTaken(_))));
        let removal = Removal { expected_revision: 1, leavers: Leavers::new() };
        identity::remove_person(&tester.db, &tester.again(&world.bob), &carol.id, &removal, &tester.moment()).unwrap();
        let gone = world.now(&carol.id);
        let back = UserChange { status: Some(StatusChange::Activate), ..change(&gone) };
        assert!(matches!(update(&gone, back), Err(UpdateUserError::NotFound(_))));
    });
}
