//! What is let in, and what is not.

use authz::{Request, Role};
use identity::{AuthError, Directory, KeyFormatError, Refusal};
use testkit::Tester;

use crate::world::World;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Puts the right checksum at the end of a key, as a forger would.
pub(crate) fn with_checksum(key: &str) -> String {
    let body = &key[..60];
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    let crc = body.bytes().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)));
    let digits = (0..6).rev().map(|place| (!crc / 62u32.pow(place) % 62) as usize);
    digits.fold(body.to_owned(), |text, digit| text + &char::from(ALPHABET[digit]).to_string())
}

fn present(tester: &Tester, directory: &Directory, text: &str) -> Result<(), AuthError> {
    let moment = tester.moment();
    directory.authenticate(text, None, Request::made(&moment), moment.now()).map(drop)
}

#[test]
fn an_altered_character_anywhere_is_refused_by_the_checksum_alone() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let key = world.acme.key.secret.expose();
    assert_eq!(with_checksum(key), *key);
    for at in (4..16).chain(17..66) {
        for letter in ALPHABET.iter().map(|letter| char::from(*letter)).filter(|letter| !key[at..].starts_with(*letter))
        {
            let forged = format!("{}{letter}{}", &key[..at], &key[at + 1..]);
            let refusal = present(&tester, &world.directory, &forged).unwrap_err();
            assert_eq!(refusal.cause, Refusal::Form(KeyFormatError::Checksum), "{forged}");
            assert_eq!(refusal.key, None);
        }
    }
}

#[test]
fn a_refusal_tells_the_log_why_and_the_client_nothing() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let (one, two) = (world.key(&olivia.id), world.key(&olivia.id));
        let (one_text, two_text) = (one.secret.expose(), two.secret.expose());
        let spliced = with_checksum(&format!("{}{}", &one_text[..17], &two_text[17..]));
        let wrong = world.present(&spliced).unwrap_err();
        assert_eq!(wrong.cause, Refusal::WrongSecret);
        assert_eq!(wrong.key, Some(one.key.id.clone()));
        assert_eq!(wrong.owner, Some((world.acme.tenant.id.clone(), olivia.id.clone())));

        let unknown = with_checksum(&format!("tfk_000000000000{}", &one_text[16..]));
        let unknown = world.present(&unknown).unwrap_err();
        assert_eq!((&unknown.cause, &unknown.owner), (&Refusal::Unknown, &None));
        for refusal in [wrong, unknown, world.present("nonsense").unwrap_err()] {
            assert_eq!(refusal.to_string(), "the API key is not valid");
        }
    });
}

#[test]
fn what_is_the_matter_with_a_key_is_not_told_to_who_does_not_hold_it() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let (one, two) = (world.key(&olivia.id), world.key(&olivia.id));
        identity::revoke_key(&tester.db, &world.bob, &one.key.id, &tester.moment()).unwrap();
        let spliced = with_checksum(&format!("{}{}", &one.secret.expose()[..17], &two.secret.expose()[17..]));
        assert_eq!(world.refusal(&spliced), Refusal::WrongSecret);
        assert_eq!(world.refusal(one.secret.expose()), Refusal::Revoked);
    });
}

#[test]
fn a_key_of_the_older_form_is_told_what_to_do() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let older = format!("tf_{}", "x".repeat(43));
    let refusal = world.present(&older).unwrap_err();
    assert!(refusal.to_string().contains("ask an administrator for a new key"), "{refusal}");
}

#[test]
fn the_rebuild_of_one_tenant_leaves_the_keys_of_others_alone() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, _) = world.globex();
        let olivia = world.user("olivia", [Role::Operator]);
        let keys: Vec<_> = (0..40).map(|_| world.key(&olivia.id)).collect();
        let (revoked, kept) = keys.split_at(20);
        for key in revoked {
            identity::revoke_key(&tester.db, &tester.again(&world.bob), &key.key.id, &tester.moment()).unwrap();
        }
        world.directory.refresh(&tester.db, &world.acme.tenant.id).unwrap();
        let fresh = Directory::load(&tester.db, identity::unguarded()).unwrap();
        for directory in [&world.directory, &fresh] {
            let refusal = |text: &str| present(tester, directory, text).err().map(|error| error.cause);
            for key in revoked {
                assert_eq!(refusal(key.secret.expose()), Some(Refusal::Revoked));
            }
            for key in kept.iter().chain([&world.acme.key, &globex.key]) {
                assert_eq!(refusal(key.secret.expose()), None);
            }
        }
    });
}

#[test]
fn a_key_that_ended_long_ago_is_forgotten() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let olivia = world.user("olivia", [Role::Operator]);
        let key = world.key(&olivia.id);
        identity::revoke_key(&tester.db, &world.bob, &key.key.id, &tester.moment()).unwrap();
        assert_eq!(world.refusal(key.secret.expose()), Refusal::Revoked);
        tester.clock.advance_micros(31 * 86_400 * 1_000_000);
        world.directory.refresh(&tester.db, &world.acme.tenant.id).unwrap();
        assert_eq!(world.refusal(key.secret.expose()), Refusal::Unknown);
    });
}

#[test]
fn a_tenant_that_does_not_exist_is_refreshed_to_nothing() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let nowhere = "nowhere".parse().unwrap();
    world.directory.refresh(&tester.db, &nowhere).unwrap();
    assert!(world.directory.tenant_settings(&nowhere).is_none());
}

#[test]
fn a_node_that_has_not_heard_from_the_database_lets_nobody_in() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let key = world.acme.key.secret.expose();
    world.directory.set_stale(true);
    let refused = present(&tester, &world.directory, key).unwrap_err();
    assert_eq!(refused.cause, Refusal::Stale);
    assert_eq!(refused.to_string(), "credentials cannot be checked at the moment: try again");
    world.directory.set_stale(false);
    assert!(present(&tester, &world.directory, key).is_ok());
}

#[derive(Debug)]
struct Refuses;

impl authz::Guard for Refuses {
    fn judge(&self, _: &authz::Question<'_>) -> authz::Judgment {
        authz::Judgment { verdict: authz::Verdict::Deny, reason: "no".to_owned(), basis: None, shadow: None }
    }
}

#[test]
fn the_policies_of_a_tenant_stand_over_its_callers_and_over_nobody_elses() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let (globex, _) = world.globex();
        let acme = world.acme.tenant.id.clone();
        let guards: identity::Guards =
            std::sync::Arc::new(move |tenant| (*tenant == acme).then(|| std::sync::Arc::new(Refuses) as _));
        let directory = Directory::load(&tester.db, guards).unwrap();
        let users = |key: &identity::IssuedKey| {
            let moment = tester.moment();
            let held = directory.authenticate(key.secret.expose(), None, Request::made(&moment), moment.now());
            let filter = identity::UserFilter::default();
            identity::users(&tester.db, &held.unwrap().caller, &filter, None, kernel::PageSize::default()).is_ok()
        };
        assert!(!users(&world.acme.key));
        assert!(users(&globex.key));
    });
}

#[test]
fn one_key_is_one_standing_until_the_tenant_changes() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let standing = || std::ptr::from_ref(world.enter(&world.acme.key).standing());
    let first = standing();
    assert_eq!(first, standing());
    let _other = world.user("olivia", [Role::Operator]);
    let caller = world.enter(&world.acme.key);
    assert_eq!(caller.roles(), &[Role::Admin].into());
}
