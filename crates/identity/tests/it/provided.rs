//! Tokens of identity providers: each speaks for its one tenant.

use authz::{Permission, Role, Roles};
use identity::{
    Bearer, Link, ProviderChange, ProviderKeys, ProviderSettings, ProviderStatus, Refusal, TenantClaim, TokenRefusal,
    User, Verifier,
};
use jose::TokenError;
use serde_json::json;
use testkit::Tester;

use crate::idp::{self, AUDIENCE, ISSUER, Idp, present, refusal, register, register_of, seconds, tokens};
use crate::sign_in;
use crate::world::World;

/// Says that the provider's `subject` is `user`.
fn link(world: &World<'_>, provider: &identity::Provider, subject: &str, user: &User) {
    link_as(world, &world.bob, provider, subject, user);
}

fn link_as(world: &World<'_>, admin: &authz::Caller, provider: &identity::Provider, subject: &str, user: &User) {
    let link = Link { provider: provider.id.clone(), user: user.id.clone(), subject: subject.to_owned() };
    identity::link_user(&world.tester.db, &world.tester.again(admin), &link, &world.tester.moment()).unwrap();
}

#[test]
fn a_providers_token_stands_for_the_user_linked_to_its_subject() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        let olivia = world.user("olivia", [Role::Operator]);
        let token = idp.token(&world, "alice@idp", json!({}));
        assert_eq!(refusal(&world, &token), TokenRefusal::Unlinked);
        link(&world, &provider, "alice@idp", &olivia);
        let caller = present(&world, &token).unwrap().caller;
        assert_eq!(caller.actor().id, olivia.id.as_str());
        assert_eq!(caller.roles(), &[Role::Operator].into(), "without a map the directory's roles count");
        assert_eq!(refusal(&world, &idp.token(&world, "alice@idp ", json!({}))), TokenRefusal::Unlinked);
        let unlinked = identity::unlink_user(&tester.db, &tester.again(&world.bob), &provider.id, &olivia.id).unwrap();
        assert_eq!((unlinked, refusal(&world, &token)), (1, TokenRefusal::Unlinked));
    });
}

#[test]
fn a_token_must_be_the_providers_own_and_meant_for_us() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let (idp, other) = (Idp::new("k1"), Idp::new("k1"));
    let provider = register(&world, idp.settings());
    link(&world, &provider, "alice", &world.user("olivia", [Role::Operator]));
    assert!(present(&world, &idp.token(&world, "alice", json!({}))).is_ok());
    let refused = |token: String| refusal(&world, &token);
    assert_eq!(refused(other.token(&world, "alice", json!({}))), TokenError::Signature.into());
    assert_eq!(refused(idp.token(&world, "alice", json!({ "aud": "another" }))), TokenRefusal::UnknownIssuer);
    let elsewhere = json!({ "iss": "https://idp.example/" });
    assert_eq!(refused(idp.token(&world, "alice", elsewhere)), TokenRefusal::UnknownIssuer);
    let expired = json!({ "exp": seconds(&world) - 30 });
    assert_eq!(refused(idp.token(&world, "alice", expired)), TokenError::Expired.into());
    assert!(present(&world, &idp.token(&world, "alice", json!({ "exp": seconds(&world) - 29 }))).is_ok());
    assert_eq!(
        refused(Idp::new("k2").token(&world, "alice", json!({}))),
        TokenError::UnknownKey { kid: "k2".to_owned() }.into()
    );
    // Ours are ours alone: nobody else's key speaks in our name.
    let ours = json!({ "iss": "https://taskforce.example", "aud": "https://taskforce.example" });
    assert_eq!(refused(idp.token(&world, "alice", ours)), TokenError::Type.into());
}

#[test]
fn a_provider_speaks_for_no_tenant_but_its_own_whatever_its_tokens_say() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, hank) = world.globex();
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &provider, "alice", &olivia);
        let claims = json!({ "tenant_id": "globex", "tid": "globex", "epoch": 1, "roles": ["admin"] });
        let caller = present(&world, &idp.token(&world, "alice", claims)).unwrap().caller;
        assert_eq!(caller.tenant(), &world.acme.tenant.id);
        assert_eq!(caller.roles(), &[Role::Operator].into());
        // Another tenant's user cannot be linked to it.
        let link = Link { provider: provider.id.clone(), user: globex.admin.id.clone(), subject: "hank".to_owned() };
        let bob = tester.again(&world.bob);
        let refused = identity::link_user(&tester.db, &bob, &link, &tester.moment());
        assert!(matches!(refused, Err(identity::ProviderError::UserNotFound(_))));
        let refused = identity::link_user(&tester.db, &tester.again(&hank), &link, &tester.moment());
        assert!(matches!(refused, Err(identity::ProviderError::NotFound(_))));
    });
}

#[test]
fn an_issuer_with_many_tenants_is_told_apart_by_its_tenant_claim() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, hank) = world.globex();
        let idp = Idp::new("k1");
        let of = |value: &str| {
            let tenant = Some(TenantClaim { claim: "org.id".to_owned(), value: value.to_owned() });
            ProviderSettings { tenant, ..idp.settings() }
        };
        let (at_acme, at_globex) = (register(&world, of("a")), register_of(&world, &hank, of("g")));
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &at_acme, "alice", &olivia);
        link_as(&world, &hank, &at_globex, "alice", &globex.admin);
        let tenant = |org: &str| {
            let token = idp.token(&world, "alice", json!({ "org": { "id": org } }));
            present(&world, &token).map(|authenticated| authenticated.caller.tenant().to_string())
        };
        assert_eq!(tenant("a").unwrap(), "acme-corp");
        assert_eq!(tenant("g").unwrap(), "globex");
        assert_eq!(tenant("x").unwrap_err().cause, TokenRefusal::from(TokenError::Tenant).into());
        assert_eq!(refusal(&world, &idp.token(&world, "alice", json!({}))), TokenError::Tenant.into());
    });
}

#[test]
fn a_token_that_two_tenants_would_take_is_nobodys() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, hank) = world.globex();
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        link(&world, &provider, "alice", &world.user("olivia", [Role::Operator]));
        let token = idp.token(&world, "alice", json!({}));
        assert!(present(&world, &token).is_ok());
        let rival = register_of(&world, &hank, idp.settings());
        assert_eq!(refusal(&world, &token), TokenRefusal::Ambiguous);
        // With an audience of its own, each is found.
        let settings = ProviderSettings { audiences: vec!["globex-api".to_owned()], ..idp.settings() };
        let change = ProviderChange { expected_revision: 1, settings: Some(settings), ..ProviderChange::default() };
        identity::update_provider(&tester.db, &tester.again(&hank), &rival.id, change).unwrap();
        assert_eq!(present(&world, &token).unwrap().caller.tenant(), &world.acme.tenant.id);
        let both = idp.token(&world, "alice", json!({ "aud": [AUDIENCE, "globex-api"] }));
        assert_eq!(refusal(&world, &both), TokenRefusal::Ambiguous);
    });
}

#[test]
fn no_tenant_shuts_another_out_by_registering_its_provider() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, hank) = world.globex();
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        link(&world, &provider, "alice", &world.user("olivia", [Role::Operator]));
        let token = idp.token(&world, "alice", json!({ "tid": "acme" }));
        let tenant = |presented: Result<identity::Authenticated, identity::AuthError>| {
            presented.map(|authenticated| authenticated.caller.tenant().to_string()).map_err(|error| error.cause)
        };
        // One whose keys nobody can fetch, and one that is about another tenant of the issuer.
        let dead = ProviderKeys::Url("https://idp.example/gone".to_owned());
        register_of(&world, &hank, ProviderSettings { keys: dead, ..idp.settings() });
        let other = |value: &str| Some(TenantClaim { claim: "tid".to_owned(), value: value.to_owned() });
        register_of(&world, &hank, ProviderSettings { tenant: other("globex"), ..idp.settings() });
        assert_eq!(tenant(present(&world, &token)), Ok("acme-corp".to_owned()));
        // A copy: whoever presents the token says which tenant is meant.
        let rival = register_of(&world, &hank, idp.settings());
        assert_eq!(refusal(&world, &token), TokenRefusal::Ambiguous);
        let meant = |id: &kernel::TenantId| tenant(idp::present_to(&world, &token, id));
        assert_eq!(meant(&world.acme.tenant.id), Ok("acme-corp".to_owned()));
        assert_eq!(meant(&globex.tenant.id), Err(TokenRefusal::Unlinked.into()));
        assert_eq!(meant(&"never-created".parse().unwrap()), Err(TokenRefusal::UnknownIssuer.into()));
        // Whoever says which of the issuer's tenants is theirs comes before those who would take any.
        let settings = ProviderSettings { tenant: other("acme"), ..idp.settings() };
        let change = ProviderChange { expected_revision: 1, settings: Some(settings), ..ProviderChange::default() };
        identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change).unwrap();
        assert_eq!(tenant(present(&world, &token)), Ok("acme-corp".to_owned()));
        assert_eq!(rival.status, ProviderStatus::Active, "hank was told nothing of acme's provider");
    });
}

#[test]
fn a_provider_that_was_not_asked_is_named_while_another_vouches() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, hank) = world.globex();
        let idp = Idp::new("k1");
        let discovered = ProviderSettings { keys: ProviderKeys::Discovered, ..idp.settings() };
        let provider = register(&world, discovered);
        register_of(&world, &hank, idp.settings());
        world.directory.refresh_changed(&tester.db).unwrap();
        let (tokens, now, text) = (tokens(), tester.moment().now(), idp.token(&world, "alice", json!({})));
        let bearer = Bearer { token: &text, from: None, tenant: None, now };
        let unheard = |keys: identity::KeysOf<'_>| {
            let unheard = Verifier { tokens: &tokens, directory: &world.directory, keys }.unheard(bearer);
            unheard.iter().map(|provider| provider.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(unheard(&idp::no_keys), std::slice::from_ref(&provider.id));
        assert!(unheard(&|_, _| Some(idp.key_set())).is_empty());
    });
}

#[test]
fn a_rival_with_keys_of_his_own_speaks_for_himself_alone() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (_, hank) = world.globex();
        let (idp, forger) = (Idp::new("k1"), Idp::new("k1"));
        let provider = register(&world, idp.settings());
        let rival = register_of(&world, &hank, forger.settings());
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &provider, "alice", &olivia);
        let hanks = world.user_of(&hank, "alice", [Role::Admin]);
        link_as(&world, &hank, &rival, "alice", &hanks);
        let (real, forged) = (idp.token(&world, "alice", json!({})), forger.token(&world, "alice", json!({})));
        assert_eq!(present(&world, &real).unwrap().caller.actor().id, olivia.id.as_str());
        assert_eq!(present(&world, &forged).unwrap().caller.tenant().as_str(), "globex");
    });
}

#[test]
fn a_role_map_gives_exactly_what_the_claims_say_for_that_request() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        world.role("release-manager", [Permission::AgentPublish]);
        let mapped = |value: &str, roles: &str| (value.to_owned(), roles.parse::<Roles>().unwrap());
        let role_map = [mapped("ops", "operator"), mapped("release", "release-manager"), mapped("gone", "gone-role")];
        let settings = ProviderSettings {
            roles_claim: Some("realm.groups".to_owned()),
            role_map: role_map[..2].iter().cloned().collect(),
            ..idp.settings()
        };
        let provider = register(&world, settings.clone());
        let admin = world.user("alice", [Role::Admin]);
        link(&world, &provider, "alice", &admin);
        let permissions = |groups: serde_json::Value| {
            let token = idp.token(&world, "alice", json!({ "realm": { "groups": groups } }));
            let caller = present(&world, &token).unwrap().caller;
            (caller.roles().to_string(), caller.permissions().contains(Permission::AgentPublish))
        };
        assert_eq!(permissions(json!(["ops", "other"])), ("operator".to_owned(), false));
        assert_eq!(permissions(json!(["release", "ops"])), ("operator,release-manager".to_owned(), true));
        assert_eq!(permissions(json!("ops")), ("operator".to_owned(), false));
        for none in [json!([]), json!(["admin"]), json!({ "ops": true }), json!(null), json!(["ops", 1])] {
            assert_eq!(permissions(none.clone()), (String::new(), false), "{none}");
        }
        let none = idp.token(&world, "alice", json!({ "roles": ["admin"], "groups": ["ops"] }));
        assert!(present(&world, &none).unwrap().caller.permissions().is_empty());
        // A role that is not there gives nothing, and cannot be mapped to.
        let role_map = role_map.into_iter().collect();
        let change = ProviderChange {
            expected_revision: 1,
            settings: Some(ProviderSettings { role_map, ..settings }),
            ..ProviderChange::default()
        };
        let refused = identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change);
        assert!(matches!(refused, Err(identity::ProviderError::Roles(identity::RolesRefused::Unknown(_)))));
        assert_eq!(world.now(&admin.id).roles, [Role::Admin].into(), "the directory's roles stay as they are");
    });
}

#[test]
fn a_newcomer_becomes_a_user_where_the_provider_makes_users() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let role_map = [("ops".to_owned(), Roles::from([Role::Operator]))].into();
        let settings =
            ProviderSettings { provision: true, roles_claim: Some("groups".to_owned()), role_map, ..idp.settings() };
        register(&world, settings);
        let claims = json!({ "preferred_username": "Alice", "email": "alice@example.com", "groups": ["ops", "x"] });
        let token = idp.token(&world, "00u1", claims);
        let TokenRefusal::Newcomer(newcomer) = refusal(&world, &token) else { panic!("a newcomer") };
        assert!(!format!("{newcomer:?}").contains("lice"), "names are personal data");
        identity::provision(&tester.db, &newcomer, &tester.moment()).unwrap();
        identity::provision(&tester.db, &newcomer, &tester.moment()).unwrap();
        let caller = present(&world, &token).unwrap().caller;
        assert_eq!(caller.roles(), &[Role::Operator].into());
        let alice = world.now(&caller.actor().id.parse().unwrap());
        assert_eq!((alice.username.as_str(), alice.email.unwrap().as_str()), ("alice", "alice@example.com"));
        assert_eq!(alice.own_roles, [Role::Operator].into());

        // A taken name, no name, and a name that is none, each become another.
        for (subject, name) in [("00u2", json!("alice")), ("00u3", json!(null)), ("00u4", json!("Ünïcode!"))] {
            let token = idp.token(&world, subject, json!({ "preferred_username": name }));
            let TokenRefusal::Newcomer(newcomer) = refusal(&world, &token) else { panic!("a newcomer") };
            identity::provision(&tester.db, &newcomer, &tester.moment()).unwrap();
            let caller = present(&world, &token).unwrap().caller;
            let user = world.now(&caller.actor().id.parse().unwrap());
            assert!(user.username.as_str() != "alice" && user.roles.is_empty(), "{name}: {}", user.username);
        }
    });
}

#[test]
fn a_provider_that_is_disabled_or_makes_nobody_any_more_makes_nobody() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, ProviderSettings { provision: true, ..idp.settings() });
        let token = idp.token(&world, "00u1", json!({}));
        let TokenRefusal::Newcomer(newcomer) = refusal(&world, &token) else { panic!("a newcomer") };
        let change = |expected_revision, settings, status| {
            let change = ProviderChange { expected_revision, settings, status, ..ProviderChange::default() };
            identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change).unwrap();
        };
        change(1, Some(idp.settings()), None);
        let refused = identity::provision(&tester.db, &newcomer, &tester.moment());
        assert!(matches!(refused, Err(identity::ProvisionError::Refused)));
        assert_eq!(refusal(&world, &token), TokenRefusal::Unlinked);
        change(2, None, Some(ProviderStatus::Disabled));
        assert_eq!(refusal(&world, &token), TokenRefusal::UnknownIssuer);
    });
}

#[test]
fn a_key_that_is_not_known_yet_is_asked_for_and_tried_again() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (old, new) = (Idp::new("k1"), Idp::new("k2"));
        let settings = ProviderSettings { keys: ProviderKeys::Discovered, ..old.settings() };
        let provider = register(&world, settings);
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &provider, "alice", &olivia);
        world.directory.refresh_changed(&tester.db).unwrap();
        let tokens = tokens();
        let with = |known: Option<&Idp>, token: &str| {
            let set = known.map(Idp::key_set);
            let keys = |asked: &identity::Provider, _: Option<&str>| {
                assert_eq!(asked.id, provider.id);
                set.clone()
            };
            let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &keys };
            let (now, request) = (tester.moment().now(), authz::Request::made(&tester.moment()));
            verifier
                .authenticate(Bearer { token, from: None, tenant: None, now }, request)
                .map(drop)
                .map_err(|error| error.cause)
        };
        let token = new.token(&world, "alice", json!({}));
        let Err(Refusal::Token(TokenRefusal::UnknownKey(asked))) = with(None, &token) else { panic!("no keys") };
        assert_eq!(asked.len(), 1);
        assert!(matches!(with(Some(&old), &token), Err(Refusal::Token(TokenRefusal::UnknownKey(_)))));
        assert_eq!(with(Some(&new), &token), Ok(()));
    });
}

#[test]
fn a_disabled_account_and_a_suspended_tenant_are_refused_to_providers_too() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, ProviderSettings { provision: true, ..idp.settings() });
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &provider, "alice", &olivia);
        let token = idp.token(&world, "alice", json!({}));
        let leave = Some(identity::StatusChange::Deactivate(identity::Leavers::new()));
        let change = identity::UserChange { expected_revision: 1, status: leave, ..identity::UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &olivia.id, change, &tester.moment()).unwrap();
        assert_eq!(present(&world, &token).unwrap_err().cause, Refusal::Deactivated);
        let status = Some(identity::TenantStatus::Suspended);
        let change = identity::TenantChange { expected_revision: 1, status, ..identity::TenantChange::default() };
        let platform = tester.again(&world.platform);
        identity::update_tenant(&tester.db, &platform, &world.acme.tenant.id, change).unwrap();
        for subject in ["alice", "a newcomer"] {
            let token = idp.token(&world, subject, json!({}));
            assert_eq!(present(&world, &token).unwrap_err().cause, Refusal::Suspended, "{subject}");
        }
    });
}

#[test]
fn a_providers_token_is_revoked_by_its_id_or_by_all_that_is_signed_in_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        let olivia = world.user("olivia", [Role::Operator]);
        link(&world, &provider, "alice", &olivia);
        for (revoked, same, other) in [
            (json!({ "jti": "one" }), json!({ "jti": "one", "x": 1 }), json!({ "jti": "two" })),
            (json!({ "x": 1 }), json!({ "x": 1 }), json!({ "x": 2 })),
        ] {
            // The same claims are signed anew: another signature is no way around.
            let (revoked, same) = (idp.token(&world, "alice", revoked), idp.token(&world, "alice", same));
            let other = idp.token(&world, "alice", other);
            let caller = present(&world, &revoked).unwrap().caller;
            let (tokens, keys) = (tokens(), idp::no_keys);
            let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &keys };
            let token = identity::TokenRef::Token(&revoked);
            identity::revoke_token(&tester.db, &verifier, &caller, token, &tester.moment()).unwrap();
            for token in [&revoked, &same] {
                assert_eq!(refusal(&world, token), TokenRefusal::Revoked);
            }
            assert!(present(&world, &other).is_ok());
        }
    });
}

#[test]
fn who_acts_by_a_providers_token_is_named_without_being_told() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        link(&world, &provider, "alice", &world.user("olivia", [Role::Operator]));
        let act = json!({ "act": { "sub": "robot@idp", "act": { "sub": "boss@idp" } } });
        let caller = present(&world, &idp.token(&world, "alice", act)).unwrap().caller;
        let ids: Vec<_> = caller.actor().act.iter().map(|acting| acting.id.as_str()).collect();
        assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with("ext_") && id.len() == 28), "{ids:?}");
        let deep = (0..5).fold(json!(null), |inner, _| {
            if inner.is_null() { json!({ "sub": "x" }) } else { json!({ "sub": "x", "act": inner }) }
        });
        for bad in [json!({ "act": deep }), json!({ "act": {} }), json!({ "act": "robot" })] {
            assert_eq!(refusal(&world, &idp.token(&world, "alice", bad)), TokenRefusal::Claim("act"));
        }
    });
}

#[test]
fn a_provider_that_is_pointed_elsewhere_vouches_for_nobody_whom_it_vouched_for() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let idp = Idp::new("k1");
        let provider = register(&world, idp.settings());
        link(&world, &provider, "alice", &world.user("olivia", [Role::Operator]));
        let moved = ProviderSettings { issuer: "https://other.example".to_owned(), ..idp.settings() };
        let change = ProviderChange { expected_revision: 1, settings: Some(moved), ..ProviderChange::default() };
        identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change).unwrap();
        let elsewhere = idp.token(&world, "alice", json!({ "iss": "https://other.example" }));
        assert_eq!(refusal(&world, &elsewhere), TokenRefusal::Unlinked);
        assert_eq!(refusal(&world, &idp.token(&world, "alice", json!({ "iss": ISSUER }))), TokenRefusal::UnknownIssuer);
    });
}

#[test]
fn who_signed_in_with_a_provider_is_out_when_the_tenant_trusts_it_no_longer() {
    testkit::on_both_engines(|tester| {
        let (world, gate, idp) = (World::new(tester), identity::Gate::default(), Idp::new("k1"));
        let provider = register(&world, ProviderSettings { provision: true, ..idp.settings() });
        let session = sign_in::arrive(&world, &gate, &provider, &idp.claims(&world, "alice@idp", json!({}))).unwrap();
        sign_in::enter(&world, &session).unwrap();
        let (db, bob) = (&tester.db, tester.again(&world.bob));
        let status = Some(ProviderStatus::Disabled);
        let disabled = ProviderChange { expected_revision: 1, status, ..ProviderChange::default() };
        identity::update_provider(db, &bob, &provider.id, disabled).unwrap();
        let ended = Refusal::Session(identity::SessionRefusal::Ended);
        assert_eq!(sign_in::enter(&world, &session).unwrap_err(), ended);
        identity::delete_provider(db, &tester.again(&world.bob), &provider.id, 2).unwrap();
        assert_eq!(sign_in::enter(&world, &session).unwrap_err(), ended);
    });
}
