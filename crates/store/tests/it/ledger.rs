//! The ledger: one entry for each write, in its place, under a root that anybody can recompute.

use std::panic::{AssertUnwindSafe, catch_unwind};

use authz::{Caller, Role};
use store::{Attributed, COMMITMENT_PREFIX, Entry, Outcome, Policy, Resource, StoreError, sql, values};
use testkit::{Tester, on_both_engines};
use tlog::{Frontier, Hash};

use crate::given::{Touch, email, entry, leaves, set_email, share, size, touch, two_tenants, verified, verify, write};

fn member(leaf: &[u8], name: &str) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(leaf).unwrap()[name].clone()
}

#[test]
fn a_write_leaves_exactly_one_entry_and_says_which() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        for expected in 0..3 {
            let alice = t.again(&alice);
            touch(&t.db, &alice, "thg_1").unwrap();
            assert_eq!(alice.request().recorded(), Some(expected));
        }
        assert_eq!(verified(&t.db, &alice), 3);
        assert_eq!(size(&t.db, &gina), 0, "the other tenant's log is its own");
    });
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let outcome = write(t, &alice, |tx| {
            set_email(tx, &alice, "alice@acme.example")?;
            Err(StoreError::Decode("what was wanted"))
        });
        assert!(matches!(outcome, Err(StoreError::Decode("what was wanted"))), "{outcome:?}");
        assert_eq!((email(t, &alice), size(&t.db, &alice)), (None, 0));
        assert_eq!(alice.request().recorded(), None);
        touch(&t.db, &alice, "thg_1").unwrap();
    });
}

#[test]
fn a_write_that_panics_leaves_nothing_and_the_store_goes_on() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            write(t, &alice, |tx| {
                set_email(tx, &alice, "alice@acme.example")?;
                panic!("in the middle");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!((email(t, &alice), size(&t.db, &alice)), (None, 0));
        touch(&t.db, &alice, "thg_1").unwrap();
        assert_eq!(verified(&t.db, &alice), 1);
    });
}

#[test]
fn a_write_cannot_go_on_after_a_statement_that_failed() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let outcome = write(t, &alice, |tx| {
            let twice = tx.execute(sql!("INSERT INTO config_versions (tenant_id, version) VALUES ($1, 1)"), values![]);
            assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
            let after = set_email(tx, &alice, "alice@acme.example");
            assert!(matches!(after, Err(StoreError::Unavailable(_))), "{after:?}");
            Ok(0)
        });
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!((email(t, &alice), size(&t.db, &alice)), (None, 0));
    });
}

#[test]
fn time_in_a_log_never_goes_back() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        for step in [0, 5_000_000, -3_600_000_000, 1_000, 7_200_000_000] {
            t.clock.advance_micros(step);
            touch(&t.db, &alice, "thg_1").unwrap();
        }
        let leaves = leaves(&t.db, &alice);
        let at = |name| leaves.iter().map(|leaf| member(leaf, name)).collect::<Vec<_>>();
        let (now, later, last) = ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:05.000Z", "2027-01-15T09:00:05.001Z");
        assert_eq!(at("ts"), [now, later, later, later, last]);
        assert_eq!(at("prev_ts")[0], serde_json::Value::Null);
        assert_eq!(at("prev_ts")[1..], [now, later, later, later]);
    });
}

#[test]
fn a_leaf_is_one_line_of_json_with_its_fields_in_order() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let entry = Entry::new("test.touched", Resource::new("thing", "thg_1").with_digest("ab12"))
            .with_outcome(Outcome::Refused)
            .with_policy(Policy { id: "rbac".to_owned(), version: 2, rule: "deny".to_owned(), digest: None })
            .with_payload(&serde_json::json!({"name": "Thing"}));
        t.db.write(alice.authorize::<Touch>().unwrap(), |_| Ok::<_, StoreError>((entry, ()))).unwrap();
        let leaf = String::from_utf8(leaves(&t.db, &alice).remove(0)).unwrap();
        let request = alice.request().id.as_str();
        let commitment = member(leaf.as_bytes(), "payload_commit");
        assert_eq!(
            leaf,
            format!(
                r#"{{"v":"taskforce/audit/1","log":"test/taskforce/t/acme-corp","seq":0,"ts":"2027-01-15T08:00:00.000Z","actor":{{"type":"user","id":"usr_alice","via":null,"act":null}},"tenant":"acme-corp","action":"test.touched","resource":{{"type":"thing","id":"thg_1","digest":"ab12"}},"outcome":"refused","policy":{{"id":"rbac","version":2,"rule":"deny","digest":null}},"request_id":"{request}","idempotency":null,"payload_commit":{commitment},"prev_ts":null}}"#
            )
        );
    });
}

#[test]
fn a_payload_is_sealed_and_opens_to_what_the_leaf_commits_to() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let grant = alice.authorize::<Touch>().unwrap();
        let payload = br#"{"prompt":"a secret question"}"#;
        t.db.write(grant.clone(), |_| Ok::<_, StoreError>((entry("thg_1").with_payload_bytes(payload.to_vec()), ())))
            .unwrap();
        let (sealed, opened) =
            t.db.read(&grant, |tx| {
                let stored = sql!("SELECT sealed FROM ledger_payloads WHERE tenant_id = $1 AND seq = 0");
                let sealed = tx.optional(stored, values![], store::Row::get::<Vec<u8>>)?.expect("a payload");
                let opened = tx.open(("ledger_payloads", "sealed", "0"), &sealed)?;
                Ok::<_, StoreError>((sealed, opened))
            })
            .unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(&opened[32..], payload, "after 32 bytes of salt");
        let commitment = tlog::sha256(&[COMMITMENT_PREFIX, &opened].concat());
        assert_eq!(member(&leaves(&t.db, &alice)[0], "payload_commit"), kernel::hex(commitment.as_bytes()));

        for place in [("ledger_payloads", "sealed", "1"), ("ledger_payloads", "other", "0"), ("other", "sealed", "0")] {
            let moved = t.db.read(&grant, |tx| tx.open(place, &sealed));
            assert!(matches!(moved, Err(StoreError::Sealed(_))), "{place:?}");
        }
        let stolen =
            t.db.read(&gina.authorize::<Touch>().unwrap(), |tx| tx.open(("ledger_payloads", "sealed", "0"), &sealed));
        assert!(matches!(stolen, Err(StoreError::Sealed(_))), "{stolen:?}");
    });
}

#[test]
fn an_entry_that_does_not_fit_in_a_leaf_leaves_nothing() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let outcome = touch(&t.db, &alice, &"x".repeat(65_535));
        assert!(matches!(outcome, Err(StoreError::EntryTooLarge(_))), "{outcome:?}");
        touch(&t.db, &alice, &"x".repeat(65_000)).unwrap();
        assert_eq!(verified(&t.db, &alice), 1);
    });
}

#[test]
fn a_share_with_one_entry_that_does_not_fit_leaves_none_of_them() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let grant = alice.authorize::<Touch>().unwrap();
        let mixed: store::Job<'_> = Box::new(|_| {
            let entries = [entry("thg_1"), entry("thg_2"), entry(&"x".repeat(65_535))];
            Ok(entries.into_iter().map(|entry| Attributed::new(&grant, entry.with_payload_bytes(vec![0]))).collect())
        });
        let outcomes = t.db.write_shares(vec![share(&alice, 1), (alice.tenant().clone(), mixed), share(&alice, 1)]);
        let seqs: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|places| places[0].seq)).collect();
        assert_eq!(seqs, [Some(0), None, Some(1)]);
        assert_eq!(verified(&t.db, &alice), 2);
        let payloads = t.db.read(&grant, |tx| {
            tx.all(sql!("SELECT seq FROM ledger_payloads WHERE tenant_id = $1"), values![], store::Row::get::<u64>)
        });
        assert_eq!(payloads.unwrap(), Vec::<u64>::new());
    });
}

#[test]
fn every_tile_of_seventy_thousand_entries_is_there_and_right() {
    const SIZE: usize = 70_000;
    on_both_engines(|t| {
        let alice = t.user("acme-corp", "alice", [Role::Admin]);
        let mut left = SIZE;
        for batch in [1, 254, 1, 1, 255, 256, 257, 1_023, 513].into_iter().chain(std::iter::repeat(9_000)) {
            let batch = batch.min(left);
            let places = t.db.write_shares(vec![share(&alice, batch)]).remove(0).unwrap();
            assert_eq!(places.len(), batch);
            left -= batch;
            if left == 0 {
                break;
            }
        }
        let mut frontier = Frontier::empty();
        let hashes = verify(&t.db, &alice, &mut frontier);
        assert_eq!(hashes.len(), SIZE);
        compare_tiles(t, &alice, &hashes);
    });
}

/// Compares the stored tiles with those that `tlog` computes. The last tile of level 0 stands in the entries.
fn compare_tiles(t: &Tester, alice: &Caller, hashes: &[Hash]) {
    let mut rows: Vec<Vec<Hash>> = vec![Vec::new(); 3];
    let mut frontier = Frontier::empty();
    for hash in hashes {
        frontier.append_with(*hash, |level, _, hash| {
            if level % 8 == 0 {
                rows[usize::from(level / 8)].push(hash);
            }
        });
    }
    let stored = t.db.read(&alice.authorize::<Touch>().unwrap(), |tx| {
        tx.all(
            sql!("SELECT level, idx, hashes FROM ledger_tiles WHERE tenant_id = $1 ORDER BY level, idx"),
            values![],
            |row| Ok((row.get::<u64>()?, row.get::<u64>()?, row.get::<Vec<u8>>()?)),
        )
    });
    let stored = stored.unwrap();
    let expected: Vec<_> = tlog::tile::tiles(frontier.size())
        .filter(|tile| tile.level > 0 || tile.width == 256)
        .map(|tile| {
            let from = usize::try_from(tile.index).unwrap() * 256;
            let row = &rows[usize::from(tile.level)][from..from + usize::from(tile.width)];
            (u64::from(tile.level), tile.index, tlog::tile::encode(row))
        })
        .collect();
    assert_eq!(stored.len(), expected.len());
    assert!(stored == expected, "a tile on {} is wrong", t.engine);
}
