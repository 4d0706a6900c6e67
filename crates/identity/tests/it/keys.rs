//! Keys.

use std::net::IpAddr;

use authz::{Caller, Permission, Permissions, Request, Role};
use identity::{
    CreateKeyError, Direction, IssuedKey, KeyChange, KeyError, KeyFilter, KeySort, KeyStatus, ListError, Networks,
    NewKey, Refusal, RevokeKeyError, RotateKeyError, Rotation, UpdateKeyError, UserChange,
};
use kernel::{AgentId, PageSize, UserId};
use store::{StoreError, sql, values};

use crate::world::{World, new_key};

fn only(permission: Permission) -> Permissions {
    Permissions::NONE.with(permission)
}

fn own(caller: &Caller) -> UserId {
    caller.actor().id.parse().unwrap()
}

fn of(user: &UserId) -> KeyFilter {
    KeyFilter { user: Some(user.clone()), ..KeyFilter::default() }
}

#[test]
fn everybody_makes_sees_and_revokes_their_own_keys() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        for role in Role::TENANT {
            let caller = world.caller(role.as_str(), role);
            let new = new_key(&own(&caller));
            let issued = identity::create_key(&tester.db, &caller, new, &tester.moment()).unwrap();
            assert_eq!(world.enter(&issued).permissions(), caller.permissions());
            assert_eq!(identity::key(&tester.db, &caller, &issued.key.id).unwrap(), issued.key);
            let mine = identity::keys(&tester.db, &caller, &of(&own(&caller)), None, PageSize::default()).unwrap();
            assert_eq!(mine.items.len(), 2, "{role}");
            let caller = tester.again(&caller);
            identity::revoke_key(&tester.db, &caller, &issued.key.id, &tester.moment()).unwrap();
            assert_eq!(world.refusal(issued.secret.expose()), Refusal::Revoked);
        }
    });
}

#[test]
fn the_keys_of_others_are_hidden_without_key_manage() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (vera, bobs) = (world.caller("vera", Role::Viewer), &world.acme.key.key);
        let (db, at, bob) = (&tester.db, &tester.moment(), &world.acme.admin.id);
        assert!(matches!(identity::key(db, &vera, &bobs.id), Err(KeyError::NotFound(_))));
        assert!(matches!(identity::revoke_key(db, &vera, &bobs.id, at), Err(RevokeKeyError::NotFound(_))));
        let rotated = identity::rotate_key(db, &vera, &bobs.id, Rotation::default(), at);
        assert!(matches!(rotated, Err(RotateKeyError::NotFound(_))));
        let change = KeyChange { expected_revision: 1, name: None, networks: None };
        let updated = identity::update_key(db, &vera, &bobs.id, change);
        assert!(matches!(updated, Err(UpdateKeyError::NotFound(_))));
        let created = identity::create_key(db, &vera, new_key(bob), at);
        assert!(matches!(created, Err(CreateKeyError::Forbidden(_))));
        for filter in [of(bob), KeyFilter::default()] {
            let listed = identity::keys(db, &vera, &filter, None, PageSize::default());
            assert!(matches!(listed, Err(ListError::Forbidden(_))));
        }
        let all = identity::keys(db, &world.bob, &KeyFilter::default(), None, PageSize::default()).unwrap();
        assert_eq!(all.items.len(), 2);
    });
}

#[test]
fn keys_are_listed_as_asked_and_page_by_page() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let now = tester.moment().now();
        let named = |name: &str, days: i64| {
            tester.clock.advance_micros(1_000_000);
            let expires_at = Some(now.plus_seconds(days * 86_400));
            world.key_with(NewKey { name: kernel::Text::new(name).unwrap(), expires_at, ..new_key(&olivia.id) })
        };
        let (deploy, laptop, old) = (named("Deploy 50%", 30), named("laptop", 10), named("deploy_old", 1));
        let names = |filter: KeyFilter| {
            let (mut names, mut next) = (Vec::new(), None);
            loop {
                let size = PageSize::new(1).unwrap();
                let page = identity::keys(&tester.db, &world.bob, &filter, next.as_ref(), size).unwrap();
                names.extend(page.items.iter().map(|key| key.name.to_string()));
                next = page.next;
                if next.is_none() {
                    return names;
                }
            }
        };
        let base = of(&olivia.id);
        assert_eq!(names(base.clone()), ["Deploy 50%", "laptop", "deploy_old"]);
        let expiring = KeyFilter { sort: KeySort::ExpiresAt, ..base.clone() };
        assert_eq!(names(expiring.clone()), ["deploy_old", "laptop", "Deploy 50%"]);
        assert_eq!(
            names(KeyFilter { direction: Direction::Descending, ..expiring }),
            ["Deploy 50%", "laptop", "deploy_old"]
        );
        let starting = |q: &str| KeyFilter { q: Some(kernel::Text::new(q).unwrap()), ..base.clone() };
        assert_eq!(names(starting("deploy")), ["Deploy 50%", "deploy_old"]);
        assert_eq!(names(starting("deploy 50%")), ["Deploy 50%"]);
        assert_eq!(names(starting("%")), [""; 0]);
        assert_eq!(names(starting(laptop.key.id.as_str())), ["laptop"]);

        identity::revoke_key(&tester.db, &tester.again(&world.bob), &laptop.key.id, &tester.moment()).unwrap();
        world.enter(&deploy);
        world.directory.flush_uses(&tester.db).unwrap();
        let used = KeyFilter { sort: KeySort::UsedAt, direction: Direction::Descending, ..base.clone() };
        assert_eq!(names(used)[0], "Deploy 50%");
        tester.clock.advance_micros(2 * 86_400 * 1_000_000);
        let status = |status| KeyFilter { status: Some(status), ..base.clone() };
        assert_eq!(names(status(KeyStatus::Revoked)), ["laptop"]);
        assert_eq!(names(status(KeyStatus::Expired)), ["deploy_old"]);
        assert_eq!(names(status(KeyStatus::Active)), ["Deploy 50%"]);
        assert_eq!(old.key.status(tester.moment().now()), KeyStatus::Expired);
    });
}

#[test]
fn scopes_narrow_a_key_and_follow_its_owners_roles() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let scopes = [Permission::AgentRead, Permission::AgentExecute, Permission::AuditRead].into_iter().collect();
        let key = world.key_with(NewKey { scopes: Some(scopes), ..new_key(&user.id) });
        let may = |permissions: Permissions| permissions.iter().map(Permission::as_str).collect::<Vec<_>>();
        assert_eq!(may(world.enter(&key).permissions()), ["agent:read", "agent:execute"]);

        let change = UserChange { expected_revision: 1, roles: Some([Role::Viewer].into()), ..UserChange::default() };
        identity::update_user(&tester.db, &world.bob, &user.id, change, &tester.moment()).unwrap();
        assert_eq!(may(world.enter(&key).permissions()), ["agent:read"]);
    });
}

#[test]
fn nobody_makes_a_key_that_may_do_more_than_they() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let scopes = [Permission::KeyManage, Permission::AgentRead].into_iter().collect();
        let new = NewKey { scopes: Some(scopes), ..new_key(&world.acme.admin.id) };
        let narrowed = world.enter(&world.key_with(new));
        let create = |scopes| {
            let new = NewKey { scopes, ..new_key(&world.acme.admin.id) };
            identity::create_key(&tester.db, &tester.again(&narrowed), new, &tester.moment())
        };
        assert!(matches!(create(None), Err(CreateKeyError::Beyond(_))));
        assert!(matches!(create(Some(only(Permission::AuditRead))), Err(CreateKeyError::Beyond(_))));
        assert!(create(Some(only(Permission::AgentRead))).is_ok());
        let bobs = &world.acme.key.key.id;
        let rotated =
            identity::rotate_key(&tester.db, &tester.again(&narrowed), bobs, Rotation::default(), &tester.moment());
        assert!(matches!(rotated, Err(RotateKeyError::Beyond(_))), "who rotates a key is shown its secret");
    });
}

#[test]
fn a_narrowed_key_without_key_manage_makes_no_keys_and_sees_none() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let key = world.key_with(NewKey { scopes: Some(only(Permission::AgentExecute)), ..new_key(&user.id) });
        let agent = world.enter(&key);
        let new = NewKey { scopes: Some(only(Permission::AgentExecute)), ..new_key(&user.id) };
        let created = identity::create_key(&tester.db, &agent, new, &tester.moment());
        assert!(matches!(created, Err(CreateKeyError::Forbidden(_))));
        assert!(matches!(identity::key(&tester.db, &agent, &key.key.id), Err(KeyError::NotFound(_))));
        let rotated = identity::rotate_key(&tester.db, &agent, &key.key.id, Rotation::default(), &tester.moment());
        assert!(matches!(rotated, Err(RotateKeyError::NotFound(_))));
        let listed = identity::keys(&tester.db, &agent, &of(&user.id), None, PageSize::default());
        assert!(matches!(listed, Err(ListError::Forbidden(_))));
    });
}

#[test]
fn a_key_ends_after_ninety_days_or_when_its_maker_said() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let now = tester.moment().now();
        let usual = world.key(&user.id);
        assert_eq!(usual.key.expires_at, now.plus_seconds(90 * 86_400));
        let short = world.key_with(NewKey { expires_at: Some(now.plus_seconds(60)), ..new_key(&user.id) });
        for past in [now, now.plus_seconds(-1)] {
            let new = NewKey { expires_at: Some(past), ..new_key(&user.id) };
            let created = identity::create_key(&tester.db, &tester.again(&world.bob), new, &tester.moment());
            assert!(matches!(created, Err(CreateKeyError::Expired(at)) if at == past));
        }
        tester.clock.advance_micros(59_999_999);
        assert!(world.present(short.secret.expose()).is_ok());
        tester.clock.advance_micros(1);
        assert_eq!(world.refusal(short.secret.expose()), Refusal::Expired);
        assert!(world.present(usual.secret.expose()).is_ok());
        let rotated = rotate(&world, &short, 60);
        assert!(matches!(rotated, Err(RotateKeyError::Over)), "what is over is not brought back");
    });
}

#[test]
fn a_key_is_revoked_once() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let user = world.user("olivia", [Role::Operator]);
        let key = world.key(&user.id);
        let revoke = || identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment());
        let since = tester.moment().now();
        assert_eq!(revoke().unwrap().revoked_at, Some(since));
        tester.clock.advance_micros(5);
        assert!(matches!(revoke(), Err(RevokeKeyError::AlreadyRevoked(at)) if at == since));
    });
}

#[test]
fn a_key_may_be_for_one_agent_that_exists() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let agent: AgentId = tester.moment().id();
        let user = world.user("olivia", [Role::Operator]);
        let new = NewKey { agent: Some(agent.clone()), ..new_key(&user.id) };
        let nobody = identity::create_key(&tester.db, &tester.again(&world.bob), new.clone(), &tester.moment());
        assert!(matches!(nobody, Err(CreateKeyError::AgentNotFound(missing)) if missing == agent));
        tester.raw("acme-corp", &agent_row("acme-corp", &agent)).unwrap();
        let key = world.key_with(new);
        assert_eq!(world.present(key.secret.expose()).unwrap().agent, Some(agent.clone()));
        assert_eq!(world.present(world.key(&user.id).secret.expose()).unwrap().agent, None);

        let (globex, hank) = world.globex();
        let new = NewKey { agent: Some(agent.clone()), ..new_key(&globex.admin.id) };
        let foreign = identity::create_key(&tester.db, &tester.again(&hank), new, &tester.moment());
        assert!(matches!(foreign, Err(CreateKeyError::AgentNotFound(_))), "another tenant's agent is none");
        let bob = "bob".parse().unwrap();
        let local =
            |agent| identity::issue_local_key(&tester.db, &world.acme.tenant.id, &bob, Some(agent), &tester.moment());
        assert!(local(agent).is_ok());
        let missing = local(tester.moment().id()).unwrap_err();
        assert!(matches!(missing, identity::LocalKeyError::AgentNotFound(_)));
    });
}

fn agent_row(tenant: &str, agent: &AgentId) -> String {
    format!(
        "INSERT INTO agents (tenant_id, agent_id, name, description, category, tags, search, owner_id, created_at,
                             updated_at, revision)
         VALUES ('{tenant}', '{agent}', 'a', '', '', '', '', 'usr_1', 0, 0, 1)"
    )
}

#[test]
fn the_servers_own_machine_makes_keys_without_credentials_and_says_so() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let acme = &world.acme.tenant.id;
        let issue = |tenant: &kernel::TenantId, name: &str| {
            identity::issue_local_key(&tester.db, tenant, &name.parse().unwrap(), None, &tester.moment())
        };
        let issued = issue(acme, "bob").unwrap();
        assert_eq!(issued.key.issued_by.to_string(), "cli");
        let caller = world.enter(&issued);
        assert_eq!(caller.roles(), world.bob.roles());
        let platform = world.enter(&issue(&kernel::TenantId::system(), "platform").unwrap());
        assert_eq!(platform.roles(), &[Role::PlatformAdmin].into());
        let nobody = issue(acme, "nobody").unwrap_err();
        assert_eq!(nobody.to_string(), "no user `nobody` in the tenant `acme-corp`");
        let nowhere = issue(&"nowhere".parse().unwrap(), "bob").unwrap_err();
        assert_eq!(nowhere.to_string(), "no user `bob` in the tenant `nowhere`");
    });
}

/// The key's owner gives it another secret; the one before stays good for so many seconds.
fn rotate(world: &World<'_>, key: &IssuedKey, overlap_seconds: u32) -> Result<IssuedKey, RotateKeyError> {
    let bob = world.tester.again(&world.bob);
    let rotation = Rotation { overlap_seconds, expires_at: None };
    identity::rotate_key(&world.tester.db, &bob, &key.key.id, rotation, &world.tester.moment())
}

#[test]
fn a_rotated_key_has_two_secrets_until_the_overlap_ends() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let first = world.key(&olivia.id);
        let second = rotate(&world, &first, 60).unwrap();
        assert_eq!(second.key.id, first.key.id);
        assert_eq!(second.key.expires_at, first.key.expires_at);
        assert_eq!(second.key.previous_until, Some(tester.moment().now().plus_seconds(60)));
        assert_eq!(world.enter(&first).actor(), world.enter(&second).actor());
        tester.clock.advance_micros(59_999_999);
        assert!(world.present(first.secret.expose()).is_ok());
        tester.clock.advance_micros(1);
        assert_eq!(world.refusal(first.secret.expose()), Refusal::WrongSecret);
        assert!(world.present(second.secret.expose()).is_ok());
    });
}

#[test]
fn rotating_again_ends_the_first_secret_and_revoking_ends_all() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let first = world.key(&olivia.id);
        let second = rotate(&world, &first, 600).unwrap();
        let third = rotate(&world, &first, 600).unwrap();
        assert_eq!(world.refusal(first.secret.expose()), Refusal::WrongSecret);
        assert!(world.present(second.secret.expose()).is_ok() && world.present(third.secret.expose()).is_ok());
        identity::revoke_key(&tester.db, &tester.again(&world.bob), &first.key.id, &tester.moment()).unwrap();
        for key in [&second, &third] {
            assert_eq!(world.refusal(key.secret.expose()), Refusal::Revoked);
        }
    });
}

#[test]
fn a_rotation_without_overlap_ends_the_secret_at_once_and_none_overlaps_more_than_a_week() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let first = world.key(&olivia.id);
        let second = rotate(&world, &first, 0).unwrap();
        assert_eq!(world.refusal(first.secret.expose()), Refusal::WrongSecret);
        assert!(world.present(second.secret.expose()).is_ok());
        assert!(matches!(rotate(&world, &first, 604_801), Err(RotateKeyError::OverlapTooLong)));
        assert!(rotate(&world, &first, 604_800).is_ok());
        let past = Rotation { overlap_seconds: 0, expires_at: Some(tester.moment().now()) };
        let bob = tester.again(&world.bob);
        let refused = identity::rotate_key(&tester.db, &bob, &first.key.id, past, &tester.moment());
        assert!(matches!(refused, Err(RotateKeyError::Expired(_))));
    });
}

#[test]
fn a_key_with_networks_is_refused_from_elsewhere_and_from_nowhere() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let networks = Networks::new(["192.0.2.0/24", "2001:db8::/32"]).unwrap();
        let key = world.key_with(NewKey { networks, ..new_key(&olivia.id) });
        let present = |address: Option<&str>| {
            world.directory.refresh_changed(&tester.db).unwrap();
            let from = address.map(|address| address.parse::<IpAddr>().unwrap());
            let moment = tester.moment();
            let asked = world.directory.authenticate(key.secret.expose(), from, Request::made(&moment), moment.now());
            asked.map(drop).map_err(|error| error.cause)
        };
        for welcome in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9"] {
            assert_eq!(present(Some(welcome)), Ok(()), "{welcome}");
        }
        for stranger in [Some("192.0.3.7"), Some("2001:db9::9"), None] {
            assert_eq!(present(stranger), Err(Refusal::Network), "{stranger:?}");
        }
        let change = |expected_revision, networks| {
            let networks = Some(Networks::new::<&str>(networks).unwrap());
            let change = KeyChange { expected_revision, name: None, networks };
            identity::update_key(&tester.db, &tester.again(&world.bob), &key.key.id, change)
        };
        let changed = change(1, vec!["192.0.3.0/24"]).unwrap();
        assert_eq!(changed.revision, 2);
        assert_eq!(present(Some("192.0.3.7")), Ok(()));
        assert_eq!(present(Some("192.0.2.7")), Err(Refusal::Network));
        assert!(matches!(change(1, vec![]), Err(UpdateKeyError::Stale(2))));
        change(2, vec![]).unwrap();
        assert_eq!(present(None), Ok(()));
        identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment()).unwrap();
        assert!(matches!(change(4, vec![]), Err(UpdateKeyError::Revoked(_))));
    });
}

/// When the row says that the key was last used, and how often the configuration has changed.
fn used_at(world: &World<'_>, key: &IssuedKey) -> Option<kernel::Timestamp> {
    identity::key(&world.tester.db, &world.tester.again(&world.bob), &key.key.id).unwrap().used_at
}

#[test]
fn the_last_use_is_written_at_most_once_a_minute_and_changes_no_configuration() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        assert_eq!(used_at(&world, &key), None);
        let first = tester.moment().now();
        world.enter(&key);
        tester.clock.advance_micros(59_999_999);
        world.enter(&key);
        world.directory.flush_uses(&tester.db).unwrap();
        assert_eq!(used_at(&world, &key), Some(first), "the uses of one minute are one");
        assert!(world.directory.refresh_changed(&tester.db).unwrap().is_empty(), "a use is no change");
        tester.clock.advance_micros(1);
        world.enter(&key);
        world.directory.flush_uses(&tester.db).unwrap();
        assert_eq!(used_at(&world, &key), Some(first.plus_seconds(60)));
        world.directory.flush_uses(&tester.db).unwrap();
        let refused = format!("{}0", key.secret.expose());
        world.present(&refused).unwrap_err();
        assert_eq!(used_at(&world, &key), Some(first.plus_seconds(60)), "a refused key was not used");
    });
}

/// Who else has held the key, as its presenter's standing says.
fn makers(world: &World<'_>, key: &IssuedKey) -> Vec<String> {
    world.enter(key).standing().issued_by.iter().map(str::to_owned).collect()
}

#[test]
fn whose_hands_a_secret_went_through_is_known_and_inherited() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let (bob, platform) = (world.acme.admin.id.to_string(), world.platform.actor().id.clone());
        // The platform's first key was made by nobody, that one's holder made bob's, and bob made olivia's.
        assert_eq!(makers(&world, &world.acme.key), ["bootstrap", &platform]);
        let by_bob = world.key(&olivia.id);
        let mut all = vec!["bootstrap".to_owned(), platform, bob];
        all.sort();
        assert_eq!(makers(&world, &by_bob), all);
        let caller = world.enter(&by_bob);
        let own = identity::create_key(&tester.db, &caller, new_key(&olivia.id), &tester.moment()).unwrap();
        assert_eq!(makers(&world, &own), all, "bob may have made it with the key that he made");
        let caller = world.enter(&own);
        let rotated =
            identity::rotate_key(&tester.db, &caller, &own.key.id, Rotation::default(), &tester.moment()).unwrap();
        assert_eq!(makers(&world, &rotated), all);
    });
}

#[test]
fn both_secrets_of_a_rotated_key_remember_their_own_makers() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        let set = format!("UPDATE api_keys SET issued_by = 'usr_eve' WHERE key_id = '{}'", key.key.id);
        tester.raw("acme-corp", &set).unwrap();
        let rotated = rotate(&world, &key, 600).unwrap();
        assert_eq!(makers(&world, &key), ["usr_eve"]);
        assert!(!makers(&world, &rotated).contains(&"usr_eve".to_owned()));
    });
}

#[test]
fn a_leaked_key_is_revoked_by_whoever_finds_it_and_the_answer_tells_nothing() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let (leaked, other) = (world.key(&olivia.id), world.key(&olivia.id));
        world.enter(&leaked);
        let report = |text: &str| identity::report_leaked(&tester.db, &world.directory, text, &tester.moment());
        let (leaked_text, other_text) = (leaked.secret.expose(), other.secret.expose());
        let spliced = format!("{}{}", &leaked_text[..17], &other_text[17..]);
        for not_it in ["", "nonsense", spliced.as_str(), &format!("tf_{}", "x".repeat(43))] {
            report(not_it).unwrap();
        }
        assert!(world.present(leaked_text).is_ok() && world.present(other_text).is_ok());
        report(leaked_text).unwrap();
        report(leaked_text).unwrap();
        assert_eq!(world.refusal(leaked_text), Refusal::Revoked);
        assert!(world.present(other_text).is_ok());
        assert_eq!(entries(&world, "identity.key.revoked"), 1, "one report, one entry");
    });
}

#[test]
fn a_secret_that_was_rotated_away_is_reported_in_time_for_the_whole_key() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let first = world.key(&olivia.id);
        let second = rotate(&world, &first, 60).unwrap();
        world.enter(&second);
        identity::report_leaked(&tester.db, &world.directory, first.secret.expose(), &tester.moment()).unwrap();
        assert_eq!(world.refusal(second.secret.expose()), Refusal::Revoked);
    });
}

fn entries(world: &World<'_>, action: &str) -> i64 {
    let grant = world.tester.again(&world.bob).authorize::<crate::world::Look>().unwrap();
    let count = sql!("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger_entries WHERE tenant_id = $1 AND action = $2");
    let read = world.tester.db.read(&grant, |tx| tx.optional(count, values![action], store::Row::get::<i64>));
    read.map_err(|error: StoreError| error.to_string()).unwrap().unwrap()
}

#[test]
fn ten_thousand_guesses_let_nobody_in() {
    let tester = testkit::Tester::sqlite();
    let world = World::new(&tester);
    let olivia = world.user("olivia", [Role::Operator]);
    let key = world.key(&olivia.id);
    world.enter(&key);
    let moment = tester.moment();
    let request = Request::made(&moment);
    let refusals = (0..10_000).map(|_| {
        let guess = crate::directory::with_checksum(&format!("tfk_{}_{}000000", key.key.id, random(&tester)));
        world.directory.authenticate(&guess, None, request.clone(), moment.now()).unwrap_err().cause
    });
    assert!(refusals.into_iter().all(|cause| cause == Refusal::WrongSecret));
}

fn random(tester: &testkit::Tester) -> String {
    tester.moment().bytes::<43>().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

#[test]
fn scanners_find_every_key_by_the_published_pattern() {
    let tester = testkit::Tester::sqlite();
    let world = World::new(&tester);
    assert_eq!(identity::SECRET_PATTERN, r"\btf[a-z]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b");
    let text = world.acme.key.secret.expose();
    let (head, tail) = text.split_at(17);
    assert!(head.starts_with("tfk_") && head.ends_with('_') && tail.len() == 49);
    assert!(tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}
