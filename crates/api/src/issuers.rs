//! The identity providers of tenants, as they are reached from here: their configurations and keys, kept while their
//! settings stay the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use identity::{Provider, ProviderKeys, ProviderSettings};
use jose::{Algorithm, KeySet};
use kernel::{ProviderId, Secret, Timestamp};
use oidc::{ClientAuth, Discovery, IssuerError, KeyOrigin, KeySource, Registration, RelyingParty};
use outbound::{Client, Reach};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::place::Place;

/// Where people come back to from their provider.
pub(crate) const CALLBACK: &str = "/auth/callback";

/// Every provider that was asked for something.
#[derive(Debug)]
pub(crate) struct Issuers {
    client: Client,
    reach: Reach,
    redirect_uri: String,
    known: Mutex<HashMap<ProviderId, Arc<Issuer>>>,
    /// Whether somebody is asked for keys that no request waits for.
    asking: AtomicBool,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// What decides about where it is and which keys count.
    place: (String, ProviderKeys, Vec<Algorithm>),
    pub(crate) discovery: Discovery,
    /// Its keys, where they are not in the settings themselves.
    pub(crate) keys: KeySource,
}

/// A provider that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreachableIssuer {
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    #[error("`jwks_url` is no address")]
    Address(#[from] http::uri::InvalidUri),
}

impl Issuers {
    pub(crate) fn new(client: Client, place: &Place) -> Self {
        let redirect_uri = format!("{}{CALLBACK}", place.public_url);
        Self {
            client,
            reach: place.provider_reach,
            redirect_uri,
            known: Mutex::default(),
            asking: AtomicBool::new(false),
        }
    }

    /// The provider as it is reached, made anew when its settings say something else than before. To be called on a
    /// runtime, which finishes what nobody waits for.
    pub(crate) fn of(&self, provider: &Provider) -> Result<Arc<Issuer>, UnreachableIssuer> {
        let mut known = self.known.lock();
        if let Some(issuer) = known.get(&provider.id).filter(|issuer| issuer.is_as(&provider.settings)) {
            return Ok(Arc::clone(issuer));
        }
        let issuer = Arc::new(self.reached(&provider.settings)?);
        known.insert(provider.id.clone(), Arc::clone(&issuer));
        Ok(issuer)
    }

    /// Forgets whoever is not believed any more.
    pub(crate) fn forget_all_but(&self, believed: impl FnOnce() -> HashSet<ProviderId>) {
        let mut known = self.known.lock();
        if !known.is_empty() {
            let believed = believed();
            known.retain(|id, _| believed.contains(id));
        }
    }

    /// The one permit to ask for keys that no request waits for; none while they are asked for.
    pub(crate) fn ask_aside(&self) -> bool {
        !self.asking.swap(true, Ordering::AcqRel)
    }

    /// Gives the permit back.
    pub(crate) fn asked_aside(&self) {
        self.asking.store(false, Ordering::Release);
    }

    fn reached(&self, settings: &ProviderSettings) -> Result<Issuer, UnreachableIssuer> {
        let ProviderSettings { issuer, keys, algorithms, .. } = settings;
        let runtime = Handle::current();
        let discovery = Discovery::new(self.client.clone(), issuer, self.reach, runtime.clone())?;
        let origin = match keys {
            ProviderKeys::Url(url) => KeyOrigin::Address(url.parse()?, self.reach),
            ProviderKeys::Discovered | ProviderKeys::Inline(_) => KeyOrigin::Issuer(discovery.clone()),
        };
        let keys_source = KeySource::for_algorithms(self.client.clone(), origin, runtime, algorithms.clone());
        let place = (issuer.clone(), keys.clone(), algorithms.clone());
        Ok(Issuer { place, discovery, keys: keys_source })
    }

    /// The keys of a provider, if they are known and have the one that a token names. Never waits.
    pub(crate) fn keys(&self, provider: &Provider, id: Option<&str>, now: Timestamp) -> Option<Arc<KeySet>> {
        let known = self.known.lock().get(&provider.id).cloned();
        known.filter(|issuer| issuer.is_as(&provider.settings))?.keys.keys(id, now)
    }

    /// The way to sign people in with a provider.
    pub(crate) fn party(
        &self,
        issuer: &Issuer,
        settings: &ProviderSettings,
        secret: Option<Secret<String>>,
    ) -> RelyingParty {
        let scopes = std::iter::once("openid".to_owned()).chain(settings.scopes.iter().cloned());
        let registration = Registration {
            client_id: settings.client_id.clone().unwrap_or_default(),
            auth: secret.map_or(ClientAuth::Public, ClientAuth::Basic),
            redirect_uri: self.redirect_uri.clone(),
            scopes: scopes.collect(),
        };
        RelyingParty::new(self.client.clone(), issuer.discovery.clone(), issuer.keys.clone(), registration)
    }
}

impl Issuer {
    fn is_as(&self, settings: &ProviderSettings) -> bool {
        let (issuer, keys, algorithms) = &self.place;
        (issuer, keys, algorithms) == (&settings.issuer, &settings.keys, &settings.algorithms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{SeededEntropy, Timestamp};

    #[tokio::test]
    async fn a_provider_that_is_gone_is_forgotten() {
        let place = Place {
            public_url: "https://taskforce.example".to_owned(),
            trusted_proxies: Vec::new(),
            provider_reach: Reach::Public,
        };
        let issuers = Issuers::new(Client::new(outbound::Trust::Nobody).unwrap(), &place);
        let entropy = SeededEntropy::new(1);
        let at = kernel::Moment::new(Timestamp::from_micros(1_800_000_000_000_000), &entropy);
        let provider = || Provider {
            id: at.id(),
            name: kernel::Text::new("Company login").unwrap(),
            settings: ProviderSettings::new("https://idp.example", "taskforce"),
            has_secret: false,
            status: identity::ProviderStatus::Active,
            created_at: at.now(),
            revision: 1,
        };
        let (stays, goes) = (provider(), provider());
        let issuer = issuers.of(&stays).unwrap();
        issuers.of(&goes).unwrap();
        issuers.forget_all_but(|| HashSet::from([stays.id.clone()]));
        assert_eq!(issuers.known.lock().len(), 1);
        assert!(Arc::ptr_eq(&issuer, &issuers.of(&stays).unwrap()));
    }
}
