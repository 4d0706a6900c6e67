//! Which key of a set a token gets.

use jose::{Algorithm, Key, KeyError, KeySet, KeySetError, LeftOut, TokenError, verify};
use kernel::Secret;
use serde_json::{Value, json};

use crate::given::{EC, ED, RSA, claims, expected, issuers, now, secret, signer, text};

const PUBLIC: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

fn published(keys: &Value, allowed: &[Algorithm]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes(), allowed).unwrap()
}

fn refusal(token: &str, keys: &KeySet) -> Option<TokenError> {
    verify(token, keys, &expected(), now()).err()
}

fn left_out(id: &str, reason: KeyError) -> LeftOut {
    LeftOut { id: Some(id.to_owned()), reason }
}

#[test]
fn each_key_of_a_mixed_set_verifies_its_own_tokens() {
    let keys = published(&json!([RSA.jwk, EC.jwk, ED.jwk]), &PUBLIC);
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["rsa", "ec", "ed"]);
    assert_eq!(keys.keys().len(), 3);
    for issuer in issuers() {
        assert_eq!(refusal(&issuer.token(issuer.header(), &claims(json!({}))), &keys), None);
        for other in issuers() {
            let header = json!({ "alg": issuer.algorithm.name(), "kid": other.jwk["kid"] });
            let refusal = refusal(&issuer.token(header, &claims(json!({}))), &keys);
            let same = issuer.algorithm == other.algorithm;
            assert_eq!(refusal, (!same).then_some(TokenError::WrongAlgorithm));
        }
    }
}

#[test]
fn one_odd_key_does_not_disable_an_issuer() {
    let odd = json!([
        RSA.jwk, 7, null, {}, { "kty": "RSA", "kid": "weak", "alg": "RS256", "n": text([0xff; 128]), "e": "AQAB" },
        { "kty": "OKP", "kid": "later", "crv": "Ed448", "x": "" }, { "kty": "oct", "kid": "secret", "alg": "HS256",
        "k": text([7; 32]) }, { "kty": "EC", "kid": "enc", "use": "enc" }, EC.jwk,
    ]);
    let keys = published(&odd, &[Algorithm::Rs256]);
    let nameless = |reason| LeftOut { id: None, reason };
    assert_eq!(
        keys.left_out(),
        [
            nameless(KeyError::Json),
            nameless(KeyError::Json),
            nameless(KeyError::Field("kty")),
            left_out("weak", KeyError::RsaModulus),
            left_out("later", KeyError::Kind),
            left_out("secret", KeyError::SecretAmongPublic),
            left_out("enc", KeyError::Use),
            left_out("ec", KeyError::AlgorithmRefused),
        ]
    );
    assert_eq!(refusal(&RSA.token(RSA.header(), &claims(json!({}))), &keys), None);
    for kid in ["weak", "later", "secret", "enc", "ec"] {
        let token = RSA.token(json!({ "alg": "RS256", "kid": kid }), &claims(json!({})));
        assert_eq!(refusal(&token, &keys), Some(TokenError::UnusableKey), "{kid}");
    }
}

#[test]
fn a_key_with_a_name_that_stands_twice_is_left_out_alone() {
    let twice = format!(r#"{{"keys":[{},{}]}}"#, EC.jwk, EC.jwk.to_string().replacen('{', r#"{"kid":"x","#, 1));
    let keys = KeySet::from_jwks(twice.as_bytes(), &PUBLIC).unwrap();
    assert_eq!(keys.left_out(), [LeftOut { id: None, reason: KeyError::Json }]);
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["ec"]);
}

#[test]
fn keys_that_share_an_id_are_unusable() {
    let mut other = ED.jwk.clone();
    other["kid"] = "ec".into();
    let keys = published(&json!([EC.jwk, RSA.jwk, other]), &PUBLIC);
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["rsa"]);
    assert_eq!(keys.left_out(), [left_out("ec", KeyError::IdTwice), left_out("ec", KeyError::IdTwice)]);
    assert_eq!(refusal(&EC.token(EC.header(), &claims(json!({}))), &keys), Some(TokenError::UnusableKey));
}

#[test]
fn a_token_that_names_no_key_needs_a_set_of_one() {
    let token = EC.token(json!({ "alg": "ES256" }), &claims(json!({})));
    assert_eq!(refusal(&token, &EC.keys()), None);
    assert_eq!(refusal(&token, &published(&json!([EC.jwk, RSA.jwk]), &PUBLIC)), Some(TokenError::NoKeyId));
    assert_eq!(refusal(&token, &published(&json!([]), &PUBLIC)), Some(TokenError::NoKeyId));
    assert_eq!(refusal(&token, &KeySet::default()), Some(TokenError::WrongAlgorithm));
}

#[test]
fn an_unknown_key_is_told_so_that_the_set_can_be_fetched_anew() {
    let token = |kid: &str, algorithm: &str| EC.token(json!({ "alg": algorithm, "kid": kid }), &claims(json!({})));
    let unknown = TokenError::UnknownKey { kid: "EC".to_owned() };
    assert_eq!(refusal(&token("EC", "ES256"), &EC.keys()), Some(unknown));
    // An algorithm that the issuer never uses is no reason to fetch anything.
    for never in ["HS256", "RS256", "PS512"] {
        assert_eq!(refusal(&token("EC", never), &EC.keys()), Some(TokenError::WrongAlgorithm));
    }
    for bad in ["k".repeat(257), "a\nb".to_owned(), "\u{9b}".to_owned()] {
        assert_eq!(refusal(&token(&bad, "ES256"), &EC.keys()), Some(TokenError::HeaderField("kid")));
    }
}

#[test]
fn rsa_keys_without_an_algorithm_need_one_configured() {
    let mut bare = RSA.jwk.clone();
    bare.as_object_mut().unwrap().remove("alg");
    let token = RSA.token(RSA.header(), &claims(json!({})));
    assert_eq!(refusal(&token, &published(&json!([bare]), &PUBLIC)), None);
    let both = published(&json!([bare]), &[Algorithm::Rs256, Algorithm::Ps256]);
    assert_eq!(both.left_out(), [left_out("rsa", KeyError::AlgorithmMissing)]);
}

#[test]
fn secrets_and_public_keys_do_not_mix() {
    let key = |issuer: &crate::given::Issuer| Key::from_jwk(issuer.jwk.to_string().as_bytes(), None).unwrap();
    let keys = KeySet::of(vec![key(&EC), signer().key().clone()]);
    assert_eq!(keys.left_out(), [left_out("ours", KeyError::SecretAmongPublic)]);
    assert_eq!(refusal(&signer().sign("JWT", &claims(json!({}))), &keys), Some(TokenError::UnusableKey));
    let allowed = published(&json!([{ "kty": "oct", "kid": "ours", "k": text(secret().expose()) }]), &Algorithm::ALL);
    assert_eq!(allowed.left_out(), [left_out("ours", KeyError::SecretAmongPublic)]);
    assert_eq!(refusal(&signer().sign("JWT", &claims(json!({}))), &allowed), Some(TokenError::WrongAlgorithm));
}

#[test]
fn secrets_rotate_side_by_side() {
    let old = Key::hmac(Some("old"), &Secret::new(vec![7; 32])).unwrap();
    let keys = KeySet::of(vec![old, signer().key().clone()]);
    assert_eq!(refusal(&signer().sign("JWT", &claims(json!({}))), &keys), None);
}

#[test]
fn what_is_no_key_set_is_refused() {
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[]}x"#, "null"] {
        assert_eq!(KeySet::from_jwks(bad.as_bytes(), &PUBLIC).unwrap_err(), KeySetError::Document, "{bad}");
    }
    let large = format!(r#"{{"keys":[]{}}}"#, " ".repeat(jose::MAX_KEY_SET));
    assert_eq!(KeySet::from_jwks(large.as_bytes(), &PUBLIC).unwrap_err(), KeySetError::TooLarge);
}
