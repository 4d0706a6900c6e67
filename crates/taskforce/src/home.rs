//! The data directory: what lies where, and who may read it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kernel::Secret;

/// A data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

/// A file of the data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("`{0}` exists already and is not overwritten")]
    Exists(PathBuf),
    #[error("another server runs on the data directory `{0}`")]
    InUse(PathBuf),
    #[error("`{path}` may be read by others (mode {mode:03o}): run `chmod 600 {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
}

impl Home {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("taskforce.db")
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.0.join("taskforce.yaml")
    }

    pub(crate) fn encryption_key(&self) -> PathBuf {
        self.0.join("keys").join("encryption.key")
    }

    pub(crate) fn signing_key(&self) -> PathBuf {
        self.0.join("keys").join("signing.key")
    }

    /// The public key that packages are verified with.
    pub(crate) fn vkey(&self) -> PathBuf {
        self.0.join("log.vkey")
    }

    /// The name of the node that runs on this data.
    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node.id")
    }

    /// Makes the directory and the one for keys, closed to everybody else. A directory that holds something stays as it
    /// is: whoever filled it decided who may look into it.
    pub(crate) fn create(&self) -> Result<(), HomeError> {
        for folder in [self.0.clone(), self.0.join("keys")] {
            close(&folder).map_err(|source| HomeError::Write { path: folder, source })?;
        }
        Ok(())
    }

    /// The first file of an initialized data directory that is there already.
    pub(crate) fn occupied(&self) -> Option<PathBuf> {
        let files = [self.profile(), self.encryption_key(), self.signing_key(), self.database(), self.vkey()];
        files.into_iter().find(|file| file.exists())
    }
}

fn close(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let empty = fs::read_dir(folder)?.next().is_none();
    if empty { fs::set_permissions(folder, Permissions::from_mode(0o700)) } else { Ok(()) }
}

/// Claims a data directory for this process. The claim ends with the process, however it ends.
pub(crate) fn lock(home: &Home) -> Result<File, HomeError> {
    let path = home.0.join("serve.lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(|source| HomeError::Write { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(HomeError::InUse(home.0.clone())),
        Err(fs::TryLockError::Error(source)) => Err(HomeError::Write { path, source }),
    }
}

/// Writes a file that is new, readable to its owner alone, and durable.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), HomeError> {
    write_new(path, text, 0o600)
}

/// Writes a file that is new and that everybody may read.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), HomeError> {
    write_new(path, text, 0o644)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), HomeError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A new file survives a power cut when its folder does.
        path.parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return HomeError::Exists(path.to_owned());
        }
        HomeError::Write { path: path.to_owned(), source }
    })
}

/// Reads a file that nobody else may read.
pub(crate) fn read_private(path: &Path) -> Result<Secret<String>, HomeError> {
    let unreadable = |source| HomeError::Read { path: path.to_owned(), source };
    let mode = mode(path).map_err(unreadable)?;
    if is_exposed(mode) {
        return Err(HomeError::Exposed { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Secret::new).map_err(unreadable)
}

/// Whether anybody but the owner may do anything.
pub(crate) const fn is_exposed(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// Who may do what with a file.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_data_directory_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("data"));
        home.create().unwrap();
        assert_eq!(mode(home.path()).unwrap(), 0o700);
        write_private(&home.signing_key(), "x").unwrap();
        assert_eq!(mode(&home.signing_key()).unwrap(), 0o600);
        assert_eq!(home.occupied(), Some(home.signing_key()));
    }

    #[test]
    fn an_empty_directory_is_closed_and_one_in_use_is_left_alone() {
        for (name, mine) in [("empty", false), ("used", true)] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::at(dir.path().join(name));
            fs::create_dir(home.path()).unwrap();
            fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
            if mine {
                fs::write(home.path().join("mine"), "").unwrap();
            }
            home.create().unwrap();
            assert_eq!(mode(home.path()).unwrap(), if mine { 0o755 } else { 0o700 }, "{name}");
        }
    }

    #[test]
    fn a_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_private(&path, "one").unwrap();
        assert!(matches!(write_private(&path, "two"), Err(HomeError::Exists(_))));
        assert_eq!(read_private(&path).unwrap().expose(), "one");
    }

    #[test]
    fn a_data_directory_belongs_to_one_server_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let held = lock(&home).unwrap();
        assert!(matches!(lock(&home), Err(HomeError::InUse(_))));
        drop(held);
        assert!(lock(&home).is_ok());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_public(&path, "secret").unwrap();
        let message = read_private(&path).unwrap_err().to_string();
        assert!(message.contains("mode 644") && message.contains("chmod 600"), "{message}");
    }
}
