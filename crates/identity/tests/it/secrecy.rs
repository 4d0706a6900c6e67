//! What is written down, and what is not.

use authz::{Action, Caller, Role};
use identity::{Edit, GroupChange, Leavers, RoleChange, StatusChange, TenantChange, TenantStatus, UserChange};
use store::{sql, values};
use testkit::Tester;

use crate::world::World;

#[test]
fn no_key_lies_in_the_database_files() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let olivia = world.user("olivia", [Role::Operator]);
    let keys: Vec<_> = (0..10).map(|_| world.key(&olivia.id)).chain([world.acme.key.clone()]).collect();
    let directory = tester.data_directory().unwrap();
    let files = std::fs::read_dir(directory).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let bytes: Vec<u8> = files.flatten().collect();
    let written = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for key in &keys {
        let text = key.secret.expose();
        assert!(written(key.key.id.as_str()), "the id is, or this test looks in the wrong place");
        assert!(!written(text) && !written(&text[17..60]), "the secret is not");
    }
}

#[test]
fn a_secret_does_not_print() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let printed = format!("{:?} {:?}", world.acme, world.directory);
    assert!(!printed.contains(&world.acme.key.secret.expose()[17..60]));
}

struct ReadLog;

impl Action for ReadLog {
    const NAME: &'static str = "test.read-log";
    const PERMISSION: Option<authz::Permission> = None;
}

fn leaves(tester: &Tester, caller: &Caller) -> Vec<String> {
    let statement = sql!("SELECT leaf FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq");
    let grant = caller.authorize::<ReadLog>().unwrap();
    let read = tester.db.read(&grant, |tx| tx.all(statement, values![], store::Row::get::<Vec<u8>>)).unwrap();
    read.into_iter().map(|leaf| String::from_utf8(leaf).unwrap()).collect()
}

fn field<'a>(leaf: &'a str, name: &str) -> &'a str {
    let start = leaf.find(&format!("\"{name}\":\"")).unwrap() + name.len() + 4;
    leaf[start..].split('"').next().unwrap()
}

fn leave() -> StatusChange {
    StatusChange::Deactivate(Leavers::new())
}

#[test]
fn every_change_leaves_one_entry_that_names_nobody() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (db, at) = (&tester.db, &tester.moment());
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        identity::revoke_key(db, &tester.again(&world.bob), &key.key.id, at).unwrap();
        let email = Edit::Set("olivia.new@example.com".parse().unwrap());
        let changes = [
            UserChange { expected_revision: 1, email, ..UserChange::default() },
            UserChange { expected_revision: 2, status: Some(leave()), ..UserChange::default() },
            UserChange { expected_revision: 3, status: Some(StatusChange::Activate), ..UserChange::default() },
        ];
        for change in changes {
            identity::update_user(db, &tester.again(&world.bob), &olivia.id, change, at).unwrap();
        }
        let role = world.role("release-manager", [authz::Permission::AgentPublish]);
        let change = RoleChange { expected_revision: 1, ..RoleChange::default() };
        identity::update_role(db, &tester.again(&world.bob), &role.name, change).unwrap();
        identity::delete_role(db, &tester.again(&world.bob), &role.name, 2).unwrap();
        let group = world.group("Secret Project", [Role::Viewer], &[&olivia.id]).group;
        let change = GroupChange { expected_revision: 1, ..GroupChange::default() };
        identity::update_group(db, &tester.again(&world.bob), &group.id, change, at).unwrap();
        identity::delete_group(db, &tester.again(&world.bob), &group.id, 2, at).unwrap();
        identity::issue_local_key(db, &world.acme.tenant.id, &"bob".parse().unwrap(), None, at).unwrap();
        let rename = kernel::Text::new("Acme Corporation").unwrap();
        let changes = [
            TenantChange { expected_revision: 1, name: Some(rename), ..TenantChange::default() },
            TenantChange { expected_revision: 2, status: Some(TenantStatus::Suspended), ..TenantChange::default() },
            TenantChange { expected_revision: 3, status: Some(TenantStatus::Active), ..TenantChange::default() },
        ];
        for change in changes {
            identity::update_tenant(db, &tester.again(&world.platform), &world.acme.tenant.id, change).unwrap();
        }

        let (own, system) = (leaves(tester, &world.bob), leaves(tester, &world.platform));
        let actions: Vec<_> = own.iter().map(|leaf| field(leaf, "action")).collect();
        assert_eq!(
            actions,
            [
                "identity.user.created",
                "identity.key.created",
                "identity.key.revoked",
                "identity.user.updated",
                "identity.user.deactivated",
                "identity.user.activated",
                "identity.role.created",
                "identity.role.updated",
                "identity.role.deleted",
                "identity.group.created",
                "identity.group.updated",
                "identity.group.deleted",
                "identity.key.created",
            ]
        );
        let last = own.last().unwrap();
        assert!(last.contains(r#""actor":{"type":"system","id":"cli","via":null,"act":null}"#), "{last}");
        let system_actions: Vec<_> = system.iter().map(|leaf| field(leaf, "action")).collect();
        assert_eq!(
            system_actions,
            [
                "identity.platform.bootstrapped",
                "identity.tenant.created",
                "identity.tenant.updated",
                "identity.tenant.suspended",
                "identity.tenant.resumed",
            ]
        );
        for action in identity::ACTIONS {
            assert!(actions.contains(action) || system_actions.contains(action), "{action}");
        }
        for leaf in own.iter().chain(&system) {
            for name in ["olivia", "example.com", "Acme Corporation", "operator", "bob", "Secret Project"] {
                assert!(!leaf.contains(name), "{name}: {leaf}");
            }
        }
    });
}
