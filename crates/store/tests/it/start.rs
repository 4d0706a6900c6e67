//! What a database must be like for the store to open it.

use kernel::{OsEntropy, hex};
use seal::{DataKey, RootKey};
use store::{Database, Setup, StoreError};
use testkit::{Tester, connect, on_both_engines};

use crate::given::{Touch, entry, size, touch, two_tenants, verified};

/// Runs a statement as whoever owns the schema.
fn as_owner(t: &Tester, statement: &str) {
    if t.engine == "sqlite" {
        rusqlite::Connection::open(t.address()).unwrap().execute_batch(statement).unwrap();
    } else {
        t.psql("taskforce_owner", statement);
    }
}

fn refusal(t: &Tester) -> String {
    let error = connect(&t.address(), t.setup()).expect_err("a refusal");
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    error.to_string()
}

fn as_role(t: &Tester, role: &str) -> Result<Database, StoreError> {
    Database::postgres(&format!("{} user={role}", t.address()), None, t.setup())
}

#[test]
fn opening_again_changes_nothing() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        touch(&t.db, &alice, "thg_1").unwrap();
        let before = t.db.schema().unwrap();
        let other = Setup { instance: "renamed".to_owned(), ..t.setup() };
        let again = connect(&t.address(), other).unwrap();
        assert_eq!(again.schema().unwrap(), before);
        assert_eq!(again.instance(), "test", "the installation keeps its first name");
        assert_eq!(verified(&again, &alice), 1);
        touch(&again, &alice, "thg_2").unwrap();
        assert_eq!(size(&t.db, &alice), 2);
    });
}

#[test]
fn an_altered_migration_is_refused() {
    on_both_engines(|t| {
        as_owner(t, "UPDATE schema_migrations SET digest = 'altered'");
        assert_eq!(
            refusal(t),
            "the database's schema does not fit this version: its migration `0001_init` is not the one of this version"
        );
    });
}

#[test]
fn a_newer_database_is_refused() {
    on_both_engines(|t| {
        as_owner(t, "INSERT INTO schema_migrations (name, digest, applied_at) VALUES ('9999_future', 'x', 0)");
        assert_eq!(
            refusal(t),
            "the database's schema does not fit this version: it has the migration `9999_future`, which is newer than \
             this version"
        );
    });
}

#[test]
fn a_postgresql_schema_is_checked_even_without_its_owner() {
    on_both_engines(|t| {
        if t.engine == "postgres" {
            as_role(t, "taskforce_app").expect("a prepared database");
            as_owner(t, "DELETE FROM schema_migrations");
            let error = as_role(t, "taskforce_app").unwrap_err();
            assert!(error.to_string().ends_with("it lacks the migration `0001_init`"), "{error}");
            as_owner(t, "DROP TABLE schema_migrations");
            let error = as_role(t, "taskforce_app").unwrap_err();
            assert!(error.to_string().ends_with("it lacks the migration `0001_init`"), "{error}");
        }
    });
}

#[test]
fn postgresql_is_not_used_as_a_role_that_could_pass_the_locks() {
    on_both_engines(|t| {
        if t.engine != "postgres" {
            return;
        }
        let role = format!("test_role_{}", std::process::id());
        let make = |attributes: &str| {
            t.psql("postgres", &format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN {attributes}"));
            as_role(t, &role)
        };
        let refusals = [
            (as_role(t, "postgres"), "is a superuser, or a member of one"),
            (as_role(t, "taskforce_owner"), "owns the tables, or is a member of their owner"),
            (make("BYPASSRLS"), "has BYPASSRLS, or is a member of a role that has"),
            (make("NOBYPASSRLS IN ROLE taskforce_owner"), "owns the tables, or is a member of their owner"),
            (make("NOBYPASSRLS NOINHERIT IN ROLE postgres"), "is a superuser, or a member of one"),
        ];
        t.psql("postgres", &format!("DROP ROLE {role}"));
        for (outcome, expected) in refusals {
            assert!(
                matches!(&outcome, Err(StoreError::UnsafeRole { reason, .. }) if *reason == expected),
                "{expected}: {outcome:?}"
            );
        }
    });
}

#[test]
fn postgresql_is_not_used_with_a_table_that_is_open() {
    on_both_engines(|t| {
        if t.engine == "postgres" {
            as_owner(t, "ALTER TABLE agents NO FORCE ROW LEVEL SECURITY");
            let error = as_role(t, "taskforce_app").unwrap_err();
            assert!(error.to_string().ends_with("the table `agents` has no forced row-level security"), "{error}");
        }
    });
}

#[test]
fn a_wrong_root_key_is_named_when_the_database_is_opened() {
    on_both_engines(|t| {
        let wrong = Setup { root_key: RootKey::generate(&OsEntropy), ..t.setup() };
        let (expected, given) = (hex(&t.setup().root_key.id()), hex(&wrong.root_key.id()));
        let error = connect(&t.address(), wrong).expect_err("a refusal");
        assert_eq!(
            error.to_string(),
            format!(
                "the root key is the wrong one: this database belongs to the root key `{expected}`, and this is `{given}`"
            )
        );
    });
}

#[test]
fn a_tenant_key_under_a_wrong_root_key_is_named_at_the_first_sealing() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let foreign = DataKey::generate(1, &OsEntropy).wrap(&RootKey::generate(&OsEntropy), "acme-corp", &OsEntropy);
        let hex = hex(&foreign.unwrap());
        let literal = if t.engine == "sqlite" { format!("x'{hex}'") } else { format!("'\\x{hex}'") };
        t.raw("acme-corp", &format!("UPDATE tenant_keys SET wrapped = {literal} WHERE tenant_id = 'acme-corp'"))
            .unwrap();
        let db = t.second_node();
        let sealed = db.write(alice.authorize::<Touch>().unwrap(), |_| {
            Ok::<_, StoreError>((entry("thg_1").with_payload(&serde_json::json!({})), ()))
        });
        assert!(matches!(sealed, Err(StoreError::WrongKey { .. })), "{sealed:?}");
        assert_eq!(size(&db, &alice), 0);
    });
}

#[test]
fn a_commit_waits_for_the_disk_whatever_the_defaults_are() {
    on_both_engines(|t| {
        if t.engine == "sqlite" {
            assert_eq!(t.db.durability().unwrap(), "wal 2", "2 is FULL");
        } else {
            t.psql(
                "postgres",
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
                                                           current_database()); END $$",
            );
            assert_eq!(t.second_node().durability().unwrap(), "on");
        }
    });
}

#[test]
fn two_nodes_may_make_the_same_database_at_once() {
    on_both_engines(|t| {
        if t.engine == "postgres" {
            t.psql("taskforce_owner", "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
            std::thread::scope(|scope| {
                let nodes: Vec<_> = (0..4).map(|_| scope.spawn(|| t.second_node())).collect();
                for node in nodes {
                    node.join().unwrap().ping().unwrap();
                }
            });
        }
    });
}
