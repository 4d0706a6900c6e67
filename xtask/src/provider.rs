//! The OpenID provider that tests sign in with: packages for Node.js, installed once below `target`.

use crate::installed::{self, failed};
use crate::process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do where there is no Node.js.
pub(crate) const ABSENT: &str = concat!(
    "no `node` and `npm`\n",
    "  to go on   install them, on Debian and Ubuntu with `sudo apt-get install nodejs npm`\n",
    "  why        sign-in is tested with a certified OpenID provider, and CI=true leaves no suite out",
);

/// Where the list of packages stands, with the digest of each.
const SOURCE: &str = "crates/oidc/tests/provider";

const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// The version of Node.js, if it and its package manager can be run.
pub(crate) fn node() -> Option<String> {
    let version = |program| process::output(Command::new(program).arg("--version")).ok();
    version("npm")?;
    version("node").map(|version| version.trim().to_owned())
}

/// Installs the packages unless they are there already: the folder that holds them, and what was found.
pub(crate) fn install(root: &Path) -> Result<(PathBuf, &'static str), String> {
    let (source, folder) = (root.join(SOURCE), root.join("target/provider"));
    let found = installed::once(&source.join("package-lock.json"), &folder, || {
        for name in FILES {
            fs::copy(source.join(name), folder.join(name)).map_err(|cause| failed(&source.join(name), &cause))?;
        }
        process::output(Command::new("npm").arg("ci").current_dir(&folder)).map(drop)
    })?;
    Ok((folder, found))
}
