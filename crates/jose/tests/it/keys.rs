//! Which keys are accepted.

use jose::{Algorithm, Key, KeyError};
use kernel::Secret;
use serde_json::{Value, json};

use crate::given::{EC, ED, RSA, issuers, text};

fn key(jwk: &Value) -> Result<Algorithm, KeyError> {
    Key::from_jwk(jwk.to_string().as_bytes(), None).map(|key| key.algorithm())
}

fn with(jwk: &Value, changes: Value) -> Value {
    let mut jwk = jwk.clone();
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn without(jwk: &Value, name: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

#[test]
fn a_curve_decides_the_algorithm_and_rsa_does_not() {
    assert_eq!(key(&EC.jwk), Ok(Algorithm::Es256));
    assert_eq!(key(&ED.jwk), Ok(Algorithm::EdDsa));
    let rsa = without(&RSA.jwk, "alg");
    assert_eq!(key(&rsa), Err(KeyError::AlgorithmMissing));
    let configured = Key::from_jwk(rsa.to_string().as_bytes(), Some(Algorithm::Ps256)).unwrap();
    assert_eq!(configured.algorithm(), Algorithm::Ps256);
}

#[test]
fn a_key_has_the_algorithm_that_it_names_and_that_is_configured() {
    for (jwk, algorithm, refusal) in [
        (&RSA.jwk, "ES256", KeyError::AlgorithmMismatch),
        (&EC.jwk, "RS256", KeyError::AlgorithmMismatch),
        (&EC.jwk, "ES384", KeyError::AlgorithmMismatch),
        (&ED.jwk, "HS256", KeyError::AlgorithmMismatch),
        (&RSA.jwk, "none", KeyError::Algorithm),
        (&RSA.jwk, "RSA-OAEP", KeyError::Algorithm),
        (&EC.jwk, "ES521", KeyError::Algorithm),
    ] {
        assert_eq!(key(&with(jwk, json!({ "alg": algorithm }))), Err(refusal), "{algorithm}");
    }
    let configured = Key::from_jwk(RSA.jwk.to_string().as_bytes(), Some(Algorithm::Ps256));
    assert_eq!(configured.unwrap_err(), KeyError::AlgorithmRefused);
}

#[test]
fn a_key_for_another_purpose_is_refused() {
    for changes in [
        json!({ "use": "enc" }),
        json!({ "use": "SIG" }),
        json!({ "key_ops": ["encrypt"] }),
        json!({ "key_ops": [] }),
        json!({ "key_ops": "verify" }),
        json!({ "key_ops": ["sign"] }),
    ] {
        assert_eq!(key(&with(&EC.jwk, changes.clone())), Err(KeyError::Use), "{changes}");
    }
    assert!(key(&with(&EC.jwk, json!({ "use": "sig", "key_ops": ["sign", "verify"] }))).is_ok());
}

#[test]
fn a_private_key_is_refused() {
    for issuer in issuers() {
        assert_eq!(key(&with(&issuer.jwk, json!({ "d": "AQAB" }))), Err(KeyError::Private));
    }
}

#[test]
fn a_field_that_is_absent_or_malformed_is_named() {
    for (jwk, name, bad) in [
        (&RSA.jwk, "kty", json!(1)),
        (&RSA.jwk, "n", json!("a+b/")),
        (&RSA.jwk, "e", json!("AQAB=")),
        (&RSA.jwk, "e", json!(65_537)),
        (&EC.jwk, "crv", json!(["P-256"])),
        (&EC.jwk, "x", json!(text([1; 31]))),
        (&EC.jwk, "y", json!(text([0; 33]))),
        (&ED.jwk, "x", json!(text([1; 31]))),
    ] {
        assert_eq!(key(&with(jwk, json!({ name: bad }))), Err(KeyError::Field(name)));
        assert_eq!(key(&without(jwk, name)), Err(KeyError::Field(name)));
    }
    for (name, bad) in [("kid", json!(1)), ("alg", json!(null)), ("use", json!(["sig"]))] {
        assert_eq!(key(&with(&EC.jwk, json!({ name: bad }))), Err(KeyError::Field(name)));
    }
    assert_eq!(key(&with(&EC.jwk, json!({ "kid": "k".repeat(257) }))), Err(KeyError::IdTooLong));
}

#[test]
fn numbers_that_are_no_sound_key_are_refused() {
    let (x, y) = (EC.jwk["x"].clone(), EC.jwk["y"].clone());
    assert_eq!(key(&with(&EC.jwk, json!({ "x": y, "y": x }))), Err(KeyError::Numbers));
    assert_eq!(key(&with(&EC.jwk, json!({ "x": text([0; 32]), "y": text([0; 32]) }))), Err(KeyError::Numbers));
    for (changes, refusal) in [
        (json!({ "e": "AQ" }), KeyError::RsaExponent),
        (json!({ "e": "Ag" }), KeyError::RsaExponent),
        (json!({ "e": "" }), KeyError::RsaExponent),
        (json!({ "n": text([0xff; 128]) }), KeyError::RsaModulus),
        (json!({ "n": text([0xfe; 256]) }), KeyError::RsaModulus),
        (json!({ "n": "" }), KeyError::RsaModulus),
    ] {
        assert_eq!(key(&with(&RSA.jwk, changes)), Err(refusal));
    }
}

#[test]
fn a_kind_that_nothing_here_uses_is_refused() {
    for jwk in [
        json!({ "kty": "EC", "crv": "P-521", "x": "", "y": "" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "", "y": "" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": text([1; 32]) }),
        json!({ "kty": "AKP", "crv": "", "alg": "ML-DSA-44" }),
        json!({ "kty": "rsa", "crv": "" }),
    ] {
        assert_eq!(key(&jwk), Err(KeyError::Kind), "{jwk}");
    }
}

#[test]
fn a_key_must_be_one_strict_object() {
    for bad in ["", "[]", "null", r#"{"kty":"RSA","kty":"EC"}"#, "{}x", "\u{feff}{}"] {
        assert_eq!(Key::from_jwk(bad.as_bytes(), None).unwrap_err(), KeyError::Json, "{bad}");
    }
}

#[test]
fn a_secret_is_as_long_as_its_hash() {
    for (algorithm, minimum) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        let of = |length| Key::hmac_with(algorithm, None, &Secret::new(vec![7; length])).map(|key| key.algorithm());
        assert_eq!(of(minimum), Ok(algorithm));
        assert_eq!(of(minimum - 1), Err(KeyError::SecretTooShort { minimum }));
        let jwk = json!({ "kty": "oct", "alg": algorithm.name(), "k": text(vec![7; minimum - 1]) });
        assert_eq!(key(&jwk), Err(KeyError::SecretTooShort { minimum }));
    }
    assert_eq!(key(&json!({ "kty": "oct", "k": text([7; 64]) })), Err(KeyError::AlgorithmMissing));
    let public = Key::hmac_with(Algorithm::Rs256, None, &Secret::new(vec![7; 64]));
    assert_eq!(public.unwrap_err(), KeyError::AlgorithmMismatch);
}

#[test]
fn a_pem_key_is_the_same_key() {
    for issuer in issuers() {
        let key = Key::from_pem(&issuer.pem, issuer.algorithm, Some("k")).unwrap();
        assert_eq!((key.algorithm(), key.id()), (issuer.algorithm, Some("k")));
        let token = issuer.token(issuer.header(), &crate::given::claims(json!({})));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
        assert!(key.verifies(message.as_bytes(), &signature));
        assert!(!key.verifies(&message.as_bytes()[1..], &signature));
        let windows = issuer.pem.replace('\n', "\r\n");
        assert!(Key::from_pem(&windows, issuer.algorithm, None).is_ok());
    }
}

#[test]
fn a_pem_key_of_another_form_is_refused() {
    let refusal = |text: &str, algorithm| Key::from_pem(text, algorithm, None).unwrap_err();
    for other in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256] {
        assert_eq!(refusal(&RSA.pem, other), KeyError::AlgorithmMismatch);
    }
    assert_eq!(refusal(&EC.pem, Algorithm::Es384), KeyError::AlgorithmMismatch);
    let spoiled = [
        String::new(),
        RSA.pem.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        RSA.pem.replace("PUBLIC KEY", "CERTIFICATE"),
        RSA.pem.replace("PUBLIC KEY", "PRIVATE KEY"),
        format!("{}{}", RSA.pem, RSA.pem),
        RSA.pem.replacen("MII", "MIJ", 1),
        "-----BEGIN PUBLIC KEY-----".to_owned(),
        "a".repeat(20_000),
    ];
    for bad in spoiled {
        assert_eq!(refusal(&bad, Algorithm::Rs256), KeyError::Pem, "{bad}");
    }
}
