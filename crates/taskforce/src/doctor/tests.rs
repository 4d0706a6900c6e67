use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use kernel::OsEntropy;

use super::*;
use crate::config::{DEFAULT, ENTERPRISE, Places};
use crate::{edition, home, keys};

/// A data directory as `taskforce init` leaves it, with this profile.
fn installed(dir: &std::path::Path, profile: &str) -> Settings {
    let home = home::Home::at(dir.join("data"));
    home.create().unwrap();
    home::write_private(&home.profile(), profile).unwrap();
    let settings = settings(&home);
    keys::generate(&settings, &Environment::default(), &OsEntropy).unwrap();
    let db = opening::open(&settings, &Environment::default()).unwrap();
    opening::publish_key(&settings, &db).unwrap();
    edition::first_key(&settings, &db).unwrap();
    settings
}

fn settings(home: &home::Home) -> Settings {
    let places = Places { profile: None, data: Some(home.path().to_owned()) };
    Settings::read(&places, &Environment::default()).unwrap()
}

fn wrong(settings: &Settings) -> Vec<&'static str> {
    let checks = examine(settings, &Environment::default(), Some(100));
    checks.into_iter().filter(|check| check.state == State::Wrong).map(|check| check.name).collect()
}

#[test]
fn nothing_is_wrong_with_a_fresh_installation() {
    let dir = tempfile::tempdir().unwrap();
    let settings = installed(dir.path(), &format!("{DEFAULT}{ENTERPRISE}"));
    let checks = examine(&settings, &Environment::default(), Some(100));
    assert!(checks.iter().all(|check| check.state != State::Wrong), "{checks:#?}");
    let notes: Vec<_> = checks.iter().filter(|check| check.state == State::Note).map(|check| check.name).collect();
    assert_eq!(notes, ["setting without effect"; 2].into_iter().chain(["upstreams"]).collect::<Vec<_>>());
}

#[test]
fn what_others_could_read_and_what_is_missing_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = "upstreams:\n  - {name: x, url: \"http://x.example\", models: [m], key_env: UNSET_KEY}\n";
    let settings = installed(dir.path(), upstream);
    fs::set_permissions(settings.home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(settings.signing_file(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(wrong(&settings), ["data directory", "signing key", "upstream", "public key"]);
}

#[test]
fn a_missing_installation_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&home::Home::at(dir.path().join("nowhere")));
    assert_eq!(wrong(&settings), ["data directory", "root key", "signing key", "database"]);
    assert!(!settings.home.path().exists(), "looking does not create");
}

#[test]
fn another_root_key_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let settings = installed(dir.path(), "");
    fs::remove_file(settings.encryption_file()).unwrap();
    keys::generate(&settings, &Environment::default(), &OsEntropy).unwrap();
    let checks = examine(&settings, &Environment::default(), Some(100));
    let found: Vec<_> = checks.iter().filter(|check| check.state == State::Wrong).collect();
    assert!(found.iter().any(|check| check.detail.contains("root key")), "{found:#?}");
}
