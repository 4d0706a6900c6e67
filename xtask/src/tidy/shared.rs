//! Which test suites read ../shared, found in their own source: a list kept by hand would grow old.

use super::File;
use std::collections::BTreeSet;

/// What tests read from there, as the beginning of a path in quotes.
const FOLDERS: [&str; 3] = ["\"vectors/", "\"standards/", "\"spec/"];

/// As `crate: folder`, such as `tlog: vectors/merkle`.
pub(super) fn suites(files: &[File]) -> Vec<String> {
    let found: BTreeSet<String> = files.iter().flat_map(of_file).collect();
    found.into_iter().collect()
}

fn of_file(file: &File) -> Vec<String> {
    let path = file.path.strip_prefix("crates/").and_then(|path| path.strip_suffix(".rs"));
    let Some((owner, _)) = path.and_then(|path| path.split_once('/')) else {
        return Vec::new();
    };
    let starts = FOLDERS.iter().flat_map(|folder| file.text.match_indices(folder));
    let paths = starts.filter_map(|(at, _)| file.text.split_at(at + 1).1.split('"').next());
    paths.map(|path| format!("{owner}: {}", path.split('/').take(2).collect::<Vec<_>>().join("/"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_and_folder_is_named_once() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file(
                "crates/tlog/tests/it/main.rs",
                "a(\"vectors/c2sp/x.json\"); b(\"vectors/c2sp\"); c(\"vectors/merkle\")",
            ),
            file("crates/seal/src/lib.rs", "// no vectors/here"),
            file("docs/page.md", "\"vectors/merkle\""),
        ];
        assert_eq!(suites(&files), ["tlog: vectors/c2sp", "tlog: vectors/merkle"]);
    }
}
