//! What the claims of a correctly signed token must be.

use jose::{Expected, TenantRule, Tenants, TokenError, verify};
use serde_json::{Value, json};

use crate::given::{ISSUER, claims, expected, judge, judged, now, secret_keys, signer};

fn refusal(changes: Value) -> Option<TokenError> {
    judged(changes).err()
}

fn judged_by(expected: &Expected, changes: Value) -> Result<(), TokenError> {
    verify(&signer().sign("JWT", &claims(changes)), &secret_keys(), expected, now()).map(drop)
}

#[test]
fn a_good_token_gives_its_claims() {
    let token = signer().sign(
        "at+jwt",
        &claims(json!({ "aud": ["other", "taskforce"], "iat": 1_799_999_990, "nbf": 1_799_999_990, "tid": "acme" })),
    );
    let claims = judge(&token).unwrap();
    assert_eq!((claims.iss.as_str(), claims.sub.as_str()), (ISSUER, "user-1"));
    assert_eq!(claims.aud, ["other", "taskforce"]);
    assert_eq!(claims.exp, now().plus_seconds(600));
    assert_eq!((claims.iat, claims.nbf), (Some(now().plus_seconds(-10)), Some(now().plus_seconds(-10))));
    assert_eq!((claims.jti.as_deref(), claims.typ.as_deref()), (Some("j-1"), Some("at+jwt")));
    assert_eq!(Value::Object(claims.rest), json!({ "tid": "acme" }));
}

#[test]
fn issuer_audience_subject_and_end_are_required() {
    for claim in ["iss", "aud", "sub", "exp"] {
        assert_eq!(refusal(json!({ claim: null })), Some(TokenError::ClaimMissing(claim.to_owned())));
    }
}

#[test]
fn a_claim_of_another_type_is_refused_and_never_converted() {
    for (claim, values) in [
        ("iss", json!([[ISSUER], 1, {}, true, ""])),
        ("aud", json!([1, {}, true, [1], ["taskforce", 1], [["taskforce"]]])),
        ("sub", json!(["", 1, ["user-1"], true, {}, "x".repeat(256)])),
        (
            "exp",
            json!(["1800000600", 1_800_000_600.5, 1e308, true, [1_800_000_600], -1, 253_402_300_800_i64, u64::MAX]),
        ),
        ("iat", json!(["1", 1.5, true, -1])),
        ("nbf", json!(["1", 1.5, true, -1])),
        ("jti", json!(["", 1, [], "x".repeat(256)])),
    ] {
        for value in values.as_array().unwrap() {
            assert_eq!(refusal(json!({ claim: value })), Some(TokenError::ClaimMalformed(claim)), "{claim} {value}");
        }
        let mut with_null = claims(json!({}));
        with_null.insert(claim.to_owned(), Value::Null);
        let token = signer().sign("JWT", &with_null);
        assert_eq!(judge(&token), Err(TokenError::ClaimMalformed(claim)), "{claim}");
    }
    assert_eq!(refusal(json!({ "sub": "ü".repeat(255) })), None);
}

#[test]
fn the_issuer_and_the_audience_are_compared_whole() {
    for other in [format!("{ISSUER}/"), ISSUER.to_uppercase(), format!(" {ISSUER}"), "https://idp.exampl".to_owned()] {
        assert_eq!(refusal(json!({ "iss": other })), Some(TokenError::Issuer));
    }
    for other in
        [json!("taskforce-admin"), json!("task"), json!([]), json!(["a", "b"]), json!("a taskforce"), json!("")]
    {
        assert_eq!(refusal(json!({ "aud": other })), Some(TokenError::Audience));
    }
    let nobody = Expected { audiences: vec![], ..expected() };
    assert_eq!(judged_by(&nobody, json!({})), Err(TokenError::Audience));
}

#[test]
fn time_is_judged_with_the_leeway_and_no_more() {
    assert_eq!(refusal(json!({ "exp": 1_799_999_971 })), None);
    assert_eq!(refusal(json!({ "exp": 1_799_999_970 })), Some(TokenError::Expired));
    assert_eq!(refusal(json!({ "exp": 0 })), Some(TokenError::Expired));
    assert_eq!(refusal(json!({ "nbf": 1_800_000_030 })), None);
    assert_eq!(refusal(json!({ "nbf": 1_800_000_031 })), Some(TokenError::NotYetValid));
    assert_eq!(refusal(json!({ "iat": 1_800_000_030 })), None);
    assert_eq!(refusal(json!({ "iat": 1_800_000_031 })), Some(TokenError::IssuedInFuture));
    let strict = Expected { leeway_seconds: 0, ..expected() };
    assert_eq!(judged_by(&strict, json!({ "exp": 1_800_000_001 })), Ok(()));
    assert_eq!(judged_by(&strict, json!({ "exp": 1_800_000_000 })), Err(TokenError::Expired));
}

#[test]
fn further_claims_can_be_required() {
    let rule = Expected { required: vec!["jti".into(), "a.b".into()], ..expected() };
    assert_eq!(judged_by(&rule, json!({ "a": { "b": false } })), Ok(()));
    assert_eq!(judged_by(&rule, json!({ "a": {} })), Err(TokenError::ClaimMissing("a.b".into())));
    assert_eq!(judged_by(&rule, json!({ "a": { "b": null } })), Err(TokenError::ClaimMissing("a.b".into())));
    let changes = json!({ "a": { "b": 1 }, "jti": null });
    assert_eq!(judged_by(&rule, changes), Err(TokenError::ClaimMissing("jti".into())));
}

#[test]
fn an_issuer_speaks_only_for_its_own_tenants() {
    let tenants = Tenants::Only(["acme".to_owned(), "acme-eu".to_owned()].into());
    let rule = TenantRule { claim: "org.id".into(), allowed: tenants };
    let bound = Expected { tenant: Some(rule), ..expected() };
    assert_eq!(judged_by(&bound, json!({ "org": { "id": "acme-eu" } })), Ok(()));
    for bad in
        [json!("evil"), json!("*"), json!(""), json!("Acme"), json!("acme "), json!(["acme"]), json!(null), json!(1)]
    {
        assert_eq!(judged_by(&bound, json!({ "org": { "id": bad } })), Err(TokenError::Tenant), "{bad}");
    }
    assert_eq!(judged_by(&bound, json!({})), Err(TokenError::Tenant));
}

#[test]
fn claims_are_found_by_name_and_by_path() {
    let claims = judged(json!({
        "groups": ["a", "b"], "role": "admin", "scope": "openid  email", "name": "a b", "mixed": ["a", 1],
        "realm_access": { "roles": ["viewer"] }, "https://acme.example/roles": ["x"],
        "resource_access": { "my.client": { "roles": ["y"] } },
    }))
    .unwrap();
    assert_eq!(claims.texts("groups"), Some(vec!["a", "b"]));
    assert_eq!(claims.texts("role"), Some(vec!["admin"]));
    assert_eq!(claims.texts("scope"), Some(vec!["openid", "email"]));
    assert_eq!(claims.texts("name"), Some(vec!["a b"]));
    assert_eq!(claims.texts("realm_access.roles"), Some(vec!["viewer"]));
    assert_eq!(claims.texts("https://acme.example/roles"), Some(vec!["x"]));
    assert_eq!(claims.texts("resource_access.my.client.roles"), Some(vec!["y"]));
    for absent in ["mixed", "nothing", "realm_access", "groups.0", "", ".", "realm_access."] {
        assert_eq!(claims.texts(absent), None, "{absent}");
    }
    assert_eq!((claims.text("role"), claims.text("groups")), (Some("admin"), None));
    assert_eq!(
        (claims.text("sub"), claims.text("iss"), claims.text("jti")),
        (Some("user-1"), Some(ISSUER), Some("j-1"))
    );
}

#[test]
fn claims_do_not_print_whom_they_are_about() {
    let claims = judged(json!({ "sub": "alice", "email": "alice@acme.example", "jti": "alice-1" })).unwrap();
    assert!(!format!("{claims:?}").contains("alice"));
}
