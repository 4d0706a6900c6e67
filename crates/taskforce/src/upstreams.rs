//! The model servers that the profile names, with their keys.

use std::time::Duration;

use gateway::{UpstreamConfig, Upstreams};
use kernel::Secret;
use outbound::{Client, Trust, TrustError};

use crate::config::{Settings, UpstreamSection};
use crate::environment::{Environment, NotText};
use crate::failure::Failure;
use crate::home::{self, HomeError};

/// The configured model servers.
pub(crate) fn all(settings: &Settings, environment: &Environment, client: Client) -> Result<Upstreams, Failure> {
    let sections = &settings.profile.upstreams;
    let configs = sections.iter().map(|section| one(section, environment)).collect::<Result<Vec<_>, _>>()?;
    Ok(Upstreams::new(&configs, client, Duration::from_secs(settings.profile.limits.upstream_seconds))?)
}

/// The way to everything outside: model servers and identity providers.
pub(crate) fn client(settings: &Settings) -> Result<Client, TrustError> {
    let encrypted = settings.profile.upstreams.iter().any(|upstream| upstream.url.starts_with("https:"));
    match Client::new(Trust::Machine) {
        // A small image may have no certificates, and need none.
        Err(error) if !encrypted => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no identity provider can be asked: {error}");
            Client::new(Trust::Nobody)
        }
        client => client,
    }
}

/// Why an upstream's key is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamKeyError {
    #[error("the upstream `{upstream}` takes its key from the environment variable `{variable}`, which is not set")]
    Unset { upstream: String, variable: String },
    #[error(transparent)]
    NotText(#[from] NotText),
    #[error(transparent)]
    File(#[from] HomeError),
}

/// One upstream, with its key.
pub(crate) fn one(section: &UpstreamSection, environment: &Environment) -> Result<UpstreamConfig, UpstreamKeyError> {
    let UpstreamSection { name, url, key_env, key_file, models, allow_private } = section.clone();
    let key = match (key_env, key_file) {
        (Some(variable), _) => {
            let value = environment.get(&variable)?;
            let unset = || UpstreamKeyError::Unset { upstream: name.clone(), variable: variable.clone() };
            Some(Secret::new(value.ok_or_else(unset)?))
        }
        (None, Some(file)) => Some(Secret::new(home::read_private(&file)?.expose().trim().to_owned())),
        (None, None) => None,
    };
    Ok(UpstreamConfig { name, url, key, models, allow_private })
}
