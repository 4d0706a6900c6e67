//! Reading entries and receipts.

use audit::{Order, ProofError, Query, ReadError};
use authz::Role;
use kernel::{Page, PageSize};
use store::{COMMITMENT_PREFIX, Outcome};
use testkit::on_both_engines;

use crate::given::{ORIGIN, act, act_often, adam, keys, last_actions, signer};

fn seqs(page: &Page<audit::EntryView>) -> Vec<u64> {
    page.items.iter().map(|entry| entry.seq).collect()
}

#[test]
fn entries_are_listed_in_both_orders_page_by_page() {
    on_both_engines(|t| {
        let adam = adam(t);
        act_often(t, &adam, 5);
        let list = |query: Query| audit::entries(&t.db, &t.again(&adam), &query).unwrap();
        let size = PageSize::new(2).unwrap();
        let oldest = |after| list(Query { order: Order::OldestFirst, size, after, ..Query::default() });
        let first = oldest(None);
        let second = oldest(first.next.clone());
        assert_eq!((seqs(&first), seqs(&second)), (vec![0, 1], vec![2, 3]));
        let newest = |after, from_seq| list(Query { size, after, from_seq, ..Query::default() });
        let first = newest(None, Some(4));
        let second = newest(first.next.clone(), Some(4));
        let third = newest(second.next.clone(), Some(4));
        assert_eq!((seqs(&first), seqs(&second), seqs(&third)), (vec![4, 3], vec![2, 1], vec![0]));
        assert_eq!(third.next, None);
    });
}

#[test]
fn entries_are_found_by_action_actor_resource_and_outcome() {
    on_both_engines(|t| {
        let (adam, bob) = (adam(t), t.user("acme-corp", "bob", [Role::Admin]));
        act(t, &adam, "catalog.agent.created", "one");
        act(t, &bob, "catalog.agent.created", "two");
        act(t, &bob, "catalog_agent", "two");
        let find = |query: Query| {
            seqs(&audit::entries(&t.db, &t.again(&adam), &Query { order: Order::OldestFirst, ..query }).unwrap())
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(find(Query { action: text("catalog."), ..Query::default() }), [0, 1]);
        assert_eq!(find(Query { actor: text("usr_bob"), ..Query::default() }), [1, 2]);
        assert_eq!(find(Query { resource: text("two"), ..Query::default() }), [1, 2]);
        assert_eq!(find(Query { resource: text("two"), action: text("catalog.a"), ..Query::default() }), [1]);
        assert_eq!(find(Query { outcome: Some(Outcome::Refused), ..Query::default() }), [0; 0]);
        assert_eq!(find(Query { action: text("%"), ..Query::default() }), [0; 0]);
        assert_eq!(find(Query { actor: text("' OR '1'='1"), ..Query::default() }), [0; 0]);
    });
}

#[test]
fn each_reading_is_recorded_before_it_is_answered() {
    on_both_engines(|t| {
        let adam = adam(t);
        act(t, &adam, "test.acted", "one");
        let caller = t.again(&adam);
        audit::entries(&t.db, &caller, &Query::default()).unwrap();
        assert_eq!(caller.request().recorded(), Some(1));
        let caller = t.again(&adam);
        let detail = audit::entry(&t.db, &caller, 1).unwrap();
        assert_eq!(caller.request().recorded(), Some(2));
        assert_eq!(detail.view.action, "audit.entries.read");
        let asked = String::from_utf8(detail.payload.unwrap().bytes).unwrap();
        assert!(asked.contains("\"order\":\"newest_first\""), "{asked}");
        assert_eq!(last_actions(t, &adam, 2), ["audit.entries.read", "audit.entries.read"]);
    });
}

#[test]
fn an_entry_is_shown_with_the_payload_that_it_committed_to() {
    on_both_engines(|t| {
        let adam = adam(t);
        act(t, &adam, "test.acted", "one");
        let detail = audit::entry(&t.db, &t.again(&adam), 0).unwrap();
        let payload = detail.payload.unwrap();
        assert_eq!(payload.bytes, br#"{"name":"one"}"#);
        let commitment = tlog::sha256(&[COMMITMENT_PREFIX, &payload.salt, &payload.bytes].concat());
        let leaf = String::from_utf8(detail.view.leaf.clone()).unwrap();
        assert!(leaf.contains(&format!("\"payload_commit\":\"{commitment:?}\"")), "{leaf}");
        assert_eq!(tlog::leaf_hash(&detail.view.leaf), detail.view.hash);
        assert!(matches!(audit::entry(&t.db, &t.again(&adam), 99), Err(ReadError::NotFound(99))));
    });
}

#[test]
fn a_viewer_cannot_read_the_ledger_and_an_auditor_sees_their_own_tenant_only() {
    on_both_engines(|t| {
        let (adam, vera) = (adam(t), t.user("acme-corp", "vera", [Role::Viewer]));
        act(t, &adam, "test.acted", "one");
        assert!(matches!(audit::entries(&t.db, &vera, &Query::default()), Err(ReadError::Forbidden(_))));
        assert!(matches!(audit::entry(&t.db, &vera, 0), Err(ReadError::Forbidden(_))));
        assert!(matches!(audit::proof(&t.db, &vera, 0), Err(ProofError::Forbidden(_))));
        assert!(matches!(audit::latest_checkpoint(&t.db, &vera), Err(ReadError::Forbidden(_))));
        let gina = t.user("globex", "gina", [Role::Auditor]);
        assert!(audit::entries(&t.db, &gina, &Query::default()).unwrap().items.is_empty());
        assert!(matches!(audit::entry(&t.db, &t.again(&gina), 5), Err(ReadError::NotFound(5))));
    });
}

#[test]
fn a_receipt_verifies_offline() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        act_often(t, &adam, 600);
        assert!(matches!(audit::proof(&t.db, &t.again(&adam), 7), Err(ProofError::NotYetSigned(7))));
        audit::checkpoint(&t.db, &signer, adam.tenant(), &t.moment()).unwrap();
        // The tree has grown beyond the checkpoint, and tiles that were partial are full.
        act_often(t, &adam, 300);
        for seq in [0, 255, 256, 511, 512, 599] {
            let leaf = audit::entry(&t.db, &t.again(&adam), seq).unwrap().view.leaf;
            let receipt = audit::proof(&t.db, &t.again(&adam), seq).unwrap();
            let head = tlog::Proof::parse(&receipt).unwrap().verify(&leaf, &keys(&signer), ORIGIN).unwrap();
            assert_eq!(head.size, 600);
        }
        assert!(matches!(audit::proof(&t.db, &t.again(&adam), 700), Err(ProofError::NotYetSigned(700))));
        assert!(matches!(audit::proof(&t.db, &t.again(&adam), 9_999), Err(ProofError::NotFound(9_999))));
        assert_eq!(last_actions(t, &adam, 1), ["audit.receipt.issued"]);
    });
}
