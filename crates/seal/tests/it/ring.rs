use kernel::{OsEntropy, TenantId};
use seal::{Context, KeyRing, OpenError, SealError, SealLimit, key_version};

use crate::key;

fn tenant() -> TenantId {
    "acme-corp".parse().unwrap()
}

fn place(tenant: &TenantId) -> Context<'_> {
    Context { tenant, table: "payloads", column: "body", record: "req_1", version: 1 }
}

#[test]
fn the_newest_key_seals_and_every_key_opens_its_own() {
    let tenant = tenant();
    let place = place(&tenant);
    let mut ring = KeyRing::new(1);
    let mut sealed = Vec::new();
    for version in [1, 2, 10] {
        ring.insert(key(version, version.into()));
        sealed.push(ring.seal(&place, &version.to_be_bytes(), &OsEntropy).unwrap());
    }
    ring.insert(key(9, 9));
    assert_eq!(ring.primary().unwrap().version(), 10);
    for (sealed, version) in sealed.iter().zip([1_u32, 2, 10]) {
        assert_eq!(key_version(sealed), Ok(version));
        assert_eq!(ring.open(&place, sealed).unwrap(), version.to_be_bytes());
    }
}

#[test]
fn a_key_below_the_floor_does_nothing() {
    let tenant = tenant();
    let place = place(&tenant);
    let old = key(1, 1).seal(&place, b"canary", &OsEntropy).unwrap();
    let mut ring = KeyRing::new(2);
    ring.insert(key(1, 1));
    assert_eq!(ring.seal(&place, b"canary", &OsEntropy), Err(SealError::NoKey));
    ring.insert(key(2, 2));
    assert_eq!(ring.open(&place, &old), Err(OpenError));
    assert_eq!(ring.primary().unwrap().version(), 2);
}

#[test]
fn two_keys_of_the_same_version_both_open() {
    let tenant = tenant();
    let place = place(&tenant);
    let mut ring = KeyRing::new(1);
    for seed in [1, 2] {
        ring.insert(key(1, seed));
    }
    for seed in [1, 2] {
        let sealed = key(1, seed).seal(&place, b"canary", &OsEntropy).unwrap();
        assert_eq!(ring.open(&place, &sealed).unwrap(), b"canary");
    }
}

#[test]
fn a_worn_out_key_seals_again_after_rotation_only() {
    let tenant = tenant();
    let place = place(&tenant);
    let limit = SealLimit { warn: 1, refuse: 2 };
    let mut ring = KeyRing::new(1);
    ring.insert(key(1, 1).with_limit(limit));
    for _ in 0..2 {
        ring.seal(&place, b"canary", &OsEntropy).unwrap();
    }
    ring.insert(key(1, 1).with_limit(limit));
    assert_eq!(ring.seal(&place, b"canary", &OsEntropy), Err(SealError::Exhausted { version: 1 }));
    ring.insert(key(2, 2));
    assert_eq!(key_version(&ring.seal(&place, b"canary", &OsEntropy).unwrap()), Ok(2));
}

#[test]
fn what_no_key_of_the_ring_sealed_is_refused_alike() {
    let tenant = tenant();
    let place = place(&tenant);
    let mut ring = KeyRing::new(1);
    ring.insert(key(1, 1));
    let foreign = key(1, 2).seal(&place, b"canary", &OsEntropy).unwrap();
    for sealed in [foreign.as_slice(), b"", b"plaintext", &[0; 200]] {
        assert_eq!(ring.open(&place, sealed), Err(OpenError));
    }
}
