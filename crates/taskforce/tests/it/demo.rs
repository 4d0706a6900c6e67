use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::program::{Replay, json, path, run, stderr, stdout, taskforce};

#[test]
fn the_demonstration_tells_the_whole_story() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let facts = json(0, &["demo", "--data", path(&data)]);

    assert_eq!(facts["replay"], true);
    assert_eq!((&facts["approval_after_one"], &facts["approval_after_two"]), (&json!("pending"), &json!("approved")));
    assert!(facts["stream_events"].as_u64().unwrap() >= 20);
    assert_eq!(facts["usage_hidden"], true, "nobody asked for the usage chunk");
    let refusal = facts["budget_refused"].as_str().unwrap();
    assert!(refusal.contains("`Support trial`") && refusal.contains("starts anew at"), "{refusal}");
    assert!(facts["budget_retry_after"].as_str().unwrap().parse::<u32>().unwrap() > 0);
    assert!(facts["viewer_refused"].as_str().unwrap().contains("agent:execute"));
    // 263 tokens in at 0.15, 182 out at 0.60 dollars a million: the three recorded answers, exactly.
    assert_eq!((&facts["calls"], &facts["total_cost"]), (&json!(3), &json!("0.00014865")));
    assert!(facts["altered_entry"].is_u64());
    let steps = facts["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 8);
    assert!(steps.iter().all(|step| step["took_ms"].is_u64()));

    left_behind(&data, &facts);
}

/// What scripts go on from.
fn left_behind(data: &std::path::Path, facts: &Value) {
    let file = data.join("demo.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for name in ["url", "agent_id", "version_id"] {
        assert_eq!(left[name], facts[name], "{name}");
    }
    let names: Vec<_> = left["keys"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["adam", "alice", "bob", "carol", "grace", "olivia", "vera"]);

    let (package, vkey) = (left["package"].as_str().unwrap(), left["vkey"].as_str().unwrap());
    let report = json(0, &["verify", package, "--key", vkey, "--origin", "demo.taskforce.local/taskforce/t/acme-corp"]);
    assert_eq!((&report["verified"], &report["actions"]["gateway.call.completed"]), (&json!(true), &json!(3)));
    assert_eq!(json(0, &["doctor", "--full", "--data", path(data)])["ok"], true);

    let again = run(&["demo", "--data", path(data)]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("exists already and is not overwritten"));
}

#[test]
fn the_demonstration_calls_the_model_server_that_it_is_given() {
    let replay = Replay::start();
    let mut demo = taskforce();
    demo.args([
        "demo",
        "--json",
        "--upstream",
        &replay.url,
        "--upstream-key-env",
        "MODEL_KEY",
        "--model",
        "house-model",
    ]);
    let without_key = demo.output().unwrap();
    assert_eq!(without_key.status.code(), Some(2));
    assert!(stderr(&without_key).contains("`MODEL_KEY`, which is not set"), "{}", stderr(&without_key));

    let done = demo.env("MODEL_KEY", "sk-canary").output().unwrap();
    let (said, log) = (stdout(&done), stderr(&done));
    assert!(done.status.success() && !format!("{said}{log}").contains("canary"), "{said}{log}");
    let facts: Value = serde_json::from_str(&said).unwrap();
    // 445 tokens at the example price of a dollar a million.
    assert_eq!((&facts["replay"], &facts["total_cost"]), (&json!(false), &json!("0.000445")));
}

#[test]
fn the_demonstration_reads_well_without_a_terminal() {
    let output = run(&["demo"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    assert!(!text.contains('\u{1b}'), "no color without a terminal");
    assert!(text.contains("a REPLAY of recorded conversations; no model is asked"));
    for line in text.lines() {
        assert!(line.chars().count() <= 130, "{line}");
    }
    let steps: Vec<&str> = text.lines().filter(|line| line.get(1..3) == Some("/8")).collect();
    assert_eq!(
        steps,
        [
            "1/8  A server, from nothing",
            "2/8  Two tenants and their people",
            "3/8  A version that two people approve",
            "4/8  Governed calls",
            "5/8  Calls that are refused",
            "6/8  The evidence, the usage and the cost",
            "7/8  Proof, without the server",
            "8/8  What next",
        ]
    );
    for screen in text.split("/8  ").skip(1) {
        assert!(screen.lines().count() <= 50, "a step fits a screen:\n{screen}");
    }
}
