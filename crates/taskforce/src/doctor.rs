//! `taskforce doctor`: what is wrong with an installation, before its users find out.

mod checks;
mod store;

use ::store::{Database, StoreError};
use kernel::Clock as _;
use serde_json::{Value, json};

use crate::config::{Places, Settings};
use crate::environment::{Environment, SystemClock};
use crate::failure::{Failure, Verdict, reasons};
use crate::opening;
use crate::output::{Look, Mark, Output};

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Not as it should be.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

impl Check {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Good, detail: detail.into() }
    }

    fn note(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Note, detail: detail.into() }
    }

    fn wrong(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Wrong, detail: detail.into() }
    }
}

/// What to examine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) places: Places,
    /// How many of each ledger's last entries to check.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) last: u64,
    /// Check every entry of each ledger.
    #[arg(long, conflicts_with = "last")]
    pub(crate) full: bool,
}

/// `taskforce doctor`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let settings = Settings::read(&args.places, environment)?;
    let checks = examine(&settings, environment, if args.full { None } else { Some(args.last) });
    let wrong = checks.iter().filter(|check| check.state == State::Wrong).count();
    output.json_or(&wire(&checks), |output| show(&checks, wrong, output));
    Ok(if wrong == 0 { Verdict::Well } else { Verdict::Findings })
}

/// Checks the last entries of each ledger, and says in the log what does not fit together.
pub(crate) fn self_check(db: &Database, last: u64) -> Result<(), StoreError> {
    for ledger in store::ledgers(db)? {
        let tenant = &ledger.tenant;
        let report = audit::check(db, tenant, Some(last))?;
        match report.findings.first() {
            None => tracing::debug!(tenant.id = %tenant, entries = report.size, "the ledger of {tenant} fits together"),
            Some(first) => tracing::error!(
                tenant.id = %tenant, entry = first.seq, finding = first.text,
                "THE LEDGER OF {tenant} WAS ALTERED: {}; run `taskforce doctor --full`", first.text
            ),
        }
    }
    Ok(())
}

/// Looks at everything; `last` is how many entries of each ledger are checked.
fn examine(settings: &Settings, environment: &Environment, last: Option<u64>) -> Vec<Check> {
    let mut all = checks::configuration(settings);
    all.extend(checks::files(settings));
    all.extend(checks::keys(settings, environment));
    all.extend(checks::upstreams(settings, environment));
    all.extend(checks::disk(settings));
    match opening::open_existing(settings, environment) {
        Ok(db) => {
            let role = match settings.database.engine() {
                "PostgreSQL" => ", as a role that row-level security binds",
                _ => "",
            };
            all.push(Check::good(
                "database",
                format!("{} answers{role}; its schema is current", settings.database.engine()),
            ));
            all.extend(checks::vkey(settings, &db));
            all.extend(checks::ledgers(&db, SystemClock.now(), last));
        }
        Err(error) => all.push(Check::wrong("database", reasons(&error))),
    }
    all
}

fn show(checks: &[Check], wrong: usize, output: &mut Output) {
    for Check { name, state, detail } in checks {
        let (look, word) = match state {
            State::Good => (Look::Good, "ok"),
            State::Note => (Look::Note, "note"),
            State::Wrong => (Look::Bad, "wrong"),
        };
        output.mark(&Mark { look, word, about: name, detail });
    }
    output.blank();
    match wrong {
        0 => output.styled(Look::Good, "Nothing is wrong."),
        1 => output.styled(Look::Bad, "One thing is wrong."),
        _ => output.styled(Look::Bad, format_args!("{wrong} things are wrong.")),
    }
}

fn wire(checks: &[Check]) -> Value {
    let state = |state| match state {
        State::Good => "ok",
        State::Note => "note",
        State::Wrong => "wrong",
    };
    let well = checks.iter().all(|check| check.state != State::Wrong);
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| json!({"name": check.name, "state": state(check.state), "detail": check.detail}))
        .collect();
    json!({"ok": well, "checks": checks})
}

#[cfg(test)]
mod tests;
