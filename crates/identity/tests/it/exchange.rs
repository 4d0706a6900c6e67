//! Token exchange: it only narrows, and names who acts.

use authz::{Caller, Permission, Permissions, Role};
use identity::{Exchange, ExchangeError, IssuedToken, NewToken, ProviderSettings, TokenRef, TokenRefusal, Verifier};
use proptest::prelude::*;
use serde_json::json;
use testkit::Tester;

use crate::idp::{self, Idp, present, register, tokens};
use crate::world::World;

fn issue(world: &World<'_>, caller: &Caller, scopes: Option<Permissions>, seconds: u32) -> IssuedToken {
    let new = NewToken { expires_in_seconds: Some(seconds), scopes };
    let caller = world.tester.again(caller);
    identity::issue_token(&world.tester.db, &tokens(), &caller, new, &world.tester.moment()).unwrap()
}

fn exchange(world: &World<'_>, caller: &Caller, subject_token: &str) -> Result<IssuedToken, ExchangeError> {
    exchange_for(world, caller, Exchange { subject_token, from: None, scopes: None, expires_in_seconds: None })
}

fn exchange_for(world: &World<'_>, caller: &Caller, asked: Exchange<'_>) -> Result<IssuedToken, ExchangeError> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    let tokens = tokens();
    let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &idp::no_keys };
    identity::exchange_token(&world.tester.db, &verifier, &world.tester.again(caller), asked, &world.tester.moment())
}

fn enter(world: &World<'_>, token: &IssuedToken) -> Caller {
    present(world, token.token.expose()).unwrap().caller
}

fn acting(caller: &Caller) -> Vec<String> {
    caller.actor().act.iter().map(|acting| acting.id.clone()).collect()
}

#[test]
fn who_exchanges_a_token_acts_for_its_subject_and_is_named() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, robot) = (world.caller("olivia", Role::Operator), world.caller("robot", Role::Viewer));
        let token = issue(&world, &olivia, None, 3_600);
        let delegated = exchange(&world, &robot, token.token.expose()).unwrap();
        assert_eq!(delegated.expires_at, token.expires_at);
        let caller = enter(&world, &delegated);
        assert_eq!(caller.actor().id, olivia.actor().id);
        assert_eq!(acting(&caller), [robot.actor().id.clone()]);
        assert_eq!(caller.permissions(), olivia.permissions());
        // Each entry names both.
        let key = identity::create_key(
            &tester.db,
            &tester.again(&olivia),
            crate::world::new_key(&olivia.actor().id.parse().unwrap()),
            &tester.moment(),
        );
        identity::revoke_token(
            &tester.db,
            &Verifier { tokens: &tokens(), directory: &world.directory, keys: &idp::no_keys },
            &caller,
            TokenRef::Token(delegated.token.expose()),
            &tester.moment(),
        )
        .unwrap();
        assert!(key.is_ok());
        let leaf = crate::secrecy::leaves(tester, &world.bob).pop().unwrap();
        let expected = format!(
            r#""id":"{}","via":"{}","act":[{{"type":"user","id":"{}"}}]"#,
            olivia.actor().id,
            delegated.id,
            robot.actor().id
        );
        assert!(leaf.contains(&expected), "{leaf}");
    });
}

#[test]
fn a_chain_keeps_all_who_act_and_is_at_most_four_long() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.caller("olivia", Role::Operator);
        let mut token = issue(&world, &olivia, None, 3_600);
        let mut expected = Vec::new();
        for number in 0..4 {
            let robot = world.caller(&format!("robot-{number}"), Role::Viewer);
            token = exchange(&world, &robot, token.token.expose()).unwrap();
            expected.insert(0, robot.actor().id.clone());
            assert_eq!(acting(&enter(&world, &token)), expected);
        }
        let fifth = world.caller("robot-5", Role::Viewer);
        assert!(matches!(exchange(&world, &fifth, token.token.expose()), Err(ExchangeError::TooLong)));
    });
}

#[test]
fn who_acts_for_another_neither_exchanges_nor_makes_credentials() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, robot) = (world.caller("olivia", Role::Operator), world.caller("robot", Role::Viewer));
        let token = issue(&world, &olivia, None, 3_600);
        let delegated = enter(&world, &exchange(&world, &robot, token.token.expose()).unwrap());
        assert!(matches!(exchange(&world, &delegated, token.token.expose()), Err(ExchangeError::Delegated)));
        let new = crate::world::new_key(&olivia.actor().id.parse().unwrap());
        let key = identity::create_key(&tester.db, &delegated, new, &tester.moment());
        assert!(matches!(key, Err(identity::CreateKeyError::Forbidden(_))));
        let own = olivia.actor().id.parse().unwrap();
        let out = identity::sign_out_everywhere(&tester.db, &delegated, &own, &tester.moment());
        assert!(matches!(out, Err(identity::SignOutError::Forbidden(_))));
    });
}

#[test]
fn the_subjects_token_must_be_good_and_of_the_same_tenant() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, robot) = (world.caller("olivia", Role::Operator), world.caller("robot", Role::Viewer));
        let (_, hank) = world.globex();
        let token = issue(&world, &olivia, None, 3_600);
        assert!(matches!(exchange(&world, &hank, token.token.expose()), Err(ExchangeError::Subject(None))));
        assert!(matches!(exchange(&world, &robot, "nonsense"), Err(ExchangeError::Subject(Some(_)))));
        assert!(matches!(exchange(&world, &robot, world.acme.key.secret.expose()), Err(ExchangeError::Subject(_))));
        let own = olivia.actor().id.parse().unwrap();
        identity::sign_out_everywhere(&tester.db, &tester.again(&olivia), &own, &tester.moment()).unwrap();
        assert!(matches!(exchange(&world, &robot, token.token.expose()), Err(ExchangeError::Subject(Some(_)))));
    });
}

#[test]
fn what_descends_from_a_token_ends_with_it_and_with_those_who_act() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, robot) = (world.caller("olivia", Role::Operator), world.caller("robot", Role::Viewer));
        let token = issue(&world, &olivia, None, 3_600);
        let once = exchange(&world, &robot, token.token.expose()).unwrap();
        let twice = exchange(&world, &olivia, once.token.expose()).unwrap();
        for token in [&once, &twice] {
            enter(&world, token);
        }
        let own = robot.actor().id.parse().unwrap();
        let other = exchange(&world, &olivia, token.token.expose()).unwrap();
        identity::sign_out_everywhere(&tester.db, &tester.again(&robot), &own, &tester.moment()).unwrap();
        for ended in [&once, &twice] {
            let refused = present(&world, ended.token.expose()).unwrap_err().cause;
            assert_eq!(refused, TokenRefusal::Actor.into());
        }
        enter(&world, &other);
        let (tokens, db) = (tokens(), &tester.db);
        let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &idp::no_keys };
        let revoked = TokenRef::Token(token.token.expose());
        identity::revoke_token(db, &verifier, &tester.again(&olivia), revoked, &tester.moment()).unwrap();
        assert_eq!(present(&world, other.token.expose()).unwrap_err().cause, TokenRefusal::Revoked.into());
    });
}

#[test]
fn what_an_actor_was_given_ends_with_the_key_that_it_came_with() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (olivia, robot) = (world.caller("olivia", Role::Operator), world.user("robot", [Role::Viewer]));
        let leaked = world.key(&robot.id);
        let token = issue(&world, &olivia, None, 3_600);
        let delegated = exchange(&world, &world.enter(&leaked), token.token.expose()).unwrap();
        enter(&world, &delegated);
        identity::revoke_key(&tester.db, &tester.again(&world.bob), &leaked.key.id, &tester.moment()).unwrap();
        assert_eq!(present(&world, delegated.token.expose()).unwrap_err().cause, TokenRefusal::Key.into());
        enter(&world, &token);
    });
}

#[test]
fn a_providers_token_is_exchanged_for_no_more_than_its_map_gave() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let settings = ProviderSettings {
            roles_claim: Some("groups".to_owned()),
            role_map: [("ops".to_owned(), [Role::Operator].into())].into(),
            ..idp.settings()
        };
        let provider = register(&world, settings);
        let admin = world.user("alice", [Role::Admin]);
        let link = identity::Link { provider: provider.id, user: admin.id, subject: "alice".to_owned() };
        identity::link_user(&tester.db, &tester.again(&world.bob), &link, &tester.moment()).unwrap();
        let robot = world.caller("robot", Role::Viewer);
        let token = idp.token(&world, "alice", json!({ "groups": ["ops"] }));
        let exchanged = exchange(&world, &robot, &token).unwrap();
        assert_eq!(enter(&world, &exchanged).permissions(), Role::Operator.permissions());
        let nothing = exchange(&world, &robot, &idp.token(&world, "alice", json!({})));
        assert!(matches!(nothing, Err(ExchangeError::Nothing)));
    });
}

fn permissions(bits: u64) -> Permissions {
    let all = Permission::ALL.iter().copied().enumerate();
    all.filter(|(at, _)| bits >> at & 1 == 1).map(|(_, permission)| permission).collect()
}

#[test]
fn no_exchange_gives_more_than_was_given_or_lasts_longer() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let (olivia, robot) = (world.caller("olivia", Role::Operator), world.caller("robot", Role::Admin));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    let asked = (any::<u64>(), proptest::option::of(any::<u64>()), 1u32..7_200, 1u32..7_200);
    proptest!(config, |((held, asked, life, wish) in asked)| {
        let held = permissions(held).intersection(olivia.permissions()).with(Permission::AgentRead);
        let subject = issue(&world, &olivia, Some(held), life);
        let scopes = asked.map(permissions);
        let request = Exchange { subject_token: subject.token.expose(), from: None, scopes, expires_in_seconds: Some(wish) };
        match exchange_for(&world, &robot, request) {
            Ok(exchanged) => {
                let given = enter(&world, &exchanged).permissions();
                prop_assert!(given.without(held).is_empty() && scopes.is_none_or(|asked| given.without(asked).is_empty()));
                prop_assert!(exchanged.expires_at <= subject.expires_at);
                prop_assert!(exchanged.expires_at <= tester.moment().now().plus_seconds(i64::from(wish)));
            }
            Err(ExchangeError::Nothing) => {
                prop_assert!(scopes.is_some_and(|asked| asked.intersection(held).is_empty()));
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    });
}
