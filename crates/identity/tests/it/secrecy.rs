//! What is written down, and what is not.

use authz::{Action, Caller, Role};
use identity::{Edit, GroupChange, Leavers, Removal, RoleChange, StatusChange, TenantChange, TenantStatus, UserChange};
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

pub(crate) fn leaves(tester: &Tester, caller: &Caller) -> Vec<String> {
    let statement = sql!("SELECT leaf FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq");
    let grant = caller.authorize::<ReadLog>().unwrap();
    let read = tester.db.read(&grant, |tx| tx.all(statement, values![], store::Row::get::<Vec<u8>>)).unwrap();
    read.into_iter().map(|leaf| String::from_utf8(leaf).unwrap()).collect()
}

fn field<'a>(leaf: &'a str, name: &str) -> &'a str {
    let start = leaf.find(&format!("\"{name}\":\"")).unwrap() + name.len() + 4;
    leaf[start..].split('"').next().unwrap()
}

/// Every change of users, roles and groups.
fn change_people(world: &World<'_>) {
    let (db, at, bob) = (&world.tester.db, &world.tester.moment(), || world.tester.again(&world.bob));
    let olivia = world.user("olivia", [Role::Operator]);
    let email = Edit::Set("olivia.new@example.com".parse().unwrap());
    let leave = StatusChange::Deactivate(Leavers::new());
    let changes = [
        UserChange { expected_revision: 1, email, ..UserChange::default() },
        UserChange { expected_revision: 2, status: Some(leave), ..UserChange::default() },
        UserChange { expected_revision: 3, status: Some(StatusChange::Activate), ..UserChange::default() },
    ];
    for change in changes {
        identity::update_user(db, &bob(), &olivia.id, change, at).unwrap();
    }
    let role = world.role("release-manager", [authz::Permission::AgentPublish]);
    let change = RoleChange { expected_revision: 1, ..RoleChange::default() };
    identity::update_role(db, &bob(), &role.name, change).unwrap();
    identity::delete_role(db, &bob(), &role.name, 2).unwrap();
    let group = world.group("Secret Project", [], &[&olivia.id]).group;
    let change = GroupChange { expected_revision: 1, ..GroupChange::default() };
    identity::update_group(db, &bob(), &group.id, change, at).unwrap();
    identity::delete_group(db, &bob(), &group.id, 2, at).unwrap();
    let removal = Removal { expected_revision: 4, leavers: Leavers::new() };
    identity::remove_person(db, &bob(), &olivia.id, &removal, at).unwrap();
}

/// Every change of a tenant.
fn change_tenant(world: &World<'_>) {
    let rename = kernel::Text::new("Acme Corporation").unwrap();
    let changes = [
        TenantChange { expected_revision: 1, name: Some(rename), ..TenantChange::default() },
        TenantChange { expected_revision: 2, status: Some(TenantStatus::Suspended), ..TenantChange::default() },
        TenantChange { expected_revision: 3, status: Some(TenantStatus::Active), ..TenantChange::default() },
    ];
    for change in changes {
        let platform = world.tester.again(&world.platform);
        identity::update_tenant(&world.tester.db, &platform, &world.acme.tenant.id, change).unwrap();
    }
}

#[test]
fn every_change_of_people_and_tenants_leaves_one_entry_that_names_nobody() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        change_people(&world);
        change_tenant(&world);
        let (own, system) = (leaves(tester, &world.bob), leaves(tester, &world.platform));
        let actions =
            |leaves: &[String]| leaves.iter().map(|leaf| field(leaf, "action").to_owned()).collect::<Vec<_>>();
        assert_eq!(
            actions(&own),
            [
                "identity.user.created",
                "identity.user.updated",
                "identity.user.deactivated",
                "identity.user.activated",
                "identity.role.created",
                "identity.role.updated",
                "identity.role.deleted",
                "identity.group.created",
                "identity.group.updated",
                "identity.group.deleted",
                "identity.user.removed",
            ]
        );
        assert_eq!(
            actions(&system),
            [
                "identity.platform.bootstrapped",
                "identity.tenant.created",
                "identity.tenant.updated",
                "identity.tenant.suspended",
                "identity.tenant.resumed",
            ]
        );
        let known = actions(&own).into_iter().chain(actions(&system)).collect::<Vec<_>>();
        assert!(known.iter().all(|action| identity::ACTIONS.contains(&action.as_str())));
        let kinds = ["user", "role", "group", "tenant", "platform"].map(|kind| format!("identity.{kind}."));
        let about_people = |action: &&&str| kinds.iter().any(|kind| action.starts_with(kind));
        for action in identity::ACTIONS.iter().filter(about_people) {
            assert!(known.iter().any(|seen| seen == action), "{action}");
        }
        for leaf in own.iter().chain(&system) {
            for name in ["olivia", "example.com", "Acme Corporation", "operator", "bob", "Secret Project"] {
                assert!(!leaf.contains(name), "{name}: {leaf}");
            }
        }
    });
}

#[test]
fn every_change_of_a_key_leaves_one_entry_that_names_nobody() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment()).unwrap();
        let (acme, bob) = (&world.acme.tenant.id, "bob".parse().unwrap());
        identity::issue_local_key(&tester.db, acme, &bob, None, &tester.moment()).unwrap();
        let own = leaves(tester, &world.bob);
        let actions: Vec<_> = own.iter().map(|leaf| field(leaf, "action")).skip(1).collect();
        assert_eq!(actions, ["identity.key.created", "identity.key.revoked", "identity.key.created"]);
        let last = own.last().unwrap();
        assert!(last.contains(r#""actor":{"type":"system","id":"cli","via":null,"act":null}"#), "{last}");
        assert!(own.iter().all(|leaf| !leaf.contains("olivia") && !leaf.contains("a key")), "{own:?}");
    });
}
