//! Tenants.

use authz::Role;
use identity::{
    CreateTenantError, ListError, Refusal, Settings, TenantChange, TenantError, TenantStatus, UpdateTenantError,
};
use kernel::{PageSize, TenantId};

use crate::world::{World, new_tenant};

fn change(status: Option<TenantStatus>) -> TenantChange {
    TenantChange { expected_revision: 1, name: None, settings: None, status }
}

#[test]
fn the_first_start_makes_one_platform_administrator_and_never_another() {
    testkit::on_both_engines(|tester| {
        let issued = identity::bootstrap(&tester.db, &tester.moment()).unwrap().unwrap();
        assert!(issued.secret.expose().ends_with(&issued.key.last4));
        assert!(identity::bootstrap(&tester.db, &tester.moment()).unwrap().is_none());
        assert!(identity::bootstrap(&tester.second_node(), &tester.moment()).unwrap().is_none());
    });
}

#[test]
fn a_new_tenant_comes_with_an_administrator_who_can_let_others_in() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        assert_eq!(world.bob.tenant(), &world.acme.tenant.id);
        assert_eq!(world.bob.roles(), &[Role::Admin].into());
        let alice = world.caller("alice", Role::AgentDesigner);
        assert_eq!(alice.tenant(), &world.acme.tenant.id);
    });
}

#[test]
fn a_tenant_is_created_once_and_by_the_platform_alone() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let create =
            |caller: &authz::Caller, id| identity::create_tenant(&tester.db, caller, new_tenant(id), &tester.moment());
        let platform = tester.again(&world.platform);
        assert!(matches!(create(&platform, "acme-corp"), Err(CreateTenantError::AlreadyExists(_))));
        assert!(matches!(create(&platform, "_system"), Err(CreateTenantError::AlreadyExists(_))));
        assert!(matches!(create(&world.bob, "mine"), Err(CreateTenantError::Forbidden(_))));
        assert!(create(&platform, "globex").is_ok());
    });
}

#[test]
fn the_platform_sees_which_tenants_exist_and_a_tenant_sees_itself() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, hank) = world.globex();
        let one = PageSize::new(1).unwrap();
        let first = identity::tenants(&tester.db, &world.platform, None, one).unwrap();
        assert_eq!(first.items, std::slice::from_ref(&world.acme.tenant));
        let second = identity::tenants(&tester.db, &world.platform, first.next.as_ref(), one).unwrap();
        assert_eq!((second.items, second.next), (vec![globex.tenant.clone()], None));
        let refused = identity::tenants(&tester.db, &world.bob, None, one);
        assert!(matches!(refused, Err(ListError::Forbidden(_))));

        assert_eq!(identity::tenant(&tester.db, &hank, &globex.tenant.id).unwrap(), globex.tenant);
        assert_eq!(identity::tenant(&tester.db, &world.platform, &globex.tenant.id).unwrap(), globex.tenant);
        let foreign = identity::tenant(&tester.db, &hank, &world.acme.tenant.id);
        assert!(matches!(foreign, Err(TenantError::Forbidden(_))));
        let nowhere: TenantId = "nowhere".parse().unwrap();
        assert!(matches!(identity::tenant(&tester.db, &world.platform, &nowhere), Err(TenantError::NotFound(_))));
    });
}

#[test]
fn the_platform_administrator_sees_nothing_inside_a_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let everyone = identity::users(&tester.db, &world.platform, None, PageSize::default());
        assert!(matches!(everyone, Err(ListError::Forbidden(_))));
        let bob = identity::user(&tester.db, &world.platform, &world.acme.admin.id);
        assert!(matches!(bob, Err(identity::UserError::Forbidden(_))));
    });
}

#[test]
fn a_suspended_tenant_is_refused_until_it_is_active_again() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let id = &world.acme.tenant.id;
        let key = world.acme.key.secret.expose();
        let suspend = change(Some(TenantStatus::Suspended));
        let suspended = identity::update_tenant(&tester.db, &world.platform, id, suspend.clone()).unwrap();
        assert_eq!(suspended.revision, 2);
        assert_eq!(world.refusal(key), Refusal::Suspended);
        assert_eq!(world.present(key).unwrap_err().to_string(), "the API key is not valid");

        let platform = tester.again(&world.platform);
        let stale = identity::update_tenant(&tester.db, &platform, id, suspend);
        assert!(matches!(stale, Err(UpdateTenantError::Stale(2))));
        let resume = TenantChange { expected_revision: 2, ..change(Some(TenantStatus::Active)) };
        identity::update_tenant(&tester.db, &platform, id, resume).unwrap();
        assert!(world.present(key).is_ok());
    });
}

#[test]
fn the_reserved_tenant_cannot_be_suspended_and_an_admin_changes_no_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let suspend = |caller, id: &TenantId| {
            identity::update_tenant(&tester.db, caller, id, change(Some(TenantStatus::Suspended)))
        };
        let system = suspend(&world.platform, &TenantId::system());
        assert!(matches!(system, Err(UpdateTenantError::NotFound(_))));
        let nowhere = suspend(&world.platform, &"nowhere".parse().unwrap());
        assert!(matches!(nowhere, Err(UpdateTenantError::NotFound(_))));
        let own = suspend(&world.bob, &world.acme.tenant.id);
        assert!(matches!(own, Err(UpdateTenantError::Forbidden(_))));
    });
}

#[test]
fn settings_bind_from_the_moment_they_change() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let id = &world.acme.tenant.id;
        assert_eq!(*world.directory.tenant_settings(id).unwrap(), Settings::default());
        assert!(world.directory.tenant_settings(&"nowhere".parse().unwrap()).is_none());
        let settings = Settings { max_agents: Some(3), features: vec!["enterprise".to_owned()] };
        let limit = TenantChange { settings: Some(settings.clone()), ..change(None) };
        identity::update_tenant(&tester.db, &world.platform, id, limit).unwrap();
        world.directory.refresh(&tester.db, id).unwrap();
        assert_eq!(*world.directory.tenant_settings(id).unwrap(), settings);
    });
}
