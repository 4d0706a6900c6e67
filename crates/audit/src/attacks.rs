//! The attacks on a ledger that a package must show, each made and found, and every flipped bit.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::Secret;
use proptest::prelude::*;
use tlog::note::VerifierKey;

use crate::archive::{Reader, Writer};
use crate::checkpoint::Signer;
use crate::leaf::to_hex;
use crate::package::{self, Manifest};
use crate::payloads;
use crate::synthetic::{Log, Parts};
use crate::verify::{Kind, Options, Report, verify};

const ENTRIES: u64 = 600;
const CHECKPOINTS: &[u64] = &[100, 300, 512];

type Files = Vec<(String, Vec<u8>)>;

fn signer(seed: u8) -> Signer {
    Signer::of_tests(seed)
}

fn log<'a>(signer: &'a Signer, tenant: &'a str, entries: u64) -> Log<'a> {
    Log { signer, tenant, entries, payload_every: 3, checkpoints: CHECKPOINTS }
}

fn original(signer: &Signer) -> Vec<u8> {
    log(signer, "acme-corp", ENTRIES).package().unwrap()
}

/// A package of as many entries, of which some have other bytes; everything is computed and signed anew.
fn forged(signer: &Signer, entries: u64, forge: impl Fn(u64, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let log = log(signer, "acme-corp", entries);
    let origin = log.origin();
    let leaf = |seq| forge(seq, log.leaf(&origin, seq));
    let payload = |seq| log.payload(seq).map(|payload| payloads::line(seq, Some(&payload)));
    let (leaf, payload) = (&leaf, &payload);
    Parts { signer, origin: &origin, entries, leaf, payload, checkpoints: CHECKPOINTS }.package().unwrap()
}

fn at(seq: u64, from: &str, to: &str) -> impl Fn(u64, Vec<u8>) -> Vec<u8> {
    move |found, leaf| if found == seq { replace(&leaf, from, to) } else { leaf }
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn files(package: &[u8]) -> Files {
    use std::io::Read as _;
    let mut reader = Reader::open(Cursor::new(package)).unwrap();
    let members = reader.members().to_vec();
    let read = members.into_iter().map(|member| {
        let mut content = Vec::new();
        reader.content(&member).unwrap().read_to_end(&mut content).unwrap();
        (member.name, content)
    });
    read.collect()
}

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(known, _)| known == name).unwrap().1
}

/// The package of these files. The attacker corrects the list of files, but cannot sign it.
fn pack(mut files: Files) -> Vec<u8> {
    let bytes = file(&mut files, package::MANIFEST).clone();
    let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
    for listed in &mut manifest.files {
        if let Some((_, content)) = files.iter().find(|(name, _)| *name == listed.name) {
            listed.sha256 = to_hex(tlog::sha256(content).as_bytes());
            listed.size = content.len() as u64;
        }
    }
    *file(&mut files, package::MANIFEST) = serde_json::to_vec(&manifest).unwrap();
    zip(&files)
}

fn zip(files: &Files) -> Vec<u8> {
    let mut writer = Writer::default();
    for (name, content) in files {
        writer.add(name, content).unwrap();
    }
    writer.finish().unwrap()
}

/// The original with one file changed.
fn with(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut files = files(&original(&signer(1)));
    change(file(&mut files, name));
    pack(files)
}

/// The original with its entries changed, line by line.
fn with_lines(name: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    with(name, |content| {
        let mut lines: Vec<Vec<u8>> = content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        change(&mut lines);
        *content = lines.concat();
    })
}

/// One attack, and what must be found.
struct Attack {
    number: u8,
    package: Vec<u8>,
    options: Options,
    kind: Kind,
    seq: Option<u64>,
    says: &'static str,
}

fn attack(number: u8, package: Vec<u8>, found: (Kind, Option<u64>, &'static str)) -> Attack {
    let (kind, seq, says) = found;
    Attack { number, package, options: Options::default(), kind, seq, says }
}

fn checked(package: &[u8], options: &Options) -> Report {
    let key: VerifierKey = signer(1).verifier_key().to_string().parse().unwrap();
    verify(Cursor::new(package), &[key], options).unwrap()
}

/// The checkpoint that an auditor kept from the original.
fn kept(name: &str) -> Options {
    let mut files = files(&original(&signer(1)));
    let checkpoint = String::from_utf8(file(&mut files, name).clone()).unwrap();
    Options { checkpoint: Some(checkpoint), ..Options::default() }
}

/// Attacks by somebody who can write the database or the package, but not sign.
fn without_key() -> Vec<Attack> {
    let entries = package::ENTRIES;
    let hash = "do not have the hash";
    let mut attacks = vec![
        attack(
            1,
            with_lines(entries, |lines| lines[250] = replace(&lines[250], "\"ok\"", "\"no\"")),
            (Kind::Entry, Some(250), hash),
        ),
        attack(3, with_lines(entries, |lines| lines.truncate(590)), (Kind::Entry, Some(590), "the package only 590")),
        attack(4, with_lines(entries, |lines| drop(lines.remove(250))), (Kind::Entry, Some(250), hash)),
        attack(5, with_lines(entries, |lines| lines.swap(250, 251)), (Kind::Entry, Some(250), hash)),
        attack(6, with_lines(entries, |lines| lines.insert(251, lines[250].clone())), (Kind::Entry, Some(251), hash)),
        attack(8, original(&signer(2)), (Kind::Signature, None, "no known key")),
        attack(11, with("tile/0/001", |tile| tile[5 * 32] ^= 1), (Kind::Tile, Some(261), "the entry itself is intact")),
        attack(11, with("tile/1/000.p/2", |tile| tile[40] ^= 1), (Kind::Tile, None, "entries 256 to 511")),
        attack(
            12,
            with("checkpoint", |note| {
                let last = note.len() - 9;
                note[last] = note[last].wrapping_add(1);
            }),
            (Kind::Signature, None, "is wrong"),
        ),
        attack(14, original(&signer(2)), (Kind::Signature, None, "`log.vkey` is not a key that you gave")),
    ];
    // 7: everything is computed anew, and the old signatures are put back.
    let mut rewritten = files(&forged(&signer(1), ENTRIES, at(250, "\"ok\"", "\"failed\"")));
    let mut genuine = files(&original(&signer(1)));
    for name in ["checkpoint", "checkpoints/100", "checkpoints/300", "checkpoints/512", package::SIGNATURE] {
        file(&mut rewritten, name).clone_from(file(&mut genuine, name));
    }
    attacks.push(attack(7, pack(rewritten.clone()), (Kind::Root, None, "an entry from 100 to 299 was altered")));
    // The same, but the attacker forgot the tiles above.
    file(&mut rewritten, "tile/1/000.p/2").clone_from(file(&mut genuine, "tile/1/000.p/2"));
    attacks.push(attack(7, pack(rewritten), (Kind::Entry, Some(0), "one of the entries 0 to 255 was altered")));
    // 13: the checkpoint of another tenant, properly signed.
    let mut others = files(&log(&signer(1), "globex", ENTRIES).package().unwrap());
    let other = file(&mut others, "checkpoint").clone();
    attacks.push(attack(
        13,
        with("checkpoint", |note| *note = other),
        (Kind::Entry, Some(0), "of the log `tf/taskforce/t/acme-corp`"),
    ));
    let options = Options { origin: Some("tf/taskforce/t/acme-corp".to_owned()), ..Options::default() };
    let package = log(&signer(1), "globex", ENTRIES).package().unwrap();
    attacks
        .push(Attack { options, ..attack(13, package, (Kind::Signature, None, "not of `tf/taskforce/t/acme-corp`")) });
    let lines = package::PAYLOADS;
    let payload = "is not what it committed to";
    attacks.push(attack(
        18,
        with_lines(lines, |lines| lines[84] = replace(&lines[84], "\"payload\":\"", "\"payload\":\"AAAA")),
        (Kind::Payload, Some(252), payload),
    ));
    attacks.push(attack(18, with_lines(lines, |lines| drop(lines.remove(84))), (Kind::Payload, Some(252), "missing")));
    attacks.push(attack(
        19,
        with_lines(lines, |lines| lines[84] = (payloads::line(252, None) + "\n").into_bytes()),
        (Kind::Payload, Some(252), "no entry says"),
    ));
    attacks
}

/// Attacks by the operator, who holds the signing key.
fn with_key() -> Vec<Attack> {
    let signer = signer(1);
    let forged = |forge: &dyn Fn(u64, Vec<u8>) -> Vec<u8>| forged(&signer, ENTRIES, forge);
    let gap = |seq: u64, leaf: Vec<u8>| {
        let (from, to) = (format!("\"seq\":{seq},"), format!("\"seq\":{},", seq + 1));
        if seq >= 250 { replace(&leaf, &from, &to) } else { leaf }
    };
    let node = |seq: u64, leaf: Vec<u8>| if seq == 250 { [vec![1], vec![b'h'; 64]].concat() } else { leaf };
    let graft = |seq: u64, leaf: Vec<u8>| {
        if seq == 250 { log(&signer, "globex", ENTRIES).leaf("tf/taskforce/t/globex", seq) } else { leaf }
    };
    let earlier = at(250, "\"ts\":\"2026-01-15T08:00:00.250Z\"", "\"ts\":\"2026-01-15T08:00:00.200Z\"");
    let relinked = at(250, ":00.249Z\"}", ":00.248Z\"}");
    let now = Options { now: "2026-01-15T08:00:00.399Z".parse().ok(), ..Options::default() };
    vec![
        attack(15, forged(&gap), (Kind::Entry, Some(250), "it says to be entry 251")),
        attack(16, forged(&node), (Kind::Entry, Some(250), "it is not an entry")),
        attack(17, forged(&earlier), (Kind::Entry, Some(250), "earlier than the entry before it")),
        attack(17, forged(&relinked), (Kind::Entry, Some(250), "the entry before it is of")),
        Attack { options: now, ..attack(17, original(&signer), (Kind::Entry, Some(400), "yet to come")) },
        attack(20, forged(&graft), (Kind::Entry, Some(250), "of the log `tf/taskforce/t/globex`")),
    ]
}

/// Attacks by whoever holds the signing key that only an anchor from outside shows.
fn with_key_and_anchor() -> Vec<Attack> {
    let signer = signer(1);
    let cut = log(&signer, "acme-corp", 590).package().unwrap();
    let regrown =
        forged(&signer, 700, |seq, leaf| if seq < 550 { leaf } else { replace(&leaf, "\"ok\"", "\"failed\"") });
    let fork = forged(&signer, ENTRIES, at(250, "\"ok\"", "\"failed\""));
    let anew = log(&signer, "acme-corp", 3).package().unwrap();
    let found = |says| (Kind::Kept, None, says);
    vec![
        Attack { options: kept("checkpoint"), ..attack(3, cut, found("was cut or set back")) },
        Attack { options: kept("checkpoint"), ..attack(9, regrown, found("the log was rewritten")) },
        Attack { options: kept("checkpoints/300"), ..attack(10, fork, found("the log was rewritten")) },
        Attack { options: kept("checkpoint"), ..attack(21, anew, found("was cut or set back")) },
    ]
}

/// Attack 22: the package as a file.
fn on_the_file() -> Vec<Attack> {
    let package = original(&signer(1));
    let genuine = files(&package);
    let change = |change: &dyn Fn(&mut Files)| {
        let mut files = genuine.clone();
        change(&mut files);
        zip(&files)
    };
    let mut cut = package.clone();
    cut.truncate(package.len() - 100);
    let archive = |package, says| attack(22, package, (Kind::Archive, None, says));
    let manifest = |package, says| attack(22, package, (Kind::Manifest, None, says));
    vec![
        archive(change(&|files| drop(files.remove(0))), "`checkpoint` is missing"),
        archive(change(&|files| files.retain(|(name, _)| name != "tile/0/001")), "`tile/0/001` is missing"),
        manifest(change(&|files| files.retain(|(name, _)| name != "checkpoints/300")), "`checkpoints/300` is listed"),
        archive(change(&|files| files.insert(3, ("notes.txt".to_owned(), vec![]))), "`notes.txt` does not belong"),
        archive(change(&|files| files.insert(3, ("tile/0/003".to_owned(), vec![]))), "`tile/0/003` does not belong"),
        archive(change(&|files| files.swap(0, 4)), "is not in its place"),
        archive(change(&|files| files.push(files[0].clone())), "two files named `checkpoint`"),
        archive(change(&|files| files.push(("../evil".to_owned(), vec![]))), "`../evil` is not the name"),
        archive(cut, "cut off"),
        archive(package.repeat(2), "does not end"),
        archive(Vec::new(), "does not end"),
        manifest(with("summary.html", |page| page.extend(b"<p>All is well.")), "not the one that was signed"),
        manifest(change(&|files| file(files, "summary.html").push(b' ')), "`summary.html` is not the file"),
        manifest(change(&|files| file(files, "manifest.json").clear()), "is no manifest"),
        manifest(change(&|files| file(files, "manifest.sig").clear()), "`manifest.sig` is not accepted"),
    ]
}

/// The attacks that no package shows.
const ELSEWHERE: &[(u8, &str)] = &[
    (2, "a search column alone is changed in the database, not in a package: `check`, tests/it"),
    (23, "a signing key is not rotated yet: a verifier takes the keys it was given, for every size"),
];

#[test]
fn every_attack_that_a_package_can_show_is_found_in_its_place() {
    let groups = [without_key(), with_key(), with_key_and_anchor(), on_the_file()];
    let attacks: Vec<Attack> = groups.into_iter().flatten().collect();
    for Attack { number, package, options, kind, seq, says } in &attacks {
        let report = checked(package, options);
        let found =
            report.findings.iter().any(|found| found.kind == *kind && found.seq == *seq && found.text.contains(says));
        assert!(found, "attack {number} ({says}): {:#?}", report.findings);
        assert_eq!(report.first_bad(), *seq, "attack {number} ({says}): {:#?}", report.findings);
    }
    for number in 1..=23 {
        let made = attacks.iter().any(|attack| attack.number == number);
        assert_ne!(made, ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == number), "attack {number}");
    }
}

#[test]
fn what_needs_an_anchor_is_not_found_without_one_and_the_package_says_so() {
    for Attack { number, package, .. } in with_key_and_anchor() {
        assert!(checked(&package, &Options::default()).ok(), "attack {number}");
    }
    let mut files = files(&original(&signer(1)));
    let readme = String::from_utf8(file(&mut files, package::README).clone()).unwrap();
    assert!(readme.contains("could have written the log anew") && readme.contains("--checkpoint kept.checkpoint"));
}

#[test]
fn an_honest_package_holds_and_is_counted() {
    let report = checked(&original(&signer(1)), &kept("checkpoints/300"));
    assert_eq!(report.findings, []);
    assert_eq!((report.size, report.payloads, report.checkpoints), (600, 200, 4));
    assert_eq!(
        report.actions,
        [("gateway.call.completed", 300), ("gateway.call.requested", 300)]
            .map(|(name, count)| (name.to_owned(), count))
            .into()
    );
    assert_eq!(report.first.as_deref(), Some("2026-01-15T08:00:00.000Z"));
    assert_eq!(report.last.as_deref(), Some("2026-01-15T08:00:00.599Z"));
    assert_eq!(report.origin, "tf/taskforce/t/acme-corp");
}

#[test]
fn logs_of_every_size_up_to_three_tiles_hold() {
    for entries in [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 700] {
        let report = checked(&log(&signer(1), "acme-corp", entries).package().unwrap(), &Options::default());
        assert!(report.ok(), "{entries}: {:?}", report.findings);
    }
}

#[test]
fn an_origin_that_the_key_is_not_named_after_is_refused() {
    let elsewhere = Signer::parse("elsewhere", &Secret::new(STANDARD.encode([1; 32]))).unwrap();
    let package = log(&elsewhere, "acme-corp", 3).package().unwrap();
    let keys = [signer(1).verifier_key().clone(), elsewhere.verifier_key().clone()];
    assert!(verify(Cursor::new(&package), &keys, &Options::default()).unwrap().ok());
    let parts = Parts {
        signer: &signer(1),
        origin: "elsewhere/taskforce/t/acme-corp",
        entries: 0,
        leaf: &|_| Vec::new(),
        payload: &|_| None,
        checkpoints: &[],
    };
    let report = checked(&parts.package().unwrap(), &Options::default());
    assert!(report.findings.iter().any(|found| found.text.contains("another installation")), "{:?}", report.findings);
}

/// Small, so that thousands of verifications take seconds.
fn small() -> &'static [u8] {
    static SMALL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SMALL.get_or_init(|| {
        let signer = signer(1);
        Log { signer: &signer, tenant: "acme-corp", entries: 12, payload_every: 4, checkpoints: &[5] }
            .package()
            .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_flipped_bit_is_found_and_in_an_entry_the_entry_is_named(at in 0..small().len(), bit in 0..8_u32) {
        let mut package = small().to_vec();
        package[at] ^= 1 << bit;
        let report = checked(&package, &Options::default());
        prop_assert!(!report.ok(), "byte {at}, bit {bit}");
        let entries = small().windows(16).position(|window| window == b"{\"v\":\"taskforce/").unwrap();
        let before = small().get(entries..at).map(|before| before.split(|byte| *byte == b'\n').count() as u64 - 1);
        if let Some(seq) = before.filter(|seq| *seq < 12) {
            prop_assert_eq!(report.first_bad(), Some(seq), "byte {}, bit {}: {:?}", at, bit, report.findings);
        }
    }
}
