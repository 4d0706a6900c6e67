//! No two top-level modules of a crate need each other: each can then be read, tested and moved alone.

use super::Violation;
use super::source::{Source, block_length, is_word};
use std::collections::{BTreeMap, BTreeSet};

/// Who refers to whom, and where for the first time.
type References = BTreeMap<(String, String), String>;

/// Cycles between the top-level modules of each crate, by their paths from the crate's root.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let packages: BTreeSet<&str> = sources.iter().map(|source| source.package.as_str()).collect();
    packages.into_iter().flat_map(|package| in_crate(package, sources)).collect()
}

fn in_crate(package: &str, sources: &[Source]) -> Vec<Violation> {
    let own: Vec<&Source> = sources.iter().filter(|source| source.package == package).collect();
    let modules: BTreeSet<&str> = own.iter().filter_map(|source| source.module.first().map(String::as_str)).collect();
    let mut references = References::new();
    for source in own {
        let Some(from) = source.module.first() else { continue };
        for (to, line) in named(source) {
            if to != *from && modules.contains(to.as_str()) {
                references.entry((from.clone(), to)).or_insert_with(|| source.place(line));
            }
        }
    }
    cycles(&references).iter().map(|members| describe(package, members, &references)).collect()
}

/// First names of the paths from the crate's root in a file's production code, with their lines.
fn named(source: &Source) -> Vec<(String, usize)> {
    let code = source.production.as_str();
    let from_inside = "super::".repeat(source.module.len());
    let mut names = Vec::new();
    for root in ["crate::", from_inside.as_str()] {
        for (at, _) in code.match_indices(root) {
            let (before, path) = code.split_at(at);
            if before.ends_with(is_word) || before.ends_with(':') {
                continue;
            }
            let line = before.matches('\n').count() + 1;
            names.extend(first_names(path.split_at(root.len()).1).into_iter().map(|name| (name, line)));
        }
    }
    names
}

/// `a::b` names a; `{a::{b, c}, d}` names a and d.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|each| is_word(*each)).collect::<String>();
    if !path.starts_with('{') {
        return vec![word(path)];
    }
    let group = path.split_at(block_length(path)).0;
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for (at, each) in group.char_indices() {
        match each {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 1 && matches!(each, '{' | ',') {
            names.push(word(group.split_at(at + 1).1));
        }
    }
    names
}

/// Sets of modules, each of which reaches all others of its set.
fn cycles(references: &References) -> BTreeSet<BTreeSet<&str>> {
    let modules: BTreeSet<&str> = references.keys().map(|(from, _)| from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        modules.iter().map(|module| (*module, reachable(module, references))).collect();
    let mutual = |one: &str, other: &str| {
        reached.get(one).is_some_and(|set| set.contains(other))
            && reached.get(other).is_some_and(|set| set.contains(one))
    };
    let members =
        |module: &&str| -> BTreeSet<&str> { modules.iter().copied().filter(|other| mutual(module, other)).collect() };
    modules.iter().map(members).filter(|members| members.len() > 1).collect()
}

fn reachable<'a>(start: &str, references: &'a References) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![start];
    while let Some(module) = next.pop() {
        for (from, to) in references.keys() {
            if from == module && reached.insert(to.as_str()) {
                next.push(to);
            }
        }
    }
    reached
}

fn describe(package: &str, members: &BTreeSet<&str>, references: &References) -> Violation {
    let inside =
        references.iter().filter(|((from, to), _)| members.contains(from.as_str()) && members.contains(to.as_str()));
    let arrows: Vec<String> = inside.map(|((from, to), place)| format!("{from} -> {to} ({place})")).collect();
    Violation::new(package, format!("modules need each other: {}", arrows.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::source::sample;
    use super::*;

    #[test]
    fn two_modules_that_need_each_other_are_refused() {
        let a = sample("src/a.rs", "use crate::{Error, b::{self, c}};\n");
        let b = sample("src/b/inner.rs", "\nfn f() { super::super::a::g(); }\n");
        let violations = check(&[a, b]);
        assert_eq!(violations.len(), 1);
        let said = violations.first().unwrap().to_string();
        assert!(said.contains("a -> b (crates/demo/src/a.rs:1)"), "{said}");
        assert!(said.contains("b -> a (crates/demo/src/b/inner.rs:2)"), "{said}");
    }

    #[test]
    fn a_longer_way_round_is_a_cycle_too() {
        let sources = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]
            .map(|(from, to)| sample(&format!("src/{from}.rs"), &format!("use crate::{to}::X;")));
        let said = check(&sources).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(!said.concat().contains("d ->"), "{said:?}");
    }

    #[test]
    fn one_way_is_fine_and_so_are_tests_comments_and_a_module_itself() {
        let a = sample("src/a.rs", "use crate::b::X;\nuse crate::a::deep;\n");
        let b = sample("src/b.rs", "// crate::a\n#[cfg(test)]\nmod tests { use crate::a; }\n");
        assert_eq!(check(&[a, b]), []);
    }

    #[test]
    fn the_same_names_in_another_crate_are_others() {
        let a = sample("src/a.rs", "use crate::b;");
        let mut b = sample("src/b.rs", "use crate::a;");
        b.package = "other".to_owned();
        assert_eq!(check(&[a, b]), []);
    }
}
