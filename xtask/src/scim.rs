//! The SCIM tester: packages for Python, installed once below `target`.

use crate::installed;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do where there is no Python.
pub(crate) const ABSENT: &str = concat!(
    "no `python3` that can make environments\n",
    "  to go on   install it, on Debian and Ubuntu with `sudo apt-get install python3-venv`\n",
    "  why        provisioning is tried with the SCIM tester, and CI=true leaves no suite out",
);

/// Where the list of packages stands, with the version of each.
const SOURCE: &str = "crates/api/tests/scim/requirements.txt";

/// The version of Python, if it can be run and has what environments are made with.
pub(crate) fn python() -> Option<String> {
    let version = process::output(Command::new("python3").arg("--version")).ok()?;
    process::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).ok()?;
    Some(version.trim().trim_start_matches("Python ").to_owned())
}

/// Installs the packages unless they are there already: the tester, and what was found.
pub(crate) fn install(root: &Path) -> Result<(PathBuf, &'static str), String> {
    let (list, folder) = (root.join(SOURCE), root.join("target/scim"));
    let found = installed::once(&list, &folder, || {
        process::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"];
        process::output(Command::new(folder.join("bin/python")).args(pip).arg(&list)).map(drop)
    })?;
    Ok((folder.join("bin/scim2"), found))
}
