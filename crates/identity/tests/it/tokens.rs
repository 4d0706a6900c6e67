//! Tokens of our own.

use authz::{Permission, Permissions, Role, Via};
use base64::Engine as _;
use identity::{
    IssueTokenError, IssuedToken, KeyFormatError, Leavers, NewKey, NewToken, Refusal, RevokeTokenError, StatusChange,
    TenantChange, TenantStatus, TokenRef, TokenRefusal, UserChange, Verifier,
};
use jose::{Signer, TokenError};
use kernel::Secret;
use serde_json::{Map, Value, json};
use testkit::Tester;

use crate::idp::{self, SECRET, present, tokens};
use crate::world::{World, new_key};

fn issue(world: &World<'_>, caller: &authz::Caller, new: NewToken) -> Result<IssuedToken, IssueTokenError> {
    let caller = world.tester.again(caller);
    identity::issue_token(&world.tester.db, &tokens(), &caller, new, &world.tester.moment())
}

/// A token for a new operator of acme-corp, made with a key of hers.
fn olivias(world: &World<'_>) -> (identity::User, authz::Caller, IssuedToken) {
    let olivia = world.user("olivia", [Role::Operator]);
    let caller = world.enter(&world.key(&olivia.id));
    let token = issue(world, &caller, NewToken::default()).unwrap();
    (olivia, caller, token)
}

fn refusal(world: &World<'_>, token: &str) -> Refusal {
    present(world, token).unwrap_err().cause
}

/// The claims of one of our tokens, unverified.
fn claims(token: &IssuedToken) -> Map<String, Value> {
    let payload = token.token.expose().split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// A token that is signed as ours are, and says what the test wants.
fn forged(token: &IssuedToken, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut claims = claims(token);
    change(&mut claims);
    Signer::hmac(&Secret::new(SECRET.to_vec()), None).unwrap().sign("at+jwt", &claims)
}

#[test]
fn a_token_stands_for_its_subject_and_says_nothing_about_roles() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, by_key, token) = olivias(&world);
        assert_eq!(token.expires_at, tester.moment().now().plus_seconds(3_600));
        let claims = claims(&token);
        assert_eq!((&claims["sub"], &claims["tenant_id"]), (&json!(olivia.id.as_str()), &json!("acme-corp")));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://taskforce.example"), &claims["iss"]));
        assert!(!claims.contains_key("roles") && !claims.contains_key("scope"));
        let caller = present(&world, token.token.expose()).unwrap().caller;
        assert_eq!(caller.actor().id, olivia.id.as_str());
        assert_eq!(caller.actor().via, Some(Via::Token(token.id.as_str().into())));
        assert!(token.id.starts_with("tok_") && token.id.len() == 28);
        assert_eq!(caller.permissions(), by_key.permissions());
        assert_eq!(caller.standing().issued_by, by_key.standing().issued_by);

        let change = UserChange { expected_revision: 1, roles: Some([Role::Viewer].into()), ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        let caller = present(&world, token.token.expose()).unwrap().caller;
        assert!(!caller.permissions().contains(Permission::AgentExecute), "roles are looked up at each request");
    });
}

#[test]
fn a_token_ends_in_time_and_with_its_leeway() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, caller, _) = olivias(&world);
        let short = issue(&world, &caller, NewToken { expires_in_seconds: Some(60), scopes: None }).unwrap();
        tester.clock.advance_micros(89_999_999);
        assert!(present(&world, short.token.expose()).is_ok());
        tester.clock.advance_micros(1);
        assert_eq!(refusal(&world, short.token.expose()), TokenRefusal::from(TokenError::Expired).into());
        for bad in [0, 86_401] {
            let refused = issue(&world, &caller, NewToken { expires_in_seconds: Some(bad), scopes: None });
            assert!(matches!(refused, Err(IssueTokenError::Lifetime)), "{bad}");
        }
        assert!(issue(&world, &caller, NewToken { expires_in_seconds: Some(86_400), scopes: None }).is_ok());
    });
}

#[test]
fn a_token_is_never_wider_than_what_it_was_made_with() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, caller, _) = olivias(&world);
        let read = Permissions::NONE.with(Permission::AgentRead);
        let narrow = NewToken { expires_in_seconds: None, scopes: Some(read) };
        let token = issue(&world, &caller, narrow).unwrap();
        assert_eq!(present(&world, token.token.expose()).unwrap().caller.permissions(), read);
        let audit = Permissions::NONE.with(Permission::AuditRead);
        let beyond = issue(&world, &caller, NewToken { expires_in_seconds: None, scopes: Some(audit) });
        assert!(matches!(beyond, Err(IssueTokenError::Beyond(_))));

        let key = world.key_with(NewKey { scopes: Some(read), ..new_key(&olivia.id) });
        let narrowed = world.enter(&key);
        let token = issue(&world, &narrowed, NewToken::default()).unwrap();
        assert_eq!(token.scopes, Some(read));
        let change = UserChange { expected_revision: 1, roles: Some([Role::Admin].into()), ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &olivia.id, change, &tester.moment()).unwrap();
        assert_eq!(present(&world, token.token.expose()).unwrap().caller.permissions(), read);
        let wide = Permissions::NONE.with(Permission::AgentExecute);
        let refused = issue(&world, &narrowed, NewToken { expires_in_seconds: None, scopes: Some(wide) });
        assert!(matches!(refused, Err(IssueTokenError::Beyond(_))));
    });
}

#[test]
fn a_token_makes_no_token() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, _, token) = olivias(&world);
        let caller = present(&world, token.token.expose()).unwrap().caller;
        assert!(matches!(issue(&world, &caller, NewToken::default()), Err(IssueTokenError::FromToken)));
    });
}

#[test]
fn a_token_ends_with_the_key_behind_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let end = tester.moment().now().plus_seconds(600);
        let key = world.key_with(NewKey { expires_at: Some(end), ..new_key(&olivia.id) });
        let token = issue(&world, &world.enter(&key), NewToken::default()).unwrap();
        assert_eq!(token.expires_at, end);
        assert!(present(&world, token.token.expose()).is_ok());
        identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment()).unwrap();
        assert_eq!(refusal(&world, token.token.expose()), TokenRefusal::Key.into());
    });
}

#[test]
fn a_token_of_a_key_with_networks_is_good_in_them_only() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        let token = issue(&world, &world.enter(&key), NewToken::default()).unwrap();
        let networks = Some(identity::Networks::new(["192.0.2.0/24"]).unwrap());
        let change = identity::KeyChange { expected_revision: 1, name: None, networks };
        identity::update_key(&tester.db, &tester.again(&world.bob), &key.key.id, change).unwrap();
        let from = |address: &str| Some(address.parse().unwrap());
        assert!(idp::present_from(&world, token.token.expose(), from("192.0.2.9")).is_ok());
        for elsewhere in [from("192.0.3.9"), None] {
            let refused = idp::present_from(&world, token.token.expose(), elsewhere).unwrap_err();
            assert_eq!(refused.cause, Refusal::Network);
        }
        revoke(&world, &world.bob, TokenRef::Token(token.token.expose())).unwrap();
    });
}

#[test]
fn whose_token_it_is_must_be_an_active_user_of_an_active_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, _, token) = olivias(&world);
        let (globex, _) = world.globex();
        let text = token.token.expose();
        let never = forged(&token, |claims| drop(claims.insert("tenant_id".to_owned(), json!("never-created"))));
        assert_eq!(refusal(&world, &never), TokenRefusal::NoTenant.into());
        let foreign = forged(&token, |claims| drop(claims.insert("tenant_id".to_owned(), json!("globex"))));
        assert_eq!(refusal(&world, &foreign), TokenRefusal::NoUser.into());
        let nobody: kernel::UserId = tester.moment().id();
        let unknown = forged(&token, |claims| drop(claims.insert("sub".to_owned(), json!(nobody.as_str()))));
        assert_eq!(refusal(&world, &unknown), TokenRefusal::NoUser.into());

        let suspend = |status, expected_revision| {
            let change = TenantChange { expected_revision, status: Some(status), ..TenantChange::default() };
            let platform = tester.again(&world.platform);
            identity::update_tenant(&tester.db, &platform, &world.acme.tenant.id, change).unwrap();
        };
        suspend(TenantStatus::Suspended, 1);
        assert_eq!(refusal(&world, text), Refusal::Suspended);
        suspend(TenantStatus::Active, 2);
        assert!(present(&world, text).is_ok());
        let leave = Some(StatusChange::Deactivate(Leavers::new()));
        let change = UserChange { expected_revision: 1, status: leave, ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &olivia.id, change, &tester.moment()).unwrap();
        assert_eq!(refusal(&world, text), Refusal::Deactivated);
        let change = UserChange { expected_revision: 2, status: Some(StatusChange::Activate), ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &olivia.id, change, &tester.moment()).unwrap();
        assert_eq!(refusal(&world, text), TokenRefusal::Epoch.into(), "what ended does not come back");
        assert!(world.directory.tenant_settings(&globex.tenant.id).is_some());
    });
}

#[test]
fn no_weakness_of_other_verifiers_is_ours() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let (_, _, token) = olivias(&world);
    let text = token.token.expose();
    let [header, payload, signature] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let under = |header: &str| format!("{}.{payload}.{signature}", encode(header));
    let refused = |token: String| {
        let refusal = idp::refusal(&world, &token);
        let error = if let TokenRefusal::Token(error) = &refusal { Some(error.clone()) } else { None };
        error.ok_or(refusal).unwrap()
    };
    assert_eq!(
        refused(format!("{}.{payload}.", encode(r#"{"alg":"none","typ":"at+jwt"}"#))),
        TokenError::UnknownAlgorithm
    );
    assert_eq!(refused(under(r#"{"alg":"RS256","typ":"at+jwt"}"#)), TokenError::WrongAlgorithm);
    assert_eq!(refused(under(r#"{"alg":"HS256","typ":"at+jwt","crit":["exp"]}"#)), TokenError::Extension("crit"));
    assert_eq!(refused(under(r#"{"alg":"HS256","typ":"JWT"}"#)), TokenError::Type);
    assert_eq!(refused(under(r#"{"alg":"HS256"}"#)), TokenError::Type);
    assert_eq!(refused(under(r#"{"alg":"HS256","typ":"at+jwt","x":1}"#)), TokenError::Signature);
    assert_eq!(refused(format!("{header}.{payload}.")), TokenError::Signature);
    assert_eq!(refused(format!("{text}A")), TokenError::Signature);
    assert_eq!(refused(format!("{text}=")), TokenError::Encoding);
    assert_eq!(refused(format!("{text}.x")), TokenError::Parts);
    let last = |letter: char| format!("{}{letter}", &text[..text.len() - 1]);
    let others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars();
    for letter in others.filter(|letter| !text.ends_with(*letter)) {
        assert!(present(&world, &last(letter)).is_err(), "the last character {letter}");
    }
    let missing = |claim: &str| refused(forged(&token, |claims| drop(claims.remove(claim))));
    for claim in ["exp", "sub"] {
        assert_eq!(missing(claim), TokenError::ClaimMissing(claim.to_owned()));
    }
    assert_eq!(refused(forged(&token, |claims| drop(claims.insert("exp".to_owned(), json!(0))))), TokenError::Expired);
    let endless = forged(&token, |claims| drop(claims.insert("exp".to_owned(), json!("9999999999"))));
    assert_eq!(refused(endless), TokenError::ClaimMalformed("exp"));
    let other = Signer::hmac(&Secret::new(vec![b'x'; 32]), None).unwrap().sign("at+jwt", &claims(&token));
    assert_eq!(refused(other), TokenError::Signature);
    let elsewhere = forged(&token, |claims| drop(claims.insert("aud".to_owned(), json!("another"))));
    assert_eq!(refused(elsewhere), TokenError::Audience);
    for absent in ["tenant_id", "epoch", "jti", "iat"] {
        let without = forged(&token, |claims| drop(claims.remove(absent)));
        assert_eq!(refusal(&world, &without), TokenRefusal::Claim(absent).into(), "nothing stands for {absent}");
    }
    for short in [0, 1, 31] {
        let secret = Secret::new(vec![b'x'; short]);
        let settings = identity::TokenSettings { secret, issuer: "us".to_owned(), audience: None };
        assert!(identity::Tokens::new(&settings).is_err(), "a secret of {short} bytes");
    }
    let (twice, first) = (present(&world, text).unwrap().caller, present(&world, text).unwrap().caller);
    assert_eq!(twice.permissions(), first.permissions());
    assert!(matches!(world.refusal(text), Refusal::Form(KeyFormatError::Malformed)), "a token is no key");
}

#[test]
fn nobody_is_told_what_is_the_matter_with_a_token() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let (_, _, token) = olivias(&world);
    let never = forged(&token, |claims| drop(claims.insert("tenant_id".to_owned(), json!("never-created"))));
    for bad in [never.as_str(), "", "a.b.c"] {
        assert_eq!(present(&world, bad).unwrap_err().to_string(), "the bearer token is not valid");
    }
}

#[test]
fn a_node_that_is_out_of_date_takes_no_token() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let (_, _, token) = olivias(&world);
    world.directory.set_stale(true);
    let now = tester.moment().now();
    assert_eq!(idp::present_as_is(&world, token.token.expose(), None, now).unwrap_err().cause, Refusal::Stale);
}

fn revoke(world: &World<'_>, caller: &authz::Caller, token: TokenRef<'_>) -> Result<(), RevokeTokenError> {
    let tokens = tokens();
    let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &idp::no_keys };
    let caller = world.tester.again(caller);
    identity::revoke_token(&world.tester.db, &verifier, &caller, token, &world.tester.moment())
}

#[test]
fn a_revoked_token_is_refused_and_others_are_not() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, caller, token) = olivias(&world);
        let other = issue(&world, &caller, NewToken::default()).unwrap();
        present(&world, token.token.expose()).unwrap();
        revoke(&world, &caller, TokenRef::Token(token.token.expose())).unwrap();
        assert_eq!(refusal(&world, token.token.expose()), TokenRefusal::Revoked.into());
        assert!(present(&world, other.token.expose()).is_ok());
        let again = revoke(&world, &caller, TokenRef::Token(token.token.expose()));
        assert!(matches!(again, Err(RevokeTokenError::NotFound)), "it is good no longer");
        let id = claims(&other)["jti"].as_str().unwrap().to_owned();
        revoke(&world, &caller, TokenRef::Id(&id)).unwrap();
        assert_eq!(refusal(&world, other.token.expose()), TokenRefusal::Revoked.into());
    });
}

#[test]
fn the_tokens_of_others_are_revoked_with_key_manage_only() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, caller, token) = olivias(&world);
        let (vera, text) = (world.caller("vera", Role::Viewer), token.token.expose());
        let id = claims(&token)["jti"].as_str().unwrap().to_owned();
        present(&world, text).unwrap();
        assert!(matches!(revoke(&world, &vera, TokenRef::Token(text)), Err(RevokeTokenError::NotFound)));
        revoke(&world, &vera, TokenRef::Id(&id)).unwrap();
        assert!(present(&world, text).is_ok(), "vera has revoked a token of her own by that id, had she one");
        let (_, hank) = world.globex();
        assert!(matches!(revoke(&world, &hank, TokenRef::Token(text)), Err(RevokeTokenError::NotFound)));
        revoke(&world, &hank, TokenRef::Id(&id)).unwrap();
        assert!(present(&world, text).is_ok(), "another tenant's administrator revokes nothing here");
        revoke(&world, &world.bob, TokenRef::Id(&id)).unwrap();
        assert_eq!(refusal(&world, text), TokenRefusal::Revoked.into());
        revoke(&world, &caller, TokenRef::Id(&id)).unwrap();
        assert_eq!(refusal(&world, text), TokenRefusal::Revoked.into(), "and nobody takes that back");
    });
}

#[test]
fn what_was_revoked_is_forgotten_when_it_has_ended() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, caller, token) = olivias(&world);
        present(&world, token.token.expose()).unwrap();
        revoke(&world, &caller, TokenRef::Token(token.token.expose())).unwrap();
        tester.clock.advance_micros(3_700 * 1_000_000);
        let next = issue(&world, &caller, NewToken::default()).unwrap();
        present(&world, next.token.expose()).unwrap();
        revoke(&world, &caller, TokenRef::Token(next.token.expose())).unwrap();
        let count = store::sql!("SELECT CAST(COUNT(*) AS BIGINT) FROM revoked_tokens WHERE tenant_id = $1");
        let grant = tester.again(&world.bob).authorize::<crate::world::Look>().unwrap();
        let rows = tester.db.read(&grant, |tx| tx.optional(count, vec![], store::Row::get::<i64>)).unwrap();
        assert_eq!(rows, Some(1));
    });
}

#[test]
fn signing_out_everywhere_ends_every_token_and_no_key() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, caller, token) = olivias(&world);
        let key = world.key(&olivia.id);
        let vera = world.caller("vera", Role::Viewer);
        let refused = identity::sign_out_everywhere(&tester.db, &vera, &olivia.id, &tester.moment());
        assert!(matches!(refused, Err(identity::SignOutError::Forbidden(_))));
        identity::sign_out_everywhere(&tester.db, &tester.again(&caller), &olivia.id, &tester.moment()).unwrap();
        assert_eq!(refusal(&world, token.token.expose()), TokenRefusal::Epoch.into());
        let next = issue(&world, &caller, NewToken::default()).unwrap();
        assert!(present(&world, next.token.expose()).is_ok());
        identity::sign_out_everywhere(&tester.db, &tester.again(&world.bob), &olivia.id, &tester.moment()).unwrap();
        assert_eq!(refusal(&world, next.token.expose()), TokenRefusal::Epoch.into());
        assert!(world.present(key.secret.expose()).is_ok());
    });
}

#[test]
fn a_session_that_is_not_fresh_makes_no_token_and_no_key() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let standing = authz::Standing { fresh: false, ..world.bob.standing().clone() };
    #[expect(clippy::disallowed_methods, reason = "stands in for a session that was signed in to long ago")]
    let caller = authz::Caller::authenticated(standing, authz::Request::made(&tester.moment()));
    assert!(matches!(issue(&world, &caller, NewToken::default()), Err(IssueTokenError::Forbidden(_))));
    let key = identity::create_key(&tester.db, &caller, new_key(&world.acme.admin.id), &tester.moment());
    assert!(matches!(key, Err(identity::CreateKeyError::Forbidden(_))));
}

#[test]
fn making_a_token_rebuilds_nobodys_directory() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, caller, _) = olivias(&world);
        world.directory.refresh_changed(&tester.db).unwrap();
        issue(&world, &caller, NewToken::default()).unwrap();
        assert!(world.directory.refresh_changed(&tester.db).unwrap().is_empty());
    });
}
