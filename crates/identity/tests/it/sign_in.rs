//! Signing in with passwords and with identity providers, and what a session is then.

use std::net::IpAddr;

use authz::{Caller, Permission, Request, Role, Via};
use identity::{
    Cause, Client, EnterError, Entered, Gate, IssuedSession, Leavers, PasswordChange, PasswordError, PasswordSignIn,
    ProviderSettings, ProviderSignIn, Refusal, SessionError, SessionRefusal, SetPasswordError, SignInError,
    SignInMethod, StatusChange, TenantChange, TenantStatus, User, UserChange,
};
use kernel::{PageSize, Secret, UserId};
use serde_json::json;

use crate::idp::{Idp, register};
use crate::world::World;

pub(crate) const PASSWORD: &str = "mountain bicycle 9";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) fn client() -> Client {
    Client { address: Some(IpAddr::from([192, 0, 2, 7])), agent: "Mozilla/5.0".to_owned() }
}

/// Sets a password, as an administrator or oneself.
pub(crate) fn set(
    world: &World<'_>,
    gate: &Gate,
    caller: &Caller,
    user: &UserId,
    (new, current): (&str, Option<&str>),
) -> Result<(), SetPasswordError> {
    let change = PasswordChange { user: user.clone(), new: secret(new), current: current.map(secret) };
    let caller = world.tester.again(caller);
    identity::set_password(&world.tester.db, gate, &caller, change, &world.tester.moment())
}

pub(crate) fn sign_in(
    world: &World<'_>,
    gate: &Gate,
    (tenant, username, password): (&str, &str, &str),
) -> Result<IssuedSession, SignInError> {
    sign_in_from(world, gate, (tenant, username, password), client())
}

fn sign_in_from(
    world: &World<'_>,
    gate: &Gate,
    (tenant, username, password): (&str, &str, &str),
    client: Client,
) -> Result<IssuedSession, SignInError> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    let (tenant, username) = (tenant.parse().unwrap(), username.parse().unwrap());
    let asked = PasswordSignIn { tenant, username, password: secret(password), client };
    identity::sign_in_with_password(&world.tester.db, gate, &world.directory, asked, &world.tester.moment())
}

fn cause(signed_in: Result<IssuedSession, SignInError>) -> Cause {
    let error = signed_in.unwrap_err();
    assert_eq!(error.to_string(), "signing in failed", "whatever it was, no more is told");
    if let SignInError::Refused(cause) = error { Some(cause) } else { None }.unwrap()
}

/// Presents a session, the directory being up to date.
pub(crate) fn enter(world: &World<'_>, session: &IssuedSession) -> Result<Entered, Refusal> {
    enter_text(world, session.secret.expose())
}

fn enter_text(world: &World<'_>, text: &str) -> Result<Entered, Refusal> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    let moment = world.tester.moment();
    let request = Request::made(&moment);
    let entered = identity::authenticate_session(&world.tester.db, &world.directory, text, request, moment.now());
    entered.map_err(|error| if let EnterError::Refused(error) = error { Some(error.cause) } else { None }.unwrap())
}

fn caller(world: &World<'_>, session: &IssuedSession) -> Caller {
    enter(world, session).unwrap().authenticated.caller
}

/// A user of acme-corp with a password.
fn olivia(world: &World<'_>, gate: &Gate) -> User {
    let olivia = world.user("olivia", [Role::Operator]);
    set(world, gate, &world.bob, &olivia.id, (PASSWORD, None)).unwrap();
    olivia
}

const OLIVIA: (&str, &str, &str) = ("acme-corp", "olivia", PASSWORD);

fn pass(world: &World<'_>, seconds: i64) {
    world.tester.clock.advance_micros(seconds * 1_000_000);
}

#[test]
fn a_password_opens_a_session_that_stands_for_its_user() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        let session = sign_in(&world, &gate, OLIVIA).unwrap();
        assert!(session.secret.expose().starts_with("tfs_") && session.secret.expose().ends_with(".acme-corp"));
        assert_eq!(
            (session.session.method, session.session.network.as_str()),
            (SignInMethod::Password, "192.0.2.0/24")
        );
        let caller = caller(&world, &session);
        assert_eq!(caller.actor().id, user.id.as_str());
        assert_eq!(caller.actor().via, Some(Via::Session(session.session.id.clone())));
        assert!(caller.permissions().contains(Permission::AgentExecute) && caller.standing().fresh);
        assert!(world.directory.refresh_changed(&tester.db).unwrap().is_empty(), "no node rebuilds anything");
    });
}

#[test]
fn every_way_to_fail_looks_the_same_and_is_recorded() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        world.user("nora", [Role::Viewer]);
        let recorded = || {
            let leaves = crate::secrecy::leaves(tester, &world.bob);
            leaves.iter().filter(|leaf| leaf.contains("identity.sign_in.failed")).count()
        };
        let tries = [
            (("acme-corp", "olivia", "mountain bicycle 8"), Cause::WrongPassword),
            (("acme-corp", "olivia", ""), Cause::WrongPassword),
            (("acme-corp", "nora", PASSWORD), Cause::NoPassword),
            (("acme-corp", "nobody", PASSWORD), Cause::NoUser),
        ];
        for (number, (asked, why)) in tries.into_iter().enumerate() {
            assert_eq!(cause(sign_in(&world, &gate, asked)), why, "{asked:?}");
            assert_eq!(recorded(), number + 1);
        }
        assert_eq!(cause(sign_in(&world, &gate, ("nowhere", "olivia", PASSWORD))), Cause::NoTenant);
        assert_eq!(recorded(), 4, "what concerns no tenant stands in the system's log");
        let system = crate::secrecy::leaves(tester, &world.platform);
        assert!(system.last().unwrap().contains("identity.sign_in.failed"));

        let leave = Some(StatusChange::Deactivate(Leavers::new()));
        let change = UserChange { expected_revision: 1, status: leave, ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment()).unwrap();
        assert_eq!(cause(sign_in(&world, &gate, OLIVIA)), Cause::Deactivated);
        let status = Some(TenantStatus::Suspended);
        let change = TenantChange { expected_revision: 1, status, ..TenantChange::default() };
        identity::update_tenant(&tester.db, &tester.again(&world.platform), &world.acme.tenant.id, change).unwrap();
        assert_eq!(cause(sign_in(&world, &gate, OLIVIA)), Cause::Suspended);
        assert_eq!(cause(sign_in(&world, &gate, ("acme-corp", "olivia", "wrong password"))), Cause::WrongPassword);
    });
}

#[test]
fn after_ten_failures_a_minute_not_even_the_right_password_is_looked_at() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        olivia(&world, &gate);
        let wrong = ("acme-corp", "olivia", "mountain bicycle 8");
        for _ in 0..10 {
            assert_eq!(cause(sign_in(&world, &gate, wrong)), Cause::WrongPassword);
        }
        let throttled = sign_in(&world, &gate, OLIVIA).unwrap_err();
        assert!(matches!(throttled, SignInError::Throttled(wait) if wait.retry_after_seconds == 60));
        let elsewhere = Client { address: Some(IpAddr::from([198, 51, 100, 7])), agent: String::new() };
        assert!(sign_in_from(&world, &gate, OLIVIA, elsewhere).is_ok(), "its owner elsewhere is not locked out");
        pass(&world, 60);
        assert!(sign_in(&world, &gate, OLIVIA).is_ok());
    });
}

#[test]
fn a_flood_of_failures_leaves_a_hundred_entries_a_minute_and_one_that_counts_the_rest() {
    let tester = testkit::Tester::sqlite();
    let (world, gate) = (World::new(&tester), Gate::default());
    let failure = identity::Failure {
        tenant: world.acme.tenant.id.clone(),
        user: None,
        method: SignInMethod::Oidc,
        provider: None,
        cause: Cause::Flow,
    };
    let count =
        |action: &str| crate::secrecy::leaves(&tester, &world.bob).iter().filter(|leaf| leaf.contains(action)).count();
    for _ in 0..150 {
        identity::turn_away(&tester.db, &gate, &world.directory, &failure, &tester.moment()).unwrap();
    }
    identity::flush_failures(&tester.db, &gate, &tester.moment()).unwrap();
    assert_eq!((count("sign_in.failed"), count("sign_in.suppressed")), (100, 0));
    pass(&world, 60);
    identity::flush_failures(&tester.db, &gate, &tester.moment()).unwrap();
    identity::flush_failures(&tester.db, &gate, &tester.moment()).unwrap();
    assert_eq!((count("sign_in.failed"), count("sign_in.suppressed")), (100, 1));
    // The minute in which a server stops never ends there.
    for _ in 0..150 {
        identity::turn_away(&tester.db, &gate, &world.directory, &failure, &tester.moment()).unwrap();
    }
    identity::finish_failures(&tester.db, &gate, &tester.moment()).unwrap();
    identity::finish_failures(&tester.db, &gate, &tester.moment()).unwrap();
    assert_eq!((count("sign_in.failed"), count("sign_in.suppressed")), (200, 2));
}

#[test]
fn ten_thousand_guesses_are_a_handful_of_hashes() {
    let tester = testkit::Tester::sqlite();
    let (world, gate) = (World::new(&tester), Gate::default());
    olivia(&world, &gate);
    let (mut hashed, mut turned_away) = (0, 0);
    for number in 0..10_000 {
        let guess = format!("guess number {number}");
        match sign_in(&world, &gate, ("acme-corp", "olivia", &guess)).unwrap_err() {
            SignInError::Refused(_) => hashed += 1,
            SignInError::Throttled(_) => turned_away += 1,
            SignInError::Stale(_) | SignInError::Database(_) => unreachable!("nothing fails here"),
        }
    }
    assert_eq!((hashed, turned_away), (10, 9_990));
}

#[test]
fn ones_own_password_is_changed_with_the_present_one_and_ends_all_sessions() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        let first = sign_in(&world, &gate, OLIVIA).unwrap();
        let by_session = caller(&world, &first);
        let bob = world.acme.admin.id.as_str();
        assert!(by_session.standing().issued_by.iter().any(|maker| maker == bob), "bob knows the password");
        let next = "a harbour at dawn";
        for current in [None, Some("wrong password"), Some("")] {
            let refused = set(&world, &gate, &by_session, &user.id, (next, current));
            assert!(matches!(refused, Err(SetPasswordError::WrongPassword)), "{current:?}");
        }
        set(&world, &gate, &by_session, &user.id, (next, Some(PASSWORD))).unwrap();
        assert_eq!(enter(&world, &first).unwrap_err(), SessionRefusal::Ended.into());
        assert_eq!(cause(sign_in(&world, &gate, OLIVIA)), Cause::WrongPassword);
        let second = sign_in(&world, &gate, ("acme-corp", "olivia", next)).unwrap();
        assert_eq!(caller(&world, &second).standing().issued_by.iter().count(), 0, "bob does not know this one");
    });
}

#[test]
fn guessing_the_present_password_of_a_session_is_throttled_too() {
    let tester = testkit::Tester::sqlite();
    let (world, gate) = (World::new(&tester), Gate::default());
    let user = olivia(&world, &gate);
    let by_session = caller(&world, &sign_in(&world, &gate, OLIVIA).unwrap());
    let try_it = |current| set(&world, &gate, &by_session, &user.id, ("a harbour at dawn", Some(current)));
    (0..10).for_each(|_| assert!(matches!(try_it("wrong"), Err(SetPasswordError::WrongPassword))));
    assert!(matches!(try_it(PASSWORD), Err(SetPasswordError::Throttled(_))));
}

#[test]
fn nobody_sets_the_password_of_somebody_who_may_do_more() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        world.role("helpdesk", [Permission::UserManage]);
        let helper = world.user("helper", "helpdesk".parse::<authz::Roles>().unwrap());
        let helper = world.enter(&world.key(&helper.id));
        let refused = set(&world, &gate, &helper, &world.acme.admin.id, (PASSWORD, None));
        assert!(matches!(refused, Err(SetPasswordError::Beyond(_))));
        let nobody = world.user("nobody", []);
        set(&world, &gate, &helper, &nobody.id, (PASSWORD, None)).unwrap();
        let vera = world.caller("vera", Role::Viewer);
        let refused = set(&world, &gate, &vera, &nobody.id, (PASSWORD, None));
        assert!(matches!(refused, Err(SetPasswordError::Forbidden(_))));
        let named = set(&world, &gate, &world.bob, &nobody.id, ("I am Nobody now", None));
        assert!(matches!(named, Err(SetPasswordError::Password(PasswordError::NamesItsOwner))));
        let (globex, hank) = world.globex();
        let foreign = set(&world, &gate, &hank, &nobody.id, (PASSWORD, None));
        assert!(matches!(foreign, Err(SetPasswordError::NotFound(_))));
        assert!(globex.admin.id != nobody.id);
    });
}

#[test]
fn ones_own_first_password_is_for_who_manages_users() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let bob = &world.acme.admin.id;
        set(&world, &gate, &world.bob, bob, (PASSWORD, None)).unwrap();
        assert!(sign_in(&world, &gate, ("acme-corp", "bob", PASSWORD)).is_ok());
        let again = set(&world, &gate, &world.bob, bob, ("a harbour at dawn", None));
        assert!(matches!(again, Err(SetPasswordError::WrongPassword)), "the second needs the first");
        let vera = world.caller("vera", Role::Viewer);
        let own = vera.actor().id.parse().unwrap();
        let refused = set(&world, &gate, &vera, &own, (PASSWORD, None));
        assert!(matches!(refused, Err(SetPasswordError::Forbidden(_))));
    });
}

#[test]
fn service_accounts_have_no_passwords() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let new = identity::NewUser::named(identity::UserKind::Service, "ci-bot".parse().unwrap());
        let bot = identity::create_user(&tester.db, &world.bob, new, &tester.moment()).unwrap();
        let refused = set(&world, &gate, &world.bob, &bot.id, (PASSWORD, None));
        assert!(matches!(refused, Err(SetPasswordError::NoPerson(_))));
    });
}

#[test]
fn a_session_is_over_when_left_alone_and_after_half_a_day() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        olivia(&world, &gate);
        let idle = sign_in(&world, &gate, OLIVIA).unwrap();
        pass(&world, 1_799);
        assert!(enter(&world, &idle).is_ok());
        pass(&world, 1_800);
        assert_eq!(enter(&world, &idle).unwrap_err(), SessionRefusal::Idle.into());

        let busy = sign_in(&world, &gate, OLIVIA).unwrap();
        for _ in 0..28 {
            pass(&world, 1_500);
            assert!(enter(&world, &busy).is_ok());
        }
        pass(&world, 1_199);
        assert!(enter(&world, &busy).is_ok());
        pass(&world, 1);
        assert_eq!(enter(&world, &busy).unwrap_err(), SessionRefusal::Expired.into());
    });
}

#[test]
fn the_use_of_a_session_is_written_down_once_a_minute_without_an_entry() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        olivia(&world, &gate);
        let session = sign_in(&world, &gate, OLIVIA).unwrap();
        let start = tester.moment().now();
        let entries = crate::secrecy::leaves(tester, &world.bob).len();
        pass(&world, 59);
        assert_eq!(enter(&world, &session).unwrap().session.seen_at, start);
        pass(&world, 1);
        assert_eq!(enter(&world, &session).unwrap().session.seen_at, start.plus_seconds(60));
        pass(&world, 30);
        assert_eq!(enter(&world, &session).unwrap().session.seen_at, start.plus_seconds(60));
        assert_eq!(crate::secrecy::leaves(tester, &world.bob).len(), entries);
    });
}

#[test]
fn sensitive_actions_want_a_session_that_was_just_signed_in_to() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        let session = sign_in(&world, &gate, OLIVIA).unwrap();
        let make = || {
            let caller = caller(&world, &session);
            identity::create_key(&tester.db, &caller, crate::world::new_key(&user.id), &tester.moment())
        };
        pass(&world, 599);
        assert!(make().is_ok());
        pass(&world, 1);
        assert!(
            matches!(make(), Err(identity::CreateKeyError::Forbidden(refusal)) if refusal.cause == authz::Cause::NotFresh)
        );
    });
}

#[test]
fn what_is_no_session_is_refused_and_the_tenant_in_it_proves_nothing() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        olivia(&world, &gate);
        world.globex();
        let session = sign_in(&world, &gate, OLIVIA).unwrap();
        let text = session.secret.expose();
        let (secret, _) = text.split_once('.').unwrap();
        for form in
            ["", "x", secret, &text[..text.len() - 12], world.acme.key.secret.expose(), &text.replace("tfs_", "tfk_")]
        {
            assert!(matches!(enter_text(&world, form), Err(Refusal::Form(_))), "{form}");
        }
        let altered = format!("{}{}{}", &text[..30], if text[30..].starts_with('a') { 'b' } else { 'a' }, &text[31..]);
        assert!(matches!(enter_text(&world, &altered), Err(Refusal::Form(_))), "the checksum alone decides");
        for elsewhere in ["globex", "nowhere", "_system"] {
            let refused = enter_text(&world, &format!("{secret}.{elsewhere}")).unwrap_err();
            assert_eq!(refused, SessionRefusal::Unknown.into(), "{elsewhere}");
        }
        assert!(matches!(world.refusal(secret), Refusal::Form(_)), "a session is no key");
    });
}

#[test]
fn sessions_are_seen_and_ended_by_their_owners_and_by_who_manages_users() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        let (one, two) = (sign_in(&world, &gate, OLIVIA).unwrap(), sign_in(&world, &gate, OLIVIA).unwrap());
        let (olivia, vera) = (caller(&world, &one), world.caller("vera", Role::Viewer));
        let list = |caller: &Caller, user: Option<&UserId>| {
            let page = identity::sessions(&tester.db, caller, user, None, PageSize::default())?;
            Ok::<_, identity::ListError>(page.items.into_iter().map(|session| session.id).collect::<Vec<_>>())
        };
        let both = [one.session.id.clone(), two.session.id.clone()];
        assert_eq!(list(&olivia, Some(&user.id)).unwrap(), both);
        assert_eq!(list(&world.bob, None).unwrap(), both);
        assert!(list(&vera, Some(&user.id)).is_err() && list(&vera, None).is_err() && list(&olivia, None).is_err());
        let end = |caller: &Caller, session: &IssuedSession| {
            identity::end_session(&tester.db, &tester.again(caller), &session.session.id, &tester.moment())
        };
        assert!(matches!(end(&vera, &one), Err(SessionError::NotFound(_))));
        let (_, hank) = world.globex();
        assert!(matches!(end(&hank, &one), Err(SessionError::NotFound(_))));
        end(&olivia, &two).unwrap();
        assert_eq!(enter(&world, &two).unwrap_err(), SessionRefusal::Ended.into());
        assert!(matches!(end(&olivia, &two), Err(SessionError::NotFound(_))));
        end(&world.bob, &one).unwrap();
        assert_eq!(enter(&world, &one).unwrap_err(), SessionRefusal::Ended.into());
        assert!(list(&world.bob, None).unwrap().is_empty());
    });
}

#[test]
fn a_session_that_can_do_more_than_before_gets_another_secret() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        let session = sign_in(&world, &gate, OLIVIA).unwrap();
        assert!(!enter(&world, &session).unwrap().renew);
        pass(&world, 60);
        let change = UserChange { expected_revision: 1, roles: Some([Role::Admin].into()), ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment()).unwrap();
        let entered = enter(&world, &session).unwrap();
        assert!(entered.renew);
        let renewed = identity::renew_session(&tester.db, &entered.authenticated.caller, &tester.moment()).unwrap();
        assert_ne!(renewed.session.id, session.session.id);
        assert_eq!(renewed.session.expires_at, session.session.expires_at, "it does not last longer");
        assert_eq!(renewed.session.authenticated_at, session.session.authenticated_at, "nor is it fresher");
        assert_eq!(enter(&world, &session).unwrap_err(), SessionRefusal::Ended.into());
        assert!(!enter(&world, &renewed).unwrap().renew);
        let by_key = identity::renew_session(&tester.db, &tester.again(&world.bob), &tester.moment());
        assert!(matches!(by_key, Err(SessionError::NoSession)));
    });
}

#[test]
fn what_a_form_must_bring_along_follows_from_the_session_and_from_no_other() {
    let tester = testkit::Tester::sqlite();
    let (world, gate) = (World::new(&tester), Gate::default());
    olivia(&world, &gate);
    let (one, two) = (sign_in(&world, &gate, OLIVIA).unwrap(), sign_in(&world, &gate, OLIVIA).unwrap());
    let token = identity::csrf_token(one.secret.expose()).unwrap();
    assert!(identity::is_csrf_token(one.secret.expose(), token.expose()));
    assert!(!identity::is_csrf_token(two.secret.expose(), token.expose()));
    for bad in ["", "x", one.secret.expose(), &token.expose()[1..]] {
        assert!(!identity::is_csrf_token(one.secret.expose(), bad), "{bad}");
    }
    assert!(identity::csrf_token("nonsense").is_none());
    assert!(!one.secret.expose().contains(token.expose()));
}

#[test]
fn a_password_hashed_as_before_is_hashed_anew_when_it_is_used() {
    testkit::on_both_engines(|tester| {
        let (world, gate) = (World::new(tester), Gate::default());
        let user = olivia(&world, &gate);
        // From the reference implementation: `echo -n "mountain bicycle 9" | argon2 somesalt16bytes! -id -t 1 -k 64 -p 1`.
        let kept = || {
            let grant = tester.again(&world.bob).authorize::<crate::world::Look>().unwrap();
            let hash = store::sql!("SELECT hash FROM passwords WHERE tenant_id = $1 AND user_id = $2");
            let read =
                tester.db.read(&grant, |tx| tx.optional(hash, store::values![&user.id], store::Row::get::<String>));
            read.unwrap().unwrap()
        };
        let present = kept();
        assert!(present.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let dated = dated_hash(PASSWORD);
        tester
            .raw("acme-corp", &format!("UPDATE passwords SET hash = '{dated}' WHERE user_id = '{}'", user.id))
            .unwrap();
        sign_in(&world, &gate, OLIVIA).unwrap();
        assert!(kept().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(sign_in(&world, &gate, OLIVIA).is_ok());
    });
}

fn dated_hash(password: &str) -> String {
    use base64::Engine as _;
    let params = argon2::Params::new(64, 1, 1, Some(32)).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let (salt, mut output) = ([7u8; 16], [0; 32]);
    argon.hash_password_into(password.as_bytes(), &salt, &mut output).unwrap();
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    format!("$argon2id$v=19$m=64,t=1,p=1${}${}", encode(&salt), encode(&output))
}

/// Signs in with a provider of acme-corp.
pub(crate) fn arrive(
    world: &World<'_>,
    gate: &Gate,
    provider: &identity::Provider,
    claims: &jose::Claims,
) -> Result<IssuedSession, SignInError> {
    world.directory.refresh_changed(&world.tester.db).unwrap();
    let tenant = world.acme.tenant.id.clone();
    let asked = ProviderSignIn { tenant, provider: provider.id.clone(), claims, client: client() };
    identity::sign_in(&world.tester.db, gate, &world.directory, asked, &world.tester.moment())
}

fn with_roles(idp: &Idp) -> ProviderSettings {
    ProviderSettings {
        provision: true,
        roles_claim: Some("groups".to_owned()),
        role_map: [
            ("ops".to_owned(), [Role::Operator].into()),
            ("audit".to_owned(), [Role::Auditor].into()),
            ("admins".to_owned(), [Role::Admin].into()),
        ]
        .into(),
        ..idp.settings()
    }
}

#[test]
fn somebody_new_becomes_a_user_and_groups_are_gained_and_lost_at_each_sign_in() {
    testkit::on_both_engines(|tester| {
        let (world, gate, idp) = (World::new(tester), Gate::default(), Idp::new("k1"));
        let provider = register(&world, with_roles(&idp));
        let roles = |groups: &[&str]| {
            let claims = idp.claims(&world, "alice@idp", json!({ "groups": groups, "preferred_username": "alice" }));
            let session = arrive(&world, &gate, &provider, &claims).unwrap();
            assert_eq!(session.session.provider.as_ref(), Some(&provider.id));
            let caller = caller(&world, &session);
            assert_eq!(caller.standing().issued_by.iter().count(), 0);
            (caller.actor().id.clone(), caller.roles().to_string())
        };
        let (id, first) = roles(&["ops"]);
        assert_eq!(first, "operator");
        assert_eq!(roles(&["ops", "audit"]), (id.clone(), "operator,auditor".to_owned()));
        assert_eq!(roles(&["audit", "unknown"]), (id.clone(), "auditor".to_owned()));
        assert_eq!(roles(&[]), (id.clone(), String::new()));
        let alice = world.now(&id.parse().unwrap());
        assert_eq!((alice.username.as_str(), alice.roles.is_empty()), ("alice", true));
        // A sign-in that changes nothing moves no configuration.
        world.directory.refresh_changed(&tester.db).unwrap();
        let claims = idp.claims(&world, "alice@idp", json!({ "groups": [], "preferred_username": "alice" }));
        arrive(&world, &gate, &provider, &claims).unwrap();
        assert!(world.directory.refresh_changed(&tester.db).unwrap().is_empty());
    });
}

#[test]
fn the_last_administrator_stays_one_whatever_the_provider_says() {
    testkit::on_both_engines(|tester| {
        let (world, gate, idp) = (World::new(tester), Gate::default(), Idp::new("k1"));
        let provider = register(&world, with_roles(&idp));
        let bob = &world.acme.admin;
        let link =
            identity::Link { provider: provider.id.clone(), user: bob.id.clone(), subject: "bob@idp".to_owned() };
        identity::link_user(&tester.db, &tester.again(&world.bob), &link, &tester.moment()).unwrap();
        let claims = idp.claims(&world, "bob@idp", json!({ "groups": ["ops"] }));
        let session = arrive(&world, &gate, &provider, &claims).unwrap();
        assert_eq!(caller(&world, &session).roles(), &[Role::Admin, Role::Operator].into());
        world.user("carol", [Role::Admin]);
        let session = arrive(&world, &gate, &provider, &claims).unwrap();
        assert_eq!(caller(&world, &session).roles(), &[Role::Operator].into());
    });
}

#[test]
fn who_may_not_act_does_not_arrive_and_what_is_about_others_lets_nobody_in() {
    testkit::on_both_engines(|tester| {
        let (world, gate, idp) = (World::new(tester), Gate::default(), Idp::new("k1"));
        let provider = register(&world, idp.settings());
        let tried = |subject: &str, more: serde_json::Value| {
            cause(arrive(&world, &gate, &provider, &idp.claims(&world, subject, more)))
        };
        assert_eq!(tried("alice", json!({})), Cause::Unlinked);
        assert_eq!(tried("alice", json!({ "iss": "https://other.example" })), Cause::OtherTenant);
        assert_eq!(tried("alice", json!({ "aud": "another-client" })), Cause::OtherTenant);
        let user = world.user("olivia", [Role::Operator]);
        let link = identity::Link { provider: provider.id.clone(), user: user.id.clone(), subject: "alice".to_owned() };
        identity::link_user(&tester.db, &tester.again(&world.bob), &link, &tester.moment()).unwrap();
        arrive(&world, &gate, &provider, &idp.claims(&world, "alice", json!({}))).unwrap();
        let leave = Some(StatusChange::Deactivate(Leavers::new()));
        let change = UserChange { expected_revision: 1, status: leave, ..UserChange::default() };
        identity::update_user(&tester.db, &tester.again(&world.bob), &user.id, change, &tester.moment()).unwrap();
        assert_eq!(tried("alice", json!({})), Cause::Deactivated);
        let status = Some(identity::ProviderStatus::Disabled);
        let change = identity::ProviderChange { expected_revision: 1, status, ..identity::ProviderChange::default() };
        identity::update_provider(&tester.db, &tester.again(&world.bob), &provider.id, change).unwrap();
        assert_eq!(tried("alice", json!({})), Cause::NoProvider);
    });
}

#[test]
fn a_provider_with_a_tenant_claim_lets_nobody_of_another_tenant_in() {
    testkit::on_both_engines(|tester| {
        let (world, gate, idp) = (World::new(tester), Gate::default(), Idp::new("k1"));
        let tenant = Some(identity::TenantClaim { claim: "tid".to_owned(), value: "acme".to_owned() });
        let provider = register(&world, ProviderSettings { tenant, ..with_roles(&idp) });
        let arrive = |more: serde_json::Value| arrive(&world, &gate, &provider, &idp.claims(&world, "alice", more));
        assert_eq!(cause(arrive(json!({ "tid": "globex" }))), Cause::OtherTenant);
        assert_eq!(cause(arrive(json!({}))), Cause::OtherTenant);
        assert!(arrive(json!({ "tid": "acme" })).is_ok());
    });
}
