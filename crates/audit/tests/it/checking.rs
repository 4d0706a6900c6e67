//! The self-check, and what somebody with the database can do to be found by it.

use audit::verify::Kind;
use testkit::{Tester, on_both_engines};

use crate::given::{act, act_often, adam, signer, tamper};

/// A log of 700 entries, the first of them with a payload, its head signed.
fn given(t: &Tester) -> kernel::TenantId {
    let adam = adam(t);
    act(t, &adam, "test.acted", "one");
    act_often(t, &adam, 699);
    audit::checkpoint(&t.db, &signer(t), adam.tenant(), &t.moment()).unwrap();
    adam.tenant().clone()
}

#[test]
fn what_was_not_touched_fits_together() {
    on_both_engines(|t| {
        let tenant = given(t);
        for last in [None, Some(0), Some(1), Some(300), Some(10_000)] {
            let report = audit::check(&t.db, &tenant, last).unwrap();
            assert!(report.ok(), "{last:?}: {:?}", report.findings);
            assert_eq!((report.size, report.checkpoints), (700, 1));
        }
        let empty = audit::check(&t.db, &t.tenant("globex"), None).unwrap();
        assert!(empty.ok() && empty.size == 0, "{:?}", empty.findings);
    });
}

/// What is changed, which entry is found, and what is said of it.
const CHANGES: &[(&str, Option<u64>, &str)] = &[
    (
        "UPDATE ledger_entries SET actor_id = 'usr_bob' WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "the column `actor_id` says `usr_bob`",
    ),
    (
        "UPDATE ledger_entries SET at = at + 60000000 WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "the column `at`",
    ),
    (
        "UPDATE ledger_entries SET action = 'x' WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "the column `action`",
    ),
    (
        "UPDATE ledger_entries SET outcome = 'failed' WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "the column `outcome`",
    ),
    (
        "UPDATE ledger_entries SET resource_id = 'x' WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "the column `resource_id`",
    ),
    (
        "UPDATE ledger_entries SET leaf = (SELECT leaf FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 651) WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "do not have the hash",
    ),
    (
        "UPDATE ledger_entries SET hash = (SELECT hash FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 651) WHERE tenant_id = 'acme-corp' AND seq = 650",
        Some(650),
        "do not have the hash",
    ),
    ("DELETE FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 650", Some(650), "it is missing"),
    ("DELETE FROM ledger_payloads WHERE tenant_id = 'acme-corp' AND seq = 0", Some(0), "payload is gone"),
    (
        "UPDATE ledger_tiles SET hashes = (SELECT hashes FROM ledger_tiles WHERE tenant_id = 'acme-corp' AND level = 0 AND idx = 0) WHERE tenant_id = 'acme-corp' AND level = 0 AND idx = 1",
        Some(256),
        "`tile/0/001` has another hash",
    ),
    ("DELETE FROM ledger_tiles WHERE tenant_id = 'acme-corp' AND level = 1", None, "the tile above"),
    (
        "UPDATE ledger_heads SET root = (SELECT hash FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 1) WHERE tenant_id = 'acme-corp'",
        None,
        "the root of the stored tiles is not the log's root",
    ),
    ("UPDATE ledger_heads SET size = 699 WHERE tenant_id = 'acme-corp'", Some(699), "the log ends before it"),
    (
        "UPDATE ledger_checkpoints SET root = (SELECT hash FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 1) WHERE tenant_id = 'acme-corp'",
        None,
        "not those that were signed",
    ),
    (
        "UPDATE ledger_checkpoints SET size = 701 WHERE tenant_id = 'acme-corp'",
        None,
        "a head of 701 entries was signed",
    ),
];

#[test]
fn each_change_by_hand_is_found_in_its_place() {
    for (change, seq, says) in CHANGES {
        on_both_engines(|t| {
            let tenant = given(t);
            tamper(t, change);
            let report = audit::check(&t.db, &tenant, None).unwrap();
            let found = report.findings.iter().any(|found| found.seq == *seq && found.text.contains(says));
            assert!(found, "{}, {change}: {:#?}", t.engine, report.findings);
        });
    }
}

#[test]
fn the_check_of_the_end_finds_what_is_at_the_end() {
    on_both_engines(|t| {
        let tenant = given(t);
        tamper(t, CHANGES[0].0);
        assert_eq!(audit::check(&t.db, &tenant, Some(100)).unwrap().first_bad(), Some(650));
        let report = audit::check(&t.db, &tenant, Some(10)).unwrap();
        assert_eq!(report.findings[0].kind, Kind::Entry);
        tamper(t, "UPDATE ledger_entries SET actor_id = 'usr_bob' WHERE tenant_id = 'acme-corp' AND seq = 5");
        assert_eq!(audit::check(&t.db, &tenant, None).unwrap().first_bad(), Some(5));
    });
}
