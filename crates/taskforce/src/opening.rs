//! Opening the database that the configuration names.

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
    if let DatabaseAt::Sqlite(path) = &settings.database
        && !path.exists()
    {
        return Err(OpenError::NotSetUp(settings.home.path().display().to_string()));
    }
    open(settings, environment)
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
    if std::fs::read_to_string(&path).is_ok_and(|known| known == vkey) {
        return Ok(());
    }
    Ok(home::write_public(&path, &vkey)?)
}
