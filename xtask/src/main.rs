//! The developer's tool of the Taskforce workspace: `cargo xtask test`, `cargo xtask tidy`.
//!
//! It prepares what the tests need on a fresh machine, says so as it goes, and leaves nothing behind. It is never
//! shipped. What every command prints is calm, aligned lines; a failure ends with exit code 1, a command that does not
//! exist with 2.

#[cfg(feature = "bench")]
mod bench;
mod installed;
mod metadata;
mod postgres;
mod prepare;
mod process;
mod provider;
mod report;
mod scim;
mod suite;
mod tidy;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask: the developer's tool of this workspace

  cargo xtask test          run every test: tidy, doctests, unit and integration tests on SQLite and PostgreSQL
  cargo xtask test ARGS...  prepare likewise, then hand ARGS to the test runner only, such as `-p store`
  cargo xtask tidy          check the rules of the workspace that no compiler checks
  cargo xtask bench         measure, each figure beside its floor; `bench gateway`, `ledger`, `verify`, `footprint`
  cargo xtask help          show this text

environment
  PG_BIN   folder of the PostgreSQL server's programs, when they are neither in the usual places nor in PATH
  CI       `true` makes the absence of ../shared, which some suites read, a failure,
           and that of node and npm, which run an OpenID provider for some, and of python3, which runs the
           SCIM tester
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            report::plain(HELP);
            Ok(true)
        }
        ["test", rest @ ..] => suite::run(&root(), rest),
        ["tidy"] => tidy::run(&root()),
        ["bench", wanted @ ..] => bench_released(&root(), wanted),
        #[cfg(feature = "bench")]
        ["bench-run", wanted @ ..] => bench::measure(&root(), wanted),
        #[cfg(feature = "bench")]
        helper @ ["bench-mock" | "bench-floor", ..] => bench::helper(helper),
        [other, ..] => {
            report::error(&format!("no such command: `{other}` (`cargo xtask` lists them)"));
            return ExitCode::from(2);
        }
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            report::error(&message);
            ExitCode::FAILURE
        }
    }
}

/// Builds the product and this tool for release, this tool with its measurements, and measures with those.
fn bench_released(root: &Path, wanted: &[&str]) -> Result<bool, String> {
    report::line("bench", "build", "cargo build --release");
    process::output(process::cargo().current_dir(root).args(["build", "--release", "--locked", "-p", "taskforce"]))?;
    let tool = ["run", "--release", "--locked", "--quiet", "-p", "xtask", "--features", "bench", "--", "bench-run"];
    process::passes(process::cargo().current_dir(root).args(tool).args(wanted))
}

/// The workspace's folder: the one above this package's.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
