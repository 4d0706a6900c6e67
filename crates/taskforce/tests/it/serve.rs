use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Replay, Server, has_curl, init, json, path, run, stderr, stdout};

#[test]
fn a_server_serves_what_was_initialized_and_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let key = init(dir.path());
    let server = Server::start(dir.path(), &[]);
    assert_eq!((&server.said["edition"], &server.said["admin_key"]), (&json!("enterprise"), &json!(null)));
    let acme = json!({"id": "acme", "name": "Acme", "admin": "bob"});
    let (status, created) = server.ask("POST", "/api/v1/admin/tenants", &key, Some(&acme));
    assert_eq!(status, 201, "{created}");
    let bob = created["key"]["secret"].as_str().unwrap();
    assert_eq!(server.ask("GET", "/api/v1/me", bob, None).1["tenant_id"], "acme");

    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("tfk_"), "no key is logged: {log}");
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");

    // The last head was signed on the way out, and what was written is there.
    let report = json(0, &["doctor", "--data", path(dir.path())]);
    let checks = report["checks"].as_array().unwrap();
    let signed = checks.iter().find(|check| check["name"] == "checkpoints").unwrap();
    assert!(signed["detail"].as_str().unwrap().starts_with("every ledger is signed"), "{signed}");
    let server = Server::start(dir.path(), &[]);
    assert_eq!(server.ask("GET", "/api/v1/me", bob, None).0, 200);
}

#[test]
fn without_secrets_a_server_runs_for_development_only() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    assert_eq!((&server.said["development"], &server.said["edition"]), (&json!(true), &json!("community")));
    let key = server.said["admin_key"].as_str().unwrap().to_owned();
    assert_eq!(server.ask("GET", "/api/v1/me", &key, None).1["tenant_id"], "default");
    let other = json!({"id": "other", "name": "Other", "admin": "eve"});
    let (status, problem) = server.ask("POST", "/api/v1/admin/tenants", &key, Some(&other));
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("enterprise edition"), "{problem}");
    assert_eq!(server.stop().0, Some(0));

    let again = Server::start(&data, &[]);
    assert_eq!((&again.said["development"], &again.said["admin_key"]), (&json!(false), &json!(null)));
    assert_eq!(again.ask("GET", "/api/v1/me", &key, None).0, 200);
    assert_eq!(again.stop().0, Some(0));

    // The database is sealed and its checkpoints are signed: a new key would fit neither, so none is made.
    for lost in ["signing", "encryption"] {
        fs::remove_file(data.join("keys").join(lost).with_extension("key")).unwrap();
        let refused = run(&["serve", "--data", path(&data)]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("is gone") && stderr(&refused).contains("restore it"),
            "{}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_server_whose_database_is_gone_does_not_begin_new_ledgers_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let database = dir.path().join("taskforce.db");
    for lose in [|path: &std::path::Path| fs::write(path, ""), |path: &std::path::Path| fs::remove_file(path)] {
        lose(&database).unwrap();
        for command in ["serve", "doctor"] {
            let refused = run(&[command, "--data", path(dir.path())]);
            let said = format!("{}{}", stdout(&refused), stderr(&refused));
            assert!(!refused.status.success() && said.contains("is gone, and with it every ledger"), "{said}");
        }
    }
}

#[test]
fn without_the_enterprise_section_nobody_else_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["serve", "--data", path(dir.path()), "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("listens on loopback only"), "{}", stderr(&output));
    assert!(!dir.path().join("keys").exists());
}

#[test]
fn the_readme_leads_from_nothing_to_a_governed_call() {
    if !has_curl() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let admin = init(dir.path());
    let replay = Replay::start();
    let profile = dir.path().join("taskforce.yaml");
    let upstream =
        format!("upstreams:\n  - {{name: replay, url: {:?}, models: [\"gpt-*\"], allow_private: true}}\n", replay.url);
    fs::write(&profile, fs::read_to_string(&profile).unwrap().replace("upstreams: []\n", &upstream)).unwrap();
    let server = Server::start(dir.path(), &[]);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/govern.sh");
    let govern = || Command::new("sh").args([script, &admin, server.said["url"].as_str().unwrap()]).output().unwrap();
    let done = govern();
    let said = stdout(&done);
    assert!(done.status.success(), "{said}{}", stderr(&done));
    let setting = |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("export {name}="))).unwrap();
    assert_eq!(setting("OPENAI_BASE_URL"), format!("{}/v1", server.said["url"].as_str().unwrap()));

    let chat = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "What is your refund policy?"}]});
    let (status, answer) = server.ask("POST", "/v1/chat/completions", setting("OPENAI_API_KEY"), Some(&chat));
    assert_eq!((status, &answer["model"]), (200, &json!("gpt-4o-mini")), "the published version's model: {answer}");
    assert_eq!(server.ask("GET", "/api/v1/agents", setting("OPENAI_API_KEY"), None).0, 403, "the key does one thing");

    // Done again it stops at the first refusal, and says why.
    let again = govern();
    assert!(!again.status.success() && stdout(&again).is_empty());
    assert_eq!(stderr(&again).lines().count(), 1, "{}", stderr(&again));
    assert!(stderr(&again).contains("the tenant `acme` exists already"), "{}", stderr(&again));
}

#[test]
fn a_data_directory_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path());
    let _first = Server::start(dir.path(), &[]);
    let second = run(&["serve", "--data", path(dir.path()), "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("another server runs on the data directory"), "{}", stderr(&second));
}

#[test]
fn a_key_made_on_the_machine_is_good_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let admin = init(dir.path());
    let server = Server::start(dir.path(), &[]);
    let acme = json!({"id": "acme", "name": "Acme", "admin": "bob"});
    assert_eq!(server.ask("POST", "/api/v1/admin/tenants", &admin, Some(&acme)).0, 201);

    let made = json(0, &["key", "issue", "--tenant", "acme", "--user", "bob", "--data", path(dir.path())]);
    let key = made["key"].as_str().unwrap();
    // Another process wrote it: the server looks every quarter of a second.
    let until = Instant::now() + Duration::from_secs(5);
    while server.ask("GET", "/api/v1/me", key, None).0 != 200 {
        assert!(Instant::now() < until, "the key is not known after five seconds");
        std::thread::yield_now();
    }
    let nobody = run(&["key", "issue", "--tenant", "acme", "--user", "eve", "--data", path(dir.path())]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(stderr(&nobody).contains("no user `eve` in the tenant `acme`"));
}
