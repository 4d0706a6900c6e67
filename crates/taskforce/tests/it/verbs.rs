//! Every verb that asks a server, asked of one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Server, init, json as answer, path, run, stdout, taskforce};

const POLICY: &str = "@id(\"all\")\npermit (principal, action, resource);\n";
const TESTS: &str = "- name: anybody\n  principal: { roles: [operator] }\n  action: agent:execute\n  expect: allow\n";

/// A terminal with a credential.
struct Terminal<'a> {
    server: &'a Server,
    key: String,
    /// The verbs that were tried, as `noun verb`.
    tried: BTreeSet<String>,
}

impl Terminal<'_> {
    /// Runs a verb, which must end with `code`, and returns its answer as JSON.
    fn ends(&mut self, code: i32, args: &[&str]) -> Value {
        self.tries(args);
        let mut command = taskforce();
        command.args(args).arg("--json").env("TASKFORCE_URL", self.server.url()).env("TASKFORCE_API_KEY", &self.key);
        let output = command.output().unwrap();
        let (said, errors) = (stdout(&output), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}{errors}");
        serde_json::from_str(&said).unwrap_or(Value::Null)
    }

    fn tries(&mut self, args: &[&str]) {
        self.tried.insert(args.iter().take(2).copied().collect::<Vec<_>>().join(" "));
    }

    fn well(&mut self, args: &[&str]) -> Value {
        self.ends(0, args)
    }

    /// What a verb prints for people.
    fn prints(&mut self, args: &[&str]) -> String {
        self.tries(args);
        let mut command = taskforce();
        command.args(args).env("TASKFORCE_URL", self.server.url()).env("TASKFORCE_API_KEY", &self.key);
        stdout(&command.output().unwrap())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The verbs of the nouns that ask a server, from the help.
fn verbs() -> BTreeSet<String> {
    let nouns = ["tenant", "user", "group", "role", "key", "token", "session", "provider", "policy"];
    let of = |noun: &str| {
        let help = stdout(&run(&[noun, "--help"]));
        let listed = help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap().to_owned();
        let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: Vec<String> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        names.into_iter().filter(|name| name != "help").map(|name| format!("{noun} {name}")).collect::<Vec<_>>()
    };
    nouns.iter().flat_map(|noun| of(noun)).chain(["me".to_owned()]).collect()
}

#[test]
fn every_verb_does_on_a_server_what_its_help_says() {
    let dir = tempfile::tempdir().unwrap();
    let platform = init(dir.path());
    let server = Server::start(dir.path(), &[]);
    let mut terminal = Terminal { server: &server, key: platform, tried: BTreeSet::new() };
    let acme = tenants(&mut terminal);
    terminal.key = acme;
    people(&mut terminal);
    credentials(&mut terminal, dir.path());
    providers(&mut terminal, dir.path());
    policies(&mut terminal, dir.path());
    // These two need no server, and have tests of their own.
    terminal.tried.extend(["key issue", "token check-corpus"].map(str::to_owned));
    assert_eq!(terminal.tried, verbs());
}

fn tenants(terminal: &mut Terminal<'_>) -> String {
    let made = terminal.well(&["tenant", "create", "acme", "--name", "Acme", "--admin", "bob"]);
    assert_eq!(terminal.well(&["tenant", "get", "acme"])["status"], "active");
    assert_eq!(terminal.well(&["tenant", "update", "acme", "--name", "Acme Inc"])["name"], "Acme Inc");
    assert_eq!(terminal.well(&["tenant", "suspend", "acme"])["status"], "suspended");
    assert_eq!(terminal.well(&["tenant", "resume", "acme"])["status"], "active");
    terminal.well(&["tenant", "create", "globex", "--name", "Globex", "--admin", "gina"]);
    let first = terminal.well(&["tenant", "list", "--limit", "1"]);
    let second = terminal.well(&["tenant", "list", "--limit", "1", "--after", &text(&first["next"])]);
    assert_eq!((&first["items"][0]["id"], &second["items"][0]["id"]), (&json!("acme"), &json!("globex")));
    text(&made["key"]["secret"])
}

fn people(terminal: &mut Terminal<'_>) {
    assert_eq!(terminal.well(&["me"])["tenant_id"], "acme");
    let olivia = terminal.well(&["user", "create", "olivia", "--roles", "operator", "--email", "o@acme.example"]);
    assert_eq!(terminal.well(&["user", "get", "olivia"])["id"], olivia["id"]);
    assert_eq!(terminal.well(&["user", "update", "olivia", "--display-name", "Olivia"])["display_name"], "Olivia");
    assert_eq!(terminal.well(&["user", "list", "--role", "operator"])["items"].as_array().unwrap().len(), 1);
    assert_eq!(terminal.well(&["user", "permissions", "olivia"])["roles"][0]["role"], "operator");
    assert_eq!(terminal.well(&["user", "permissions", "me"])["roles"][0]["role"], "admin");
    assert_eq!(terminal.well(&["user", "explain", "olivia", "agent:execute"])["is_allowed"], true);
    assert_eq!(terminal.ends(1, &["user", "explain", "olivia", "policy:manage"])["is_allowed"], false);

    terminal.well(&["role", "create", "release", "--description", "Publishes", "--permissions", "agent:read"]);
    terminal.well(&["role", "update", "release", "--permissions", "agent:read,agent:publish"]);
    assert_eq!(terminal.well(&["role", "get", "release"])["permissions"], json!(["agent:read", "agent:publish"]));
    assert!(terminal.well(&["role", "list"])["items"].as_array().unwrap().len() > 5);

    let group = text(&terminal.well(&["group", "create", "Ops", "--roles", "release"])["id"]);
    assert_eq!(terminal.well(&["group", "add", &group, "olivia"])["members"], json!([olivia["id"]]));
    assert_eq!(terminal.well(&["user", "get", "olivia"])["roles"], json!(["operator", "release"]));
    assert_eq!(terminal.well(&["group", "get", &group])["members"], json!([olivia["id"]]));
    assert_eq!(terminal.well(&["group", "remove", &group, "olivia"])["members"], json!([]));
    assert_eq!(terminal.well(&["group", "update", &group, "--name", "Operations"])["display_name"], "Operations");
    assert_eq!(terminal.well(&["group", "list"])["items"].as_array().unwrap().len(), 1);
    terminal.well(&["group", "delete", &group]);
    terminal.well(&["role", "delete", "release"]);

    terminal.well(&["user", "sign-out", "olivia"]);
    assert_eq!(terminal.well(&["user", "deactivate", "olivia"])["status"], "deactivated");
    assert_eq!(terminal.well(&["user", "reactivate", "olivia"])["status"], "active");
}

fn credentials(terminal: &mut Terminal<'_>, dir: &Path) {
    let made = terminal.well(&["key", "create", "laptop", "--scopes", "agent:read", "--networks", "127.0.0.0/8"]);
    let id = text(&made["id"]);
    assert_eq!(terminal.well(&["key", "update", &id, "--name", "old laptop"])["name"], "old laptop");
    assert!(text(&terminal.well(&["key", "rotate", &id])["secret"]).starts_with("tfk_"));
    assert_eq!(terminal.well(&["key", "list"])["items"].as_array().unwrap().len(), 2);
    assert!(terminal.well(&["key", "list", "--all"])["items"].as_array().unwrap().len() >= 2);
    terminal.well(&["key", "revoke", &id]);
    assert_eq!(terminal.well(&["key", "get", &id])["status"], "revoked");

    let token = terminal.prints(&["token", "issue", "--expires-in", "600"]);
    let file = dir.join("token");
    fs::write(&file, &token).unwrap();
    let own = std::mem::replace(&mut terminal.key, token.trim().to_owned());
    assert_eq!(terminal.well(&["me"])["credential"]["kind"], "token");
    terminal.key = own;
    terminal.well(&["token", "issue", "--scopes", "agent:read"]);
    terminal.well(&["token", "revoke", path(&file)]);
    let own = std::mem::replace(&mut terminal.key, token.trim().to_owned());
    terminal.ends(2, &["me"]);
    terminal.key = own;

    assert_eq!(terminal.well(&["session", "list"])["items"], json!([]));
    terminal.ends(2, &["session", "end", "ses_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f"]);
}

fn providers(terminal: &mut Terminal<'_>, dir: &Path) {
    let file = dir.join("provider.json");
    let settings = json!({ "name": "Login", "issuer": "https://login.example.com", "audiences": ["taskforce"] });
    fs::write(&file, settings.to_string()).unwrap();
    let id = text(&terminal.well(&["provider", "create", path(&file)])["id"]);
    fs::write(&file, json!({ "name": "Company login" }).to_string()).unwrap();
    assert_eq!(terminal.well(&["provider", "update", &id, path(&file)])["name"], "Company login");
    assert_eq!(terminal.well(&["provider", "get", &id])["issuer"], "https://login.example.com");
    assert_eq!(terminal.well(&["provider", "list"])["items"].as_array().unwrap().len(), 1);
    assert_eq!(terminal.well(&["provider", "check", &id])["reachable"], false);
    terminal.well(&["provider", "delete", &id]);
}

fn policies(terminal: &mut Terminal<'_>, dir: &Path) {
    let (source, tests) = (dir.join("p.cedar"), dir.join("p.test.yaml"));
    fs::write(&source, POLICY).unwrap();
    fs::write(&tests, TESTS).unwrap();
    let source = path(&source);
    assert_eq!(terminal.well(&["policy", "validate", source])["valid"], true);
    assert_eq!(terminal.well(&["policy", "test", source])["passed"], 1);
    assert_eq!(terminal.well(&["policy", "plan", source])["changes"]["added"], json!(["all"]));
    assert_eq!(terminal.well(&["policy", "create", source])["number"], 1);
    fs::write(
        dir.join("p.cedar"),
        format!("{POLICY}@id(\"none\")\nforbid (principal, action == Action::\"tool:read\", resource);\n"),
    )
    .unwrap();
    assert_eq!(terminal.well(&["policy", "create", source, "--note", "second"])["number"], 2);
    assert_eq!(terminal.well(&["policy", "list"])["items"].as_array().unwrap().len(), 2);
    assert!(terminal.prints(&["policy", "get", "1"]).starts_with("@id(\"all\")"));
    assert_eq!(terminal.well(&["policy", "get", "2"])["note"], "second");
    assert_eq!(terminal.well(&["policy", "diff", "1", "2"])["added"], json!(["none"]));
    terminal.well(&["policy", "activate", "1"]);
    assert_eq!(terminal.prints(&["policy", "activate", "2"]), "  active  2\n  before  1\n");
    assert_eq!(terminal.well(&["policy", "state"])["active"], 2);
    terminal.well(&["policy", "rollback"]);
    assert_eq!(terminal.well(&["policy", "shadow", "2"])["shadow"], 2);
    assert_eq!(terminal.well(&["policy", "shadow", "none"])["shadow"], Value::Null);
    assert_eq!(terminal.well(&["policy", "backtest", source, "--since", "1d"])["looked_at"], 0);
    assert!(terminal.prints(&["policy", "deactivate"]).starts_with("No policy decides: roles alone do.\n"));
}

#[test]
fn a_corpus_that_expects_the_wrong_thing_is_told_case_by_case() {
    let Some(vectors) = testkit::shared("vectors/taskforce-jwt/bearer_cases.json") else { return };
    assert_eq!(stdout(&run(&["token", "check-corpus", path(&vectors)])), "374/374 decided right\n");
    let mut corpus: Value = serde_json::from_slice(&fs::read(&vectors).unwrap()).unwrap();
    corpus["cases"][0]["expect"] = json!("reject");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("corpus.json");
    fs::write(&file, corpus.to_string()).unwrap();
    let report = answer(1, &["token", "check-corpus", path(&file)]);
    assert_eq!((&report["right"], &report["wrong"][0]["decided"]), (&json!(373), &json!("accepted")));
    let printed = stdout(&run(&["token", "check-corpus", path(&file)]));
    assert!(printed.ends_with("373/374 decided right\n") && printed.starts_with("case 1 ("), "{printed}");
}
