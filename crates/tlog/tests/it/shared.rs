//! The folder with the published vectors, which lies beside the repository.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The file or folder at `path`, or nothing where the vectors are not at hand.
#[expect(clippy::print_stdout, reason = "the summary of a run says which suites it left out")]
pub(crate) fn path(suite: &str, path: &str) -> Option<PathBuf> {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("TASKFORCE_SHARED").map_or(fallback, PathBuf::from);
    let found = Some(folder.join(path)).filter(|path| path.exists());
    if found.is_none() {
        println!("not run: {suite} (no shared vectors)");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "the shared vectors must be there in CI");
    }
    found
}

/// The JSON file at `path`.
pub(crate) fn json<T: DeserializeOwned>(suite: &str, name: &str) -> Option<T> {
    let text = std::fs::read_to_string(path(suite, name)?).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}
