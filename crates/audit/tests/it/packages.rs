//! Packages of real logs.

use std::io::{Cursor, Read as _};
use std::process::Command;

use approvals::{Decision, Followers, RequestType, Verdict};
use audit::verify::{Kind, Options, Report, verify};
use audit::{ExportError, Package, Signer, export};
use authz::{Caller, Role};
use catalog::{Definition, NewAgent, NewVersion, Prose, Tags};
use serde_json::json;
use testkit::{Tester, on_both_engines};

use crate::given::{ORIGIN, act, act_often, adam, keys, signer, tamper};

fn exported(t: &Tester, caller: &Caller, signer: &Signer) -> Package {
    export(&t.db, &t.again(caller), signer, &t.moment()).unwrap()
}

fn checked(package: &[u8], signer: &Signer) -> Report {
    let options = Options { origin: Some(ORIGIN.to_owned()), ..Options::default() };
    verify(Cursor::new(package), &keys(signer), &options).unwrap()
}

fn file(package: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The only request for approval in the package.
fn approval(package: &[u8]) -> String {
    let archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    let names = archive.file_names().map(|name| name.unwrap().into_owned());
    let names: Vec<String> = names.filter(|name| name.starts_with("objects/approvals/")).collect();
    assert_eq!(names.len(), 1);
    file(package, &names[0])
}

#[test]
fn an_exported_log_verifies_and_holds_its_own_export() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        act(t, &adam, "test.acted", "<b>one</b>");
        act_often(t, &adam, 300);
        audit::integrate(&t.db, &signer, &t.moment()).unwrap();
        act_often(t, &adam, 300);
        let package = exported(t, &adam, &signer);
        assert_eq!((package.origin.as_str(), package.head.size), (ORIGIN, 602));
        let report = checked(&package.bytes, &signer);
        assert!(report.ok(), "{:#?}", report.findings);
        assert_eq!((report.size, report.payloads, report.checkpoints), (602, 1, 1));
        assert_eq!(report.actions.get("audit.package.exported"), Some(&1));
        assert_eq!(file(&package.bytes, "entries.ndjson").lines().count(), 602);
        assert_eq!(file(&package.bytes, "log.vkey").trim(), signer.verifier_key().to_string());
    });
}

#[test]
fn the_next_export_is_consistent_with_the_checkpoint_that_was_kept() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        act_often(t, &adam, 10);
        let kept = file(&exported(t, &adam, &signer).bytes, "checkpoint");
        act_often(t, &adam, 10);
        let next = exported(t, &adam, &signer);
        let options = Options { checkpoint: Some(kept), now: Some(t.moment().now()), ..Options::default() };
        let report = verify(Cursor::new(&next.bytes), &keys(&signer), &options).unwrap();
        assert!(report.ok(), "{:#?}", report.findings);
        assert_eq!(report.checkpoints, 2);
    });
}

#[test]
fn a_viewer_cannot_export_the_ledger() {
    on_both_engines(|t| {
        let (vera, signer) = (t.user("acme-corp", "vera", [Role::Viewer]), signer(t));
        let refused = export(&t.db, &vera, &signer, &t.moment());
        assert!(matches!(refused, Err(ExportError::Forbidden(_))));
    });
}

/// An agent with a version that two people have approved; a draft was changed once.
fn published(t: &Tester) -> String {
    let alice = t.user("acme-corp", "alice", [Role::AgentDesigner]);
    let bob = t.user("acme-corp", "bob", [Role::Admin]);
    let (db, at) = (&t.db, &t.moment());
    let name = kernel::Text::new("Support").unwrap();
    let agent = NewAgent { name, description: Prose::default(), category: None, tags: Tags::default() };
    let agent = catalog::create_agent(db, &alice, agent, at).unwrap();
    let version = NewVersion {
        number: "1.0.0".parse().unwrap(),
        definition: Definition::new(&json!({ "model": "replay-1" })).unwrap(),
        changelog: Prose::default(),
    };
    let version = catalog::create_version(db, &alice, &agent.id, version, at).unwrap();
    let version = catalog::submit(db, &alice, &version.id, at).unwrap();
    let followers = Followers::new().on(RequestType::AgentPublish, catalog::follow_decision);
    let request = version.review.clone().unwrap();
    approvals::decide(db, &bob, Decision { request, verdict: Verdict::Approve, comment: None }, &followers, at)
        .unwrap();
    catalog::publish(db, &alice, &version.id, at).unwrap();
    version.digest
}

#[test]
fn a_package_holds_the_definitions_and_approvals_that_its_entries_name() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        let digest = published(t);
        let package = exported(t, &adam, &signer);
        let report = checked(&package.bytes, &signer);
        assert!(report.ok(), "{:#?}", report.findings);
        assert_eq!(report.objects, 2);
        let definition = file(&package.bytes, &format!("objects/versions/{digest}.json"));
        assert_eq!(definition, r#"{"model":"replay-1"}"#);
        let approval: serde_json::Value = serde_json::from_str(&approval(&package.bytes)).unwrap();
        assert_eq!(approval["digest"], digest);
        assert_eq!(approval["decisions"][0]["user"], "usr_bob");
    });
}

#[test]
fn a_decision_that_nobody_made_is_found() {
    on_both_engines(|t| {
        let (adam, signer) = (adam(t), signer(t));
        t.user("acme-corp", "carol", [Role::Admin]);
        published(t);
        tamper(
            t,
            "INSERT INTO approval_decisions (tenant_id, review_id, user_id, requester_id, author_ids, decision, comment, at)
             SELECT tenant_id, review_id, 'usr_carol', requester_id, author_ids, decision, comment, at
               FROM approval_decisions",
        );
        // What no entry of the log bears out is not exported.
        let package = exported(t, &adam, &signer);
        assert!(checked(&package.bytes, &signer).ok());
        assert!(!approval(&package.bytes).contains("usr_carol"));
    });
}

#[test]
fn what_was_altered_in_the_database_is_named_by_the_verifier() {
    for (change, kind, seq) in [
        (
            "UPDATE ledger_entries SET leaf = (SELECT leaf FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 651)
              WHERE tenant_id = 'acme-corp' AND seq = 650",
            Kind::Entry,
            650,
        ),
        ("DELETE FROM ledger_entries WHERE tenant_id = 'acme-corp' AND seq = 20", Kind::Entry, 20),
        ("DELETE FROM ledger_payloads WHERE tenant_id = 'acme-corp' AND seq = 0", Kind::Payload, 0),
        (
            "UPDATE ledger_payloads SET sealed = (SELECT sealed FROM ledger_payloads WHERE tenant_id = 'acme-corp' AND seq = 1)
              WHERE tenant_id = 'acme-corp' AND seq = 0",
            Kind::Payload,
            0,
        ),
    ] {
        on_both_engines(|t| {
            let (adam, signer) = (adam(t), signer(t));
            act(t, &adam, "test.acted", "one");
            act(t, &adam, "test.acted", "two");
            act_often(t, &adam, 700);
            audit::integrate(&t.db, &signer, &t.moment()).unwrap();
            tamper(t, change);
            let report = checked(&exported(t, &adam, &signer).bytes, &signer);
            assert_eq!(report.first_bad(), Some(seq), "{}, {change}: {:#?}", t.engine, report.findings);
            assert!(report.findings.iter().any(|found| found.kind == kind && found.seq == Some(seq)));
        });
    }
}

/// The verifier that every package carries is not ours: it shares no code with it, and needs Python alone.
#[test]
fn the_verifier_in_python_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "python3 is absent, and in CI every suite runs");
        println!("not run: the verifier in Python (no python3 on this machine)");
        return;
    }
    let t = Tester::sqlite();
    let (adam, signer) = (adam(&t), signer(&t));
    act(&t, &adam, "test.acted", "one");
    act_often(&t, &adam, 600);
    let package = exported(&t, &adam, &signer).bytes;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("verify.py"), file(&package, "verify.py")).unwrap();
    std::fs::write(path("log.vkey"), signer.verifier_key().to_string()).unwrap();
    let run = |package: &[u8]| {
        std::fs::write(path("a.tfpack"), package).unwrap();
        let mut python = Command::new("python3");
        let output = python.current_dir(folder.path()).args(["verify.py", "a.tfpack", "log.vkey"]).output();
        let output = output.unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (good, said) = run(&package);
    assert!(good && said.contains("602 entries, 1 payloads"), "{said}");
    for (needle, says) in [("\"seq\":400,", "entry 400"), ("\"payload\":\"", "payload"), ("<h1>", "damaged: ")] {
        let at = package.windows(needle.len()).rposition(|window| window == needle.as_bytes()).unwrap();
        let mut altered = package.clone();
        altered[at + needle.len() - 1] ^= 1;
        let (good, said) = run(&altered);
        assert!(!good && said.contains(says), "{needle}: {said}");
    }
}
