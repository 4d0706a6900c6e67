//! Identity providers: who may register them, and how far they may go.

use authz::{Caller, Permission, Role, Roles};
use identity::{
    Link, ListError, NewProvider, ProviderChange, ProviderError, ProviderSettings, RolesRefused, SecretEdit,
};
use kernel::{Secret, Text};

use crate::idp::{Idp, register};
use crate::world::World;

fn new(name: &str, settings: ProviderSettings) -> NewProvider {
    NewProvider { name: Text::new(name).unwrap(), settings, client_secret: None }
}

fn mapping(idp: &Idp, roles: impl Into<Roles>) -> ProviderSettings {
    ProviderSettings {
        roles_claim: Some("groups".to_owned()),
        role_map: [("everybody".to_owned(), roles.into())].into(),
        ..idp.settings()
    }
}

/// Somebody of acme-corp with exactly these permissions.
fn with(world: &World<'_>, name: &str, permissions: &[Permission]) -> Caller {
    world.role(name, permissions.iter().copied());
    let user = world.user(name, name.parse::<Roles>().unwrap());
    world.enter(&world.key(&user.id))
}

fn change(expected_revision: u64, settings: ProviderSettings) -> ProviderChange {
    ProviderChange { expected_revision, settings: Some(settings), ..ProviderChange::default() }
}

#[test]
fn a_provider_is_registered_changed_listed_and_removed() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let (db, at, bob) = (&tester.db, &tester.moment(), || tester.again(&world.bob));
        let made = identity::create_provider(db, &bob(), new("Okta", idp.settings()), at).unwrap();
        assert_eq!(identity::provider(db, &bob(), &made.id).unwrap(), made);
        let taken = identity::create_provider(db, &bob(), new("Okta", idp.settings()), at);
        assert!(matches!(taken, Err(ProviderError::NameTaken(_))));
        let renamed =
            ProviderChange { name: Some(Text::new("Okta EU").unwrap()), ..change(1, mapping(&idp, [Role::Viewer])) };
        let changed = identity::update_provider(db, &bob(), &made.id, renamed.clone()).unwrap();
        assert_eq!((changed.revision, changed.name.as_str()), (2, "Okta EU"));
        let stale = identity::update_provider(db, &bob(), &made.id, renamed);
        assert!(matches!(stale, Err(ProviderError::Stale(2))));
        assert_eq!(identity::providers(db, &bob()).unwrap(), [changed]);
        let (_, hank) = world.globex();
        assert!(identity::providers(db, &hank).unwrap().is_empty());
        assert!(matches!(identity::provider(db, &hank, &made.id), Err(ProviderError::NotFound(_))));
        let foreign = identity::delete_provider(db, &tester.again(&hank), &made.id, 2);
        assert!(matches!(foreign, Err(ProviderError::NotFound(_))));
        identity::delete_provider(db, &bob(), &made.id, 2).unwrap();
        assert!(identity::providers(db, &bob()).unwrap().is_empty());
        let bad = identity::create_provider(
            db,
            &bob(),
            new("x", ProviderSettings { audiences: vec![], ..idp.settings() }),
            at,
        );
        assert!(matches!(bad, Err(ProviderError::Settings(error)) if error.field == "audiences"));
    });
}

#[test]
fn who_manages_only_users_or_only_roles_manages_no_providers() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let users = with(&world, "users-only", &[Permission::UserManage]);
        let roles = with(&world, "roles-only", &[Permission::RoleManage]);
        let viewer = world.caller("vera", Role::Viewer);
        for caller in [&users, &roles, &viewer] {
            let made = identity::create_provider(&tester.db, caller, new("x", idp.settings()), &tester.moment());
            assert!(matches!(made, Err(ProviderError::Forbidden(_))));
        }
        assert!(matches!(identity::providers(&tester.db, &viewer), Err(ListError::Forbidden(_))));
    });
}

#[test]
fn nobody_lets_a_provider_give_what_they_do_not_have() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let both = with(&world, "onboarding", &[Permission::UserManage, Permission::RoleManage]);
        let create = |caller: &Caller, settings| {
            let name = tester.moment().id::<kernel::ProviderId>().to_string();
            identity::create_provider(&tester.db, &tester.again(caller), new(&name, settings), &tester.moment())
        };
        for beyond in [mapping(&idp, [Role::Admin]), mapping(&idp, [Role::Operator])] {
            assert!(matches!(create(&both, beyond), Err(ProviderError::Roles(RolesRefused::Beyond(_)))));
        }
        let platform = create(&world.bob, mapping(&idp, [Role::PlatformAdmin]));
        assert!(matches!(platform, Err(ProviderError::Roles(RolesRefused::Platform(_)))));
        let unknown = create(&world.bob, mapping(&idp, "no-such-role".parse::<Roles>().unwrap()));
        assert!(matches!(unknown, Err(ProviderError::Roles(RolesRefused::Unknown(_)))));
        create(&both, mapping(&idp, "onboarding".parse::<Roles>().unwrap())).unwrap();
        // What somebody else has let it give may stay when the rest changes.
        let given = create(&world.bob, mapping(&idp, [Role::Operator])).unwrap();
        let renamed = ProviderSettings { provision: true, ..mapping(&idp, [Role::Operator]) };
        identity::update_provider(&tester.db, &tester.again(&both), &given.id, change(1, renamed)).unwrap();
        let widened = change(2, mapping(&idp, [Role::Operator, Role::Auditor]));
        let refused = identity::update_provider(&tester.db, &tester.again(&both), &given.id, widened);
        assert!(matches!(refused, Err(ProviderError::Roles(RolesRefused::Beyond(_)))));
    });
}

#[test]
fn nobody_becomes_somebody_else_by_pointing_a_provider_at_keys_of_their_own() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let both = with(&world, "onboarding", &[Permission::UserManage, Permission::RoleManage]);
        let provider = register(&world, idp.settings());
        let link = |caller: &Caller, subject: &str| {
            let link =
                Link { provider: provider.id.clone(), user: world.acme.admin.id.clone(), subject: subject.to_owned() };
            identity::link_user(&tester.db, &tester.again(caller), &link, &tester.moment())
        };
        assert!(matches!(link(&both, "mallory"), Err(ProviderError::Beyond(_))), "nor by linking to an administrator");
        link(&world.bob, "bob").unwrap();
        assert!(matches!(link(&world.bob, "bob"), Err(ProviderError::Linked)));
        for bad in ["", &"x".repeat(256)] {
            assert!(matches!(link(&world.bob, bad), Err(ProviderError::Subject)));
        }
        let forged = change(1, Idp::new("k1").settings());
        let refused = identity::update_provider(&tester.db, &tester.again(&both), &provider.id, forged.clone());
        assert!(matches!(refused, Err(ProviderError::Beyond(_))));
        let rename =
            ProviderChange { name: Some(Text::new("x").unwrap()), expected_revision: 1, ..ProviderChange::default() };
        identity::update_provider(&tester.db, &tester.again(&both), &provider.id, rename).unwrap();
        let forged = ProviderChange { expected_revision: 2, ..forged };
        identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, forged).unwrap();
    });
}

#[test]
fn a_client_secret_is_kept_sealed_and_read_by_the_flow_alone() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let with_secret = NewProvider {
            client_secret: Some(Secret::new("canary-client-secret".to_owned())),
            ..new("x", idp.settings())
        };
        let provider =
            identity::create_provider(&tester.db, &tester.again(&world.bob), with_secret, &tester.moment()).unwrap();
        assert!(provider.has_secret && !format!("{provider:?}").contains("canary"));
        let (acme, globex) = (&world.acme.tenant.id, tester.tenant("globex"));
        let read = |tenant| {
            let secret = identity::client_secret(&tester.db, tenant, &provider.id, &tester.moment()).unwrap();
            secret.map(|secret| secret.expose().clone())
        };
        assert_eq!(read(acme).as_deref(), Some("canary-client-secret"));
        assert_eq!(read(&globex), None);
        let forget = |client_secret, expected_revision| {
            let change = ProviderChange { expected_revision, client_secret, ..ProviderChange::default() };
            identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change).unwrap().has_secret
        };
        assert!(forget(SecretEdit::Keep, 1));
        assert!(forget(SecretEdit::Set(Secret::new("another".to_owned())), 2));
        assert_eq!(read(acme).as_deref(), Some("another"));
        assert!(!forget(SecretEdit::Remove, 3));
        assert_eq!(read(acme), None);
    });
}

#[test]
fn a_client_secret_does_not_go_to_another_issuer() {
    testkit::on_both_engines(|tester| {
        let (world, idp) = (World::new(tester), Idp::new("k1"));
        let client_secret = Some(Secret::new("canary-client-secret".to_owned()));
        let with_secret = NewProvider { client_secret, ..new("x", idp.settings()) };
        let made = identity::create_provider(&tester.db, &tester.again(&world.bob), with_secret, &tester.moment());
        let id = made.unwrap().id;
        let moved = |client_secret| {
            let issuer = "https://login.evil.example".to_owned();
            let change = ProviderChange { client_secret, ..change(1, ProviderSettings { issuer, ..idp.settings() }) };
            identity::update_provider(&tester.db, &tester.again(&world.bob), &id, change)
        };
        let kept = moved(SecretEdit::Keep);
        assert!(matches!(kept, Err(ProviderError::Settings(error)) if error.field == "client_secret"));
        assert!(!moved(SecretEdit::Remove).unwrap().has_secret);
    });
}
