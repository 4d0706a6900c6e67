//! The role x permission matrix, as somebody let in by a key has it.

use std::fmt::Write as _;

use authz::{Permission, Role};

use crate::world::World;

#[test]
fn each_role_may_do_this_and_no_more() {
    let tester = testkit::Tester::sqlite();
    let world = World::new(&tester);
    let mut held: Vec<(&str, authz::Permissions)> =
        Role::TENANT.iter().map(|role| (role.as_str(), world.caller(role.as_str(), *role).permissions())).collect();
    held.push((Role::PlatformAdmin.as_str(), world.platform.permissions()));

    let mut table = format!("{:<16}", "");
    for (role, _) in &held {
        write!(table, " {role:<14}").unwrap();
    }
    for permission in Permission::ALL {
        write!(table, "\n{permission:<16}").unwrap();
        for (_, permissions) in &held {
            let mark = if permissions.contains(*permission) { "yes" } else { "-" };
            write!(table, " {mark:<14}").unwrap();
        }
    }
    let table = table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", omit_expression => true }, {
        insta::assert_snapshot!("permissions", table);
    });
}
