//! The signature layer against Wycheproof's vectors, whose payloads are mostly no claims.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::parts::Parts;
use crate::verify::check_signature;
use crate::{Algorithm, Key, KeyError, KeySet, TokenError};

#[derive(Deserialize)]
struct File<G> {
    #[serde(rename = "numberOfTests")]
    number_of_tests: usize,
    #[serde(rename = "testGroups")]
    groups: Vec<G>,
}

#[derive(Deserialize)]
struct TokenGroup {
    private: Value,
    public: Option<Value>,
    tests: Vec<TokenCase>,
}

#[derive(Deserialize)]
struct TokenCase {
    #[serde(rename = "tcId")]
    id: u32,
    /// Compact in the JWS cases; the JWE cases are tokens too, with five parts.
    #[serde(alias = "jwe")]
    jws: Value,
    result: String,
}

impl TokenGroup {
    /// The keys as a server would hold them: public keys as published, secrets as configured one by one, where one that
    /// is refused means that the server has none.
    fn keys(&self) -> KeySet {
        let document = self.public.as_ref().unwrap_or(&self.private);
        let keys = document.get("keys").and_then(Value::as_array).cloned().unwrap_or(vec![document.clone()]);
        if keys.iter().any(|key| key["kty"] != "oct") {
            let set = serde_json::json!({ "keys": keys }).to_string();
            return KeySet::from_jwks(set.as_bytes(), &Algorithm::ALL).unwrap();
        }
        let configured: Result<Vec<Key>, KeyError> =
            keys.iter().map(|key| Key::from_jwk(key.to_string().as_bytes(), None)).collect();
        configured.map(KeySet::of).unwrap_or_default()
    }
}

fn load<G: DeserializeOwned>(name: &str) -> Option<File<G>> {
    let path = testkit::shared(&format!("vectors/wycheproof/{name}"))?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// The reason why the signature of a token is refused.
fn refusal(token: &Value, keys: &KeySet) -> Option<TokenError> {
    let compact = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
    let verified = Parts::read(&compact).and_then(|parts| check_signature(&parts, keys, |_| Ok(())));
    verified.err()
}

/// Decides every case and gives those that are decided otherwise than the file says: (id, what we did).
fn deviations(name: &str, cases: usize) -> Vec<(u32, Option<TokenError>)> {
    let Some(file) = load::<TokenGroup>(name) else { return Vec::new() };
    let mut decided = 0;
    let mut deviations = Vec::new();
    for group in &file.groups {
        let keys = group.keys();
        for case in &group.tests {
            decided += 1;
            let refusal = refusal(&case.jws, &keys);
            if refusal.is_none() != (case.result == "valid") {
                deviations.push((case.id, refusal));
            }
        }
    }
    assert_eq!((decided, file.number_of_tests), (cases, cases));
    deviations
}

/// The exceptions, each with its reason:
/// - 346, 350: the header says PS384, the key PS256; a key has one algorithm (RFC 8725, 3.1).
/// - 347, 351: the key says `ES521`, which is no algorithm, and P-521 is not supported.
/// - 367, 370: byte for byte the token of 357, which is valid; one token cannot be both.
/// - 372, 373: `?` inside a part; base64url is read strictly (RFC 7515, 2).
#[test]
fn all_401_signatures_are_decided_right_but_for_the_documented_contradictions() {
    let found = deviations("json_web_signature_test.json", 401);
    let expected = [
        (346, Some(TokenError::WrongAlgorithm)),
        (347, Some(TokenError::UnknownAlgorithm)),
        (350, Some(TokenError::WrongAlgorithm)),
        (351, Some(TokenError::UnknownAlgorithm)),
        (367, None),
        (370, None),
        (372, Some(TokenError::Encoding)),
        (373, Some(TokenError::Encoding)),
    ];
    if testkit::shared("vectors/wycheproof").is_some() {
        assert_eq!(found, expected);
    }
}

#[test]
fn what_one_file_calls_valid_and_invalid_is_one_token() {
    let Some(file) = load::<TokenGroup>("json_web_signature_test.json") else { return };
    let token = |id| file.groups.iter().flat_map(|group| &group.tests).find(|case| case.id == id).unwrap().jws.clone();
    assert_eq!((token(357), token(357)), (token(367), token(370)));
}

#[test]
fn all_26_key_sets_are_decided_right() {
    assert_eq!(deviations("json_web_key_test.json", 26), []);
}

/// The exceptions are the two well-formed encrypted tokens, 50 and 67: nothing here decrypts, so they are refused like
/// the 32 that are not well-formed.
#[test]
fn all_49_signed_and_34_encrypted_tokens_are_decided_right_where_nothing_decrypts() {
    let found = deviations("json_web_crypto_test.json", 83);
    if testkit::shared("vectors/wycheproof").is_some() {
        assert_eq!(found, [(50, Some(TokenError::Parts)), (67, Some(TokenError::Parts))]);
    }
}

#[derive(Deserialize)]
struct SignatureGroup {
    #[serde(rename = "publicKeyJwk")]
    jwk: Option<Value>,
    #[serde(rename = "publicKeyPem")]
    pem: String,
    tests: Vec<SignatureCase>,
}

#[derive(Deserialize)]
struct SignatureCase {
    #[serde(rename = "tcId")]
    id: u32,
    msg: String,
    sig: String,
    result: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

/// Verifies each case with the key as PEM and, where the file has one, as JWK. Signatures called `acceptable` are
/// legacy forms, which we refuse. Gives the ids that were decided otherwise, and how many cases there were.
fn signatures(name: &str, algorithm: Algorithm) -> Option<(usize, Vec<u32>)> {
    let file = load::<SignatureGroup>(name)?;
    let mut wrong = Vec::new();
    for group in &file.groups {
        let pem = Key::from_pem(&group.pem, algorithm, None).unwrap();
        let jwk = group.jwk.as_ref().map(|jwk| Key::from_jwk(jwk.to_string().as_bytes(), Some(algorithm)).unwrap());
        for key in [Some(&pem), jwk.as_ref()].into_iter().flatten() {
            let judged = |case: &SignatureCase| key.verifies(&bytes(&case.msg), &bytes(&case.sig));
            wrong
                .extend(group.tests.iter().filter(|case| judged(case) != (case.result == "valid")).map(|case| case.id));
        }
    }
    let cases = file.groups.iter().map(|group| group.tests.len()).sum();
    assert_eq!(cases, file.number_of_tests);
    Some((cases, wrong))
}

#[test]
fn signatures_of_every_public_key_algorithm_are_decided_right() {
    for (name, algorithm, cases) in [
        ("rsa_signature_2048_sha256_test.json", Algorithm::Rs256, 259),
        ("rsa_signature_3072_sha256_test.json", Algorithm::Rs256, 259),
        ("rsa_pss_2048_sha256_mgf1_32_test.json", Algorithm::Ps256, 108),
        ("ecdsa_secp256r1_sha256_p1363_test.json", Algorithm::Es256, 262),
        ("ecdsa_secp384r1_sha384_p1363_test.json", Algorithm::Es384, 280),
        ("ed25519_test.json", Algorithm::EdDsa, 151),
    ] {
        assert_eq!(signatures(name, algorithm).unwrap_or((cases, vec![])), (cases, vec![]), "{name}");
    }
}

#[test]
fn no_ecdsa_signature_in_der_is_accepted() {
    let Some(file) = load::<SignatureGroup>("ecdsa_secp256r1_sha256_test.json") else { return };
    let mut decided = 0;
    for group in &file.groups {
        let key = Key::from_pem(&group.pem, Algorithm::Es256, None).unwrap();
        for case in &group.tests {
            decided += 1;
            assert!(!key.verifies(&bytes(&case.msg), &bytes(&case.sig)), "{}", case.id);
        }
    }
    assert_eq!(decided, 484);
}

#[derive(Deserialize)]
struct MacGroup {
    #[serde(rename = "tagSize")]
    tag_bits: u32,
    tests: Vec<MacCase>,
}

#[derive(Deserialize)]
struct MacCase {
    #[serde(rename = "tcId")]
    id: u32,
    key: String,
    msg: String,
    tag: String,
    result: String,
}

/// A key shorter than the hash is refused before anything is computed, a truncated tag always.
#[test]
fn macs_are_decided_right_and_short_keys_and_tags_are_refused() {
    for (name, algorithm, bits) in [
        ("hmac_sha256_test.json", Algorithm::Hs256, 256),
        ("hmac_sha384_test.json", Algorithm::Hs384, 384),
        ("hmac_sha512_test.json", Algorithm::Hs512, 512),
    ] {
        let Some(file) = load::<MacGroup>(name) else { continue };
        let mut computed = 0;
        for group in &file.groups {
            for case in &group.tests {
                let secret = bytes(&case.key);
                let short = secret.len() * 8 < bits;
                let key = Key::hmac_with(algorithm, None, &kernel::Secret::new(secret)).ok();
                assert_eq!(key.is_none(), short, "{name} {}", case.id);
                let valid = case.result == "valid" && usize::try_from(group.tag_bits).unwrap() == bits;
                if let Some(key) = key {
                    computed += 1;
                    assert_eq!(key.verifies(&bytes(&case.msg), &bytes(&case.tag)), valid, "{name} {}", case.id);
                }
            }
        }
        assert_eq!(file.groups.iter().map(|group| group.tests.len()).sum::<usize>(), 174);
        assert!(computed >= 100, "{name}: {computed}");
    }
}
