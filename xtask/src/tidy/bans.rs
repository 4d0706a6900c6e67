//! The bans of deny.toml, decided from cargo's metadata: they hold where cargo-deny is not installed too.

use super::Violation;
use crate::metadata::Metadata;
use std::collections::BTreeMap;
use std::str::Lines;

const FILE: &str = "deny.toml";

/// A banned crate, and the crates that may depend on it all the same.
type Bans = BTreeMap<String, Vec<String>>;

/// Who depends on a banned crate without being one of its wrappers, and what comes from no registry.
pub(super) fn check(settings: Option<&str>, metadata: &Metadata) -> Vec<Violation> {
    let Some(settings) = settings else {
        return vec![Violation::new(FILE, "is missing; it says which crate may depend on what")];
    };
    let bans = match bans(settings) {
        Ok(bans) => bans,
        Err(what) => return vec![Violation::new(FILE, what)],
    };
    let banned = metadata.arrows.iter().filter_map(|arrow| {
        let wrappers = bans.get(&arrow.to).filter(|wrappers| !wrappers.contains(&arrow.from))?;
        let only =
            if wrappers.is_empty() { "no crate may".to_owned() } else { format!("only {}", wrappers.join(", ")) };
        Some(Violation::new(&arrow.from, format!("depends on `{}` ({only}, says {FILE})", arrow.to)))
    });
    let foreign = metadata.foreign.iter().map(|name| Violation::new(name, "comes from no package registry"));
    banned.chain(foreign).collect()
}

/// The entries of `deny = [ … ]` under `[bans]`, one to a line:
/// `{ crate = "axum", wrappers = ["api"] },`. More of TOML is not needed, and anything else there is refused.
fn bans(settings: &str) -> Result<Bans, String> {
    let mut lines = settings.lines();
    let mut section = "";
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        }
        if section == "[bans]" && line == "deny = [" {
            return entries(&mut lines);
        }
    }
    Err("has no `deny = [` under `[bans]`".to_owned())
}

fn entries(lines: &mut Lines<'_>) -> Result<Bans, String> {
    let mut bans = Bans::new();
    for line in lines {
        let line = line.trim();
        if line == "]" {
            return Ok(bans);
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, wrappers) = entry(line).ok_or_else(|| format!("has an entry that cannot be read: `{line}`"))?;
        bans.insert(name, wrappers);
    }
    Err("does not close `deny = [`".to_owned())
}

fn entry(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.strip_prefix("{ crate = \"")?.trim_end_matches(',').strip_suffix('}')?.trim_end();
    let (name, rest) = line.split_once('"')?;
    let mut wrappers = Vec::new();
    let rest = match rest.strip_prefix(", wrappers = [") {
        None => rest,
        Some(list) => {
            let (list, rest) = list.split_once(']')?;
            for wrapper in list.split(',') {
                wrappers.push(wrapper.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
            }
            rest
        }
    };
    let reason = rest.is_empty() || rest.starts_with(", reason = \"") && rest.ends_with('"');
    reason.then(|| (name.to_owned(), wrappers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Arrow;

    const SETTINGS: &str = "[bans]\nmultiple-versions = \"allow\"\ndeny = [\n  # why\n  { crate = \"ring\", reason = \"slow\" },\n\
                            \n  { crate = \"axum\", wrappers = [\"api\", \"testkit\"] },\n]\n[sources]\n";

    fn metadata(arrows: &[(&str, &str)]) -> Metadata {
        let arrows = arrows.iter().map(|(from, to)| Arrow { from: (*from).to_owned(), to: (*to).to_owned() });
        Metadata { crates: Vec::new(), arrows: arrows.collect(), foreign: Vec::new() }
    }

    #[test]
    fn a_wrapper_may_and_others_may_not() {
        let violations = check(Some(SETTINGS), &metadata(&[("api", "axum"), ("catalog", "axum"), ("rustls", "ring")]));
        let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let expected = [
            "catalog: depends on `axum` (only api, testkit, says deny.toml)",
            "rustls: depends on `ring` (no crate may, says deny.toml)",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_package_from_elsewhere_is_refused() {
        let mut metadata = metadata(&[]);
        metadata.foreign.push("forked".to_owned());
        assert_eq!(check(Some(SETTINGS), &metadata), [Violation::new("forked", "comes from no package registry")]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_empty_list() {
        for settings in [
            "[licenses]\ndeny = [\n]\n",
            "[bans]\ndeny = [\n{ name = \"ring\" },\n]\n",
            "[bans]\ndeny = [\n{ crate = \"axum\", wrappers = [api] },\n]\n",
            "[bans]\ndeny = [\n{ crate = \"axum\", wrapper = [\"api\"] },\n]\n",
            "[bans]\ndeny = [\n",
        ] {
            assert_eq!(check(Some(settings), &metadata(&[])).len(), 1, "{settings}");
        }
        assert_eq!(check(None, &metadata(&[])).len(), 1);
    }
}
