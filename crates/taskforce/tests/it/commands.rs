use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::program::{init, json, path, run, stderr, stdout};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_initialization_closes_its_data_to_others_and_shows_the_key_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = run(&["init", "--data", path(&data), "--instance", "tf.example.org"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(text.matches("tfk_").count(), 1);
    for file in ["keys/encryption.key", "keys/signing.key", "taskforce.yaml"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&data), 0o700);
    assert!(fs::read_to_string(data.join("log.vkey")).unwrap().starts_with("tf.example.org+"));
    assert!(fs::read_to_string(data.join("taskforce.yaml")).unwrap().contains("instance: \"tf.example.org\"\n"));
    assert_eq!(json(0, &["doctor", "--data", path(&data)])["ok"], true);
}

#[test]
fn an_initialization_does_not_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let before = fs::read(dir.path().join("keys/encryption.key")).unwrap();
    let again = run(&["init", "--data", path(dir.path())]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("taskforce.yaml` exists already and is not overwritten"));
    assert_eq!(fs::read(dir.path().join("keys/encryption.key")).unwrap(), before);
}

#[test]
fn an_initialization_that_fails_leaves_nothing_in_the_way_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1";
    let failed = run(&["init", "--data", path(dir.path()), "--database-url", nowhere]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(stderr(&failed).contains("the PostgreSQL database cannot be opened"), "{}", stderr(&failed));
    init(dir.path());
}

#[test]
fn a_mistake_in_the_profile_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("taskforce.yaml"), "log:\n  levle: info\n").unwrap();
    let output = run(&["serve", "--data", path(dir.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("taskforce.yaml:2:3: unknown field `levle`"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_verified_ends_with_two() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let (vkey, none) = (dir.path().join("log.vkey"), dir.path().join("none"));
    for (file, key) in [(&none, &vkey), (&vkey, &none), (&vkey, &dir.path().join("taskforce.yaml"))] {
        assert_eq!(run(&["verify", path(file), "--key", path(key)]).status.code(), Some(2), "{file:?} {key:?}");
    }
    // A file that is no package can be read; it is just not verified.
    let report = json(1, &["verify", path(&vkey), "--key", path(&vkey)]);
    assert_eq!(report["verified"], false);
    assert_eq!(report["findings"][0]["kind"], "archive");
}

#[test]
fn a_doctor_that_finds_something_ends_with_one() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    fs::set_permissions(dir.path().join("keys/signing.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let report = json(1, &["doctor", "--data", path(dir.path())]);
    assert_eq!(report["ok"], false);
    let text = stdout(&run(&["doctor", "--data", path(dir.path())]));
    assert!(text.contains("wrong  signing key") && text.contains("chmod 600"), "{text}");
}

#[test]
fn the_interface_describes_itself() {
    let output = run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/chat/completions"].is_object());
}
