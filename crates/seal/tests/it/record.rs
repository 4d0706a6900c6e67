use std::collections::HashSet;

use kernel::{Entropy, OsEntropy, SeededEntropy, TenantId};
use proptest::prelude::*;
use seal::{Context, DataKey, OpenError, SealError, SealLimit, key_version};

use crate::{Counting, hex, key};

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn place<'a>(tenant: &'a TenantId, record: &'a str) -> Context<'a> {
    Context { tenant, table: "payloads", column: "body", record, version: 7 }
}

/// The same envelope made by pyca/cryptography 48 from the format's description.
#[test]
fn another_implementation_seals_alike() {
    let entropy = Counting::default();
    let key = DataKey::generate(3, &entropy);
    let (tenant, text) = (tenant("acme-corp"), b"Hello, auditor");
    let sealed = key.seal(&place(&tenant, "req_1"), text, &entropy).unwrap();
    assert_eq!(
        hex(&sealed),
        "544656010100000003000102030405060708090a0b0c0d0e0f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d\
         4e4f505152535455565758595a5b8338fcf46c3a6e5ba6bcf312aa973411b10e7f9a8bd1fa0fe5da62b97826b9322691676939c3f9edd6\
         e64f8a2a9ea26352087f8815763207d2ef469abe82"
    );
    assert_eq!(key_version(&sealed), Ok(3));
}

#[test]
fn every_changed_bit_of_a_thousand_records_is_refused() {
    let (entropy, tenant) = (SeededEntropy::new(1), tenant("acme-corp"));
    let key = key(1, 1);
    for record in 0..1_000 {
        let name = format!("req_{record}");
        let place = place(&tenant, &name);
        let sealed = key.seal(&place, b"canary", &entropy).unwrap();
        let mut changed = sealed.clone();
        for bit in 0..sealed.len() * 8 {
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&place, &changed), Err(OpenError), "record {record}, bit {bit}");
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(changed, sealed);
    }
}

#[test]
fn a_record_that_is_cut_off_or_added_to_is_refused() {
    let tenant = tenant("acme-corp");
    let (key, place) = (key(1, 1), place(&tenant, "req_1"));
    let sealed = key.seal(&place, b"canary", &OsEntropy).unwrap();
    for end in 0..sealed.len() {
        assert_eq!(key.open(&place, &sealed[..end]), Err(OpenError), "{end}");
    }
    assert_eq!(key.open(&place, &[sealed.as_slice(), &[0]].concat()), Err(OpenError));
    assert_eq!(key_version(&sealed[..116]), Err(OpenError));
}

#[test]
fn a_record_opens_only_where_it_was_sealed() {
    let (acme, globex) = (tenant("acme-corp"), tenant("globex"));
    let (key, here) = (key(1, 1), place(&acme, "req_1"));
    let sealed = key.seal(&here, b"canary", &OsEntropy).unwrap();
    let elsewhere = [
        Context { tenant: &globex, ..here },
        Context { table: "memories", ..here },
        Context { column: "title", ..here },
        Context { record: "req_2", ..here },
        Context { version: 6, ..here },
        Context { version: 8, ..here },
        // The same letters, divided otherwise.
        Context { table: "payload", column: "sbody", ..here },
        Context { column: "bodyreq", record: "_1", ..here },
    ];
    for place in elsewhere {
        assert_eq!(key.open(&place, &sealed), Err(OpenError), "{place:?}");
    }
    assert_eq!(key.open(&here, &sealed).unwrap(), b"canary");
}

#[test]
fn ten_thousand_swaps_between_places_are_refused() {
    let (entropy, tenants) = (SeededEntropy::new(9), [tenant("acme-corp"), tenant("globex"), tenant("initech")]);
    let keys = [key(1, 1), key(2, 2), key(2, 3)];
    let pick = |count: usize| {
        let mut byte = [0];
        entropy.fill(&mut byte);
        usize::from(byte[0]) % count
    };
    let draw = || {
        let place = Context {
            tenant: &tenants[pick(3)],
            table: ["payloads", "memories"][pick(2)],
            column: ["body", "title"][pick(2)],
            record: ["req_1", "req_2", "req_3"][pick(3)],
            version: [1, 2, 3][pick(3)],
        };
        (place, pick(3))
    };
    let mut swaps = 0;
    while swaps < 10_000 {
        let ((from, with), (to, against)) = (draw(), draw());
        let sealed = keys[with].seal(&from, b"canary", &entropy).unwrap();
        let opened = keys[against].open(&to, &sealed);
        if (from, with) == (to, against) {
            assert_eq!(opened.unwrap(), b"canary");
        } else {
            assert_eq!(opened, Err(OpenError), "{from:?} {to:?}");
            swaps += 1;
        }
    }
}

#[test]
fn a_record_that_claims_another_key_is_refused() {
    let tenant = tenant("acme-corp");
    let (place, [one, other]) = (place(&tenant, "req_1"), [key(1, 1), key(2, 2)]);
    let mut sealed = one.seal(&place, b"canary", &OsEntropy).unwrap();
    sealed[5..9].copy_from_slice(&other.version().to_be_bytes());
    sealed[9..25].copy_from_slice(&other.id());
    assert_eq!(other.open(&place, &sealed), Err(OpenError));
    assert_eq!(one.open(&place, &sealed), Err(OpenError));
}

#[test]
fn a_refusal_tells_nothing() {
    assert_eq!(format!("{OpenError} {OpenError:?}"), "sealed value does not open OpenError");
}

#[test]
fn no_salt_or_nonce_comes_twice() {
    let tenant = tenant("acme-corp");
    let (key, place) = (key(1, 1), place(&tenant, "req_1"));
    let mut seen = HashSet::new();
    for _ in 0..20_000 {
        let sealed = key.seal(&place, b"", &OsEntropy).unwrap();
        assert!(seen.insert(sealed[25..57].to_vec()), "salt");
        assert!(seen.insert(sealed[57..69].to_vec()), "nonce");
    }
}

#[test]
fn a_key_refuses_to_seal_past_its_limit() {
    let tenant = tenant("acme-corp");
    let place = place(&tenant, "req_1");
    let key = key(4, 1).with_limit(SealLimit { warn: 500, refuse: 1_000 });
    let mut last = Vec::new();
    for seals in 0..1_000 {
        assert_eq!(key.is_rotation_due(), seals >= 500);
        last = key.seal(&place, b"canary", &OsEntropy).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(key.seal(&place, b"canary", &OsEntropy), Err(SealError::Exhausted { version: 4 }));
    }
    assert_eq!(key.seals(), 1_000);
    assert_eq!(key.open(&place, &last).unwrap(), b"canary");
}

#[test]
fn threads_that_race_do_not_pass_the_limit() {
    let tenant = tenant("acme-corp");
    let place = place(&tenant, "req_1");
    let key = key(1, 1).with_limit(SealLimit { warn: 50, refuse: 100 });
    let seals = |_| (0..60).filter(|_| key.seal(&place, b"", &OsEntropy).is_ok()).count();
    let sealed: usize = std::thread::scope(|scope| {
        let threads = [0; 4].map(|at| scope.spawn(move || seals(at)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(sealed, 100);
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        plaintext in proptest::collection::vec(any::<u8>(), 0..4_096),
        table in ".{0,40}", column in ".{0,40}", record in ".{0,200}", version in any::<u64>(), seed in any::<u64>(),
    ) {
        let (tenant, key) = (tenant("acme-corp"), key(1, seed));
        let place = Context { tenant: &tenant, table: &table, column: &column, record: &record, version };
        let sealed = key.seal(&place, &plaintext, &OsEntropy).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + 117);
        prop_assert_eq!(key.open(&place, &sealed).unwrap(), plaintext);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let tenant = tenant("acme-corp");
        let with_header = [b"TFV\x01\x01".as_slice(), &bytes].concat();
        for bytes in [bytes, with_header] {
            prop_assert!(key(1, 1).open(&place(&tenant, "req_1"), &bytes).is_err());
        }
    }
}
