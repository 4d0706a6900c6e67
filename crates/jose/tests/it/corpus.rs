//! The published corpus, and files of cases in its format.

use jose::TokenError;
use jose::corpus::{Corpus, CorpusError, Decision, Report, Verdict};
use serde_json::{Value, json};

use crate::given::{ISSUER, RSA, claims, issuers, secret, signed, signer, text};

fn decided(file: &Value) -> Report {
    Corpus::parse(file.to_string().as_bytes()).unwrap().decide()
}

fn file(cases: Value) -> Value {
    json!({
        "now": 1_800_000_000, "leeway_seconds": 30, "issuer": ISSUER, "audience": "taskforce",
        "required_claims": ["iss", "aud", "sub", "exp"], "accepted_typ": [null, "JWT", "at+jwt"],
        "profiles": { "ours": { "algs": ["HS256"], "secret_b64url": text(secret().expose()) } },
        "cases": cases,
    })
}

fn case(expect: &str, token: &str) -> Value {
    json!({ "id": 7, "profile": "ours", "expect": expect, "cls": "c", "why": "w", "token": token })
}

/// A token of ours without a key id, as the secret of a profile has none.
fn token(changes: Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, Value::Object(claims(changes)).to_string())
}

/// Whether a file with this setting accepts the token.
fn accepts(setting: &str, value: Value, token: &str) -> bool {
    let mut file = file(json!([case("accept", token)]));
    file[setting] = value;
    decided(&file).wrong.is_empty()
}

#[test]
fn all_374_cases_of_the_published_corpus_are_decided_right() {
    let Some(path) = testkit::shared("vectors/taskforce-jwt/bearer_cases.json") else { return };
    let report = Corpus::parse(&std::fs::read(path).unwrap()).unwrap().decide();
    assert_eq!(report, Report { total: 374, right: 374, wrong: vec![] });
}

#[test]
fn every_wrong_expectation_of_the_corpus_is_found() {
    let Some(path) = testkit::shared("vectors/taskforce-jwt/bearer_cases.json") else { return };
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in file["cases"].as_array_mut().unwrap() {
        case["expect"] = if case["expect"] == "accept" { "reject".into() } else { "accept".into() };
    }
    let report = decided(&file);
    assert_eq!((report.total, report.right), (374, 1), "only the ambiguous case may go either way");
}

#[test]
fn a_wrong_expectation_is_told_with_what_was_decided() {
    let report = decided(&file(json!([case("reject", &token(json!({}))), case("accept", "a.b"), case("reject", "")])));
    assert_eq!((report.total, report.right), (3, 1));
    let [accepted, rejected] = report.wrong.as_slice() else { panic!("{report:?}") };
    assert_eq!((accepted.expected, &accepted.decided), (Verdict::Reject, &Decision::Accepted));
    assert_eq!((rejected.expected, &rejected.decided), (Verdict::Accept, &Decision::Rejected(TokenError::Parts)));
    assert_eq!((rejected.id.as_str(), rejected.cls.as_str(), rejected.why.as_str()), ("7", "c", "w"));
    assert_eq!(rejected.decided.to_string(), "rejected: the token does not have three parts");
}

#[test]
fn an_ambiguous_case_may_go_either_way() {
    for token in [token(json!({})), String::new()] {
        for expect in ["accept", "reject"] {
            let mut case = case(expect, &token);
            case["ambiguous"] = true.into();
            assert_eq!(decided(&file(json!([case]))).right, 1);
        }
    }
}

#[test]
fn every_setting_of_a_file_is_followed() {
    let good = token(json!({}));
    for (setting, same, other) in [
        ("now", json!(1_800_000_629), json!(1_800_000_630)),
        ("issuer", json!(ISSUER), json!("https://other.example")),
        ("audience", json!("taskforce"), json!("other")),
        ("accepted_typ", json!(["JWT"]), json!([null, "at+jwt"])),
        ("required_claims", json!(["exp", "jti"]), json!(["roles"])),
        ("required_claims", json!([]), json!(["tenant_id"])),
        (
            "profiles",
            json!({ "ours": { "algs": ["HS256"], "secret_b64url": text(secret().expose()) } }),
            json!({ "ours": { "algs": ["HS256"], "secret_b64url": text([7; 32]) } }),
        ),
        (
            "profiles",
            json!({ "ours": { "algs": ["ES512", "HS256"], "secret_b64url": text(secret().expose()) } }),
            json!({ "ours": { "algs": ["HS384"], "secret_b64url": text(secret().expose()) } }),
        ),
    ] {
        assert!(accepts(setting, same, &good), "{setting}");
        assert!(!accepts(setting, other, &good), "{setting}");
    }
    let old = token(json!({ "exp": 1_799_999_990 }));
    assert!(accepts("leeway_seconds", json!(11), &old));
    assert!(!accepts("leeway_seconds", json!(10), &old));
}

#[test]
fn a_required_tenant_must_be_one_name_under_whichever_name_it_goes() {
    for claim in ["tenant_id", "tid", "org_id", "tenant"] {
        let required = json!(["exp", claim]);
        assert!(accepts("required_claims", required.clone(), &token(json!({ claim: "b3a1-acme.eu_1" }))), "{claim}");
        for bad in [json!(""), json!("*"), json!(["acme"]), json!(1), json!("a b"), json!("../acme"), json!("a\n")] {
            assert!(!accepts("required_claims", required.clone(), &token(json!({ claim: bad }))), "{claim} {bad}");
        }
    }
}

#[test]
fn public_keys_of_every_kind_work_in_one_profile() {
    let keys: Vec<&Value> = issuers().iter().map(|issuer| &issuer.jwk).collect();
    let cases: Vec<Value> = issuers()
        .iter()
        .map(|issuer| case("accept", &issuer.token(issuer.header(), &claims(json!({})))))
        .chain([case("reject", &signer().sign("JWT", &claims(json!({}))))])
        .collect();
    let mut file = file(json!(cases));
    file["profiles"] = json!({ "ours": { "algs": ["RS256", "ES256", "EdDSA"], "jwks": { "keys": keys } } });
    assert_eq!(decided(&file), Report { total: 4, right: 4, wrong: vec![] });
    file["profiles"]["ours"]["algs"] = json!(["ES256", "EdDSA"]);
    let report = decided(&file);
    assert_eq!(report.wrong.len(), 1);
    assert_eq!(report.wrong[0].decided, Decision::Rejected(TokenError::WrongAlgorithm));
}

#[test]
fn a_secret_that_is_too_short_decides_every_token_as_a_server_would() {
    let mut file = file(json!([case("reject", &crate::given::signed_with(b"short", r#"{"alg":"HS256"}"#, "{}"))]));
    file["profiles"]["ours"]["secret_b64url"] = text("short").into();
    assert_eq!(decided(&file).right, 1);
}

#[test]
fn a_file_of_another_form_is_refused() {
    let reason = |file: &Value| Corpus::parse(file.to_string().as_bytes()).unwrap_err();
    assert!(matches!(reason(&json!([])), CorpusError::Form(_)));
    assert!(matches!(reason(&file(json!([case("maybe", "")]))), CorpusError::Form(_)));
    let mut unknown = case("accept", "");
    unknown["profile"] = "theirs".into();
    assert_eq!(
        reason(&file(json!([unknown]))).to_string(),
        "the case `7` names the profile `theirs`, which is not there"
    );
    for keys in [
        json!({ "algs": ["HS256"] }),
        json!({ "algs": ["HS256"], "secret_b64url": "no base64!" }),
        json!({ "algs": ["RS256"], "jwks": { "keys": 1 } }),
        json!({ "algs": ["RS256"], "jwks": { "keys": [RSA.jwk] }, "secret_b64url": "" }),
    ] {
        let mut file = file(json!([]));
        file["profiles"]["ours"] = keys;
        assert!(matches!(reason(&file), CorpusError::Keys(_)));
    }
}
