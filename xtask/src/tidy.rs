//! `cargo xtask tidy`: the rules of the workspace that no compiler checks.
//!
//! Each rule is a pure function from what was read (files, cargo's metadata) to what breaks it; this file reads, runs
//! them in order and prints.

mod bans;
mod documents;
mod layers;
mod modules;
mod shared;
mod size;
mod source;
mod table;
mod wording;

use crate::metadata::{self, Metadata};
use crate::process;
use crate::report::{self, Outcome};
use source::Source;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What breaks a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    place: String,
    what: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A file of the repository; the path is relative to its root. What is not text reads as empty.
#[derive(Debug)]
struct File {
    path: String,
    text: String,
}

/// Everything that the rules look at.
#[derive(Debug)]
struct Tree {
    /// Committed, or about to be.
    files: Vec<File>,
    sources: Vec<Source>,
    metadata: Metadata,
}

impl Tree {
    fn read(root: &Path) -> Result<Self, String> {
        let files = files(root)?;
        let metadata = metadata::read(root)?;
        let sources = source::of_crates(&files, &metadata.crates);
        Ok(Self { files, sources, metadata })
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

/// A rule: its name, and what breaks it.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Violation>,
}

const RULES: [Rule; 10] = [
    Rule { name: "crate table", check: |tree| table::check(tree.text("ARCHITECTURE.md"), &tree.metadata.crates) },
    Rule { name: "import layers", check: |tree| layers::check(&tree.metadata.crates) },
    Rule { name: "wrapped crates", check: |tree| bans::check(tree.text("deny.toml"), &tree.metadata) },
    Rule { name: "environment", check: |tree| wording::environment(&tree.sources) },
    Rule { name: "module cycles", check: |tree| modules::check(&tree.sources) },
    Rule { name: "sizes", check: |tree| size::check(&tree.sources) },
    Rule { name: "escape hatches", check: |tree| wording::escapes(&tree.sources) },
    Rule { name: "workplace", check: |tree| wording::workplace(&tree.files) },
    Rule { name: "links", check: |tree| documents::links(&tree.files) },
    Rule { name: "examples", check: |tree| documents::examples(&tree.files, &tree.metadata.crates) },
];

/// Checks every rule and prints what breaks one; whether none is broken.
pub(crate) fn run(root: &Path) -> Result<bool, String> {
    let tree = Tree::read(root)?;
    let mut passed = true;
    for Rule { name, check } in RULES {
        let violations = check(&tree);
        report::line("tidy", name, Outcome::of(violations.is_empty()));
        for violation in &violations {
            report::detail(violation);
        }
        passed &= violations.is_empty();
    }
    Ok(passed & cargo_deny(root))
}

/// Names of the test suites that read ../shared, as `crate: path`.
pub(crate) fn suites_that_read_shared(root: &Path) -> Result<Vec<String>, String> {
    Ok(shared::suites(&files(root)?))
}

/// The bans are checked above from cargo's metadata, with or without this program; it adds licences and sources.
fn cargo_deny(root: &Path) -> bool {
    if !process::cargo_has("deny") {
        report::line("tidy", "cargo deny", "not installed: bans were checked from cargo's metadata, licences were not");
        return true;
    }
    let arguments = ["deny", "--offline", "check", "bans", "licenses", "sources"];
    let checked = process::output(process::cargo().current_dir(root).args(arguments));
    report::line("tidy", "cargo deny", Outcome::of(checked.is_ok()));
    if let Err(said) = &checked {
        report::detail(said.replace('\n', "\n           "));
    }
    checked.is_ok()
}

/// What git tracks and what it would: new files count before they are committed, ignored ones never.
fn files(root: &Path) -> Result<Vec<File>, String> {
    // A clone that belongs to another user is read all the same.
    let arguments = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let said = process::output(Command::new("git").current_dir(root).args(arguments))?;
    let mut files: Vec<File> = said
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(|path| {
            let bytes = fs::read(root.join(path)).ok()?;
            Some(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}
