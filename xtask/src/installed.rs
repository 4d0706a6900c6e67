//! Packages that are installed below `target`: once, and again when their list changes.

use std::fs;
use std::path::Path;

/// Runs `install` unless `folder` holds what `list` names. The stamp is written last and holds the list, so that an
/// installation that broke off or grew old is done again.
pub(crate) fn once(
    list: &Path,
    folder: &Path,
    install: impl FnOnce() -> Result<(), String>,
) -> Result<&'static str, String> {
    let stamp = folder.join("installed");
    let wanted = fs::read(list).map_err(|cause| failed(list, &cause))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok("installed before");
    }
    fs::create_dir_all(folder).map_err(|cause| failed(folder, &cause))?;
    install()?;
    fs::write(&stamp, wanted).map_err(|cause| failed(&stamp, &cause))?;
    Ok("installed")
}

/// Says what could not be prepared.
pub(crate) fn failed(path: &Path, cause: &std::io::Error) -> String {
    format!("cannot prepare `{}`: {cause}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_once_and_again_when_their_list_changes_or_the_last_time_failed() {
        let base = std::env::temp_dir().join(format!("taskforce-installed-{}", std::process::id()));
        let (list, folder) = (base.join("list"), base.join("target/packages"));
        fs::create_dir_all(&base).unwrap();
        fs::write(&list, "1").unwrap();
        let install = |result: Result<(), String>| once(&list, &folder, || result);
        assert_eq!(install(Err("no network".to_owned())), Err("no network".to_owned()));
        assert_eq!(install(Ok(())), Ok("installed"));
        assert_eq!(install(Err("not asked".to_owned())), Ok("installed before"));
        fs::write(&list, "2").unwrap();
        assert_eq!(install(Ok(())), Ok("installed"));
        fs::remove_dir_all(base).unwrap();
    }
}
