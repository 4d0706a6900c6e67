//! What is looked at.

use std::path::Path;

use ::store::Database;
use kernel::Timestamp;

use super::{Check, store};
use crate::config::{DatabaseAt, Settings};
use crate::edition::Edition;
use crate::environment::Environment;
use crate::failure::reasons;
use crate::keys::{self, Origin};
use crate::output::grouped;
use crate::{home, opening, upstreams};

/// Less free space than this is worth a note: a ledger that cannot be written refuses calls.
const LOW: u64 = 1 << 30;
/// A clock may lag behind the last entry by this much without harm: entries are given the last entry's time then.
const LAG: i64 = 5;
/// An entry that is not covered by a checkpoint after this long means that no server signs.
const UNSIGNED: u64 = 60;

/// What the configuration says.
pub(super) fn configuration(settings: &Settings) -> Vec<Check> {
    let profile = settings.file.as_ref().map_or_else(
        || Check::note("profile", "none was found; the defaults hold"),
        |file| Check::good("profile", file.display().to_string()),
    );
    let edition = Edition::of(settings);
    let active = match edition.parts().join(", ") {
        parts if parts.is_empty() => "one tenant, on loopback only".to_owned(),
        parts => parts,
    };
    let mut checks = vec![profile, Check::good("edition", format!("{}: {active}", edition.name()))];
    let listen = settings.profile.listen;
    checks.push(match (listen.ip().is_loopback(), edition) {
        (true, _) => Check::good("listen", format!("{listen}, which only this machine can reach")),
        (false, Edition::Enterprise { .. }) => {
            Check::note("listen", format!("{listen}, without TLS: put a proxy that speaks it in front"))
        }
        (false, Edition::Community) => {
            Check::wrong("listen", format!("{listen}: without an `enterprise` section only loopback is allowed"))
        }
    });
    let idle = settings.without_effect().into_iter();
    checks.extend(idle.map(|(name, instead)| Check::note("setting without effect", format!("`{name}`: {instead}"))));
    checks
}

/// Who may read what.
pub(super) fn files(settings: &Settings) -> Vec<Check> {
    let folder = settings.home.path();
    let data = match home::mode(folder) {
        Ok(mode) if !home::is_exposed(mode) => Check::good("data directory", folder.display().to_string()),
        Ok(mode) => Check::wrong(
            "data directory",
            format!("`{0}` is open to others (mode {mode:03o}): run `chmod 700 {0}`", folder.display()),
        ),
        Err(error) => Check::wrong("data directory", format!("`{}`: {error}", folder.display())),
    };
    vec![data]
}

/// The two secrets.
pub(super) fn keys(settings: &Settings, environment: &Environment) -> Vec<Check> {
    let root = match keys::root(settings, environment) {
        Ok(root) => {
            let id = kernel::hex(&root.id());
            let origin = keys::root_origin(settings, environment).unwrap_or(Origin::Environment);
            Check::good("root key", format!("{id}, from {origin}"))
        }
        Err(error) => Check::wrong("root key", reasons(&error)),
    };
    let signing = match keys::signing(settings) {
        Ok(_) => Check::good("signing key", settings.signing_file().display().to_string()),
        Err(error) => Check::wrong("signing key", reasons(&error)),
    };
    vec![root, signing]
}

/// The model servers.
pub(super) fn upstreams(settings: &Settings, environment: &Environment) -> Vec<Check> {
    if settings.profile.upstreams.is_empty() {
        return vec![Check::note("upstreams", "none is configured: no model can be called")];
    }
    let check = |section| match upstreams::one(section, environment) {
        Ok(upstream) => {
            let models = upstream.models.join(", ");
            let key = if upstream.key.is_some() { "its key is set" } else { "without a key" };
            Check::good("upstream", format!("`{}` at {} for {models}; {key}", upstream.name, upstream.url))
        }
        Err(error) => Check::wrong("upstream", reasons(&error)),
    };
    settings.profile.upstreams.iter().map(check).collect()
}

/// Room for what is written.
pub(super) fn disk(settings: &Settings) -> Vec<Check> {
    let folder = match &settings.database {
        DatabaseAt::Sqlite(path) => path.parent().filter(|folder| folder.exists()),
        DatabaseAt::Postgres { .. } => Some(settings.home.path()),
    };
    vec![free(folder.unwrap_or(Path::new(".")))]
}

fn free(folder: &Path) -> Check {
    match rustix::fs::statvfs(folder) {
        Ok(space) => {
            let bytes = space.f_bavail.saturating_mul(space.f_frsize);
            let detail = format!("{} MiB free", grouped(bytes >> 20));
            if bytes < LOW { Check::wrong("disk", detail) } else { Check::good("disk", detail) }
        }
        Err(error) => Check::wrong("disk", error.to_string()),
    }
}

/// The public key that auditors are given is that of the key that signs.
pub(super) fn vkey(settings: &Settings, db: &Database) -> Vec<Check> {
    let path = settings.home.vkey();
    let check = match (opening::signer(settings, db), std::fs::read_to_string(&path)) {
        (Ok(signer), Ok(known)) if known.trim() == signer.verifier_key().to_string() => {
            Check::good("public key", path.display().to_string())
        }
        (Ok(_), Ok(_)) => Check::wrong("public key", format!("`{}` is not that of the signing key", path.display())),
        (Err(error), _) => Check::wrong("public key", reasons(&error)),
        (_, Err(_)) => Check::note("public key", format!("`{}` is written when the server starts", path.display())),
    };
    vec![check]
}

/// The ledgers: whether what is stored fits together, and whether it is signed.
pub(super) fn ledgers(db: &Database, now: Timestamp, last: Option<u64>) -> Vec<Check> {
    let ledgers = match store::ledgers(db) {
        Ok(ledgers) => ledgers,
        Err(error) => return vec![Check::wrong("ledgers", reasons(&error))],
    };
    let mut checks = Vec::new();
    let newest = ledgers.iter().filter_map(|ledger| ledger.last_at).max();
    checks.push(match newest {
        Some(newest) if newest > now.plus_seconds(LAG) => {
            Check::wrong("clock", format!("it shows {now}, but an entry was written at {newest}"))
        }
        Some(_) | None => Check::good("clock", format!("{now}, after every entry")),
    });
    let unsigned = ledgers.iter().find(|ledger| ledger.is_late(now, UNSIGNED));
    checks.push(match unsigned {
        Some(ledger) => Check::note(
            "checkpoints",
            format!(
                "{} of {} entries of `{}` are signed; a running server signs each second",
                ledger.signed, ledger.size, ledger.tenant
            ),
        ),
        None => Check::good("checkpoints", "every ledger is signed up to its end, or was written to just now"),
    });
    checks.extend(ledgers.iter().map(|ledger| self_check(db, ledger, last)));
    checks
}

fn self_check(db: &Database, ledger: &store::Ledger, last: Option<u64>) -> Check {
    let report = match audit::check(db, &ledger.tenant, last) {
        Ok(report) => report,
        Err(error) => return Check::wrong("ledger", format!("`{}`: {}", ledger.tenant, reasons(&error))),
    };
    let checked = last.map_or(report.size, |last| last.min(report.size));
    match report.findings.first() {
        None => {
            let (size, checked) = (grouped(report.size), grouped(checked));
            Check::good("ledger", format!("`{}`: {checked} of {size} entries checked, the last ones", ledger.tenant))
        }
        Some(first) => {
            let count = report.findings.len() as u64 + report.more;
            let at = first.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
            Check::wrong(
                "ledger",
                format!("`{}`: {} findings, the first: {at}{}", ledger.tenant, grouped(count), first.text),
            )
        }
    }
}
