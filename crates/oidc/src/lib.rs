//! OpenID Connect for a relying party: key sets that follow their issuer, and sign-in by authorization code.
//!
//! | step | here |
//! |---|---|
//! | find an issuer's endpoints | [`Discovery`], [`Metadata`] |
//! | verify tokens with the keys that it publishes now | [`KeySource`] |
//! | send a person to sign in, and take them back | [`RelyingParty`], [`Begun`], [`Flow`], [`Callback`] |
//!
//! - **Invariant:** only configured addresses, and those in the configuration of a configured issuer, are ever asked;
//!   nothing in a token or a callback is. All of it goes through [`outbound`].
//! - **Invariant:** a key that its issuer no longer publishes is refused after 5 minutes, unless the issuer cannot be
//!   reached; then the last known keys hold for a day. However many unknown keys tokens name, at least 10 seconds lie
//!   between two requests for a key set.
//! - **Invariant:** what a provider says is never shown to a client: errors carry it as their source, for logs.
//!
//! Time and randomness are arguments. The runtime that finishes a refetch nobody waits for is an argument too.
//!
//! ```
//! use kernel::{FixedMoment, Secret};
//! use oidc::{ClientAuth, Discovery, FinishError, KeyOrigin, KeySource, Registration, RelyingParty};
//! use outbound::{Client, Reach, Trust};
//!
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! let client = Client::new(Trust::Nobody)?;
//! assert!(Discovery::new(client.clone(), "http://idp.internal", Reach::Public, runtime.handle().clone()).is_err());
//!
//! // Nobody listens there.
//! let discovery = Discovery::new(client.clone(), "http://127.0.0.1:1", Reach::Private, runtime.handle().clone())?;
//! let keys = KeySource::new(client.clone(), KeyOrigin::Issuer(discovery.clone()), runtime.handle().clone());
//! let registration = Registration {
//!     client_id: "taskforce".to_owned(),
//!     auth: ClientAuth::Basic(Secret::new("of the registration".to_owned())),
//!     redirect_uri: "https://taskforce.example/api/v1/sign-in/callback".to_owned(),
//!     scopes: vec!["openid".to_owned(), "groups".to_owned()],
//! };
//! let party = RelyingParty::new(client, discovery, keys, registration);
//! let moment = FixedMoment::new(1_800_000_000_000_000);
//! let error = party.begin(&moment.moment()).await.unwrap_err();
//! assert_eq!(error.to_string(), "the identity provider cannot be used");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod discovery;
mod exchange;
mod flow;
mod form;
mod keys;
mod party;
mod throttle;

pub use discovery::{Discovery, DiscoveryError, IssuerError, Metadata};
pub use exchange::AnswerError;
pub use flow::{Begun, Callback, Flow, FlowError};
pub use keys::{KeyOrigin, KeySource, KeysUnavailable, VerifyError};
pub use party::{BeginError, ClientAuth, FinishError, IdTokenError, ProviderSays, Registration, RelyingParty};
