//! `taskforce token`: bearer tokens, and a configuration of their verifier tried out.

use std::path::PathBuf;

use clap::Subcommand;
use jose::corpus::{Corpus, Decision, Verdict as Expected, Wrong};
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Output};
use crate::remote::{Asking, Remote, object, text, words};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issue a bearer token for the caller. It is shown this once.
    Issue {
        /// How long it is good, in seconds; at most a day.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        expires_in: u32,
        /// What it is narrowed to, separated by commas. Default: all that the caller may do.
        #[arg(long, value_name = "PERMISSIONS")]
        scopes: Option<String>,
    },
    /// Refuse a token from now on: one's own, or with `key:manage` anybody's.
    Revoke {
        /// A file that holds the token; `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Decide a file of tokens as the server would, to try out a configuration. No server is asked.
    CheckCorpus {
        /// The file: profiles with their keys, and for each token what is expected of it.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `taskforce token`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let Asking { connection, verb } = asking;
    match verb {
        Verb::CheckCorpus { file } => return check_corpus(&file, output),
        Verb::Issue { expires_in, scopes } => {
            let new = object([("expires_in", Some(expires_in.into())), ("scopes", scopes.as_deref().map(words))]);
            let issued = Remote::open(&connection, environment)?.post("/api/v1/tokens", &new)?.body;
            output.json_or(&issued, |output| output.line(text(issued.pointer("/token"))));
        }
        Verb::Revoke { file } => {
            let token = crate::remote::text_file(&file)?;
            let body = json!({ "token": token.trim() });
            Remote::open(&connection, environment)?.post("/api/v1/tokens/revoke", &body)?;
            output.line("The token is refused from now on.");
        }
    }
    Ok(Verdict::Well)
}

/// `taskforce token check-corpus`: decides each token as the server would, and says which were decided otherwise than the
/// file expects.
fn check_corpus(file: &std::path::Path, output: &mut Output) -> Result<Verdict, Failure> {
    let path = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let corpus = Corpus::parse(&bytes).map_err(|error| format!("`{path}` is no file of tokens: {error}"))?;
    let report = corpus.decide();
    let value = json!({
        "total": report.total,
        "right": report.right,
        "wrong": report.wrong.iter().map(wrong_json).collect::<Vec<_>>(),
    });
    output.json_or(&value, |output| {
        for wrong in &report.wrong {
            let Wrong { id, cls, why, expected, decided } = wrong;
            let (expected, decided) = (said(*expected), became(decided));
            output.line(format_args!("case {id} ({cls}: {why}): expected {expected}, {decided}"));
        }
        let look = if report.wrong.is_empty() { Look::Good } else { Look::Bad };
        output.styled(look, format_args!("{}/{} decided right", report.right, report.total));
    });
    Ok(if report.wrong.is_empty() { Verdict::Well } else { Verdict::Findings })
}

fn wrong_json(wrong: &Wrong) -> Value {
    let Wrong { id, cls, why, expected, decided } = wrong;
    json!({ "id": id, "class": cls, "why": why, "expected": said(*expected), "decided": became(decided) })
}

const fn said(expected: Expected) -> &'static str {
    match expected {
        Expected::Accept => "accept",
        Expected::Reject => "reject",
    }
}

fn became(decided: &Decision) -> String {
    match decided {
        Decision::Accepted => "accepted".to_owned(),
        Decision::Rejected(reason) => format!("rejected: {reason}"),
    }
}
