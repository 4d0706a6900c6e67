//! What the documentation promises: links that lead somewhere, an example in each crate that runs.

use super::{File, Violation};
use crate::metadata::Crate;
use std::collections::BTreeSet;

/// Not libraries for others: their documentation is their help text.
const WITHOUT_EXAMPLE: [&str; 2] = ["testkit", "xtask"];

/// Words after three backticks with which rustdoc still compiles and runs a block.
const RUN: [&str; 3] = ["", "rust", "should_panic"];

/// Links from Markdown files to files that are not there.
pub(super) fn links(files: &[File]) -> Vec<Violation> {
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        let parents = file.path.match_indices('/').map(|(at, _)| file.path.split_at(at).0);
        paths.extend(parents.chain([file.path.as_str()]));
    }
    let pages = files.iter().filter(|file| file.path.strip_suffix(".md").is_some());
    pages.flat_map(|page| broken(page, &paths)).collect()
}

fn broken(page: &File, paths: &BTreeSet<&str>) -> Vec<Violation> {
    let mut fenced = false;
    let mut violations = Vec::new();
    for (line, n) in page.text.lines().zip(1_usize..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let place = format!("{}:{n}", page.path);
            match resolved(&page.path, target) {
                Some(path) if path.is_empty() || paths.contains(path.as_str()) => {}
                _ => violations.push(Violation::new(place, format!("links to `{target}`, which is not there"))),
            }
        }
    }
    violations
}

/// Targets of `[…](target)` and `[…]: target` that are files: no addresses, no headings of the same page, no code.
fn targets(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    let inline = prose.flat_map(|text| text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()));
    let definition = line.starts_with('[').then(|| line.split_once("]: ")).flatten().map(|(_, target)| target.trim());
    let is_file = |target: &&str| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:");
    inline.chain(definition).filter(is_file).collect()
}

/// The path, from the repository's root, that a target means on a page; none when it leads out of the repository.
fn resolved(page: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Libraries whose crate documentation has no example that rustdoc runs.
pub(super) fn examples(files: &[File], crates: &[Crate]) -> Vec<Violation> {
    let libraries = crates.iter().filter(|member| !WITHOUT_EXAMPLE.contains(&member.name.as_str()));
    let without = libraries.filter_map(|member| {
        let path = format!("{}/src/lib.rs", member.folder);
        let library = files.iter().find(|file| file.path == path)?;
        (!has_example(&library.text)).then(|| Violation::new(path, "has no example that runs in its `//!` docs"))
    });
    without.collect()
}

fn has_example(library: &str) -> bool {
    let docs = library.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let mut fences = docs.filter_map(|line| line.strip_prefix("```"));
    let mut found = false;
    while let Some(opening) = fences.next() {
        let mut words = opening.split(',').map(str::trim);
        found |= words.all(|word| RUN.contains(&word));
        // The block's end says nothing.
        fences.next();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn links_to_files_folders_and_headings_resolve() {
        let page = "[a](a.md#top) [up](../README.md) [here](#x) [b](https://example.org/x) [f](../docs/) `[c](no.md)`\n\
                    ```\n[d](no.md)\n```\n";
        let files = [file("docs/page.md", page), file("docs/a.md", ""), file("README.md", "[docs](docs)")];
        assert_eq!(links(&files), []);
    }

    #[test]
    fn a_link_to_nothing_is_named_with_its_line() {
        let files = [file("docs/page.md", "\n[a](gone.md) and [b](../../out.md)\n[c]: ./lost.md\n")];
        let said: Vec<String> = links(&files).iter().map(ToString::to_string).collect();
        let expected = [
            "docs/page.md:2: links to `gone.md`, which is not there",
            "docs/page.md:2: links to `../../out.md`, which is not there",
            "docs/page.md:3: links to `./lost.md`, which is not there",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn only_an_example_that_runs_counts() {
        for (block, counts) in [("", true), ("rust", true), ("no_run", false), ("text", false), ("rust,ignore", false)]
        {
            assert_eq!(has_example(&format!("//! A.\n//!\n//! ```{block}\n//! a();\n//! ```\n")), counts, "{block}");
        }
        assert!(has_example("//! ```text\n//! x\n//! ```\n//! ```\n//! a();\n//! ```\n"));
        assert!(!has_example("/// ```\n/// a();\n/// ```\n"));
    }

    #[test]
    fn a_library_needs_an_example_and_a_program_does_not() {
        let member =
            |name: &str| Crate { name: name.to_owned(), folder: format!("crates/{name}"), imports: BTreeSet::new() };
        let files = [file("crates/store/src/lib.rs", "//! Rows."), file("crates/taskforce/src/main.rs", "")];
        let violations = examples(&files, &[member("store"), member("taskforce")]);
        let places: Vec<&str> = violations.iter().map(|violation| violation.place.as_str()).collect();
        assert_eq!(places, ["crates/store/src/lib.rs"]);
    }
}
