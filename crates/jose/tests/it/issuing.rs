//! Tokens of our own.

use jose::{KeyError, KeySet, Signer, TokenError, peek, verify};
use kernel::Secret;
use serde_json::json;

use crate::given::{ISSUER, claims, expected, judge, now, secret, secret_keys, signer, text};

#[test]
fn a_token_that_was_issued_verifies_until_it_ends() {
    let token = signer().sign("at+jwt", &claims(json!({ "roles": ["viewer"] })));
    assert_eq!(judge(&token).unwrap().texts("roles"), Some(vec!["viewer"]));
    assert_eq!(verify(&token, &secret_keys(), &expected(), now().plus_seconds(700)), Err(TokenError::Expired));
}

#[test]
fn a_token_of_another_type_does_not_pass() {
    for typ in ["logout+jwt", "dpop+jwt", "jwt", ""] {
        assert_eq!(judge(&signer().sign(typ, &claims(json!({})))), Err(TokenError::Type), "{typ}");
    }
}

#[test]
fn a_signer_without_an_id_issues_tokens_that_name_no_key() {
    let signer = Signer::hmac(&secret(), None).unwrap();
    let token = signer.sign("JWT", &claims(json!({})));
    assert_eq!(peek(&token).unwrap().key_id(), None);
    assert!(verify(&token, &KeySet::of(vec![signer.key().clone()]), &expected(), now()).is_ok());
}

#[test]
fn names_with_quotes_stay_texts() {
    let signer = Signer::hmac(&secret(), Some(r#"a","alg":"none"#)).unwrap();
    let token = signer.sign(r#"x","crit":["y"#, &claims(json!({})));
    assert_eq!(peek(&token).unwrap().key_id(), Some(r#"a","alg":"none"#));
    let keys = KeySet::of(vec![signer.key().clone()]);
    assert_eq!(verify(&token, &keys, &expected(), now()), Err(TokenError::Type));
}

#[test]
fn a_short_secret_is_refused() {
    for length in [0, 1, 31] {
        let refusal = Signer::hmac(&Secret::new(vec![7; length]), None).unwrap_err();
        assert_eq!(refusal, KeyError::SecretTooShort { minimum: 32 });
    }
}

#[test]
fn no_secret_prints() {
    let secret = secret();
    let shown = format!("{:?} {:?} {:?} {secret:?}", signer(), secret_keys(), signer().key());
    let clear = String::from_utf8(secret.expose().clone()).unwrap();
    assert!(!shown.contains(&clear) && !shown.contains(&text(&clear)) && !shown.contains("48, 49"), "{shown}");
}

#[test]
fn a_token_can_be_read_before_its_issuer_is_known_and_verified_after() {
    let token = signer().sign("JWT", &claims(json!({ "tid": "acme", "realm": { "id": "r" } })));
    let unverified = peek(&token).unwrap();
    assert_eq!((unverified.issuer(), unverified.key_id()), (Some(ISSUER), Some("ours")));
    assert_eq!((unverified.text("tid"), unverified.text("realm.id")), (Some("acme"), Some("r")));
    let listed = signer().sign("JWT", &claims(json!({ "aud": ["a", "b", 1] })));
    assert!(["a", "b"].into_iter().all(|one| peek(&listed).unwrap().is_for(one)) && !unverified.is_for("a"));
    assert!(!unverified.brings_key() && !format!("{unverified:?}").contains("user-1"));
    assert_eq!(unverified.verify(&secret_keys(), &expected(), now()), judge(&token));
}

#[test]
fn what_was_read_and_does_not_verify_is_refused_alike() {
    let forged = crate::given::signed_with(&[7; 32], r#"{"alg":"HS256","kid":"ours"}"#, "{}");
    assert_eq!(peek(&forged).unwrap().verify(&secret_keys(), &expected(), now()), Err(TokenError::Signature));
    for bad in ["", "a.b.c", "....", &"a".repeat(9_000), "e30.e30.", "e30.e30.e30"] {
        assert!(peek(bad).is_err(), "{bad}");
    }
}
