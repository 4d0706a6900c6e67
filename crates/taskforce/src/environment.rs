//! The process's environment and clock. This crate alone reads them; everything else is given what it needs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use kernel::{Clock, Timestamp};

/// The environment variables, as they were when the process started.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

/// A variable that holds no text.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable `{0}` is not valid UTF-8")]
pub(crate) struct NotText(String);

impl Environment {
    /// That of this process.
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// One variable; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, NotText> {
        match self.0.get(&OsString::from(name)) {
            Some(value) if !value.is_empty() => {
                value.to_str().map(|text| Some(text.to_owned())).ok_or_else(|| NotText(name.to_owned()))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Whether a variable is set to something.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(&OsString::from(name)).is_some_and(|value| !value.is_empty())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        variables.into_iter().collect()
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How this program is called from here: its path, as short as it can be typed.
pub(crate) fn program() -> String {
    let Ok(path) = std::env::current_exe() else {
        return "taskforce".to_owned();
    };
    let here = std::env::current_dir().ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    match short {
        // In a folder of the workspace: `target/release/taskforce`.
        Some(short) if short.components().count() > 1 => short.display().to_string(),
        Some(_) | None => "taskforce".to_owned(),
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_does_not_print_its_values() {
        let environment = Environment::from([("ENCRYPTION_KEY", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"ENCRYPTION_KEY"}"#);
        assert_eq!(environment.get("ENCRYPTION_KEY").unwrap().as_deref(), Some("canary"));
    }

    #[test]
    fn an_empty_variable_is_an_absent_one() {
        assert!(!Environment::from([("DATABASE_URL", "")]).has("DATABASE_URL"));
    }
}
