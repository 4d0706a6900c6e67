//! The secrets of an installation: the root key, which seals, the signing key, which signs checkpoints, and what signs
//! the server's own tokens.

use std::path::PathBuf;

use api::Signing;
use kernel::{Entropy, Secret};
use seal::{RootKey, RootKeyError};

use crate::config::Settings;
use crate::environment::{Environment, NotText};
use crate::home::{self, HomeError};

/// The variable that holds the root key, or says `file:PATH`.
pub(crate) const VARIABLE: &str = "ENCRYPTION_KEY";

/// Where the root key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The environment.
    Environment,
    /// A file.
    File(PathBuf),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => write!(f, "the environment variable `{VARIABLE}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error(transparent)]
    Environment(#[from] NotText),
    #[error(transparent)]
    File(#[from] HomeError),
    #[error("the root key in {origin} cannot be used")]
    Root { origin: Origin, source: RootKeyError },
    #[error("`JWT_SECRET` is shorter than {SECRET_BYTES} bytes: make one with `openssl rand -base64 32`")]
    ShortSecret,
    #[error(
        "`JWT_ALGORITHM` is `{0}`, and the server signs its own tokens with HS256 only: tokens of others are verified \
         with the keys of their identity provider (`taskforce provider create`)"
    )]
    Algorithm(String),
    #[error("no secret can be derived from the root key")]
    Derived,
}

/// The least that signs tokens: HMAC-SHA256 is as strong as its key, up to 32 bytes (RFC 7518, 3.2).
const SECRET_BYTES: usize = 32;
/// What the secrets are made for that the root key yields.
const TOKENS: &str = "tokens";
const COOKIES: &str = "cookies";

/// The secrets of tokens and cookies. Every node of an installation derives the same from its root key, so that none of
/// them has to be handed around; `JWT_SECRET` goes before.
pub(crate) fn signing_secrets(settings: &Settings, environment: &Environment) -> Result<Signing, KeysError> {
    if let Some(algorithm) = environment.get("JWT_ALGORITHM")?.filter(|algorithm| algorithm != "HS256") {
        return Err(KeysError::Algorithm(algorithm));
    }
    let root = root(settings, environment)?;
    let derived = |purpose| root.derive(purpose).ok_or(KeysError::Derived);
    let tokens = match environment.get("JWT_SECRET")? {
        Some(secret) if secret.len() < SECRET_BYTES => return Err(KeysError::ShortSecret),
        Some(secret) => Secret::new(secret.into_bytes()),
        None => derived(TOKENS)?,
    };
    let issuer = environment.get("JWT_ISSUER")?.unwrap_or_else(|| settings.profile.instance.clone());
    Ok(Signing { tokens, issuer, cookies: derived(COOKIES)? })
}

/// Where the root key is to be read.
pub(crate) fn root_origin(settings: &Settings, environment: &Environment) -> Result<Origin, NotText> {
    Ok(match environment.get(VARIABLE)? {
        Some(value) => match value.strip_prefix("file:") {
            Some(path) => Origin::File(path.into()),
            None => Origin::Environment,
        },
        None => Origin::File(settings.encryption_file()),
    })
}

/// Reads the root key.
pub(crate) fn root(settings: &Settings, environment: &Environment) -> Result<RootKey, KeysError> {
    let origin = root_origin(settings, environment)?;
    let text = match &origin {
        Origin::Environment => Secret::new(environment.get(VARIABLE)?.unwrap_or_default()),
        Origin::File(path) => home::read_private(path)?,
    };
    RootKey::parse(&text).map_err(|source| KeysError::Root { origin, source })
}

/// Reads the text of the signing key.
pub(crate) fn signing(settings: &Settings) -> Result<Secret<String>, HomeError> {
    home::read_private(&settings.signing_file())
}

/// Makes those of the two keys that are missing, each in a file of its own. Returns the files.
pub(crate) fn generate(
    settings: &Settings,
    environment: &Environment,
    entropy: &dyn Entropy,
) -> Result<Vec<PathBuf>, KeysError> {
    let mut made = Vec::new();
    let mut ensure = |path: PathBuf, text: &dyn Fn() -> Secret<String>| {
        if path.exists() {
            return Ok(());
        }
        home::write_private(&path, &format!("{}\n", text().expose()))?;
        made.push(path);
        Ok::<_, HomeError>(())
    };
    if let Origin::File(path) = root_origin(settings, environment)? {
        ensure(path, &|| RootKey::generate(entropy).to_text())?;
    }
    ensure(settings.signing_file(), &|| audit::Signer::generate(entropy))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Places;
    use kernel::OsEntropy;

    fn settings(dir: &std::path::Path) -> Settings {
        let places = Places { profile: None, data: Some(dir.to_owned()) };
        let settings = Settings::read(&places, &Environment::default()).unwrap();
        settings.home.create().unwrap();
        settings
    }

    #[test]
    fn generated_keys_are_private_and_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, environment) = (settings(dir.path()), Environment::default());
        let made = generate(&settings, &environment, &OsEntropy).unwrap();
        assert_eq!(made, [settings.home.encryption_key(), settings.home.signing_key()]);
        assert!(made.iter().all(|path| home::mode(path).unwrap() == 0o600));
        let root = root(&settings, &environment).unwrap();
        assert!(audit::Signer::parse("taskforce.local", &signing(&settings).unwrap()).is_ok());

        assert!(generate(&settings, &environment, &OsEntropy).unwrap().is_empty(), "keys are never replaced");
        assert_eq!(self::root(&settings, &environment).unwrap().id(), root.id());
    }

    #[test]
    fn tokens_are_signed_with_what_the_root_key_yields_or_the_environment_says() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let root = RootKey::generate(&OsEntropy).to_text();
        let secrets = |variables: &[(&str, &str)]| {
            let mut all = vec![(VARIABLE, root.expose().as_str())];
            all.extend(variables);
            signing_secrets(&settings, &all.into_iter().collect())
        };
        let (one, other) = (secrets(&[]).unwrap(), secrets(&[]).unwrap());
        assert_eq!(one.tokens.expose(), other.tokens.expose());
        assert_ne!(one.tokens.expose(), one.cookies.expose());
        assert_eq!(one.issuer, "taskforce.local");
        let given = secrets(&[("JWT_SECRET", &"s".repeat(32)), ("JWT_ISSUER", "acme"), ("JWT_ALGORITHM", "HS256")]);
        assert_eq!(given.as_ref().unwrap().tokens.expose(), "s".repeat(32).as_bytes());
        assert_eq!(given.unwrap().issuer, "acme");
        let refused = |variable| crate::failure::reasons(&secrets(&[variable]).unwrap_err());
        assert!(refused(("JWT_SECRET", "hunter2")).contains("shorter than 32 bytes"));
        assert!(!refused(("JWT_SECRET", "hunter2")).contains("hunter2"));
        assert!(refused(("JWT_ALGORITHM", "none")).contains("HS256 only"));
    }

    #[test]
    fn a_root_key_in_the_environment_goes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let text = RootKey::generate(&OsEntropy).to_text();
        let environment = Environment::from([(VARIABLE, text.expose().as_str())]);
        assert!(root(&settings, &environment).is_ok());
        assert_eq!(generate(&settings, &environment, &OsEntropy).unwrap(), [settings.home.signing_key()]);

        let elsewhere = dir.path().join("other.key");
        home::write_private(&elsewhere, text.expose()).unwrap();
        let environment = Environment::from([(VARIABLE, format!("file:{}", elsewhere.display()).as_str())]);
        assert!(root(&settings, &environment).is_ok());

        let message =
            crate::failure::reasons(&root(&settings, &Environment::from([(VARIABLE, "hunter2")])).unwrap_err());
        assert!(message.contains("ENCRYPTION_KEY") && !message.contains("hunter2"), "{message}");
    }
}
