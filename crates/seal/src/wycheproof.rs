//! Vectors of Project Wycheproof, run where the primitives are in reach.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use serde::Deserialize;

use crate::primitive;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "tagSize", default)]
    tag_bits: usize,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Case {
    #[serde(rename = "tcId")]
    id: u32,
    result: String,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
}

impl Case {
    fn is_valid(&self) -> bool {
        match self.result.as_str() {
            "valid" => true,
            "invalid" => false,
            other => panic!("case {}: unexpected result `{other}`", self.id),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[expect(clippy::disallowed_methods, reason = "the folder of shared vectors is named by the test runner")]
fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var("TASKFORCE_SHARED").map_or(beside, PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "absent vectors fail the build of a change, not of a clone")]
fn suite(name: &str) -> Option<Suite> {
    let path = shared().join("vectors/wycheproof").join(name);
    if !path.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no vectors at {}", path.display());
        println!("not run: {name} (no shared vectors)");
        return None;
    }
    let suite: Suite = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(suite.test_groups.iter().map(|group| group.tests.len()).sum::<usize>(), suite.number_of_tests);
    Some(suite)
}

/// What the envelope's sizes admit is encrypted and decrypted; `None` when they admit nothing.
fn gcm(case: &Case) -> Option<bool> {
    let key = case.key.0.as_slice().try_into().ok()?;
    let nonce = case.iv.0.as_slice().try_into().ok()?;
    let tag = case.tag.0.as_slice().try_into().ok()?;
    let opened = primitive::decrypt(key, nonce, &case.aad.0, (&case.ct.0, tag));
    let mut buffer = case.msg.0.clone();
    let made = primitive::encrypt(key, nonce, &case.aad.0, &mut buffer).unwrap();
    assert_eq!(buffer, case.ct.0, "case {}", case.id);
    assert_eq!(made == *tag, case.is_valid(), "case {}", case.id);
    if let Ok(plaintext) = &opened {
        assert_eq!(*plaintext, case.msg.0, "case {}", case.id);
    }
    Some(opened.is_ok())
}

#[test]
fn aes_gcm_decides_every_wycheproof_case() {
    let Some(suite) = suite("aes_gcm_test.json") else { return };
    let (mut computed, mut refused) = (0, 0);
    for case in suite.test_groups.iter().flat_map(|group| &group.tests) {
        match gcm(case) {
            Some(opened) => {
                assert_eq!(opened, case.is_valid(), "case {}", case.id);
                computed += 1;
            }
            None => refused += 1,
        }
    }
    println!("aes_gcm: {computed} computed, {refused} refused for the size of key, nonce or tag");
    assert_eq!((computed, refused), (66, 250));
}

#[test]
fn hkdf_decides_every_wycheproof_case() {
    let Some(suite) = suite("hkdf_sha256_test.json") else { return };
    for case in suite.test_groups.iter().flat_map(|group| &group.tests) {
        let mut output = vec![0; case.size];
        let derived = primitive::hkdf_sha256(&case.ikm.0, &case.salt.0, &case.info.0, &mut output);
        assert_eq!(derived.is_ok() && output == case.okm.0, case.is_valid(), "case {}", case.id);
    }
    println!("hkdf_sha256: {} decided", suite.number_of_tests);
}

#[test]
fn hmac_decides_every_wycheproof_case() {
    let Some(suite) = suite("hmac_sha256_test.json") else { return };
    for group in &suite.test_groups {
        for case in &group.tests {
            let accepted = crate::verify_hmac_sha256(&case.key.0, &case.msg.0, &case.tag.0);
            assert_eq!(accepted, case.is_valid() && group.tag_bits == 256, "case {}", case.id);
            let made = crate::hmac_sha256(&case.key.0, &case.msg.0);
            assert_eq!(made.starts_with(&case.tag.0), case.is_valid(), "case {}", case.id);
        }
    }
    println!("hmac_sha256: {} decided, truncated tags refused", suite.number_of_tests);
}

#[test]
fn the_library_decides_the_longer_hmacs_too() {
    for (name, algorithm) in [("hmac_sha384", hmac::HMAC_SHA384), ("hmac_sha512", hmac::HMAC_SHA512)] {
        let Some(suite) = suite(&format!("{name}_test.json")) else { continue };
        for case in suite.test_groups.iter().flat_map(|group| &group.tests) {
            let made = hmac::sign(&hmac::Key::new(algorithm, &case.key.0), &case.msg.0);
            assert_eq!(made.as_ref().starts_with(&case.tag.0), case.is_valid(), "case {}", case.id);
        }
        println!("{name}: {} decided by the library; seal itself offers SHA-256 only", suite.number_of_tests);
    }
}
