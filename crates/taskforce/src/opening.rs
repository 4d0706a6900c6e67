//! Opening the database that the configuration names.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kernel::OsEntropy;
use store::{Database, Setup, StoreError};

use crate::config::{DatabaseAt, Settings};
use crate::environment::{Environment, SystemClock};
use crate::home::{self, HomeError};
use crate::keys::{self, KeysError};

/// Why there is no open database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the data directory `{0}` is not set up: run `taskforce init --data {0}`")]
    NotSetUp(String),
    #[error(
        "the database `{path}` is gone, and with it every ledger: restore it from its copy; to begin new ledgers \
         instead, remove `{vkey}`"
    )]
    Lost { path: PathBuf, vkey: PathBuf },
    #[error("cannot read `{path}`")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("the {engine} database cannot be opened")]
    Database { engine: &'static str, source: StoreError },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Signer(#[from] audit::SigningKeyError),
}

/// Opens the database, and creates it when it is new.
pub(crate) fn open(settings: &Settings, environment: &Environment) -> Result<Database, OpenError> {
    let root_key = keys::root(settings, environment)?;
    let instance = settings.profile.instance.clone();
    let setup = Setup { root_key, clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy), instance };
    let opened = match &settings.database {
        DatabaseAt::Sqlite(path) => Database::sqlite(path, setup),
        DatabaseAt::Postgres { url, owner_url } => {
            let owner_url = owner_url.as_ref().map(|url| url.expose().as_str());
            Database::postgres(url.expose(), owner_url, setup)
        }
    };
    opened.map_err(|source| OpenError::Database { engine: settings.database.engine(), source })
}

/// Opens the database of an installation that exists.
pub(crate) fn open_existing(settings: &Settings, environment: &Environment) -> Result<Database, OpenError> {
    if !is_there(settings)? {
        return Err(OpenError::NotSetUp(settings.home.path().display().to_string()));
    }
    open(settings, environment)
}

/// Whether there is a database already. Where ledgers have been signed for, its absence is a loss and no new beginning.
pub(crate) fn is_there(settings: &Settings) -> Result<bool, OpenError> {
    let DatabaseAt::Sqlite(path) = &settings.database else {
        return Ok(true);
    };
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(source) => return Err(OpenError::Unreadable { path: path.clone(), source }),
    };
    let vkey = settings.home.vkey();
    if length == 0 && vkey.exists() {
        return Err(OpenError::Lost { path: path.clone(), vkey });
    }
    Ok(length > 0)
}

/// The signer of the installation's checkpoints.
pub(crate) fn signer(settings: &Settings, db: &Database) -> Result<audit::Signer, OpenError> {
    let key = keys::signing(settings)?;
    Ok(audit::Signer::parse(db.instance(), &key)?)
}

/// Writes the public half of the signing key beside the data, where auditors are given it from.
pub(crate) fn publish_key(settings: &Settings, db: &Database) -> Result<(), OpenError> {
    let vkey = format!("{}\n", signer(settings, db)?.verifier_key());
    let path = settings.home.vkey();
    if fs::read_to_string(&path).is_ok_and(|known| known == vkey) {
        return Ok(());
    }
    Ok(home::write_public(&path, &vkey)?)
}
