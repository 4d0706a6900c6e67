//! Rust source as the rules read it: without comments and literals, production apart from tests.

use super::File;
use crate::metadata::Crate;
#[cfg(test)]
use std::collections::BTreeSet;
use std::ops::Range;

const FOR_TESTS: &str = "#[cfg(test)]";

/// One Rust file. Both texts keep every line at its place; what does not belong in one is blank there.
#[derive(Debug)]
pub(super) struct Source {
    /// The crate's name.
    pub(super) package: String,
    /// Relative to the repository.
    pub(super) path: String,
    /// Modules from the crate's root to this file: none for `src/lib.rs`, `["a", "b"]` for `src/a/b.rs`.
    pub(super) module: Vec<String>,
    /// Code that ships.
    pub(super) production: String,
    /// Code under `#[cfg(test)]`, in `tests/` or `benches/`.
    pub(super) tests: String,
    /// Lines that are not tests', comments included.
    pub(super) lines: usize,
}

/// A file before it is known which of its code is tests'.
struct Draft {
    package: String,
    path: String,
    module: Vec<String>,
    masked: String,
    /// Byte ranges of `masked` that are tests.
    tests: Vec<Range<usize>>,
    all_tests: bool,
}

/// The Rust files of the workspace's crates.
pub(super) fn of_crates(files: &[File], crates: &[Crate]) -> Vec<Source> {
    let drafts: Vec<Draft> = files.iter().filter_map(|file| draft(file, crates)).collect();
    let tests: Vec<(String, Vec<String>)> = drafts.iter().flat_map(test_modules).collect();
    let declared = |draft: &Draft| {
        tests.iter().any(|(package, module)| *package == draft.package && draft.module.starts_with(module))
    };
    drafts.into_iter().map(|draft| (declared(&draft), draft)).map(|(declared, draft)| draft.split(declared)).collect()
}

fn draft(file: &File, crates: &[Crate]) -> Option<Draft> {
    let inside = |owner: &Crate| file.path.strip_prefix(&owner.folder).and_then(|rest| rest.strip_prefix('/'));
    let (owner, inner) = crates.iter().find_map(|owner| Some((owner, inside(owner)?.strip_suffix(".rs")?)))?;
    let module: Vec<String> = match inner.strip_prefix("src/") {
        Some("lib" | "main") | None => Vec::new(),
        Some(path) => path.split('/').filter(|part| *part != "mod").map(str::to_owned).collect(),
    };
    let masked = mask(&file.text);
    Some(Draft {
        package: owner.name.clone(),
        path: file.path.clone(),
        all_tests: !inner.starts_with("src/") && inner != "build" || module.iter().any(|name| name == "tests"),
        module,
        tests: test_items(&masked),
        masked,
    })
}

/// Modules in files of their own that a file declares as `#[cfg(test)] mod name;`.
fn test_modules(draft: &Draft) -> Vec<(String, Vec<String>)> {
    let items = draft.tests.iter().filter_map(|range| draft.masked.get(range.clone()));
    let names = items.filter_map(|item| item.strip_prefix(FOR_TESTS)?.trim().strip_prefix("mod ")?.strip_suffix(';'));
    let path = |name: &str| [draft.module.as_slice(), &[name.to_owned()]].concat();
    names.map(|name| (draft.package.clone(), path(name))).collect()
}

impl Draft {
    fn split(self, declared: bool) -> Source {
        let Self { package, path, module, masked, tests, all_tests } = self;
        if declared || all_tests {
            return Source { package, path, module, production: String::new(), tests: masked, lines: 0 };
        }
        let test_lines: usize = tests.iter().map(|range| lines_of(&masked, range)).sum();
        Source {
            package,
            path,
            module,
            lines: masked.lines().count().saturating_sub(test_lines),
            production: blanked(&masked, &tests),
            tests: blanked(&masked, &complement(&tests, masked.len())),
        }
    }
}

impl Source {
    /// Places of `needle` in a text of this file, as `path:line`.
    pub(super) fn places<'a>(&'a self, text: &'a str, needle: &'a str) -> impl Iterator<Item = String> + 'a {
        text.lines().zip(1_usize..).filter(move |(line, _)| line.contains(needle)).map(|(_, n)| self.place(n))
    }

    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Comments become spaces, string and character literals underscores; lines stay.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let (length, filler) = match token(rest, previous) {
            Token::Code => (first.len_utf8(), None),
            Token::Comment(length) => (length, Some(' ')),
            Token::Literal(length) => (length, Some('_')),
        };
        let (taken, remaining) = rest.split_at(length);
        match filler {
            None => masked.push(first),
            Some(filler) => masked.extend(taken.chars().map(|each| if each == '\n' { each } else { filler })),
        }
        previous = first;
        rest = remaining;
    }
    masked
}

/// What stands at the beginning of a text, with its length in bytes.
enum Token {
    Code,
    Comment(usize),
    Literal(usize),
}

fn token(text: &str, previous: char) -> Token {
    if text.starts_with("//") {
        return Token::Comment(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Token::Comment(block_comment(text));
    }
    if text.starts_with('"') {
        return Token::Literal(quoted(text, '"'));
    }
    if text.starts_with('\'') {
        return character(text).map_or(Token::Code, Token::Literal);
    }
    if !is_word(previous) && text.starts_with(['r', 'b', 'c']) {
        return raw_string(text).map_or(Token::Code, Token::Literal);
    }
    Token::Code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            first.len_utf8()
        };
        rest = rest.split_at(step).1;
        if depth == 0 {
            break;
        }
    }
    text.len() - rest.len()
}

/// The length of a literal between two `quote`s, the first of which begins `text`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, each) in text.char_indices().skip(1) {
        match each {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if each == quote => return at + quote.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character literal, told from a lifetime by the quote that follows its one character.
fn character(text: &str) -> Option<usize> {
    let mut following = text.chars().skip(1);
    let first = following.next()?;
    (first == '\\' || following.next() == Some('\'')).then(|| quoted(text, '\''))
}

/// `r"…"`, `r#"…"#`, `br"…"` and `cr"…"`; `r#name` is none.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let body = after.trim_start_matches('#');
    let hashes = after.len() - body.len();
    let content = body.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&close).map_or(content.len(), |at| at + close.len());
    Some(text.len() - content.len() + end)
}

/// Byte ranges of the items under `#[cfg(test)]` in masked text.
fn test_items(masked: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (start, attribute) in masked.match_indices(FOR_TESTS) {
        if ranges.last().is_some_and(|range| range.contains(&start)) {
            continue;
        }
        let item = masked.split_at(start + attribute.len()).1;
        ranges.push(start..start + attribute.len() + item_length(item));
    }
    ranges
}

/// Up to the `;` or the closing brace that ends an item.
fn item_length(item: &str) -> usize {
    let mut nested = 0_usize;
    for (at, each) in item.char_indices() {
        match each {
            '(' | '[' => nested += 1,
            ')' | ']' => nested = nested.saturating_sub(1),
            ';' if nested == 0 => return at + 1,
            '{' if nested == 0 => return at + block_length(item.split_at(at).1),
            _ => {}
        }
    }
    item.len()
}

/// The length of the `{ … }` that begins a masked text.
pub(super) fn block_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, each) in text.char_indices() {
        match each {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + each.len_utf8();
        }
    }
    text.len()
}

pub(super) fn is_word(each: char) -> bool {
    each.is_alphanumeric() || each == '_'
}

fn lines_of(text: &str, range: &Range<usize>) -> usize {
    text.get(range.clone()).map_or(0, |part| part.lines().count())
}

fn complement(ranges: &[Range<usize>], length: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain(std::iter::once(length));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

fn blanked(text: &str, ranges: &[Range<usize>]) -> String {
    let blank = |at: usize| ranges.iter().any(|range| range.contains(&at));
    text.char_indices().map(|(at, each)| if each != '\n' && blank(at) { ' ' } else { each }).collect()
}

/// A file of the crate `demo` in the folder `crates/demo`, for the tests of the rules.
#[cfg(test)]
pub(super) fn sample(path: &str, text: &str) -> Source {
    let owner = Crate { name: "demo".to_owned(), folder: "crates/demo".to_owned(), imports: BTreeSet::new() };
    let file = File { path: format!("crates/demo/{path}"), text: text.to_owned() };
    of_crates(&[file], &[owner]).pop().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_masked_and_lines_stay() {
        let text = "a /* { /* } */ */ b // {\n\"{\\\"\n{\" 'x' '\\'' '{' c";
        let masked = mask(text);
        assert!(!masked.contains(['{', '}', '"']), "{masked}");
        assert_eq!(masked.lines().count(), text.lines().count());
        assert!(masked.starts_with('a') && masked.contains(" b ") && masked.ends_with('c'), "{masked}");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        assert_eq!(mask("r#\"a\"b\"# c"), "_________ c".replacen('_', "", 1));
        assert_eq!(mask("var\"x\""), "var___");
        assert_eq!(mask("r#type"), "r#type");
        assert_eq!(mask("br\"\\\" x"), "_____ x");
    }

    #[test]
    fn a_lifetime_is_code() {
        assert_eq!(mask("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn items_under_test_are_apart_and_not_counted() {
        let text =
            "fn a() {}\n#[cfg(test)]\nuse x;\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d() {}\n";
        let source = sample("src/lib.rs", text);
        assert_eq!(source.lines, 3);
        for (name, ships) in [("fn a", true), ("use x", false), ("fn b", true), ("fn c", false), ("fn d", true)] {
            assert_eq!(source.production.contains(name), ships, "{name}");
            assert_eq!(source.tests.contains(name), !ships, "{name}");
        }
    }

    #[test]
    fn files_of_tests_have_no_production_lines() {
        for path in ["tests/it/main.rs", "benches/speed.rs", "src/a/tests.rs"] {
            assert_eq!(sample(path, "fn a() {}\n").lines, 0, "{path}");
        }
    }

    #[test]
    fn a_module_declared_for_tests_alone_is_tests_in_its_own_file_too() {
        let owner = Crate { name: "demo".to_owned(), folder: "demo".to_owned(), imports: BTreeSet::new() };
        let file = |path: &str, text: &str| File { path: format!("demo/src/{path}.rs"), text: text.to_owned() };
        let library = "mod a;\n#[cfg(test)]\nmod vectors;\n";
        let files = [file("lib", library), file("a", "fn a() {}"), file("vectors", "fn b() {}")];
        let lines: Vec<usize> = of_crates(&files, &[owner]).iter().map(|source| source.lines).collect();
        assert_eq!(lines, [1, 1, 0]);
    }

    #[test]
    fn a_file_knows_its_module() {
        assert!(sample("src/lib.rs", "").module.is_empty());
        assert_eq!(sample("src/a.rs", "").module, ["a"]);
        assert_eq!(sample("src/a/mod.rs", "").module, ["a"]);
        assert_eq!(sample("src/a/b.rs", "").module, ["a", "b"]);
    }
}
