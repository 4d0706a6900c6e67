//! `taskforce init`: a data directory, its keys, its profile, its database, and the first administrator.

use std::fs;
use std::path::{Path, PathBuf};

use kernel::{OsEntropy, Secret};
use serde_json::json;

use crate::config::{self, Places, Settings};
use crate::environment::{Environment, program};
use crate::failure::{Failure, Verdict};
use crate::home::{self, HomeError};
use crate::output::{Look, Output};
use crate::{edition, keys, opening};

/// What an initialization made.
#[derive(Debug)]
struct Made {
    settings: Settings,
    secrets: Vec<PathBuf>,
    admin: Secret<String>,
}

/// What is to be set up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data directory to set up. Default: `$TASKFORCE_DATA`, else `taskforce-data`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What the names of this installation's logs start with, such as `taskforce.example.org`.
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Use PostgreSQL, as this role. Default: SQLite, in the data directory.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The PostgreSQL role that owns the tables and may change the schema.
    #[arg(long, value_name = "URL", requires = "database_url")]
    pub(crate) database_owner_url: Option<String>,
}

/// `taskforce init`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let data = Places { profile: None, data: args.data.clone() };
    let before = Settings::read(&data, environment)?;
    if let Some(path) = before.home.occupied() {
        return Err(HomeError::Exists(path).into());
    }
    let mut written = Vec::new();
    match make(args, &before.home, environment, &mut written) {
        Ok(made) => {
            show(&made, output);
            Ok(Verdict::Well)
        }
        Err(failure) => {
            // What is half made would refuse the next attempt. Nothing was sealed or signed with these keys yet.
            for path in written {
                let _ = fs::remove_file(path);
            }
            Err(failure)
        }
    }
}

fn make(
    args: &Args,
    home: &home::Home,
    environment: &Environment,
    written: &mut Vec<PathBuf>,
) -> Result<Made, Failure> {
    home.create()?;
    home::write_private(&home.profile(), &profile(args))?;
    written.push(home.profile());
    let places = Places { profile: Some(home.profile()), data: Some(home.path().to_owned()) };
    let settings = Settings::read(&places, environment)?;
    let secrets = keys::generate(&settings, environment, &OsEntropy)?;
    written.extend(secrets.iter().cloned());
    written.extend(new_database(&settings));
    let db = opening::open(&settings, environment)?;
    opening::publish_key(&settings, &db)?;
    written.push(home.vkey());
    let admin = edition::first_key(&settings, &db)?.ok_or("the database has an administrator already")?;
    Ok(Made { settings, secrets, admin: admin.secret })
}

/// The files of an SQLite database that does not exist yet.
fn new_database(settings: &Settings) -> Vec<PathBuf> {
    match &settings.database {
        config::DatabaseAt::Sqlite(path) if !path.exists() => {
            let beside = |end: &str| {
                let mut name = path.clone().into_os_string();
                name.push(end);
                PathBuf::from(name)
            };
            vec![path.clone(), beside("-wal"), beside("-shm")]
        }
        config::DatabaseAt::Sqlite(_) | config::DatabaseAt::Postgres { .. } => Vec::new(),
    }
}

/// The commented profile, with what the command line says filled in.
fn profile(args: &Args) -> String {
    let mut text = format!("{}{}", config::DEFAULT, config::ENTERPRISE);
    let mut set = |line: &str, value: String| {
        let key = line.trim_start_matches("# ");
        let indent = if line.starts_with("# ") { "  " } else { "" };
        let lines = text.lines().map(|known| {
            let found = known.trim_start().starts_with(line);
            if found { format!("{indent}{key} {value}\n") } else { format!("{known}\n") }
        });
        text = lines.collect();
    };
    if let Some(instance) = &args.instance {
        set("instance:", quoted(instance));
    }
    if let Some(url) = &args.database_url {
        set("# url:", quoted(url));
    }
    if let Some(url) = &args.database_owner_url {
        set("# owner_url:", quoted(url));
    }
    text
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn show(made: &Made, output: &mut Output) {
    let Made { settings, secrets, admin } = made;
    let home = &settings.home;
    let at = |path: &Path| path.display().to_string();
    let value = json!({
        "data": at(home.path()),
        "profile": at(&home.profile()),
        "vkey": at(&home.vkey()),
        "keys": secrets.iter().map(|path| at(path)).collect::<Vec<_>>(),
        "admin_key": admin.expose(),
    });
    output.json_or(&value, |output| {
        output.styled(Look::Bold, format_args!("Taskforce is set up in {}.", at(home.path())));
        output.blank();
        let database = match &settings.database {
            config::DatabaseAt::Sqlite(path) => at(path),
            config::DatabaseAt::Postgres { .. } => "PostgreSQL".to_owned(),
        };
        output.facts(&[
            ("profile", &at(&home.profile())),
            ("database", &database),
            ("secret keys", &secrets.iter().map(|path| at(path)).collect::<Vec<_>>().join(", ")),
            ("public key", &at(&home.vkey())),
        ]);
        output.blank();
        output.paragraph(0, "Keep a copy of the secret keys somewhere else: without the root key nothing that is sealed can be read again. Give the public key to whoever is to verify the ledger.");
        output.blank();
        output.styled(Look::Bold, "The administrator's key. It is shown this once:");
        output.blank();
        output.line(format_args!("  {}", admin.expose()));
        output.blank();
        next(settings, output);
    });
}

fn next(settings: &Settings, output: &mut Output) {
    let (data, listen) = (settings.home.path().display(), settings.profile.listen);
    output.styled(Look::Bold, "Next:");
    output
        .line(format_args!("  1. Name your model server under `upstreams` in {}.", settings.home.profile().display()));
    output.line(format_args!("  2. Start the server:   {} serve --data {data}", program()));
    output.line("  3. Create a tenant; the answer holds its administrator's key:");
    output
        .line(format_args!("       curl http://{listen}/api/v1/admin/tenants -H 'content-type: application/json' \\"));
    output.line("         -H 'authorization: Bearer <the key above>' \\");
    output.line("         -d '{\"id\": \"acme\", \"name\": \"Acme\", \"admin\": \"your-name\"}'");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        Args { data: None, instance: None, database_url: None, database_owner_url: None }
    }

    #[test]
    fn the_profile_says_what_the_command_line_said() {
        assert_eq!(profile(&args()), format!("{}{}", config::DEFAULT, config::ENTERPRISE));
        let url = Some("postgresql://app:p\"w@db/x".to_owned());
        let given = Args { instance: Some("tf.example".to_owned()), database_url: url.clone(), ..args() };
        let parsed = config::parse_profile(Path::new("p"), &profile(&given)).unwrap();
        assert_eq!(
            (parsed.instance.as_str(), parsed.database.url.as_ref().map(|url| url.expose().clone())),
            ("tf.example", url)
        );
        assert!(parsed.database.owner_url.is_none() && parsed.enterprise().is_some());
    }
}
