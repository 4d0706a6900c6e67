//! Keys.

use authz::{Permission, Permissions, Role};
use identity::{CreateKeyError, KeyError, ListError, NewKey, Refusal, RevokeKeyError, UserChange};
use kernel::{AgentId, PageSize, UserId};

use crate::world::{World, new_key};

fn only(permission: Permission) -> Permissions {
    Permissions::NONE.with(permission)
}

fn own(caller: &authz::Caller) -> UserId {
    caller.actor().id.parse().unwrap()
}

#[test]
fn everybody_makes_sees_and_revokes_their_own_keys() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for role in Role::TENANT {
            let caller = world.caller(role.as_str(), role);
            let new = new_key(&own(&caller));
            let issued = identity::create_key(&tester.db, &caller, new, &tester.moment()).unwrap();
            assert_eq!(world.enter(&issued).permissions(), caller.permissions());
            assert_eq!(identity::key(&tester.db, &caller, &issued.key.id).unwrap(), issued.key);
            let mine = identity::keys(&tester.db, &caller, Some(&own(&caller)), None, PageSize::default()).unwrap();
            assert_eq!(mine.items.len(), 2, "{role}");
            let caller = tester.again(&caller);
            identity::revoke_key(&tester.db, &caller, &issued.key.id, &tester.moment()).unwrap();
            assert_eq!(world.refusal(issued.secret.expose()), Refusal::Revoked);
        }
    });
}

#[test]
fn the_keys_of_others_are_hidden_without_key_manage() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (vera, bobs) = (world.caller("vera", Role::Viewer), &world.acme.key.key);
        let (db, at, bob) = (&tester.db, &tester.moment(), &world.acme.admin.id);
        assert!(matches!(identity::key(db, &vera, &bobs.id), Err(KeyError::NotFound(_))));
        assert!(matches!(identity::revoke_key(db, &vera, &bobs.id, at), Err(RevokeKeyError::NotFound(_))));
        let created = identity::create_key(db, &vera, new_key(bob), at);
        assert!(matches!(created, Err(CreateKeyError::Forbidden(_))));
        for whose in [Some(bob), None] {
            let listed = identity::keys(db, &vera, whose, None, PageSize::default());
            assert!(matches!(listed, Err(ListError::Forbidden(_))));
        }
        let all = identity::keys(db, &world.bob, None, None, PageSize::default()).unwrap();
        assert_eq!(all.items.len(), 2);
        let one = PageSize::new(1).unwrap();
        let first = identity::keys(db, &world.bob, None, None, one).unwrap();
        let second = identity::keys(db, &world.bob, None, first.next.as_ref(), one).unwrap();
        assert_eq!([first.items, second.items].concat(), all.items);
    });
}

#[test]
fn scopes_narrow_a_key_and_follow_its_owners_roles() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let scopes = [Permission::AgentRead, Permission::AgentExecute, Permission::AuditRead].into_iter().collect();
        let key = world.key_with(NewKey { scopes: Some(scopes), ..new_key(&user.id) });
        let may = |permissions: Permissions| permissions.iter().map(Permission::as_str).collect::<Vec<_>>();
        assert_eq!(may(world.enter(&key).permissions()), ["agent:read", "agent:execute"]);

        let roles = Some([Role::Viewer].into());
        let change = UserChange { expected_revision: 1, roles, email: identity::EmailChange::Keep, status: None };
        identity::update_user(&tester.db, &world.bob, &user.id, change, &tester.moment()).unwrap();
        assert_eq!(may(world.enter(&key).permissions()), ["agent:read"]);
    });
}

#[test]
fn nobody_makes_a_key_that_may_do_more_than_they() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = [Permission::KeyManage, Permission::AgentRead].into_iter().collect();
        let new = NewKey { scopes: Some(scopes), ..new_key(&world.acme.admin.id) };
        let narrowed = world.enter(&world.key_with(new));
        let create = |scopes| {
            let new = NewKey { scopes, ..new_key(&world.acme.admin.id) };
            identity::create_key(&tester.db, &tester.again(&narrowed), new, &tester.moment())
        };
        assert!(matches!(create(None), Err(CreateKeyError::Beyond(_))));
        assert!(matches!(create(Some(only(Permission::AuditRead))), Err(CreateKeyError::Beyond(_))));
        assert!(create(Some(only(Permission::AgentRead))).is_ok());
    });
}

#[test]
fn a_narrowed_key_without_key_manage_makes_no_keys_and_sees_none() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let key = world.key_with(NewKey { scopes: Some(only(Permission::AgentExecute)), ..new_key(&user.id) });
        let agent = world.enter(&key);
        let new = NewKey { scopes: Some(only(Permission::AgentExecute)), ..new_key(&user.id) };
        let created = identity::create_key(&tester.db, &agent, new, &tester.moment());
        assert!(matches!(created, Err(CreateKeyError::Forbidden(_))));
        assert!(matches!(identity::key(&tester.db, &agent, &key.key.id), Err(KeyError::NotFound(_))));
        let listed = identity::keys(&tester.db, &agent, Some(&user.id), None, PageSize::default());
        assert!(matches!(listed, Err(ListError::Forbidden(_))));
    });
}

#[test]
fn a_key_ends_after_ninety_days_or_when_its_maker_said() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let now = tester.moment().now();
        let usual = world.key(&user.id);
        assert_eq!(usual.key.expires_at, now.plus_seconds(90 * 86_400));
        let short = world.key_with(NewKey { expires_at: Some(now.plus_seconds(60)), ..new_key(&user.id) });
        for past in [now, now.plus_seconds(-1)] {
            let new = NewKey { expires_at: Some(past), ..new_key(&user.id) };
            let created = identity::create_key(&tester.db, &tester.again(&world.bob), new, &tester.moment());
            assert!(matches!(created, Err(CreateKeyError::Expired(at)) if at == past));
        }
        tester.clock.advance_micros(59_999_999);
        assert!(world.present(short.secret.expose()).is_ok());
        tester.clock.advance_micros(1);
        assert_eq!(world.refusal(short.secret.expose()), Refusal::Expired);
        assert!(world.present(usual.secret.expose()).is_ok());
    });
}

#[test]
fn a_key_is_revoked_once() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let key = world.key(&user.id);
        let revoke = || identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment());
        let since = tester.moment().now();
        assert_eq!(revoke().unwrap().revoked_at, Some(since));
        tester.clock.advance_micros(5);
        assert!(matches!(revoke(), Err(RevokeKeyError::AlreadyRevoked(at)) if at == since));
    });
}

#[test]
fn a_key_may_be_for_one_agent() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let agent: AgentId = tester.moment().id();
        let user = world.user("olivia", [Role::Operator]);
        let key = world.key_with(NewKey { agent: Some(agent.clone()), ..new_key(&user.id) });
        assert_eq!(world.present(key.secret.expose()).unwrap().agent, Some(agent));
        assert_eq!(world.present(world.key(&user.id).secret.expose()).unwrap().agent, None);
    });
}

#[test]
fn the_servers_own_machine_makes_keys_without_credentials_and_says_so() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let acme = &world.acme.tenant.id;
        let issue = |tenant: &kernel::TenantId, name: &str| {
            identity::issue_local_key(&tester.db, tenant, &name.parse().unwrap(), None, &tester.moment())
        };
        let caller = world.enter(&issue(acme, "bob").unwrap());
        assert_eq!(caller.roles(), world.bob.roles());
        let platform = world.enter(&issue(&kernel::TenantId::system(), "platform").unwrap());
        assert_eq!(platform.roles(), &[Role::PlatformAdmin].into());
        let nobody = issue(acme, "nobody").unwrap_err();
        assert_eq!(nobody.to_string(), "no user `nobody` in the tenant `acme-corp`");
        let nowhere = issue(&"nowhere".parse().unwrap(), "bob").unwrap_err();
        assert_eq!(nowhere.to_string(), "no user `bob` in the tenant `nowhere`");
    });
}
