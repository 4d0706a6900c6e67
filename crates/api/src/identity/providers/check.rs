//! Asking a provider whether it can be used.

use identity::{Provider, ProviderKeys};
use jose::KeySet;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// What a provider said when it was asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckOut {
    /// The issuer that was asked.
    issuer: String,
    /// Whether it gave all that was asked for.
    reachable: bool,
    /// The ids of the keys that it publishes and that can be used.
    keys: Vec<String>,
    /// How many keys it publishes that cannot be used, and are left out.
    left_out: usize,
    /// What is wrong, if something is.
    problem: Option<String>,
}

impl App {
    /// Asks for the provider's configuration and keys, unless that was done a moment ago.
    pub(crate) async fn check(&self, provider: &Provider) -> CheckOut {
        let asked = self.ask(provider).await;
        let issuer = provider.settings.issuer.clone();
        match asked {
            Ok(set) => {
                let keys: Vec<String> = set.key_ids().map(str::to_owned).collect();
                let problem = set.keys().is_empty().then(|| "it publishes no key that can be used".to_owned());
                CheckOut { issuer, reachable: true, keys, left_out: set.left_out().len(), problem }
            }
            Err(problem) => {
                CheckOut { issuer, reachable: false, keys: Vec::new(), left_out: 0, problem: Some(problem) }
            }
        }
    }

    async fn ask(&self, provider: &Provider) -> Result<std::sync::Arc<KeySet>, String> {
        let now = self.0.db.moment().now();
        let issuer = self.0.issuers.of(provider).map_err(|error| chain(&error))?;
        let signs_in = provider.settings.client_id.is_some();
        if signs_in || provider.settings.keys == ProviderKeys::Discovered {
            issuer.discovery.metadata(now).await.map_err(|error| chain(&error))?;
        }
        if let Some(keys) = provider.settings.key_set() {
            return Ok(keys.into());
        }
        issuer.keys.refresh_for(None, now).await.map_err(|error| chain(&error))
    }
}

/// An error and what is behind it. None of it is what the provider said: only what we make of it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
