use kernel::{OsEntropy, Secret, SeededEntropy};
use seal::{RootKey, RootKeyError};

use crate::{decimal, hex};

const HEX: &str = "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2";
const BASE64: &str = "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=";

fn parse(text: &str) -> Result<RootKey, RootKeyError> {
    RootKey::parse(&Secret::new(text.to_owned()))
}

#[test]
fn every_spelling_of_a_root_key_is_the_same_key() {
    let url = BASE64.replace('+', "-");
    let spellings = [
        HEX,
        &HEX.to_uppercase(),
        BASE64,
        BASE64.trim_end_matches('='),
        &url,
        url.trim_end_matches('='),
        &format!(" {HEX}\n"),
    ];
    for text in spellings {
        let root = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(hex(&root.id()), "65de7539862c6bea", "{text}");
        assert_eq!(root.to_text().expose(), url.trim_end_matches('='), "{text}");
    }
}

#[test]
fn a_derived_key_depends_on_the_root_key_and_its_purpose() {
    let root = parse(HEX).unwrap();
    let derived = |root: &RootKey, purpose| root.derive(purpose).unwrap().expose().clone();
    assert_eq!(derived(&root, "tokens"), derived(&parse(BASE64).unwrap(), "tokens"));
    assert_ne!(derived(&root, "tokens"), derived(&root, "cookies"));
    assert_ne!(derived(&root, "tokens"), derived(&RootKey::generate(&OsEntropy), "tokens"));
    assert_eq!(derived(&root, "tokens").len(), 32);
}

#[test]
fn a_root_key_that_was_made_is_read_back_from_its_text() {
    for _ in 0..1_000 {
        let root = RootKey::generate(&OsEntropy);
        assert_eq!(RootKey::parse(&root.to_text()).unwrap().id(), root.id());
    }
}

#[test]
fn what_is_no_root_key_is_refused() {
    let not_a_key = [
        "",
        " ",
        "correct horse battery staple",
        "correct-horse-battery-staple-and-a-few-more",
        "correcthorsebatterystapleandafewmorewords12",
        "CORRECTHORSEBATTERYSTAPLEANDAFEWMOREWORDS12",
        "pässwörd",
        &HEX.replace('4', "+"),
        &HEX.replace('4', "g"),
        &"ä".repeat(32),
        "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7J=",
        "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7_=",
    ];
    for text in not_a_key {
        assert_eq!(parse(text).map(|root| root.id()), Err(RootKeyError::NotAKey), "{text}");
    }
    for (text, length) in [("password", 6), (&HEX[..32], 24), ("SBNJTRN+FjG7owHVrKtuew==", 16)] {
        assert_eq!(parse(text).map(|root| root.id()), Err(RootKeyError::WrongLength(length)), "{text}");
    }
}

#[test]
fn a_root_key_that_was_not_drawn_at_random_is_refused() {
    let counting: Vec<u8> = (0..32).collect();
    let backwards: Vec<u8> = (0..32).rev().map(|byte| byte * 7).collect();
    let doubled = hex(b"\x12\x9a\xf0\x55\x01\xbe\xc4\x77\x30\xe8\x99\x0b\x6d\xd2\x41\xfe").repeat(2);
    let weak = [
        "00".repeat(32),
        "ff".repeat(32),
        "deadbeef".repeat(8),
        "0123456789abcdef".repeat(4),
        doubled,
        hex(&counting),
        hex(&backwards),
        hex(b"ThisIsMySuperSecretPassphrase123"),
        "VGhpc0lzTXlTdXBlclNlY3JldFBhc3NwaHJhc2UxMjM=".to_owned(),
    ];
    for text in weak {
        assert_eq!(parse(&text).map(|root| root.id()), Err(RootKeyError::Weak), "{text}");
    }
}

#[test]
fn a_refusal_says_what_to_do_and_nothing_of_the_key() {
    for (text, says) in
        [("hunter2", "not a passphrase"), ("password", "6 bytes long, expected 32"), (&*"00".repeat(32), "not random")]
    {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(says) && message.contains("openssl rand -base64 32"), "{message}");
        assert!(!message.contains(text), "{message}");
    }
}

#[test]
fn a_root_key_does_not_print() {
    let root = parse(HEX).unwrap();
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&HEX[2 * at..2 * at + 2], 16).unwrap()).collect();
    let printed = format!("{root:?} {root:#?} {:?}", root.to_text());
    assert!(printed.contains("«secret»"));
    assert!(!printed.contains(&decimal(&key)[..8]) && !printed.contains(&HEX[..8]), "{printed}");
}

#[test]
fn two_root_keys_have_two_ids() {
    assert_ne!(RootKey::generate(&SeededEntropy::new(1)).id(), RootKey::generate(&SeededEntropy::new(2)).id());
}
