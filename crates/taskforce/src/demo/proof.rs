//! Step 7: the ledger leaves the house, and is verified by somebody who trusts nobody in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output as Ended};

use http::StatusCode;
use serde_json::{Value, json};

use tempfile::TempDir;

use super::scene::Scene;
use super::story::{Act, Story};
use crate::failure::Failure;
use crate::output::{Look, grouped};

/// What is exported, and a copy of it that somebody tampered with.
const PACKAGE: &str = "acme-corp.tfpack";
const ALTERED: &str = "acme-corp-altered.tfpack";
/// The public key.
const KEY: &str = "log.vkey";

pub(super) async fn verify(story: &mut Story<'_>, scene: &Scene) -> Result<(), Failure> {
    story.begin(
        "Proof, without the server",
        "Adam exports the whole ledger. `taskforce verify` then runs as a process of its own that has the file and the public key, and no server and no database.",
    );
    let export = json!({});
    let act = Act::post("adam", "exports acme-corp.tfpack", "/api/v1/audit/exports", &export).expect(StatusCode::OK);
    let answer = story.act(&act).await?;
    let package = scene.folder.join(PACKAGE);
    fs::write(&package, &answer.body)?;
    let auditor = auditor(scene, &package)?;
    story.output.paragraph(14, &format!("{} bytes", grouped(answer.body.len() as u64)));
    story.output.blank();
    let good = run(story, &auditor, PACKAGE)?;
    check(&good, true)?;
    story.output.blank();
    let entry = flip(&answer.body, &auditor.path().join(ALTERED))?;
    story.output.line(format_args!("     One byte of entry {entry} is changed in a copy:"));
    let bad = run(story, &auditor, ALTERED)?;
    let found = check(&bad, false)?;
    if found != Some(entry) {
        return Err(format!("the verifier named entry {found:?}, not {entry}").into());
    }
    story.note("package", package.display().to_string().into());
    story.note("altered_entry", entry.into());
    story.end();
    Ok(())
}

/// A folder somewhere else, with the two files that an auditor is given.
fn auditor(scene: &Scene, package: &Path) -> std::io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("auditor-").tempdir()?;
    fs::copy(package, folder.path().join(PACKAGE))?;
    fs::copy(scene.folder.join(KEY), folder.path().join(KEY))?;
    Ok(folder)
}

/// What a verification said, for people, and as JSON.
struct Verified {
    code: Option<i32>,
    report: Value,
}

/// Runs the verifier, shows what it says, and asks it again in a form that can be checked.
fn run(story: &mut Story<'_>, auditor: &TempDir, package: &str) -> Result<Verified, Failure> {
    let said = verifier(auditor, package, &[])?;
    story.output.styled(Look::Dim, format_args!("     $ taskforce verify {package} --key {KEY}"));
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        story.output.line(format_args!("     {line}"));
    }
    story.output.styled(Look::Dim, format_args!("     exit code {}", said.status.code().unwrap_or(-1)));
    let checked = verifier(auditor, package, &["--json"])?;
    Ok(Verified { code: checked.status.code(), report: serde_json::from_slice(&checked.stdout)? })
}

/// The same executable as an auditor would run it: in that folder, and with nothing else from here.
fn verifier(auditor: &TempDir, package: &str, more: &[&str]) -> std::io::Result<Ended> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env_clear().current_dir(auditor.path()).args(["verify", package, "--key", KEY]).args(more).output()
}

/// Whether the verifier said what it must. Names the entry that it says is altered first.
fn check(verified: &Verified, good: bool) -> Result<Option<u64>, Failure> {
    let Verified { code, report } = verified;
    let says = report.get("verified").and_then(Value::as_bool);
    if says != Some(good) || *code != Some(i32::from(!good)) {
        return Err(format!("the verifier ended with {code:?} and says {report}").into());
    }
    Ok(report.get("first_bad_entry").and_then(Value::as_u64))
}

/// Writes a copy in which one byte of a completed call's entry is another. Says which entry that is.
fn flip(package: &[u8], to: &Path) -> Result<u64, Failure> {
    let action: &[u8] = b"\"action\":\"gateway.call.completed\"";
    let found = package.windows(action.len()).position(|bytes| bytes == action);
    let at = found.ok_or("the package holds no completed call")?;
    let line = package.get(..at).unwrap_or_default();
    let start = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let head = String::from_utf8_lossy(line.get(start..).unwrap_or_default()).into_owned();
    let digits = head.split_once("\"seq\":").map(|(_, rest)| rest.split(',').next().unwrap_or_default());
    let seq = digits.and_then(|digits| digits.parse().ok()).ok_or("an entry of the package has no number")?;
    let mut altered = package.to_vec();
    // `completed` becomes `compleued`.
    if let Some(byte) = altered.get_mut(at + action.len() - 4) {
        *byte ^= 1;
    }
    fs::write(to, altered)?;
    Ok(seq)
}
