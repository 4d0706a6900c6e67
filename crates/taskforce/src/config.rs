//! The configuration: one YAML profile and the environment, read once at the start.

mod profile;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kernel::Secret;

use crate::environment::{Environment, NotText};
use crate::home::Home;

pub(crate) use profile::{DEFAULT, ENTERPRISE, LogFormat, LogLevel, Profile, UpstreamSection};

/// The data directory, where nothing says otherwise.
const DEFAULT_DATA: &str = "taskforce-data";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Places {
    /// The profile to read. Default: `$TASKFORCE_PROFILE`, else `taskforce.yaml` in the data directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// The data directory. Default: `$TASKFORCE_DATA`, else the profile's, else `taskforce-data`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The profile that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// What it says; the defaults where it is silent.
    pub(crate) profile: Profile,
    /// The data directory.
    pub(crate) home: Home,
    /// Where the rows are.
    pub(crate) database: DatabaseAt,
}

/// Where the rows are.
#[derive(Debug, Clone)]
pub(crate) enum DatabaseAt {
    /// A file.
    Sqlite(PathBuf),
    /// A server, and the role that owns the tables, when it is known.
    Postgres { url: Secret<String>, owner_url: Option<Secret<String>> },
}

impl DatabaseAt {
    /// The engine's name.
    pub(crate) fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the profile `{path}`")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path}:{line}:{column}: {message}")]
    Profile { path: PathBuf, line: u64, column: u64, message: String },
    #[error(transparent)]
    Environment(#[from] NotText),
}

impl Settings {
    /// Reads the configuration.
    pub(crate) fn read(places: &Places, environment: &Environment) -> Result<Self, ConfigError> {
        let data = given(places.data.as_deref(), "TASKFORCE_DATA", environment)?;
        let named = given(places.profile.as_deref(), "TASKFORCE_PROFILE", environment)?;
        let file = named.or_else(|| {
            let usual = Home::at(data.clone().unwrap_or_else(|| DEFAULT_DATA.into())).profile();
            usual.exists().then_some(usual)
        });
        let mut profile = file.as_deref().map_or_else(|| Ok(Profile::default()), read_profile)?;
        let folder = file.as_deref().and_then(Path::parent).map(Path::to_owned);
        profile.rebase(folder.as_deref());
        let home = Home::at(data.or(profile.data.clone()).or(folder).unwrap_or_else(|| DEFAULT_DATA.into()));
        let database = database(&profile, &home, environment)?;
        Ok(Self { file, profile, home, database })
    }

    /// The file that holds the root key, unless the environment does.
    pub(crate) fn encryption_file(&self) -> PathBuf {
        self.profile.keys.encryption_file.clone().unwrap_or_else(|| self.home.encryption_key())
    }

    /// The file that holds the seed of the checkpoints' key.
    pub(crate) fn signing_file(&self) -> PathBuf {
        self.profile.keys.signing_file.clone().unwrap_or_else(|| self.home.signing_key())
    }

    /// What the profile sets although the server does not act on it yet: the setting, and what is the case instead.
    pub(crate) fn without_effect(&self) -> Vec<(&'static str, &'static str)> {
        let Some(enterprise) = self.profile.enterprise() else {
            return Vec::new();
        };
        let kept = "payloads are kept until a retention run exists";
        let reports = "reports are not made yet";
        let mut settings = vec![("enterprise.audit.retention_days", kept)];
        if !enterprise.compliance.frameworks.is_empty() {
            settings.push(("enterprise.compliance.frameworks", reports));
        }
        settings
    }
}

fn given(flag: Option<&Path>, variable: &str, environment: &Environment) -> Result<Option<PathBuf>, NotText> {
    match flag {
        Some(path) => Ok(Some(path.to_owned())),
        None => Ok(environment.get(variable)?.map(PathBuf::from)),
    }
}

fn read_profile(path: &Path) -> Result<Profile, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse_profile(path, &text)
}

/// Reads a profile's text; `path` is for the message.
pub(crate) fn parse_profile(path: &Path, text: &str) -> Result<Profile, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| {
        // Without the snippet that the parser would print: a profile may hold a password.
        let at = error.location();
        let (line, column) = at.map_or((1, 1), |at| (at.line(), at.column()));
        let message = error.without_snippet().to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
        ConfigError::Profile { path: path.to_owned(), line, column, message }
    })
}

fn database(profile: &Profile, home: &Home, environment: &Environment) -> Result<DatabaseAt, NotText> {
    let url = environment.get("DATABASE_URL")?.map(Secret::new).or_else(|| profile.database.url.clone());
    let Some(url) = url else {
        return Ok(DatabaseAt::Sqlite(home.database()));
    };
    if let Some(path) = url.expose().strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(DatabaseAt::Sqlite(path.into()));
    }
    Ok(DatabaseAt::Postgres { url, owner_url: profile.database.owner_url.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(data: &Path) -> Places {
        Places { profile: None, data: Some(data.to_owned()) }
    }

    #[test]
    fn without_a_profile_the_defaults_hold() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::read(&at(dir.path()), &Environment::default()).unwrap();
        assert!(settings.file.is_none() && settings.profile.enterprise().is_none());
        assert_eq!(settings.profile.listen.to_string(), "127.0.0.1:8070");
        assert!(matches!(settings.database, DatabaseAt::Sqlite(path) if path == dir.path().join("taskforce.db")));
    }

    #[test]
    fn the_environment_goes_before_the_profile_and_the_command_line_before_both() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("other.yaml");
        fs::write(&profile, "data: from-profile\ndatabase:\n  url: postgresql://a@b/c\n").unwrap();
        let profile = profile.to_str().unwrap();

        let environment = Environment::from([("TASKFORCE_PROFILE", profile)]);
        let settings = Settings::read(&Places::default(), &environment).unwrap();
        assert_eq!(settings.home, Home::at(dir.path().join("from-profile")));
        assert_eq!(settings.database.engine(), "PostgreSQL");

        let environment = Environment::from([
            ("TASKFORCE_PROFILE", profile),
            ("TASKFORCE_DATA", "/from-environment"),
            ("DATABASE_URL", "sqlite:///tmp/x.db"),
        ]);
        let settings = Settings::read(&Places::default(), &environment).unwrap();
        assert_eq!(settings.home, Home::at("/from-environment".into()));
        assert!(matches!(settings.database, DatabaseAt::Sqlite(path) if path == Path::new("/tmp/x.db")));

        let settings = Settings::read(&at(Path::new("/from-flag")), &environment).unwrap();
        assert_eq!(settings.home, Home::at("/from-flag".into()));
    }

    #[test]
    fn a_path_in_a_profile_starts_at_the_profile() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taskforce.yaml"), "keys:\n  signing_file: secrets/sign\n").unwrap();
        let settings = Settings::read(&at(dir.path()), &Environment::default()).unwrap();
        assert_eq!(settings.signing_file(), dir.path().join("secrets/sign"));
        assert_eq!(settings.encryption_file(), dir.path().join("keys/encryption.key"));
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_named_with_line_and_column() {
        let cases = [
            ("listn: 127.0.0.1:1\n", "p.yaml:1:1: unknown field `listn`"),
            ("limits:\n  connections: 70\n  conections: 1\n", "p.yaml:3:3: unknown field `conections`"),
            ("enterprise:\n  rbac:\n    default_roll: viewer\n", "p.yaml:3:5: unknown field `default_roll`"),
            ("listen: everywhere\n", "p.yaml:1:9: invalid socket address"),
            ("public_url: https://a.example/path\n", "p.yaml:1:13: must be an address without path"),
            ("trusted_proxies: [10.0.0.0/99]\n", "p.yaml:1:19: "),
            ("log:\n  level: loud\n", "p.yaml:2:10: unknown variant `loud`"),
            ("enterprise:\n  encryption:\n    enabled: false\n", "p.yaml:3:14: cannot be switched off"),
            ("enterprise:\n  encryption:\n    algorithm: ROT13\n", "p.yaml:3:16: unknown variant `ROT13`"),
            ("enterprise:\n  audit:\n    retention_days: 0\n", "p.yaml:3:21: must be from 1 to 36,500"),
            ("limits:\n  connections: 0\n", "p.yaml:2:16: must be from 1 to "),
            ("instance: \"a b\"\n", "p.yaml:1:11: must be a name"),
            ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "p.yaml:2:1: duplicate mapping key: listen"),
            (
                "upstreams:\n  - {name: a, url: \"http://x\", models: [m], key_env: A, key_file: b}\n",
                "p.yaml:2:5: has `key_env` and `key_file`",
            ),
            ("upstreams:\n  - name: a\n    url: http://x\n", "p.yaml:2:5: serves no model"),
        ];
        for (text, expected) in cases {
            let message = parse_profile(Path::new("p.yaml"), text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_password_in_a_broken_profile_is_not_shown() {
        let text = "database:\n  url: postgresql://a:canary@b/c\n  pool: 3\n";
        let error = parse_profile(Path::new("p.yaml"), text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        let profile = parse_profile(Path::new("p.yaml"), "database:\n  url: postgresql://a:canary@b/c\n").unwrap();
        assert!(!format!("{profile:?}").contains("canary"));
    }

    #[test]
    fn settings_that_nothing_acts_on_are_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taskforce.yaml"), format!("{DEFAULT}{ENTERPRISE}")).unwrap();
        let settings = Settings::read(&at(dir.path()), &Environment::default()).unwrap();
        let names: Vec<_> = settings.without_effect().into_iter().map(|(name, _)| name).collect();
        let expected = ["enterprise.audit.retention_days", "enterprise.compliance.frameworks"];
        assert_eq!(names, expected);
    }
}
