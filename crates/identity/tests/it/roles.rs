//! Roles that a tenant defines for itself.

use authz::{Permission, Permissions, Role, RoleName, Roles};
use identity::{
    Beyond, CreateRoleError, CreateUserError, DeleteRoleError, GroupChange, NewKey, NewRole, NewUser,
    PermissionsRefused, RoleChange, RoleError, RolesRefused, Settings, TenantChange, UpdateRoleError, UserChange,
};

use crate::world::{World, new_key, new_user};

fn of(names: &str) -> Roles {
    names.parse().unwrap()
}

fn only(permissions: impl IntoIterator<Item = Permission>) -> Permissions {
    permissions.into_iter().collect()
}

fn new_role(name: &str, permissions: impl IntoIterator<Item = Permission>) -> NewRole {
    let description = "for a test".parse().unwrap();
    NewRole { name: name.parse().unwrap(), description, permissions: only(permissions) }
}

#[test]
fn a_role_gives_what_it_says_and_what_it_says_no_more_ends_with_the_next_request() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let role = world.role("release-manager", [Permission::AgentRead, Permission::AgentPublish]);
        let user = world.user("rita", of("release-manager"));
        let key = world.key(&user.id);
        assert_eq!(world.enter(&key).permissions(), role.permissions);

        let change = |expected_revision, permissions| {
            let permissions = Some(only(permissions));
            let change = RoleChange { expected_revision, permissions, ..RoleChange::default() };
            identity::update_role(&tester.db, &tester.again(&world.bob), &role.name, change)
        };
        let narrowed = change(1, vec![Permission::AgentRead]).unwrap();
        assert_eq!(identity::role(&tester.db, &world.bob, &role.name).unwrap(), narrowed);
        assert_eq!(world.enter(&key).permissions(), only([Permission::AgentRead]));
        assert!(matches!(change(1, vec![]), Err(UpdateRoleError::Stale(2))));
    });
}

#[test]
fn no_role_allows_more_than_who_makes_it_or_widens_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = [Permission::RoleManage, Permission::UserManage, Permission::AgentRead];
        let narrow =
            world.enter(&world.key_with(NewKey { scopes: Some(only(scopes)), ..new_key(&world.acme.admin.id) }));
        let create = |new| identity::create_role(&tester.db, &tester.again(&narrow), new, &tester.moment());
        let beyond = create(new_role("wide", [Permission::AgentRead, Permission::AuditRead]));
        let audit = Beyond { permission: Permission::AuditRead };
        assert!(matches!(beyond, Err(CreateRoleError::Permissions(PermissionsRefused::Beyond(b))) if b == audit));
        assert!(create(new_role("readers", [Permission::AgentRead])).is_ok());
        assert!(matches!(create(new_role("readers", [])), Err(CreateRoleError::AlreadyExists(_))));

        let auditors = world.role("auditors", [Permission::AuditRead]);
        let update = |caller: &authz::Caller, expected_revision, permissions| {
            let permissions = Some(only(permissions));
            let change = RoleChange { expected_revision, permissions, ..RoleChange::default() };
            identity::update_role(&tester.db, &tester.again(caller), &auditors.name, change)
        };
        let widened = update(&narrow, 1, vec![Permission::AuditRead, Permission::AuditExport]);
        assert!(matches!(widened, Err(UpdateRoleError::Permissions(PermissionsRefused::Beyond(_)))));
        assert!(update(&narrow, 1, vec![Permission::AuditRead, Permission::AgentRead]).is_ok());
        for caller in [&world.bob, &narrow] {
            let platform = update(caller, 2, vec![Permission::TenantManage]);
            assert!(matches!(platform, Err(UpdateRoleError::Permissions(PermissionsRefused::Platform(_)))));
        }
        let given = NewUser { roles: of("auditors").into(), ..new_user("eve", []) };
        let given = identity::create_user(&tester.db, &tester.again(&narrow), given, &tester.moment());
        assert!(matches!(given, Err(CreateUserError::Roles(RolesRefused::Beyond(b))) if b == audit));
    });
}

#[test]
fn a_role_that_nobody_defined_is_given_to_nobody() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let new = new_user("eve", of("release-manager"));
        let created = identity::create_user(&tester.db, &world.bob, new, &tester.moment());
        assert!(matches!(created, Err(CreateUserError::Roles(RolesRefused::Unknown(_)))));
        let (_, hank) = world.globex();
        world.role("release-manager", [Permission::AgentPublish]);
        let new = new_user("eve", of("release-manager"));
        let created = identity::create_user(&tester.db, &hank, new, &tester.moment());
        assert!(matches!(created, Err(CreateUserError::Roles(RolesRefused::Unknown(_)))), "it is another tenant's");
        let name = "release-manager".parse().unwrap();
        assert!(matches!(identity::role(&tester.db, &hank, &name), Err(RoleError::NotFound(_))));
        let deleted = identity::delete_role(&tester.db, &tester.again(&hank), &name, 1);
        assert!(matches!(deleted, Err(DeleteRoleError::NotFound(_))));
    });
}

#[test]
fn a_role_that_somebody_has_stays_and_says_who() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let role = world.role("release_manager", [Permission::AgentPublish]);
        world.role("release-manager", [Permission::AgentPublish]);
        let alike = world.user("rick", of("release-manager"));
        let user = world.user("rita", of("release_manager"));
        let group = world.group("Releases", of("release_manager"), &[]).group;
        let delete = |name| identity::delete_role(&tester.db, &tester.again(&world.bob), name, 1);
        let Err(DeleteRoleError::InUse(uses)) = delete(&role.name) else { panic!("it was deleted") };
        assert_eq!((uses.users, uses.groups), (vec![user.id.clone()], vec![group.id.clone()]), "not {}", alike.id);

        let nothing = UserChange { expected_revision: 1, roles: Some(Roles::default()), ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, nothing, &tester.moment()).unwrap();
        let nothing = GroupChange { expected_revision: 1, roles: Some(Roles::default()), ..GroupChange::default() };
        identity::update_group(&tester.db, &tester.again(&world.bob), &group.id, nothing, &tester.moment()).unwrap();
        let default = |name: Option<RoleName>, revision| {
            let settings = Some(Settings { default_role: name, ..Settings::default() });
            let change = TenantChange { expected_revision: revision, settings, ..TenantChange::default() };
            identity::update_tenant(&tester.db, &tester.again(&world.platform), &world.acme.tenant.id, change).unwrap();
        };
        default(Some(RoleName::Custom(role.name.clone())), 1);
        let Err(error) = delete(&role.name) else { panic!("new users have it") };
        assert_eq!(error.to_string(), "the role is in use: `default_role`");
        default(None, 2);
        delete(&role.name).unwrap();
        assert!(matches!(delete(&role.name), Err(DeleteRoleError::NotFound(_))));
    });
}

#[test]
fn only_who_may_manage_roles_makes_them() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for role in [Role::AgentDesigner, Role::Operator, Role::Viewer, Role::Auditor] {
            let caller = world.caller(role.as_str(), role);
            let created = identity::create_role(&tester.db, &caller, new_role("mine", []), &tester.moment());
            assert!(matches!(created, Err(CreateRoleError::Forbidden(_))), "{role}");
        }
        world.role("role-keepers", [Permission::RoleManage, Permission::AgentRead]);
        let keeper = world.user("kim", of("role-keepers"));
        let keeper = world.enter(&world.key(&keeper.id));
        let new = new_role("readers", [Permission::AgentRead]);
        assert!(identity::create_role(&tester.db, &keeper, new, &tester.moment()).is_ok());
        let own = RoleChange {
            expected_revision: 1,
            permissions: Some(only([Permission::RoleManage, Permission::AgentRead, Permission::UserManage])),
            ..RoleChange::default()
        };
        let raised = identity::update_role(&tester.db, &keeper, &"role-keepers".parse().unwrap(), own);
        assert!(matches!(raised, Err(UpdateRoleError::Permissions(_))), "nobody raises themselves by their own role");
    });
}

#[test]
fn a_role_of_the_tenant_can_be_found_with_those_of_the_system() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        world.role("admins-of-nothing", []);
        let user = world.user("rita", of("admins-of-nothing,viewer"));
        let names: Vec<&str> = user.roles.iter().map(RoleName::as_str).collect();
        assert_eq!(names, ["viewer", "admins-of-nothing"]);
        let demote = UserChange { expected_revision: 1, roles: Some(Roles::default()), ..UserChange::default() };
        let last = identity::update_user(&tester.db, &world.bob, &world.acme.admin.id, demote, &tester.moment());
        assert!(last.is_err(), "`admins-of-nothing` is no administrator");
    });
}
