//! The keys that an issuer publishes, as they are now.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use http::Uri;
use jose::{Algorithm, Claims, Expected, KeySet, KeySetError, TokenError};
use kernel::Timestamp;
use outbound::{Client, Reach};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::discovery::{Discovery, DiscoveryError};
use crate::exchange::{self, AnswerError};
use crate::throttle::{SPACING, Throttle, seconds_between};

/// From this age on, in seconds, keys are fetched again beside the requests that use them.
const RENEW: u64 = 240;
/// From this age on they are not used before they were fetched again.
const STALE: u64 = 300;
/// While the issuer cannot be reached, and that was tried within so many seconds, they are used all the same,
const TRIED: u64 = 60;
/// up to this age.
const LAST_RESORT: u64 = 86_400;
/// A key that the issuer did not have is not looked for again so soon.
const ABSENT: u64 = 60;

/// Algorithms that published keys may be for. RSA keys that name none are for `RS256`.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeyOrigin {
    /// Where its configuration says.
    Issuer(Discovery),
    /// At this address.
    Address(Uri, Reach),
}

/// The keys of one issuer, following what it publishes. A clone is the same one.
#[derive(Debug, Clone)]
pub struct KeySource(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    origin: KeyOrigin,
    algorithms: Vec<Algorithm>,
    runtime: Handle,
    known: ArcSwapOption<Known>,
    // Held while fetching, so that one fetches for all.
    fetching: Mutex<Fetching>,
    // Whether a fetch that nobody waits for is on its way.
    renewing: AtomicBool,
}

#[derive(Debug)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Timestamp,
    /// When the issuer was last asked, and whether it failed to answer.
    tried: Timestamp,
    failing: bool,
}

#[derive(Debug, Default)]
struct Fetching {
    throttle: Throttle,
    /// Keys that tokens named and the issuer did not have, and when that was.
    absent: HashMap<u64, Timestamp>,
    hasher: RandomState,
}

/// No keys of the issuer are known, and it does not give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the token's issuer are not available")]
pub struct KeysUnavailable;

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It cannot be judged at the moment.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
}

#[derive(Debug, thiserror::Error)]
enum FetchKeysError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the keys cannot be fetched")]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

impl Known {
    fn has(&self, id: Option<&str>) -> bool {
        // A token that names no key is judged with what is there; one that names an unusable key is refused with it.
        id.is_none_or(|id| {
            let left_out = self.keys.left_out().iter().filter_map(|key| key.id.as_deref());
            self.keys.key_ids().chain(left_out).any(|known| known == id)
        })
    }

    fn usable(&self, now: Timestamp) -> bool {
        let age = seconds_between(self.fetched, now);
        age < STALE || (self.failing && age < LAST_RESORT && seconds_between(self.tried, now) < TRIED)
    }
}

impl KeySource {
    /// The keys of `origin`, fetched through `client` when first needed. A fetch, once begun, is finished on `runtime`
    /// whether or not anybody still waits for it.
    pub fn new(client: Client, origin: KeyOrigin, runtime: Handle) -> Self {
        Self::for_algorithms(client, origin, runtime, ALGORITHMS.to_vec())
    }

    /// Likewise, with other algorithms than `RS256`, `ES256`, `ES384` and `EdDSA`.
    pub fn for_algorithms(client: Client, origin: KeyOrigin, runtime: Handle, algorithms: Vec<Algorithm>) -> Self {
        let (known, fetching, renewing) = (ArcSwapOption::empty(), Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { client, origin, algorithms, runtime, known, fetching, renewing }))
    }

    /// Verifies a token with the keys as they are now: [`KeySource::keys`], and where they do not do,
    /// [`KeySource::refresh_for`].
    pub async fn verify(&self, token: &str, expected: &Expected, now: Timestamp) -> Result<Claims, VerifyError> {
        let token = jose::peek(token)?;
        let keys = match self.keys(token.key_id(), now) {
            Some(keys) => keys,
            None => self.refresh_for(token.key_id(), now).await?,
        };
        Ok(token.verify(&keys, expected, now)?)
    }

    /// The known keys, if they are young enough and have the one that a token names. Never waits: from an age of
    /// 4 minutes on they are fetched again beside the requests.
    pub fn keys(&self, id: Option<&str>, now: Timestamp) -> Option<Arc<KeySet>> {
        let known = self.0.known.load();
        let known = known.as_ref()?;
        let due = seconds_between(known.fetched, now) >= RENEW && seconds_between(known.tried, now) >= SPACING;
        if due && !self.0.renewing.swap(true, Ordering::AcqRel) {
            let shared = Arc::clone(&self.0);
            self.0.runtime.spawn(async move {
                shared.renew(now).await;
                shared.renewing.store(false, Ordering::Release);
            });
        }
        (known.usable(now) && known.has(id)).then(|| Arc::clone(&known.keys))
    }

    /// The keys after asking the issuer for the one that a token names, unless it was asked a moment ago. Whether the
    /// key is among them then, verifying tells.
    pub async fn refresh_for(&self, id: Option<&str>, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        let (shared, id) = (Arc::clone(&self.0), id.map(str::to_owned));
        // A request that is given up must not leave a fetch undone that others wait for.
        let done = self.0.runtime.spawn(async move { shared.refresh_for(id.as_deref(), now).await }).await;
        done.unwrap_or(Err(KeysUnavailable))
    }
}

impl Shared {
    async fn refresh_for(&self, id: Option<&str>, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        let mut fetching = self.fetching.lock().await;
        // Another may have fetched it while this one waited for the lock.
        let known = self.known.load_full().filter(|known| known.usable(now));
        let answered = known.is_some_and(|known| known.has(id) || fetching.known_absent(id, now));
        if !answered && fetching.throttle.admit(now) {
            self.fetch(now).await;
            fetching.remember(id, self.known.load().as_deref(), now);
        }
        let known = self.known.load_full().filter(|known| known.usable(now)).ok_or(KeysUnavailable)?;
        Ok(Arc::clone(&known.keys))
    }

    async fn renew(&self, now: Timestamp) {
        let mut fetching = self.fetching.lock().await;
        if fetching.throttle.admit(now) {
            self.fetch(now).await;
        }
    }

    async fn fetch(&self, now: Timestamp) {
        match self.published(now).await {
            Ok(keys) => {
                let (keys, failing) = (Arc::new(keys), false);
                self.known.store(Some(Arc::new(Known { keys, fetched: now, tried: now, failing })));
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "the keys of a token issuer cannot be fetched: those known go on being used");
                if let Some(known) = self.known.load_full() {
                    let (keys, fetched) = (Arc::clone(&known.keys), known.fetched);
                    self.known.store(Some(Arc::new(Known { keys, fetched, tried: now, failing: true })));
                }
            }
        }
    }

    async fn published(&self, now: Timestamp) -> Result<KeySet, FetchKeysError> {
        let body = match &self.origin {
            KeyOrigin::Issuer(discovery) => {
                let metadata = discovery.metadata(now).await?;
                exchange::get(&self.client, &metadata.jwks_uri, discovery.reach()).await?
            }
            KeyOrigin::Address(uri, reach) => exchange::get(&self.client, uri, *reach).await?,
        };
        Ok(KeySet::from_jwks(&body, &self.algorithms)?)
    }
}

impl Fetching {
    fn known_absent(&self, id: Option<&str>, now: Timestamp) -> bool {
        let absent = id.and_then(|id| self.absent.get(&self.hasher.hash_one(id)));
        absent.is_some_and(|at| seconds_between(*at, now) < ABSENT)
    }

    /// One key for each fetch, so the list stays short.
    fn remember(&mut self, id: Option<&str>, known: Option<&Known>, now: Timestamp) {
        self.absent.retain(|_, at| seconds_between(*at, now) < ABSENT);
        if let Some(id) = id
            && known.is_some_and(|known| !known.failing && !known.has(Some(id)))
        {
            self.absent.insert(self.hasher.hash_one(id), now);
        }
    }
}
