//! The four locks between tenants, each attacked. (What must not compile stands in the crate's documentation.)

use store::{Reason, StoreError, sql, values};
use testkit::{Tester, on_both_engines};

use crate::given::{Touch, email, entry, leaves, set_email, size, touch, two_tenants, write};

/// Raw SQL as the application's role, on behalf of acme-corp.
fn refused(t: &Tester, statement: &str) {
    let outcome = t.raw("acme-corp", statement);
    assert!(outcome.is_err(), "`{statement}` was done on {}", t.engine);
}

#[test]
fn a_condition_that_is_always_true_finds_no_foreign_row() {
    on_both_engines(|t| {
        let (alice, _gina) = two_tenants(t);
        let mine = vec!["usr_alice".to_owned()];
        let all = sql!("SELECT user_id FROM users WHERE tenant_id = $1 OR 1 = 1");
        let read =
            t.db.read(&alice.authorize::<Touch>().unwrap(), |tx| tx.all(all, values![], store::Row::get::<String>));
        assert_eq!(read.unwrap(), mine);

        let written = t.db.write(alice.authorize::<Touch>().unwrap(), |tx| {
            let found: Vec<String> = tx.all(all, values![], store::Row::get::<String>)?;
            Ok::<_, StoreError>((entry("thg_1"), found))
        });
        assert_eq!(written.unwrap(), mine, "nor does it in a transaction that writes");
    });
}

#[test]
fn a_join_and_a_subquery_find_no_foreign_row_either() {
    on_both_engines(|t| {
        let (alice, _gina) = two_tenants(t);
        let joined = t.db.read(&alice.authorize::<Touch>().unwrap(), |tx| {
            tx.all(
                sql!(
                    "SELECT other.user_id FROM users AS mine CROSS JOIN users AS other
                      WHERE mine.tenant_id = $1 AND other.user_id NOT IN (SELECT user_id FROM api_keys)"
                ),
                values![],
                store::Row::get::<String>,
            )
        });
        assert_eq!(joined.unwrap(), ["usr_alice"]);
    });
}

#[test]
fn a_condition_that_is_always_true_changes_no_foreign_row() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        write(t, &gina, |tx| set_email(tx, &gina, "gina@globex.example")).unwrap();
        for statement in [
            sql!("UPDATE users SET email = 'stolen' WHERE tenant_id = $1 OR 1 = 1"),
            sql!("DELETE FROM users WHERE tenant_id = $1 OR 1 = 1"),
        ] {
            match write(t, &alice, |tx| tx.execute(statement, values![])) {
                Ok(changed) => assert_eq!(changed, 1, "only her own row"),
                Err(error) => assert!(matches!(error, StoreError::OtherTenant), "{error:?}"),
            }
            assert_eq!(email(t, &gina).as_deref(), Some("gina@globex.example"));
        }
    });
}

#[test]
fn a_row_cannot_be_put_into_another_tenant() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        for statement in [
            sql!(
                "INSERT INTO users (tenant_id, user_id, kind, username, email, roles, status, created_at, revision)
                 SELECT 'globex', 'usr_mole', kind, 'mole', email, roles, status, created_at, 1
                   FROM users WHERE tenant_id = $1"
            ),
            sql!("UPDATE users SET tenant_id = 'globex' WHERE tenant_id = $1"),
        ] {
            let outcome = write(t, &alice, |tx| tx.execute(statement, values![]));
            assert!(matches!(outcome, Err(StoreError::OtherTenant)), "{outcome:?} on {}", t.engine);
        }
        assert_eq!(size(&t.db, &alice), 0, "and a refused write leaves no entry");
        let users = t.db.read(&gina.authorize::<Touch>().unwrap(), |tx| {
            tx.all(sql!("SELECT user_id FROM users WHERE tenant_id = $1"), values![], store::Row::get::<String>)
        });
        assert_eq!(users.unwrap(), ["usr_gina"]);
    });
}

#[test]
fn raw_sql_as_the_application_reaches_no_foreign_row() {
    on_both_engines(|t| {
        let (_alice, gina) = two_tenants(t);
        write(t, &gina, |tx| set_email(tx, &gina, "gina@globex.example")).unwrap();
        let before = leaves(&t.db, &gina);
        for statement in [
            "UPDATE users SET email = 'stolen'",
            "UPDATE users SET email = 'stolen' WHERE tenant_id = 'globex'",
            "UPDATE users SET tenant_id = 'acme-corp' WHERE tenant_id = 'globex'",
            "DELETE FROM users WHERE tenant_id = 'globex'",
            "DELETE FROM ledger_heads WHERE tenant_id = 'globex'",
            "UPDATE tenant_keys SET version = 9",
        ] {
            // PostgreSQL does not find the rows; SQLite finds and refuses them.
            let outcome = t.raw("acme-corp", statement);
            assert!(matches!(outcome, Ok(()) | Err(StoreError::OtherTenant)), "`{statement}`: {outcome:?}");
            assert_eq!(email(t, &gina).as_deref(), Some("gina@globex.example"), "`{statement}`");
        }
        refused(
            t,
            "INSERT INTO users (tenant_id, user_id, kind, username, email, roles, status, created_at, revision)
             VALUES ('globex', 'usr_mole', 'user', 'mole', NULL, '', 'active', 0, 1)",
        );
        assert_eq!(leaves(&t.db, &gina), before);
        touch(&t.db, &gina, "thg_2").expect("her tenant still works");
    });
}

#[test]
fn what_happened_is_not_changed_even_by_raw_sql() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        t.user("acme-corp", "bob", [authz::Role::Admin]);
        touch(&t.db, &alice, "thg_1").unwrap();
        t.raw(
            "acme-corp",
            "INSERT INTO approval_requests (tenant_id, review_id, request_type, resource_type, resource_id, about, digest,
                 title, description, requester_id, author_ids, workflow_revision, required_approvers, approver_roles,
                 status, created_at, expires_at, revision)
             VALUES ('acme-corp', 'apr_1', 'publish', 'version', 'ver_1', 'agt_1', '', '', '', 'usr_alice', 'usr_alice', 1, 1, '',
                 'pending', 0, 1, 1);
             INSERT INTO approval_decisions (tenant_id, review_id, user_id, requester_id, author_ids, decision, comment,
                 at)
             VALUES ('acme-corp', 'apr_1', 'usr_bob', 'usr_alice', 'usr_alice', 'approve', '', 0)",
        )
        .expect("a request and its decision");
        for table in ["ledger_entries", "approval_decisions", "approval_uses", "policy_versions", "usage_records"] {
            for statement in [
                format!("UPDATE {table} SET tenant_id = 'acme-corp'"),
                format!("UPDATE {table} SET tenant_id = 'acme-corp' WHERE tenant_id = 'acme-corp'"),
                format!("DELETE FROM {table}"),
            ] {
                let outcome = t.raw("acme-corp", &statement);
                assert!(matches!(outcome, Err(StoreError::Conflict(_))), "`{statement}`: {outcome:?} on {}", t.engine);
            }
        }
        let same = "INSERT INTO ledger_entries SELECT * FROM ledger_entries WHERE seq = 0";
        refused(t, &format!("{same} ON CONFLICT (tenant_id, seq) DO UPDATE SET action = 'test.forged'"));
        refused(t, "UPDATE schema_migrations SET digest = ''");
        let outcome = write(t, &alice, |tx| {
            tx.execute(sql!("UPDATE ledger_entries SET outcome = 'failed' WHERE tenant_id = $1"), values![])
        });
        assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{outcome:?}");
    });
}

#[test]
fn the_application_cannot_take_the_guards_away() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        touch(&t.db, &alice, "thg_1").unwrap();
        let statements: &[&str] = if t.engine == "sqlite" {
            &[
                "DROP TRIGGER ledger_entries_kept_update",
                "DROP TRIGGER temp.users_update",
                "DROP TABLE ledger_entries",
                "ALTER TABLE users RENAME TO people",
                "CREATE TABLE mine (x INTEGER)",
                "ATTACH ':memory:' AS other",
                "PRAGMA recursive_triggers = OFF",
                "PRAGMA writable_schema = ON",
                "INSERT OR REPLACE INTO ledger_entries
                 SELECT tenant_id, seq, at, 'test.forged', actor_id, resource_type, resource_id, outcome, request_id,
                        hash, leaf FROM ledger_entries WHERE tenant_id = 'acme-corp'",
            ]
        } else {
            &[
                "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
                "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
                "DROP POLICY tenant ON users",
                "TRUNCATE ledger_entries",
                "TRUNCATE users",
                "DROP TABLE ledger_entries",
                "GRANT UPDATE ON ledger_entries TO taskforce_app; UPDATE ledger_entries SET action = 'forged'",
                "SET ROLE taskforce_owner",
                "CREATE TABLE mine (x BIGINT)",
            ]
        };
        for statement in statements {
            refused(t, statement);
        }
    });
}

#[test]
fn reads_cannot_write() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let grant = alice.authorize::<Touch>().unwrap();
        let update = sql!("UPDATE users SET email = 'x' WHERE tenant_id = $1 RETURNING user_id");
        let insert = sql!("INSERT INTO config_versions (tenant_id, version) VALUES ($1, 9) RETURNING tenant_id");
        for statement in [update, insert] {
            let read = t.db.read(&grant, |tx| tx.all(statement, values![], store::Row::get::<String>));
            assert!(read.is_err(), "{read:?}");
        }
        assert_eq!(email(t, &alice), None);
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "reads across tenants are what is tested")]
fn system_reads_see_every_tenant_and_cannot_write() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let users = sql!("SELECT user_id FROM users WHERE tenant_id = $1");
        let seen = t.db.system(Reason::Snapshot, |tx| {
            let mut seen = Vec::new();
            for (tenant, _) in tx.tenants()? {
                let found = tx.within(&tenant, |tx| tx.all(users, values![], store::Row::get::<String>))?;
                seen.extend(found.into_iter().map(|user| format!("{tenant}/{user}")));
            }
            Ok::<_, StoreError>(seen)
        });
        assert_eq!(seen.unwrap(), ["acme-corp/usr_alice", "globex/usr_gina"]);

        for caller in [&alice, &gina] {
            let update = sql!("UPDATE users SET email = 'x' WHERE tenant_id = $1 RETURNING user_id");
            let written = t.db.system(Reason::Snapshot, |tx| {
                tx.within(caller.tenant(), |tx| tx.all(update, values![], store::Row::get::<String>))
            });
            assert!(written.is_err(), "{written:?}");
            assert_eq!(email(t, caller), None);
        }
        let read =
            t.db.read(&alice.authorize::<Touch>().unwrap(), |tx| tx.all(users, values![], store::Row::get::<String>));
        assert_eq!(read.unwrap(), ["usr_alice".to_owned()], "and nothing of it lasts");
    });
}
