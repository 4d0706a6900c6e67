//! The role x permission matrix, as somebody let in by a key has it.

use std::fmt::Write as _;

use authz::{Permission, Permissions, Role};

use crate::world::World;

#[test]
fn each_role_may_do_this_and_no_more() {
    let tester = testkit::Tester::sqlite();
    let world = World::new(&tester);
    let mut held: Vec<(&str, Permissions)> = vec![("anonymous", Permissions::NONE)];
    held.extend(Role::TENANT.map(|role| (role.as_str(), world.caller(role.as_str(), role).permissions())));
    world.role("release-manager", [Permission::AgentRead, Permission::AgentPublish, Permission::ApprovalRead]);
    let custom = world.user("rita", "release-manager".parse::<authz::Roles>().unwrap());
    held.push(("release-manager", world.enter(&world.key(&custom.id)).permissions()));
    held.push((Role::PlatformAdmin.as_str(), world.platform.permissions()));
    // Nobody is let in without a credential.
    assert!(world.present("").is_err());

    let mut table = format!("{:<18}", "");
    for (role, _) in &held {
        write!(table, " {role:<15}").unwrap();
    }
    let mut resource = "";
    for permission in Permission::ALL {
        if permission.resource() != resource {
            resource = permission.resource();
            write!(table, "\n{resource}").unwrap();
        }
        let action = permission.as_str().split_once(':').unwrap().1;
        write!(table, "\n  {action:<16}").unwrap();
        for (_, permissions) in &held {
            let mark = if permissions.contains(*permission) { "yes" } else { "-" };
            write!(table, " {mark:<15}").unwrap();
        }
    }
    let table = table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", omit_expression => true }, {
        insta::assert_snapshot!("permissions", table);
    });
}
