//! Signed notes: the specification's example, Wycheproof, and the rules for several signatures.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::note::{self, KeyError, NoteError, Signer, VerifierKey};
use tlog::{Checkpoint, CheckpointError, Hash, OpenError};

use crate::shared;

fn signer(name: &str, seed: u8) -> Signer {
    Signer::from_seed(name, [seed; 32]).unwrap()
}

#[test]
fn the_specifications_note_opens_with_its_key() {
    let Some(folder) = shared::path("c2sp", "vectors/c2sp") else { return };
    let note = fs::read_to_string(folder.join("signed_note_example.txt")).unwrap();
    let vkey = fs::read_to_string(folder.join("signed_note_example.vkey")).unwrap();
    let keys: Vec<VerifierKey> = vec![vkey.trim().parse().unwrap()];
    let opened = note::open(&note, &keys).unwrap();
    assert_eq!(opened.text, "This is an example message.\n");
    assert_eq!(opened.verified_by, [&keys[0]]);
    assert_eq!(keys[0].to_string(), vkey.trim());
    println!("c2sp: 1 note decided");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wycheproof {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key: PublicKey,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct PublicKey {
    pk: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    msg: String,
    sig: String,
    result: String,
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |index| char::from(text.as_bytes()[index]).to_digit(16).unwrap();
    (0..text.len()).step_by(2).map(|index| u8::try_from(digit(index) << 4 | digit(index + 1)).unwrap()).collect()
}

#[test]
fn every_wycheproof_signature_is_decided_right() {
    let Some(file) = shared::json::<Wycheproof>("wycheproof ed25519", "vectors/wycheproof/ed25519_test.json") else {
        return;
    };
    let mut decided = 0;
    for group in &file.test_groups {
        let public = <[u8; 32]>::try_from(unhex(&group.public_key.pk));
        let key = public.ok().map(|public| VerifierKey::new("wycheproof", public).unwrap());
        for case in &group.tests {
            let verified = key.as_ref().is_some_and(|key| key.verify(unhex(&case.msg), &unhex(&case.sig)));
            assert_eq!(verified, case.result == "valid", "case {}", case.tc_id);
            decided += 1;
        }
    }
    println!("wycheproof ed25519: {decided} cases decided");
    assert_eq!((decided, file.number_of_tests), (151, 151));
}

#[test]
fn a_note_may_carry_signatures_of_keys_and_algorithms_unknown_to_the_reader() {
    let (old, new, stranger) = (signer("log", 1), signer("log", 2), signer("stranger", 3));
    let text = "head\n\nwith an empty line\n";
    let post_quantum = format!("— log {}\n", "AAAA".repeat(1640));
    let note = [&old.sign(text), &post_quantum, &*stranger.signature_line(text), &new.signature_line(text)].concat();

    let keys = [new.verifier().clone(), old.verifier().clone()];
    let opened = note::open(&note, &keys).unwrap();
    assert_eq!(opened.text, text);
    assert_eq!(opened.verified_by, [old.verifier(), new.verifier()]);
    assert_eq!(note::open(&note, &keys[..1]).unwrap().verified_by, [new.verifier()]);
    assert_eq!(note::open(&note, &[]), Err(NoteError::Unsigned));
    assert_eq!(note::open(&note, &[signer("log", 9).verifier().clone()]), Err(NoteError::Unsigned));
    assert_eq!(note::open(&note, &[signer("other", 1).verifier().clone()]), Err(NoteError::Unsigned));
}

#[test]
fn one_wrong_signature_of_a_known_key_spoils_the_note() {
    let (good, bad) = (signer("good", 1), signer("bad", 2));
    let note = format!("{}{}", good.sign("text\n"), bad.signature_line("another text\n"));
    let keys = [good.verifier().clone(), bad.verifier().clone()];
    assert_eq!(note::open(&note, &keys), Err(NoteError::BadSignature("bad".to_owned())));
    assert!(note::open(&note, &keys[..1]).is_ok());
    let twice = format!("{}{}", good.sign("text\n"), good.signature_line("another text\n"));
    assert_eq!(note::open(&twice, &keys), Err(NoteError::BadSignature("good".to_owned())));
}

#[test]
fn a_repeated_signature_counts_once_and_too_many_are_refused() {
    let signer = signer("log", 1);
    let keys = [signer.verifier().clone(), signer.verifier().clone()];
    let note = |more| signer.sign("text\n") + &signer.signature_line("text\n").repeat(more);
    let full = note(note::MAX_SIGNATURES - 1);
    assert_eq!(note::open(&full, &keys).unwrap().verified_by, [signer.verifier()]);
    assert_eq!(note::open(&note(note::MAX_SIGNATURES), &keys), Err(NoteError::TooMany));
}

#[test]
fn changing_any_byte_of_a_note_is_noticed() {
    let signer = signer("log.example", 7);
    let keys = [signer.verifier().clone()];
    let note = signer.sign("log.example\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n");
    let mut decided = 0;
    for position in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(note::open(&changed, &keys).is_err(), "{changed}");
            decided += 1;
        }
    }
    assert!(decided > 1000);
    for end in 0..note.len() {
        if note.is_char_boundary(end) {
            assert!(note::open(&note[..end], &keys).is_err(), "{end}");
        }
    }
}

#[test]
fn a_note_has_one_spelling() {
    let signer = signer("log", 1);
    let keys = [signer.verifier().clone()];
    let note = signer.sign("text\n");
    let line = signer.signature_line("text\n");
    assert!(note::open(&note, &keys).is_ok());
    for wrong in [
        note.replace('\n', "\r\n"),
        note.replace("— ", "- "),
        note.replace("— ", "—  "),
        note.replace("=\n", "\n"),
        note.replace("text\n\n", "text\n"),
        note.trim_end().to_owned(),
        format!("{note}\n"),
        format!("{note} \n"),
        format!("\n{}", note.trim_start_matches("text\n")),
        format!("text\n\n\n{line}"),
        format!("te\txt\n\n{line}"),
        format!("{note}— log AAAA\n"),
        format!("{note}—  AAAAAAAA\n"),
        format!("{note}— a+b AAAAAAAA\n"),
        format!("{note}— a\u{a0}b AAAAAAAA\n"),
        format!("{note}— b AAAAAAB=\n"),
    ] {
        assert!(note::open(&wrong, &keys).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_verifier_key_has_one_spelling() {
    let key = signer("example.com/log", 1).verifier().to_string();
    assert_eq!(key.parse::<VerifierKey>().unwrap().to_string(), key);
    let (name, rest) = key.split_once('+').unwrap();
    let (id, public) = rest.split_once('+').unwrap();
    for (wrong, error) in [
        (String::new(), KeyError::Parts),
        (format!("{name}+{id}"), KeyError::Parts),
        (format!("+{id}+{public}"), KeyError::Name(String::new())),
        (format!("a b+{id}+{public}"), KeyError::Name("a b".to_owned())),
        (format!("other+{id}+{public}"), KeyError::Id(id.to_owned())),
        (format!("{name}+{}+{public}", id.to_uppercase()), KeyError::Id(id.to_uppercase())),
        (format!("{name}+0{id}+{public}"), KeyError::Id(format!("0{id}"))),
        (format!("{name}+{id}+{public} "), KeyError::Key),
        (format!("{name}+{id}+{}", &public[4..]), KeyError::Algorithm(unhex_type(&public[4..]))),
        (format!("{name}+{id}+AQ=="), KeyError::Key),
        (format!("{name}+{id}+"), KeyError::Key),
        (format!("{name}+{id}+BgAA"), KeyError::Algorithm(6)),
    ] {
        assert_eq!(wrong.parse::<VerifierKey>(), Err(error), "{wrong}");
    }
    for name in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\u{0}"] {
        assert!(matches!(Signer::from_seed(name, [1; 32]), Err(KeyError::Name(_))), "{name:?}");
    }
}

/// The first byte that the base64 text decodes to.
fn unhex_type(text: &str) -> u8 {
    STANDARD.decode(text).unwrap()[0]
}

#[test]
fn a_signer_does_not_show_its_key() {
    // Test 1 of RFC 8032, section 7.1.
    let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let signer = Signer::from_seed("log", seed.clone().try_into().unwrap()).unwrap();
    let public = unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(signer.verifier().public().as_slice(), public);
    assert_eq!(format!("{signer:?}"), format!("Signer {{ verifier: \"{}\", .. }}", signer.verifier()));
}

#[test]
fn a_checkpoint_of_another_log_or_key_is_not_accepted() {
    let signer = signer("instance", 1);
    let keys = [signer.verifier().clone()];
    let note = signer.sign(&Checkpoint { origin: "log/a".into(), size: 0, root: Hash::EMPTY_ROOT }.to_text());
    assert!(Checkpoint::open(&note, &keys, "log/a").is_ok());
    assert_eq!(Checkpoint::open(&note, &keys, "log/b"), Err(OpenError::Origin("log/a".to_owned())));
    assert_eq!(Checkpoint::open(&note, &[], "log/a"), Err(OpenError::Note(NoteError::Unsigned)));
    let extended = signer.sign(&format!("log/a\n0\n{}\nmore\n", Hash::EMPTY_ROOT.to_base64()));
    let refused = Err(OpenError::Checkpoint(CheckpointError::Extension));
    assert_eq!(Checkpoint::open(&extended, &keys, "log/a"), refused);
}
