use kernel::{OsEntropy, Secret, SeededEntropy, TenantId};
use seal::{Context, DataKey, OpenError, RootKey};

use crate::{Counting, decimal, hex, key};

fn root(seed: u64) -> RootKey {
    RootKey::generate(&SeededEntropy::new(seed))
}

#[test]
fn a_wrapped_key_comes_back_whole() {
    let tenant: TenantId = "acme-corp".parse().unwrap();
    let place = Context { tenant: &tenant, table: "t", column: "c", record: "r", version: 1 };
    let before = key(3, 1);
    let sealed = before.seal(&place, b"text", &OsEntropy).unwrap();
    let after =
        DataKey::unwrap(&before.wrap(&root(1), "acme-corp", &OsEntropy).unwrap(), &root(1), "acme-corp").unwrap();
    assert_eq!((after.id(), after.version()), (before.id(), 3));
    assert_eq!(after.open(&place, &sealed).unwrap(), b"text");
}

#[test]
fn a_wrapped_key_opens_for_its_owner_under_its_root_only() {
    let wrapped = key(1, 1).wrap(&root(1), "acme-corp", &OsEntropy).unwrap();
    for (root, owner) in [(root(2), "acme-corp"), (root(1), "globex"), (root(1), ""), (root(1), "acme-corp ")] {
        assert_eq!(DataKey::unwrap(&wrapped, &root, owner).map(|key| key.id()), Err(OpenError));
    }
}

#[test]
fn every_changed_bit_of_a_wrapped_key_is_refused() {
    let wrapped = key(1, 1).wrap(&root(1), "acme-corp", &OsEntropy).unwrap();
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(DataKey::unwrap(&changed, &root(1), "acme-corp").is_err(), "bit {bit}");
    }
}

#[test]
fn a_wrapped_key_names_its_root_key() {
    let wrapped = key(1, 1).wrap(&root(1), "acme-corp", &OsEntropy).unwrap();
    assert_eq!(RootKey::id_of_wrapped(&wrapped), Ok(root(1).id()));
    assert_eq!(RootKey::id_of_wrapped(&wrapped[1..]), Err(OpenError));
}

#[test]
fn wrapping_twice_tells_nobody_that_it_is_the_same_key() {
    let [one, other] = [1, 2].map(|seed| key(1, 1).wrap(&root(1), "acme-corp", &SeededEntropy::new(seed)).unwrap());
    assert_ne!(one[101..], other[101..]);
}

#[test]
fn a_data_key_does_not_print() {
    let key = DataKey::generate(3, &Counting::default());
    let printed = format!("{key:?} {key:#?}");
    let bytes: Vec<u8> = (16..48).collect();
    assert!(printed.contains("«secret»"));
    assert!(
        !printed.contains(&decimal(&bytes)) && !printed.contains("16, 17") && !printed.contains("16,\n"),
        "{printed}"
    );
}

/// The same envelope made by pyca/cryptography 48 from the format's description.
#[test]
fn another_implementation_wraps_a_key_alike() {
    let root = "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2".to_owned();
    let root = RootKey::parse(&Secret::new(root)).unwrap();
    let entropy = Counting::default();
    let wrapped = DataKey::generate(3, &entropy).wrap(&root, "acme-corp", &entropy).unwrap();
    assert_eq!(
        hex(&wrapped),
        "54465601010000000065de7539862c6bea0000000000000000303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d\
         4e4f505152535455565758595a5be72e51a263cfca1d7a188e8983775360ee5e478e3c487a64c46926703784926ca3087b9856149b7315\
         f8ae9acdfaf497e7adbfa2cd5758f5d5a55db9f2dfcefc19d1759586a20e6e42721cfcb09f232cf2f966bfe134db4c1a8e7837995fba7c\
         a140a189"
    );
}
