//! Signing heads.

use audit::{CheckpointError, HeadError, integrate};
use kernel::TenantId;
use testkit::on_both_engines;
use tlog::Checkpoint;

use crate::given::{ORIGIN, act_often, adam, keys, signer, tamper};

#[test]
fn the_head_of_each_log_that_changed_is_signed_once() {
    on_both_engines(|t| {
        let (adam, gina, signer) = (adam(t), t.user("globex", "gina", [authz::Role::Auditor]), signer(t));
        act_often(t, &adam, 3);
        act_often(t, &gina, 2);
        // Two tenants and the system's own log, in which the tenants were created.
        assert_eq!(integrate(&t.db, &signer, &t.moment()).unwrap().signed, 3);
        assert_eq!(integrate(&t.db, &signer, &t.moment()).unwrap().signed, 0);
        act_often(t, &adam, 300);
        let integrated = integrate(&t.db, &signer, &t.moment()).unwrap();
        assert_eq!((integrated.signed, integrated.refused), (1, vec![]));
        let signed = audit::latest_checkpoint(&t.db, &adam).unwrap().unwrap();
        let opened = Checkpoint::open(&signed.note, &keys(&signer), ORIGIN).unwrap();
        assert_eq!((opened.size, opened.root), (303, signed.head.root));
    });
}

#[test]
fn the_same_head_has_the_same_checkpoint() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        act_often(t, &adam, 3);
        let checkpoint = || audit::checkpoint(&t.db, &signer, adam.tenant(), &t.moment()).unwrap();
        let first = checkpoint();
        assert_eq!(checkpoint(), first);
        tamper(t, "DELETE FROM ledger_checkpoints WHERE tenant_id = 'acme-corp'");
        assert_eq!(checkpoint(), first);
        assert_eq!(audit::latest_checkpoint(&t.db, &adam).unwrap(), Some(first));
    });
}

#[test]
fn of_an_hour_that_has_passed_the_last_checkpoint_is_kept() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        let minutes = |count: i64| {
            for _ in 0..count {
                act_often(t, &adam, 1);
                audit::checkpoint(&t.db, &signer, adam.tenant(), &t.moment()).unwrap();
                t.clock.advance_micros(60_000_000);
            }
        };
        minutes(150);
        let package = audit::export(&t.db, &adam, &signer, &t.moment()).unwrap();
        let package = zip::ZipArchive::new(std::io::Cursor::new(&package.bytes)).unwrap();
        let names = package.file_names().map(|name| name.unwrap().into_owned());
        let kept: Vec<u64> = names.filter_map(|name| name.strip_prefix("checkpoints/")?.parse().ok()).collect();
        let expected: Vec<u64> = [60, 120].into_iter().chain(121..=150).collect();
        assert_eq!(kept, expected);
    });
}

#[test]
fn a_head_that_was_set_back_is_not_signed_and_the_others_are() {
    on_both_engines(|t| {
        let (adam, gina, signer) = (adam(t), t.user("globex", "gina", [authz::Role::Auditor]), signer(t));
        act_often(t, &adam, 3);
        tamper(t, "CREATE TABLE kept AS SELECT * FROM ledger_heads WHERE tenant_id = 'acme-corp'");
        act_often(t, &adam, 3);
        integrate(&t.db, &signer, &t.moment()).unwrap();
        tamper(
            t,
            "DELETE FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq >= 3;
             UPDATE ledger_heads SET size = 3, root = (SELECT root FROM kept), frontier = (SELECT frontier FROM kept)
              WHERE tenant_id = 'acme-corp'",
        );
        act_often(t, &gina, 1);
        let integrated = integrate(&t.db, &signer, &t.moment()).unwrap();
        let acme: TenantId = "acme-corp".parse().unwrap();
        assert_eq!(integrated.refused, [(acme.clone(), HeadError::Smaller { signed: 6, found: 3 })]);
        assert_eq!(integrated.signed, 1);
        // Other entries than those that were signed: they are of another time.
        t.clock.advance_micros(1_000_000);
        act_often(t, &adam, 5);
        let refused = audit::checkpoint(&t.db, &signer, &acme, &t.moment());
        let inconsistent = HeadError::Inconsistent { signed: 6, found: 8 };
        assert!(matches!(refused, Err(CheckpointError::Refused(refused)) if refused == inconsistent));
    });
}

#[test]
fn a_restarted_signer_goes_on_where_the_stored_checkpoint_stands() {
    on_both_engines(|t| {
        let adam = adam(t);
        let key = audit::Signer::generate(t.moment().entropy());
        let signer = || audit::Signer::parse(t.db.instance(), &key).unwrap();
        act_often(t, &adam, 300);
        audit::checkpoint(&t.db, &signer(), adam.tenant(), &t.moment()).unwrap();
        act_often(t, &adam, 300);
        let signed = audit::checkpoint(&t.db, &signer(), adam.tenant(), &t.moment()).unwrap();
        assert_eq!(signed.head.size, 600);
        let other = crate::given::signer(t);
        let refused = audit::checkpoint(&t.db, &other, adam.tenant(), &t.moment());
        assert!(matches!(refused, Err(CheckpointError::Refused(HeadError::Foreign(600)))));
    });
}

#[test]
fn checkpoints_are_made_while_others_write() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        act_often(t, &adam, 1);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        act_often(t, &adam, 1);
                        audit::checkpoint(&t.db, &signer, adam.tenant(), &t.moment()).unwrap();
                    }
                });
            }
        });
        let signed = audit::checkpoint(&t.db, &signer, adam.tenant(), &t.moment()).unwrap();
        assert_eq!(signed.head.size, 61);
    });
}

#[test]
fn a_tenant_that_is_not_there_has_no_checkpoint() {
    on_both_engines(|t| {
        let nobody: TenantId = "nobody".parse().unwrap();
        let refused = audit::checkpoint(&t.db, &signer(t), &nobody, &t.moment());
        assert!(matches!(refused, Err(CheckpointError::NotFound(_))));
    });
}
