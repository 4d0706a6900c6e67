//! What tests share: databases of both engines, callers, clocks that stand still, and shared test vectors.
//!
//! ```
//! testkit::on_both_engines(|tester| {
//!     let bob = tester.user("acme-corp", "bob", [authz::Role::Admin]);
//!     assert_eq!(bob.tenant().as_str(), "acme-corp");
//! });
//! ```

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "this is test code: it panics and prints as tests do"
)]

pub mod hostile;
pub mod provider;
mod tester;
pub mod upstream;

use std::path::PathBuf;

pub use tester::{Tester, connect, on_both_engines};

/// The folder `name` of the shared test material, or `None` where a clone stands alone; that is said aloud.
///
/// # Panics
/// With `CI=true` absence is a failure.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("TASKFORCE_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "`{name}` is absent, and in CI every suite runs");
    println!("not run: {name} (no shared test material beside this clone)");
    None
}
