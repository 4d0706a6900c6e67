//! `taskforce verify`: an exported package against a pinned key. No server, no database, no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use audit::verify::{Options, Report};
use kernel::Clock as _;
use serde_json::{Value, json};
use tlog::note::VerifierKey;

use crate::environment::SystemClock;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Mark, Output, elapsed, grouped};

/// Why nothing can be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` holds no public key of a log")]
    NoKey { path: PathBuf },
    // Not the line itself: whoever gives the wrong file may have given a secret key.
    #[error("line {line} of `{path}` is no public key of a log, as `log.vkey` holds it")]
    Key { path: PathBuf, line: usize, source: tlog::note::KeyError },
}

/// What to verify, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The package, a `.tfpack` file.
    pub(crate) file: PathBuf,
    /// The public key of the log, as `log.vkey` holds it. Several keys stand on lines of their own.
    #[arg(long, value_name = "VKEY_FILE")]
    pub(crate) key: PathBuf,
    /// A checkpoint of the same log that you kept: finds a log that was begun anew with the right key.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The log that it must be, such as `taskforce.example.org/taskforce/t/acme`.
    #[arg(long, value_name = "LOG")]
    pub(crate) origin: Option<String>,
}

/// `taskforce verify`.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Verdict, Failure> {
    let start = Instant::now();
    let keys = keys(&args.key)?;
    let checkpoint = args.checkpoint.as_deref().map(text).transpose()?;
    let unreadable = |source| VerifyError::Read { path: args.file.clone(), source };
    let package = File::open(&args.file).map_err(unreadable)?;
    let options = Options { origin: args.origin.clone(), checkpoint, now: Some(SystemClock.now()) };
    let report = audit::verify(package, &keys, &options).map_err(unreadable)?;
    let name = args.file.display().to_string();
    output.json_or(&wire(&name, &report), |output| {
        if report.ok() {
            show_good(&name, &report, output);
        } else {
            show_bad(&name, &report, output);
        }
        if report.ok() && args.checkpoint.is_none() {
            output.blank();
            output.paragraph(2, "Whoever holds the signing key could have begun the log anew. Keep the checkpoint inside this package, and pass it with --checkpoint the next time: then that is found too.");
        }
        output.blank();
        output.styled(Look::Dim, format_args!("  verified offline in {}", elapsed(start.elapsed())));
    });
    Ok(if report.ok() { Verdict::Well } else { Verdict::Findings })
}

/// The keys in a file, one on each line.
fn keys(path: &Path) -> Result<Vec<VerifierKey>, VerifyError> {
    let text = text(path)?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let key = |(number, line): (usize, &str)| {
        line.parse().map_err(|source| VerifyError::Key { path: path.to_owned(), line: number, source })
    };
    let keys = lines.map(key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(VerifyError::NoKey { path: path.to_owned() }) } else { Ok(keys) }
}

fn text(path: &Path) -> Result<String, VerifyError> {
    fs::read_to_string(path).map_err(|source| VerifyError::Read { path: path.to_owned(), source })
}

fn show_good(name: &str, report: &Report, output: &mut Output) {
    output.styled(Look::Good, format_args!("{name} is complete and unaltered."));
    output.blank();
    let last = report.size.saturating_sub(1);
    let period = match (&report.first, &report.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (None, _) | (_, None) => "empty".to_owned(),
    };
    output.facts(&[
        ("log", &report.origin),
        ("entries", &format!("{}, numbered 0 to {}, none missing", grouped(report.size), grouped(last))),
        ("period", &period),
        ("root", &report.root.map(|root| root.to_base64()).unwrap_or_default()),
        ("payloads", &format!("{}, each what its entry committed to", grouped(report.payloads))),
        ("objects", &format!("{}, each by the digest that entries name", grouped(report.objects))),
        ("checkpoints", &format!("{} earlier, each the beginning of this log", grouped(report.checkpoints))),
    ]);
}

fn show_bad(name: &str, report: &Report, output: &mut Output) {
    let first = report.first_bad().map(|seq| format!(" The first is at entry {seq}.")).unwrap_or_default();
    let count = report.findings.len() as u64 + report.more;
    let findings = if count == 1 { "1 finding".to_owned() } else { format!("{} findings", grouped(count)) };
    output.styled(Look::Bad, format_args!("{name} is not what was signed: {findings}.{first}"));
    output.blank();
    for finding in &report.findings {
        let about = finding.seq.map_or_else(|| finding.kind.as_str().replace('_', " "), |seq| format!("entry {seq}"));
        output.mark(&Mark { look: Look::Bad, word: "wrong", about: &about, detail: &finding.text });
    }
    if report.more > 0 {
        output.line(format_args!("  and {} more", grouped(report.more)));
    }
}

fn wire(name: &str, report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({"entry": finding.seq, "kind": finding.kind.as_str(), "detail": finding.text}))
        .collect();
    json!({
        "file": name,
        "verified": report.ok(),
        "first_bad_entry": report.first_bad(),
        "findings": findings,
        "more_findings": report.more,
        "origin": report.origin,
        "entries": report.size,
        "root": report.root.map(|root| root.to_base64()),
        "first": report.first,
        "last": report.last,
        "actions": report.actions,
        "payloads": report.payloads,
        "objects": report.objects,
        "checkpoints": report.checkpoints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_given_by_mistake_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        let secret = audit::Signer::generate(&kernel::OsEntropy);
        fs::write(&path, format!("# mine\n{}\n", secret.expose())).unwrap();
        let said = crate::failure::reasons(&keys(&path).unwrap_err());
        assert!(said.contains("line 2") && !said.contains(&**secret.expose()), "{said}");
    }
}
