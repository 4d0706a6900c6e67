//! Each weakness of the reference's tokens, and the known tricks, tried and refused.

use jose::{Key, KeyError, KeySet, TokenError, peek, verify};
use kernel::Secret;
use serde_json::{Value, json};

use crate::given::{
    EC, ISSUER, RSA, claims, expected, issuers, judge, judged, now, sealed, signed, signed_with, signer, text,
};

const HEADER: &str = r#"{"alg":"HS256","kid":"ours"}"#;

fn good() -> String {
    signer().sign("JWT", &claims(json!({})))
}

fn payload() -> String {
    Value::Object(claims(json!({}))).to_string()
}

fn with_header(header: &str) -> Option<TokenError> {
    judge(&signed(header, payload())).err()
}

#[test]
fn a_forged_or_empty_rs256_signature_is_refused() {
    for forged in [vec![], vec![0; 256], vec![1; 256], vec![0xff; 256], vec![0; 255], vec![7; 32]] {
        let token = sealed(r#"{"alg":"RS256","kid":"rsa"}"#, payload(), |_| forged);
        assert_eq!(verify(&token, &RSA.keys(), &expected(), now()), Err(TokenError::Signature));
    }
}

#[test]
fn no_secret_and_a_weak_secret_are_no_keys() {
    for weak in [b"".as_slice(), b"x", b"secret", b"your-secret-key-here", &[0; 31]] {
        let refusal = Key::hmac(None, &Secret::new(weak.to_vec())).unwrap_err();
        assert_eq!(refusal, KeyError::SecretTooShort { minimum: 32 });
        assert_eq!(judge(&signed_with(weak, HEADER, payload())), Err(TokenError::Signature));
        let none = verify(&signed_with(weak, HEADER, payload()), &KeySet::default(), &expected(), now());
        assert_eq!(none, Err(TokenError::WrongAlgorithm));
    }
}

#[test]
fn an_attacker_cannot_choose_among_algorithms() {
    let keys = KeySet::from_jwks(
        json!({ "keys": [RSA.jwk, EC.jwk] }).to_string().as_bytes(),
        &[jose::Algorithm::Rs256, jose::Algorithm::Es256],
    )
    .unwrap();
    let public = [RSA.pem.clone(), RSA.pem.trim().to_owned(), RSA.jwk.to_string(), RSA.jwk["n"].to_string()];
    for key in public {
        let header = r#"{"alg":"HS256","kid":"rsa"}"#;
        let confused = signed_with(key.as_bytes(), header, payload());
        assert_eq!(verify(&confused, &keys, &expected(), now()), Err(TokenError::WrongAlgorithm));
    }
    for other in ["PS256", "RS384", "RS512", "ES384", "EdDSA"] {
        let token = RSA.token(json!({ "alg": other, "kid": "rsa" }), &claims(json!({})));
        assert_eq!(verify(&token, &keys, &expected(), now()), Err(TokenError::WrongAlgorithm), "{other}");
    }
}

#[test]
fn none_is_never_an_algorithm() {
    for none in ["none", "None", "NONE", "nOnE", "", "none ", "HS256\\u0000"] {
        for signature in ["", "AA", &text([0; 32])] {
            let header = format!(r#"{{"alg":"{none}","kid":"ours"}}"#);
            let token = format!("{}.{}.{signature}", text(header), text(payload()));
            let refusal = judge(&token).unwrap_err();
            assert!(matches!(refusal, TokenError::UnknownAlgorithm | TokenError::Header), "{none}: {refusal:?}");
        }
    }
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":0}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":{}}"#, r#"{"alg":true}"#]
    {
        assert_eq!(with_header(header), Some(TokenError::HeaderField("alg")), "{header}");
    }
}

#[test]
fn no_end_is_invented_for_a_token_without_one() {
    assert_eq!(judged(json!({ "exp": null })), Err(TokenError::ClaimMissing("exp".to_owned())));
    assert_eq!(judged(json!({ "exp": 0 })), Err(TokenError::Expired));
}

#[test]
fn no_subject_is_invented_for_a_token_without_one() {
    assert_eq!(judged(json!({ "sub": null })), Err(TokenError::ClaimMissing("sub".to_owned())));
    assert_eq!(judged(json!({ "sub": "" })), Err(TokenError::ClaimMalformed("sub")));
}

#[test]
fn critical_and_other_extensions_are_refused() {
    for (name, member) in [
        ("crit", r#""crit":["exp"],"exp":1"#),
        ("crit", r#""crit":[]"#),
        ("crit", r#""crit":null"#),
        ("b64", r#""b64":false"#),
        ("b64", r#""b64":true"#),
        ("zip", r#""zip":"DEF""#),
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256",{member}}}"#)), Some(TokenError::Extension(name)));
    }
    for nested in ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256","cty":"{nested}"}}"#)), Some(TokenError::Nested));
    }
    assert_eq!(with_header(r#"{"alg":"HS256","cty":1}"#), Some(TokenError::HeaderField("cty")));
    assert_eq!(with_header(r#"{"alg":"HS256","kid":"ours","cty":"json","x-note":{"a":[1]}}"#), None);
}

#[test]
fn a_signature_has_one_spelling() {
    let token = good();
    assert!(judge(&token).is_ok());
    let last = token.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| *other != last) {
        let altered = format!("{}{other}", &token[..token.len() - 1]);
        assert!(judge(&altered).is_err(), "{other}");
    }
    for garbage in ["=", "==", " ", "\n", "\0", "A", "AA", "AAAA", "!", ".", ".A", "?"] {
        assert!(judge(&format!("{token}{garbage}")).is_err(), "{garbage:?}");
        assert!(judge(&format!("{garbage}{token}")).is_err(), "{garbage:?}");
    }
    let standard = token.replace('-', "+").replace('_', "/");
    assert!(standard == token || judge(&standard).is_err());
}

#[test]
fn standard_base64_is_refused() {
    // Bytes whose base64url has both letters that differ from base64.
    let token = signed(HEADER, payload().replace("user-1", "~~~???"));
    let url = text(payload().replace("user-1", "~~~???"));
    assert!(url.contains('-') || url.contains('_'));
    assert!(judge(&token).is_ok());
    assert_eq!(judge(&token.replace('-', "+").replace('_', "/")), Err(TokenError::Encoding));
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    for header in [
        r#"{"alg":"HS256","alg":"HS256","kid":"ours"}"#,
        r#"{"alg":"HS256","kid":"ours","kid":"ours"}"#,
        r#"{"alg":"HS256","kid":"ours","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","kid":"ours","x":1,"x":1}"#,
        r#"{"alg":"HS256","kid":"ours","x":{"y":1,"y":1}}"#,
    ] {
        assert_eq!(with_header(header), Some(TokenError::Header), "{header}");
    }
    for extra in
        [r#""sub":"evil""#, r#""exp":4102444800"#, r#""jti":"j-1""#, r#""s\u0075b":"evil""#, r#""a":{"b":1,"b":2}"#]
    {
        let payload = payload().replacen('{', &format!("{{{extra},"), 1);
        assert_eq!(judge(&signed(HEADER, payload)), Err(TokenError::Claims), "{extra}");
    }
    let twice = payload().replacen('{', r#"{"tid":"a","tid":"b","#, 1);
    assert_eq!(judge(&signed(HEADER, twice)), Err(TokenError::Claims));
}

#[test]
fn a_key_in_the_token_is_never_used() {
    let keys = RSA.keys();
    for (name, value) in [
        ("jwk", EC.jwk.clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/c.pem")),
        ("x5c", json!(["AAAA"])),
    ] {
        let forged = EC.token(json!({ "alg": "ES256", "kid": "rsa", name: value }), &claims(json!({})));
        assert_eq!(verify(&forged, &keys, &expected(), now()), Err(TokenError::WrongAlgorithm), "{name}");
        let honest = RSA.token(json!({ "alg": "RS256", "kid": "rsa", name: value }), &claims(json!({})));
        assert!(verify(&honest, &keys, &expected(), now()).is_ok(), "{name}");
        assert!(peek(&forged).unwrap().brings_key() && !peek(&good()).unwrap().brings_key());
    }
}

#[test]
fn a_key_id_is_compared_and_never_followed() {
    for kid in ["../../../../dev/null", "' OR 1=1 --", "ours ", "OURS", "", "/dev/tcp", "ours%00"] {
        let token = signed_with(b"", &json!({ "alg": "HS256", "kid": kid }).to_string(), payload());
        assert_eq!(judge(&token), Err(TokenError::UnknownKey { kid: kid.to_owned() }));
    }
    for kid in ["1", "null", "[\"ours\"]", "{}", "true"] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#)), Some(TokenError::HeaderField("kid")));
    }
}

#[test]
fn another_shape_is_no_token() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    for bad in ["", ".", "..", "....", &parts[..2].join("."), &format!("{token}."), &format!("{token}.{}", parts[2])] {
        assert!(matches!(judge(bad), Err(TokenError::Parts | TokenError::Header)), "{bad}");
    }
    let json = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string();
    assert_eq!(judge(&json), Err(TokenError::Parts));
    assert_eq!(judge(&"a.".repeat(4_097)), Err(TokenError::TooLong));
    for payload in ["[]", "\"x\"", "", "null", "1", "\u{feff}{}", &token, &"[".repeat(3_000)] {
        assert_eq!(judge(&signed(HEADER, payload)), Err(TokenError::Claims), "{payload}");
    }
    assert_eq!(judge(&signed(HEADER, b"{\"iss\":\"\xff\"}")), Err(TokenError::Claims));
    let deep = payload().replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(64), "]".repeat(64)), 1);
    assert_eq!(judge(&signed(HEADER, deep)), Err(TokenError::Claims));
}

#[test]
fn a_header_with_very_many_members_is_refused() {
    let members = |count: u32| (0..count).map(|number| format!(r#""m{number}":1"#)).collect::<Vec<_>>().join(",");
    let header = |count| format!(r#"{{"alg":"HS256","kid":"ours",{}}}"#, members(count));
    assert_eq!(with_header(&header(32)), None);
    assert_eq!(with_header(&header(33)), Some(TokenError::Header));
}

#[test]
fn psychic_and_degenerate_signatures_are_refused() {
    for issuer in issuers() {
        for signature in [vec![0; 64], vec![0; 256], vec![1; 64], vec![]] {
            let token = sealed(&issuer.header().to_string(), payload(), |_| signature);
            assert_eq!(verify(&token, &issuer.keys(), &expected(), now()), Err(TokenError::Signature));
        }
    }
}

#[test]
fn no_refusal_tells_the_token() {
    let canary = "c4n4ry";
    let token = signed_with(&[7; 32], HEADER, payload().replace("user-1", canary));
    let altered = claims(json!({ "iss": canary, "sub": canary, "aud": canary }));
    for token in [token, signer().sign(canary, &altered), signer().sign("JWT", &altered)] {
        let refusal = judge(&token).unwrap_err();
        assert!(!format!("{refusal:?} {refusal} {}", refusal.reason()).contains(canary));
    }
    let unknown = TokenError::UnknownKey { kid: canary.to_owned() };
    assert!(!unknown.to_string().contains(canary) && !unknown.reason().contains(canary));
    assert!(!ISSUER.contains(canary));
}
