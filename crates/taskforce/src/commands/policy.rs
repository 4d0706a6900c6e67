//! `taskforce policy`: policies as code, tried here and put in force on the server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use http::Method;
use kernel::{Clock as _, Timestamp};
use policy::{Cases, Fault, Rules, Tested};
use serde_json::{Value, json};

use crate::environment::{Environment, SystemClock};
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Mark, Output};
use crate::remote::{Asking, Column, Part, Remote, facts, object, table, text, text_file};

const POLICIES: &str = "/api/v1/admin/policies";
const COLUMNS: &[Column] = &[
    ("version", "/number"),
    ("digest", "/digest"),
    ("note", "/note"),
    ("by", "/created_by"),
    ("created", "/created_at"),
];
const STATE: &[Column] = &[("active", "/active"), ("shadow", "/shadow"), ("before", "/previous")];

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check a policy file against the schema. No server is asked.
    Validate {
        /// The policies, in Cedar.
        #[arg(value_name = "FILE")]
        source: PathBuf,
    },
    /// Run the tests beside a policy file. No server is asked.
    Test {
        /// The policies, in Cedar.
        #[arg(value_name = "FILE")]
        source: PathBuf,
        /// The tests. Default: beside the policies, ending in `.test.yaml`.
        #[arg(long, value_name = "FILE")]
        tests: Option<PathBuf>,
    },
    /// Show what a policy file would change.
    Plan {
        /// The policies, in Cedar.
        #[arg(value_name = "FILE")]
        source: PathBuf,
    },
    /// Show which past calls a policy file would have decided otherwise.
    Backtest {
        /// The policies, in Cedar.
        #[arg(value_name = "FILE")]
        source: PathBuf,
        /// How far to look back, such as `30d` or `12h`.
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: String,
    },
    /// Make a version of a policy file. It decides nothing until it is activated.
    Create {
        /// The policies, in Cedar.
        #[arg(value_name = "FILE")]
        source: PathBuf,
        /// The tests, which must pass. Default: beside the policies, ending in `.test.yaml`, if there is one.
        #[arg(long, value_name = "FILE")]
        tests: Option<PathBuf>,
        /// What it is for.
        #[arg(long)]
        note: Option<String>,
    },
    /// List the versions.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Print the text of a version.
    Get {
        /// The version's number.
        number: u64,
    },
    /// Show what one version changes against another.
    Diff {
        /// The version before.
        from: u64,
        /// The version after.
        to: u64,
    },
    /// Show which version decides, and which is only tried.
    State,
    /// Put a version in force, or ask for the approval that the tenant wants for it.
    Activate {
        /// The version's number.
        number: u64,
    },
    /// Let no policy decide: only roles.
    Deactivate,
    /// Put the version in force that was before.
    Rollback,
    /// Try a version beside the active one: what it would have decided is logged and recorded.
    Shadow {
        /// The version's number; `none` to end it.
        number: String,
    },
}

/// `taskforce policy`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let Asking { connection, verb } = asking;
    let remote = || Remote::open(&connection, environment);
    match verb {
        Verb::Validate { source } => return validate(&source, output),
        Verb::Test { source, tests } => return test(&source, tests, output),
        Verb::Plan { source } => {
            let body = json!({ "source": text_file(&source)? });
            let planned = remote()?.post(&format!("{POLICIES}/plan"), &body)?.body;
            changes(output, &planned, planned.get("changes").unwrap_or(&Value::Null));
        }
        Verb::Backtest { source, since } => {
            let body = json!({ "source": text_file(&source)?, "since": instant(&since)?.to_string() });
            backtest(output, &remote()?.post(&format!("{POLICIES}/backtest"), &body)?.body);
        }
        Verb::Create { source, tests, note } => {
            let tests = tests.or_else(|| Some(beside(&source)).filter(|path| path.exists()));
            let tests = tests.map(|path| text_file(&path)).transpose()?;
            let new = object([
                ("source", Some(text_file(&source)?.into())),
                ("tests", tests.map(Value::from)),
                ("note", note.map(Value::from)),
            ]);
            facts(output, &remote()?.post(POLICIES, &new)?.body, COLUMNS);
        }
        Verb::List { part } => {
            table(output, &remote()?.list(POLICIES, &part, &[])?.body, COLUMNS, "There are no policies.");
        }
        Verb::Get { number } => {
            let version = remote()?.get(&format!("{POLICIES}/{number}"))?.body;
            output.json_or(&version, |output| output.text(text(version.pointer("/source")).trim_end()));
        }
        Verb::Diff { from, to } => {
            let diff = remote()?.get(&format!("{POLICIES}/diff?from={from}&to={to}"))?.body;
            changes(output, &diff, &diff);
        }
        Verb::State => in_force(output, &remote()?.get(&state_path())?.body),
        Verb::Activate { number } => step(&remote()?, &format!("{POLICIES}/{number}/activate"), output)?,
        Verb::Deactivate => step(&remote()?, &format!("{POLICIES}/deactivate"), output)?,
        Verb::Rollback => step(&remote()?, &format!("{POLICIES}/rollback"), output)?,
        Verb::Shadow { number } => {
            let number = if number == "none" { None } else { Some(number.parse::<u64>()?) };
            let body = json!({ "version": number });
            let state = remote()?.change_of(Method::PUT, &format!("{POLICIES}/shadow"), &body, &state_path())?;
            in_force(output, &state.body);
        }
    }
    Ok(Verdict::Well)
}

fn state_path() -> String {
    format!("{POLICIES}/state")
}

/// Changes which version decides, in the state in which that is now.
fn step(remote: &Remote, path: &str, output: &mut Output) -> Result<(), Failure> {
    let state = remote.change_of(Method::POST, path, &json!({}), &state_path())?;
    in_force(output, &state.body);
    Ok(())
}

/// Which version decides, or what that waits for.
fn in_force(output: &mut Output, state: &Value) {
    if let Some(approval) = state.pointer("/approval_id").and_then(Value::as_str) {
        return output.json_or(state, |output| {
            output.styled(Look::Note, format_args!("The tenant wants this approved first: {approval}"));
        });
    }
    let state = state.pointer("/state").unwrap_or(state);
    output.json_or(state, |output| {
        if state.pointer("/active").is_none_or(Value::is_null) {
            output.line("No policy decides: roles alone do.");
        }
        facts(output, state, STATE);
    });
}

/// The tests that belong to a policy file: `a.cedar` has `a.test.yaml`.
fn beside(source: &Path) -> PathBuf {
    source.with_extension("test.yaml")
}

fn validate(source: &Path, output: &mut Output) -> Result<Verdict, Failure> {
    match Rules::read(&text_file(source)?) {
        Ok(rules) => {
            let governs: Vec<&str> = rules.governs().iter().map(authz::Permission::as_str).collect();
            let value = json!({ "valid": true, "governs": governs });
            output.json_or(&value, |output| {
                output.styled(Look::Good, format_args!("{} is valid.", source.display()));
                output.line(format_args!("It decides about: {}", governs.join(", ")));
            });
            Ok(Verdict::Well)
        }
        Err(invalid) => {
            let faults: Vec<Value> = invalid.0.iter().map(fault).collect();
            output.json_or(&json!({ "valid": false, "faults": faults }), |output| {
                for fault in &invalid.0 {
                    output.line(format_args!("{}:{fault}", source.display()));
                }
            });
            Ok(Verdict::Findings)
        }
    }
}

fn fault(fault: &Fault) -> Value {
    let Fault { line, column, policy, message, help } = fault;
    json!({ "line": line, "column": column, "policy": policy, "message": message, "help": help })
}

fn test(source: &Path, tests: Option<PathBuf>, output: &mut Output) -> Result<Verdict, Failure> {
    let tests = tests.unwrap_or_else(|| beside(source));
    let rules = Rules::read(&text_file(source)?).map_err(|invalid| format!("{}: {invalid}", source.display()))?;
    let cases = Cases::read(&text_file(&tests)?).map_err(|error| format!("{}: {error}", tests.display()))?;
    let tested = cases.run(&rules);
    let passed = tested.iter().filter(|case| case.passed()).count();
    let value = json!({
        "total": tested.len(),
        "passed": passed,
        "cases": tested.iter().map(|case| json!({ "name": case.name, "wrong": case.wrong })).collect::<Vec<_>>(),
    });
    output.json_or(&value, |output| {
        for case in &tested {
            show(case, output);
        }
        output.line(format_args!("{passed} of {} passed", tested.len()));
    });
    Ok(if passed == tested.len() { Verdict::Well } else { Verdict::Findings })
}

fn show(case: &Tested, output: &mut Output) {
    let (look, word) = if case.passed() { (Look::Good, "passed") } else { (Look::Bad, "FAILED") };
    output.mark(&Mark { look, word, about: &case.name, detail: &case.wrong.join("; ") });
}

/// What one set of policies changes against another, as the server tells it.
fn changes(output: &mut Output, answer: &Value, changes: &Value) {
    const PARTS: &[Column] = &[
        ("added", "/added"),
        ("removed", "/removed"),
        ("changed", "/changed"),
        ("newly decides", "/newly_governed"),
        ("decides no longer", "/no_longer_governed"),
    ];
    const SHIFTS: &[Column] =
        &[("role", "/role"), ("permission", "/permission"), ("from", "/from"), ("to", "/to"), ("", "/direction")];
    output.json_or(answer, |output| {
        facts(output, changes, PARTS);
        if changes.pointer("/widens").and_then(Value::as_bool) == Some(true) {
            output.styled(Look::Note, "Somebody may do more than before.");
        }
        let shifts = json!({ "items": changes.pointer("/shifts") });
        table(output, &shifts, SHIFTS, "No role may do more or less, as far as no condition decides it.");
    });
}

fn backtest(output: &mut Output, report: &Value) {
    const FACTS: &[Column] = &[
        ("from", "/since"),
        ("until", "/until"),
        ("calls looked at", "/looked_at"),
        ("not replayable", "/not_replayable"),
        ("approvals", "/approvals"),
        ("approvals a day", "/approvals_per_day"),
    ];
    const EXAMPLES: &[Column] =
        &[("entry", "/seq"), ("at", "/at"), ("caller", "/user_id"), ("agent", "/agent_id"), ("rule", "/rule")];
    const CALLERS: &[Column] = &[("caller", "/user_id"), ("calls", "/calls")];
    output.json_or(report, |output| {
        facts(output, report, FACTS);
        output.blank();
        let changes = report.pointer("/changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if changes.is_empty() {
            return output.styled(Look::Good, "No past call would have been decided otherwise.");
        }
        for change in changes {
            let part = |pointer: &str| text(change.pointer(pointer));
            let (count, from, to) = (part("/count"), part("/from"), part("/to"));
            output.styled(Look::Bold, format_args!("{count} calls: {from} becomes {to}. The first of them:"));
            table(output, &json!({ "items": change.pointer("/examples") }), EXAMPLES, "");
            output.blank();
        }
        table(output, &json!({ "items": report.pointer("/callers") }), CALLERS, "");
    });
}

/// `30d` or `12h` ago, or the instant itself.
fn instant(since: &str) -> Result<Timestamp, Failure> {
    if let Ok(at) = since.parse() {
        return Ok(at);
    }
    let wrong = || format!("`{since}` is no time: expected one such as `30d`, `12h` or `2026-01-31T12:00:00Z`");
    let (number, seconds) = match since.strip_suffix('d') {
        Some(days) => (days, 86_400),
        None => (since.strip_suffix('h').ok_or_else(wrong)?, 3_600),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let back = number.checked_mul(seconds).filter(|back| (0..=10 * 365 * 86_400).contains(back)).ok_or_else(wrong)?;
    Ok(SystemClock.now().plus_seconds(-back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_is_told_in_days_hours_or_as_an_instant() {
        assert!(instant("30d").unwrap() < instant("12h").unwrap());
        assert_eq!(instant("2026-01-31T12:00:00Z").unwrap().to_string(), "2026-01-31T12:00:00.000Z");
        for wrong in ["", "30", "d", "-1d", "1.5d", "99999999999d", "yesterday"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
