//! A full disk, a lost server: no state changes half, reads go on, and nobody restarts anything.

use authz::{Caller, Role};
use store::{Database, Entry, StoreError};
use testkit::{Tester, on_both_engines};

use crate::given::{Touch, email, entry, set_email, size, touch, two_tenants, verified, write};

/// A write that needs many pages of the disk.
fn write_much(t: &Tester, caller: &Caller) -> Result<(), StoreError> {
    t.db.write(caller.authorize::<Touch>().unwrap(), |tx| {
        set_email(tx, caller, "during@acme.example")?;
        Ok::<_, StoreError>((entry("thg_1").with_payload_bytes(vec![b'x'; 400_000]), ()))
    })
}

/// Ends every connection of the application, as a restart of the server would.
fn cut(t: &Tester) {
    t.psql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND usename = 'taskforce_app'",
    );
}

#[test]
fn a_full_disk_refuses_writes_and_keeps_everything_else() {
    on_both_engines(|t| {
        if t.engine != "sqlite" {
            return;
        }
        let (alice, _) = two_tenants(t);
        write(t, &alice, |tx| set_email(tx, &alice, "before@acme.example")).unwrap();
        t.db.limit_pages(Some(1)).unwrap();
        for _ in 0..3 {
            let outcome = write_much(t, &alice);
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
            assert_eq!(email(t, &alice).as_deref(), Some("before@acme.example"), "reads go on");
        }
        assert_eq!(verified(&t.db, &alice), 1);
        t.db.limit_pages(None).unwrap();
        write_much(t, &alice).expect("no restart is needed");
        assert_eq!(verified(&t.db, &alice), 2);
    });
}

#[test]
fn a_disk_that_fills_up_under_load_loses_nothing_that_was_acknowledged() {
    on_both_engines(|t| {
        if t.engine != "sqlite" {
            return;
        }
        let (alice, _) = two_tenants(t);
        t.db.limit_pages(Some(1)).unwrap();
        let acknowledged: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|at| {
                    let alice = t.again(&alice);
                    scope.spawn(move || {
                        let act = || if at % 4 == 0 { write_much(t, &alice) } else { touch(&t.db, &alice, "thg_1") };
                        let outcomes = (0..20).map(|_| act()).collect::<Vec<_>>();
                        let unavailable = |outcome: &_| matches!(outcome, Ok(()) | Err(StoreError::Unavailable(_)));
                        assert!(outcomes.iter().all(unavailable), "{outcomes:?}");
                        outcomes.iter().filter(|outcome| outcome.is_ok()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(verified(&t.db, &alice), acknowledged);
        t.db.limit_pages(None).unwrap();
        write_much(t, &alice).unwrap();
    });
}

#[test]
fn a_job_that_ignores_a_full_disk_leaves_nothing() {
    on_both_engines(|t| {
        if t.engine != "sqlite" {
            return;
        }
        let (alice, _) = two_tenants(t);
        t.db.limit_pages(Some(1)).unwrap();
        let outcome = write(t, &alice, |tx| {
            let much = "x".repeat(400_000);
            assert!(set_email(tx, &alice, &much).is_err());
            drop(set_email(tx, &alice, "outside of any transaction"));
            Ok(0)
        });
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!((email(t, &alice), size(&t.db, &alice)), (None, 0));
    });
}

#[test]
fn a_lost_server_is_found_again_by_the_next_transaction() {
    on_both_engines(|t| {
        if t.engine != "postgres" {
            return;
        }
        let (alice, _) = two_tenants(t);
        touch(&t.db, &alice, "thg_1").unwrap();
        assert_eq!(size(&t.db, &alice), 1);
        for round in 2..5 {
            cut(t);
            touch(&t.db, &alice, "thg_1").unwrap();
            assert_eq!(size(&t.db, &alice), round);
            t.db.ping().unwrap();
        }
        assert_eq!(verified(&t.db, &alice), 4);
    });
}

#[test]
fn a_server_lost_in_the_middle_of_a_write_keeps_nothing_of_it() {
    on_both_engines(|t| {
        if t.engine != "postgres" {
            return;
        }
        let (alice, _) = two_tenants(t);
        let outcome = t.db.write(alice.authorize::<Touch>().unwrap(), |tx| {
            set_email(tx, &alice, "during@acme.example")?;
            cut(t);
            Ok::<_, StoreError>((entry("thg_1"), ()))
        });
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!((email(t, &alice), size(&t.db, &alice)), (None, 0));
        let outcome = t.db.read(&alice.authorize::<Touch>().unwrap(), |tx| {
            cut(t);
            tx.all(store::sql!("SELECT user_id FROM users WHERE tenant_id = $1"), vec![], store::Row::get::<String>)
        });
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        touch(&t.db, &alice, "thg_1").unwrap();
        assert_eq!(size(&t.db, &alice), 1);
    });
}

#[test]
fn reads_that_never_end_do_not_block_others_for_ever() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let outcome = nested(&t.db, &alice, 5);
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!(size(&t.db, &alice), 0);
    });
}

/// Opens so many reads within each other.
fn nested(db: &Database, caller: &Caller, depth: usize) -> Result<(), StoreError> {
    db.read(&caller.authorize::<Touch>().unwrap(), |_| if depth == 0 { Ok(()) } else { nested(db, caller, depth - 1) })
}

#[test]
fn a_tenant_that_nobody_made_has_no_log_to_write_to() {
    on_both_engines(|t| {
        let (_, gina) = two_tenants(t);
        let caller = {
            let nobody = t.user("soon-gone", "nina", [Role::Admin]);
            t.raw("soon-gone", "DELETE FROM ledger_heads WHERE tenant_id = 'soon-gone'").unwrap();
            nobody
        };
        assert!(touch(&t.db, &caller, "thg_1").is_err());
        let platform = t.db.write_platform(t.platform().authorize::<Touch>().unwrap(), gina.tenant(), |_| {
            Err::<(Entry, ()), _>(StoreError::Decode("right"))
        });
        assert!(matches!(platform, Err(StoreError::Decode("right"))), "{platform:?}");
        touch(&t.db, &gina, "thg_1").unwrap();
    });
}
