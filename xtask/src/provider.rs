//! The OpenID provider that tests sign in with: packages for Node.js, installed once below `target`.

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
    let folder = root.join("target/provider");
    install_into(&root.join(SOURCE), &folder, |folder| {
        process::output(Command::new("npm").arg("ci").current_dir(folder)).map(drop)
    })
    .map(|found| (folder, found))
}

/// The stamp is written last and holds the list, so that an installation that broke off or grew old is done again.
fn install_into(
    source: &Path,
    folder: &Path,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<&'static str, String> {
    let failed = |path: &Path, cause: std::io::Error| format!("cannot prepare `{}`: {cause}", path.display());
    let (lock, stamp) = (source.join("package-lock.json"), folder.join("installed"));
    let wanted = fs::read(&lock).map_err(|cause| failed(&lock, cause))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok("installed before");
    }
    fs::create_dir_all(folder).map_err(|cause| failed(folder, cause))?;
    for name in FILES {
        fs::copy(source.join(name), folder.join(name)).map_err(|cause| failed(&source.join(name), cause))?;
    }
    install(folder)?;
    fs::write(&stamp, wanted).map_err(|cause| failed(&stamp, cause))?;
    Ok("installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_once_and_again_when_their_list_changes_or_the_last_time_failed() {
        let base = std::env::temp_dir().join(format!("taskforce-provider-{}", std::process::id()));
        let (source, folder) = (base.join("source"), base.join("target/provider"));
        fs::create_dir_all(&source).unwrap();
        for name in FILES {
            fs::write(source.join(name), "1").unwrap();
        }
        let install = |result: Result<(), String>| install_into(&source, &folder, |_| result);
        assert_eq!(install(Err("no network".to_owned())), Err("no network".to_owned()));
        assert_eq!(install(Ok(())), Ok("installed"));
        assert_eq!(install(Err("not asked".to_owned())), Ok("installed before"));
        fs::write(source.join("package-lock.json"), "2").unwrap();
        assert_eq!(install(Ok(())), Ok("installed"));
        fs::remove_dir_all(base).unwrap();
    }
}
