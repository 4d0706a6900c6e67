//! `cargo xtask test`: prepare, run every test, end with one summary.

use crate::prepare::{self, Prepared};
use crate::process;
use crate::report::{self, Outcome};
use crate::tidy;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs everything; with `arguments`, only the test runner, with these. Whether all passed.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<bool, String> {
    let begun = Instant::now();
    let unread = tidy::suites_that_read_shared(root)?;
    let prepared = prepare::all(root)?;
    let not_run = not_run(&prepared, unread);
    for suite in &not_run {
        report::line("prepare", "will not run", suite);
    }
    let stages = if arguments.is_empty() { everything(root, &prepared)? } else { some(root, &prepared, arguments)? };
    let engines = prepared.engines.join(", ");
    prepared.tidy_up()?;

    report::plain("\n");
    for (name, passed) in &stages {
        report::line("summary", name, Outcome::of(*passed));
    }
    if !arguments.is_empty() {
        report::line("summary", "not run", "tidy, doctests and what the arguments leave out");
    }
    for suite in &not_run {
        report::line("summary", "not run", suite);
    }
    report::line("summary", "engines", engines);
    report::line("summary", "time", report::seconds(begun.elapsed()));
    Ok(stages.iter().all(|(_, passed)| *passed))
}

/// The suites whose needs are not met, and what they lack.
fn not_run(prepared: &Prepared, reading_shared: Vec<String>) -> Vec<String> {
    let reading =
        reading_shared.into_iter().filter(|_| !prepared.shared).map(|suite| format!("{suite} (no ../shared)"));
    let signing_in = (!prepared.provider).then(|| "sign-in with an OpenID provider (no node and npm)".to_owned());
    let provisioning = (!prepared.scim).then(|| "the SCIM tester (no python3)".to_owned());
    reading.chain(signing_in).chain(provisioning).collect()
}

type Stages = Vec<(&'static str, bool)>;

/// The runner comes last, so that its own summary stands right above ours.
fn everything(root: &Path, prepared: &Prepared) -> Result<Stages, String> {
    let tidied = tidy::run(root)?;
    let doctests = doctests(root, prepared)?;
    let community = community(root, prepared)?;
    let tests = tests(root, prepared, &["--workspace", "--all-targets"])?;
    Ok(vec![("tidy", tidied), ("doctests", doctests), ("community edition", community), ("tests", tests)])
}

fn some(root: &Path, prepared: &Prepared, arguments: &[&str]) -> Result<Stages, String> {
    Ok(vec![("tests", tests(root, prepared, arguments)?)])
}

/// A stage that fails does not hide the others: everything runs, then all failures are shown.
fn tests(root: &Path, prepared: &Prepared, arguments: &[&str]) -> Result<bool, String> {
    let runner: &[&str] = if process::cargo_has("nextest") { &["nextest", "run"] } else { &["test"] };
    report::line("test", "tests", format!("cargo {} {}", runner.join(" "), arguments.join(" ")));
    process::passes(cargo(root, prepared).args(runner).arg("--no-fail-fast").args(arguments))
}

/// The executable without its default features, and what it then makes of a profile.
fn community(root: &Path, prepared: &Prepared) -> Result<bool, String> {
    let arguments = ["test", "-q", "-p", "taskforce", "--no-default-features", "--bin", "taskforce", "edition"];
    report::line("test", "community edition", format!("cargo {}", arguments.join(" ")));
    process::passes(cargo(root, prepared).args(arguments))
}

/// Their output is shown only when one fails: a few lines per crate would bury the rest.
fn doctests(root: &Path, prepared: &Prepared) -> Result<bool, String> {
    let begun = Instant::now();
    report::line("test", "doctests", "cargo test --doc --workspace");
    let mut command = cargo(root, prepared);
    command.args(["test", "--doc", "--workspace", "--no-fail-fast"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = command.output().map_err(|cause| format!("cannot run cargo: {cause}"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        report::plain(&said);
    }
    let passed = counted(&said, "passed");
    let text = format!("{passed} passed, {} failed ({})", counted(&said, "failed"), report::seconds(begun.elapsed()));
    report::line("test", "doctests", text);
    Ok(done.status.success() && passed > 0)
}

fn cargo(root: &Path, prepared: &Prepared) -> Command {
    let mut command = process::cargo();
    command.current_dir(root).envs(prepared.variables.iter().map(|(name, value)| (name, value)));
    command
}

/// Adds up what stands before `word` in the lines `test result: ok. 3 passed; 0 failed; …`.
fn counted(said: &str, word: &str) -> u64 {
    said.lines()
        .filter_map(|line| line.strip_prefix("test result: "))
        .flat_map(|results| results.split([';', '.']))
        .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_crates_are_added_up() {
        let said = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; finished in 0.10s\n\
                    test result: FAILED. 4 passed; 2 failed; 0 ignored; finished in 1.00s\n";
        assert_eq!((counted(said, "passed"), counted(said, "failed")), (7, 2));
    }
}
