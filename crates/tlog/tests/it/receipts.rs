//! Receipts, and the bundle that was verified with two other implementations.

use serde::Deserialize;
use tlog::note::{Signer, VerifierKey};
use tlog::{Checkpoint, Hash, OpenError, Proof, ProofParseError, ReceiptError, VerifyError, verify_consistency};

use crate::log::Log;
use crate::shared;

const ORIGIN: &str = "log.example/t/1";

fn receipt(size: u64, index: u64) -> (Proof, Vec<VerifierKey>) {
    let log = Log::counting(size);
    let signer = Signer::from_seed("log.example", [7; 32]).unwrap();
    let head = Checkpoint { origin: ORIGIN.into(), size, root: log.root(size) };
    let checkpoint = signer.sign(&head.to_text());
    let proof = Proof { extra: None, index, hashes: log.inclusion(index, size), checkpoint };
    (proof, vec![signer.verifier().clone()])
}

#[derive(Deserialize)]
struct Bundle {
    vkey: String,
    old: String,
    new: String,
    index: u64,
    entry: String,
    incl: Vec<String>,
    cons: Vec<String>,
}

#[test]
fn a_bundle_made_elsewhere_verifies() {
    let suite = "receipt bundle";
    let Some(bundle) = shared::json::<Bundle>(suite, "standards/tlog/example-receipt-bundle.json") else { return };
    let keys = [bundle.vkey.parse().unwrap()];
    let origin = "taskforce.example/acme-corp";
    let hashes = |lines: &[String]| lines.iter().map(|line| Hash::from_base64(line).unwrap()).collect::<Vec<_>>();
    let proof =
        Proof { extra: None, index: bundle.index, hashes: hashes(&bundle.incl), checkpoint: bundle.new.clone() };
    let new = Proof::parse(&proof.render()).unwrap().verify(bundle.entry.as_bytes(), &keys, origin).unwrap();
    let old = Checkpoint::open(&bundle.old, &keys, origin).unwrap();
    assert_eq!((old.size, new.size), (700, 1000));
    assert_eq!(verify_consistency(700, 1000, &hashes(&bundle.cons), &old.root, &new.root), Ok(()));
    println!("receipt bundle: 2 checkpoints, 1 inclusion and 1 consistency proof decided");
}

#[test]
fn a_receipt_is_refused_for_another_leaf_log_or_key() {
    let (proof, keys) = receipt(300, 260);
    let leaf = 260_u64.to_be_bytes();
    assert_eq!(proof.verify(&leaf, &keys, ORIGIN).unwrap().size, 300);
    assert_eq!(proof.verify(b"other", &keys, ORIGIN), Err(ReceiptError::Inclusion(VerifyError::Root)));
    let elsewhere = ReceiptError::Checkpoint(OpenError::Origin(ORIGIN.to_owned()));
    assert_eq!(proof.verify(&leaf, &keys, "log.example/t/2"), Err(elsewhere));
    assert!(matches!(proof.verify(&leaf, &[], ORIGIN), Err(ReceiptError::Checkpoint(OpenError::Note(_)))));
    let moved = Proof { index: 261, ..proof.clone() };
    assert!(moved.verify(&leaf, &keys, ORIGIN).is_err());
    let beyond = Proof { index: 300, ..proof };
    let refused = Err(ReceiptError::Inclusion(VerifyError::Index { index: 300, size: 300 }));
    assert_eq!(beyond.verify(&leaf, &keys, ORIGIN), refused);
}

#[test]
fn changing_any_byte_of_a_receipt_is_noticed() {
    let (proof, keys) = receipt(5, 3);
    let text = proof.render();
    for position in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verified = Proof::parse(&changed).map(|proof| proof.verify(&3_u64.to_be_bytes(), &keys, ORIGIN));
            assert!(!matches!(verified, Ok(Ok(_))), "{changed}");
        }
    }
}

#[test]
fn a_receipt_renders_as_the_specification_says() {
    let (proof, _keys) = receipt(2, 1);
    let with_extra = Proof { extra: Some(b"opaque".to_vec()), ..proof.clone() };
    let start = "c2sp.org/tlog-proof@v1\nextra b3BhcXVl\nindex 1\n";
    let expected = format!("{start}{}\n\n{}", proof.hashes[0].to_base64(), proof.checkpoint);
    assert_eq!(with_extra.render(), expected);
    assert_eq!(Proof::parse(&expected), Ok(with_extra));
    let alone = receipt(1, 0).0;
    assert_eq!(alone.render(), format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{}", alone.checkpoint));
    assert_eq!(Proof::parse(&alone.render()), Ok(alone));
}

#[test]
fn a_receipt_has_one_spelling() {
    let hash = Hash::EMPTY_ROOT.to_base64();
    let good = format!("c2sp.org/tlog-proof@v1\nindex 1\n{hash}\n\ncheckpoint");
    assert!(Proof::parse(&good).is_ok());
    for (wrong, error) in [
        (good.replace("@v1", "@v2"), ProofParseError::Header),
        (good.replace('\n', "\r\n"), ProofParseError::Checkpoint),
        (good.replace("\n\n", "\n"), ProofParseError::Checkpoint),
        (good.replace("checkpoint", ""), ProofParseError::Checkpoint),
        (good.replace("index 1\n", ""), ProofParseError::Index),
        (good.replace("index 1", "index 01"), ProofParseError::Index),
        (good.replace("index 1", "index  1"), ProofParseError::Index),
        (good.replace("index 1", "extra AA==\nextra AA==\nindex 1"), ProofParseError::Index),
        (good.replace("index 1", "extra *\nindex 1"), ProofParseError::Extra),
        (good.replace("index 1", "extra AB==\nindex 1"), ProofParseError::Extra),
        (good.replace("index 1", "index 1\nextra AA=="), ProofParseError::Hash),
        (good.replace(&hash, &format!("{hash} ")), ProofParseError::Hash),
        (good.replace(&hash, &[hash.as_str(); 65].join("\n")), ProofParseError::TooLong),
    ] {
        assert_eq!(Proof::parse(&wrong), Err(error), "{wrong:?}");
    }
}
