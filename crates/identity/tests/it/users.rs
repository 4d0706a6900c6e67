//! Users.

use authz::{Permission, Role, Roles};
use identity::{
    CreateUserError, EmailChange, NewKey, NewUser, Refusal, RolesRefused, UpdateUserError, User, UserChange, UserError,
    UserKind, UserStatus,
};
use kernel::PageSize;

use crate::world::{World, new_key, new_user};

fn change(user: &User) -> UserChange {
    UserChange { expected_revision: user.revision, roles: None, email: EmailChange::Keep, status: None }
}

fn deactivate(user: &User) -> UserChange {
    UserChange { status: Some(UserStatus::Deactivated), ..change(user) }
}

fn give(user: &User, roles: impl Into<Roles>) -> UserChange {
    UserChange { roles: Some(roles.into()), ..change(user) }
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
            let listed = identity::users(&tester.db, &caller, None, PageSize::default());
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
        let listed = identity::keys(db, &hank, Some(&alice.id), None, PageSize::default()).unwrap();
        assert!(listed.items.is_empty());
        let listed = identity::users(db, &hank, None, PageSize::default()).unwrap();
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

        let back = UserChange { status: Some(UserStatus::Active), ..change(&gone) };
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
            update(&world.bob, &carol, UserChange { status: Some(UserStatus::Active), ..change(&carol) }).unwrap();
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
        let moved = UserChange { email: EmailChange::Set("o@example.com".parse().unwrap()), ..change(&user) };
        let first = update(moved).unwrap();
        assert_eq!((first.revision, first.email.as_ref().unwrap().as_str()), (2, "o@example.com"));
        assert!(matches!(update(give(&user, [])), Err(UpdateUserError::Stale(2))));
        let removed = update(UserChange { email: EmailChange::Remove, ..change(&first) }).unwrap();
        assert_eq!(removed, User { email: None, revision: 3, ..user.clone() });
        assert_eq!(identity::user(&tester.db, &world.bob, &user.id).unwrap(), removed);
    });
}

#[test]
fn users_come_in_pages_the_oldest_first() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for name in ["carol", "alice", "dave"] {
            tester.clock.advance_micros(1_000);
            world.user(name, []);
        }
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let page = identity::users(&tester.db, &world.bob, next.as_ref(), PageSize::new(3).unwrap()).unwrap();
            names.extend(page.items.iter().map(|user| user.username.to_string()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(names, ["bob", "carol", "alice", "dave"]);
    });
}
