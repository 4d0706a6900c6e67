//! Tenants.

use authz::{Permission, Permissions, Role, Roles};
use identity::{
    AccessQuestion, CreateTenantError, GroupChange, GroupFilter, ListError, NewGroup, NewRole, Refusal, RoleChange,
    Settings, TenantChange, TenantError, TenantFilter, TenantStatus, UpdateTenantError, UserChange, UserFilter,
};
use kernel::{PageSize, TenantId};

use crate::world::{World, new_tenant, new_user};

fn change(status: Option<TenantStatus>) -> TenantChange {
    TenantChange { expected_revision: 1, status, ..TenantChange::default() }
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
        let create = |caller: &authz::Caller, id| {
            identity::create_tenant(&tester.db, caller, new_tenant(id), crate::world::OPEN_BUDGET, &tester.moment())
        };
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
        let first = identity::tenants(&tester.db, &world.platform, &TenantFilter::default(), None, one).unwrap();
        assert_eq!(first.items, std::slice::from_ref(&world.acme.tenant));
        let second =
            identity::tenants(&tester.db, &world.platform, &TenantFilter::default(), first.next.as_ref(), one).unwrap();
        assert_eq!((second.items, second.next), (vec![globex.tenant.clone()], None));
        let refused = identity::tenants(&tester.db, &world.bob, &TenantFilter::default(), None, one);
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
        let (db, at, platform, bob) = (&tester.db, &tester.moment(), &world.platform, &world.acme.admin.id);
        let role = world.role("release-manager", [Permission::AgentPublish]);
        let group = world.group("Engineers", [Role::Operator], &[]).group;
        let size = PageSize::default();
        let question = AccessQuestion {
            user: bob,
            permission: Permission::AgentRead,
            resource: None,
            facts: authz::Facts::default(),
            guard: None,
        };
        let new_role =
            NewRole { name: "mine".parse().unwrap(), description: role.description, permissions: Permissions::NONE };
        let display_name = group.display_name.clone();
        let new_group = NewGroup { display_name, external_id: None, roles: Roles::default(), members: Vec::new() };
        let answers = [
            identity::users(db, platform, &UserFilter::default(), None, size).err().map(|error| error.to_string()),
            identity::user(db, platform, bob).err().map(|error| error.to_string()),
            identity::create_user(db, platform, new_user("eve", []), at).err().map(|error| error.to_string()),
            identity::update_user(db, platform, bob, UserChange::default(), at).err().map(|error| error.to_string()),
            identity::roles(db, platform, None, None, size).err().map(|error| error.to_string()),
            identity::role(db, platform, &role.name).err().map(|error| error.to_string()),
            identity::create_role(db, platform, new_role, at).err().map(|error| error.to_string()),
            identity::update_role(db, platform, &role.name, RoleChange::default()).err().map(|error| error.to_string()),
            identity::delete_role(db, platform, &role.name, 1).err().map(|error| error.to_string()),
            identity::groups(db, platform, &GroupFilter::default(), None, size).err().map(|error| error.to_string()),
            identity::group(db, platform, &group.id).err().map(|error| error.to_string()),
            identity::groups_of(db, platform, bob).err().map(|error| error.to_string()),
            identity::create_group(db, platform, new_group, at).err().map(|error| error.to_string()),
            identity::update_group(db, platform, &group.id, GroupChange::default(), at)
                .err()
                .map(|error| error.to_string()),
            identity::delete_group(db, platform, &group.id, 1, at).err().map(|error| error.to_string()),
            identity::effective(db, platform, bob).err().map(|error| error.to_string()),
            identity::explain(db, platform, &question, at).err().map(|error| error.to_string()),
        ];
        for answer in answers {
            let refusal = answer.expect("a refusal");
            assert!(refusal.contains("the role `platform_admin`"), "{refusal}");
        }
    });
}

#[test]
fn tenants_are_found_by_what_their_ids_start_with_and_by_whether_they_may_act() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        world.globex();
        let suspend = change(Some(TenantStatus::Suspended));
        identity::update_tenant(&tester.db, &tester.again(&world.platform), &world.acme.tenant.id, suspend).unwrap();
        let found = |filter: TenantFilter| {
            let page = identity::tenants(&tester.db, &world.platform, &filter, None, PageSize::new(1).unwrap());
            page.unwrap().items.iter().map(|tenant| tenant.id.to_string()).collect::<Vec<_>>()
        };
        let starting = |q: &str| TenantFilter { q: Some(q.parse().unwrap()), ..TenantFilter::default() };
        assert_eq!(found(starting("Glo")), ["globex"]);
        assert!(found(starting("lobex")).is_empty());
        let status = |status| TenantFilter { status: Some(status), ..TenantFilter::default() };
        assert_eq!(found(status(TenantStatus::Suspended)), ["acme-corp"]);
        assert_eq!(found(status(TenantStatus::Active)), ["globex"]);
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
        let settings = Settings { max_agents: Some(3), rate_limit_per_minute: Some(600), ..Settings::default() };
        let limit = TenantChange { settings: Some(settings.clone()), ..change(None) };
        identity::update_tenant(&tester.db, &world.platform, id, limit).unwrap();
        world.directory.refresh(&tester.db, id).unwrap();
        assert_eq!(*world.directory.tenant_settings(id).unwrap(), settings);
    });
}
