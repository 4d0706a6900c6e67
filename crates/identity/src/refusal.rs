//! Why credentials are refused: the whole truth for the log, little of it for the outside.

use std::sync::Arc;

use kernel::{KeyId, TenantId, UserId};

use crate::form::KeyFormatError;
use crate::provider::Provider;

/// The credentials were refused. What it prints is all that the outside may know; the cause is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(&self.cause))]
pub struct AuthError {
    /// Why.
    pub cause: Refusal,
    /// The key that was presented, if it had the form of one.
    pub key: Option<KeyId>,
    /// Whose credentials they are, if they are somebody's.
    pub owner: Option<(TenantId, UserId)>,
}

/// Why credentials were refused. For the log, never for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node has not heard from the database for too long: nobody knows what was revoked meanwhile.
    #[error("the directory is out of date")]
    Stale,
    /// It cannot be a key.
    #[error(transparent)]
    Form(#[from] KeyFormatError),
    /// No key has that id.
    #[error("no such key")]
    Unknown,
    /// The key's secret is another.
    #[error("the secret is wrong")]
    WrongSecret,
    /// It was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// It comes from a network that the key does not list.
    #[error("the key may not be used from this network")]
    Network,
    /// Its owner may not act.
    #[error("the key's owner is deactivated")]
    Deactivated,
    /// Its tenant may not act.
    #[error("the tenant is suspended")]
    Suspended,
    /// A bearer token is not good.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// A session is not good.
    #[error(transparent)]
    Session(#[from] SessionRefusal),
}

/// What is the matter with a bearer token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// The token itself.
    #[error(transparent)]
    Token(#[from] jose::TokenError),
    /// It may be signed with a key that these providers have published since: fetch their keys and try again.
    #[error("the token names a key that its provider was not known to have")]
    UnknownKey(Vec<Arc<Provider>>),
    /// Nobody is known by its issuer and audience.
    #[error("no provider is registered for the token's issuer and audience")]
    UnknownIssuer,
    /// More than one provider would take it.
    #[error(
        "more than one provider takes the token's issuer and audience, and neither a tenant claim nor the request singles one out"
    )]
    Ambiguous,
    /// Its tenant does not exist.
    #[error("the token's tenant does not exist")]
    NoTenant,
    /// Its subject does not exist.
    #[error("the token's subject does not exist")]
    NoUser,
    /// Its subject is nobody's yet, and its provider makes nobody.
    #[error("the token's subject is linked to no user")]
    Unlinked,
    /// Its subject is nobody's yet, and may become somebody.
    #[error("the token's subject has no user yet")]
    Newcomer(Box<crate::provider::Newcomer>),
    /// It was signed before its subject ended all that had been signed.
    #[error("the token's epoch is over")]
    Epoch,
    /// It, or one that it descends from, was revoked.
    #[error("the token is revoked")]
    Revoked,
    /// The key that it was made with is not good any more.
    #[error("the key behind the token is not good any more")]
    Key,
    /// One of those who act for its subject may not act.
    #[error("one of those who act for the token's subject may not act")]
    Actor,
    /// A claim of ours is not what it must be.
    #[error("the token's claim `{0}` is malformed")]
    Claim(&'static str),
}

/// What is the matter with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionRefusal {
    /// There is none with that handle.
    #[error("no such session")]
    Unknown,
    /// It was ended.
    #[error("the session was ended")]
    Ended,
    /// It was left alone for too long.
    #[error("the session was idle for too long")]
    Idle,
    /// Its time is over.
    #[error("the session's time is over")]
    Expired,
}

fn said(cause: &Refusal) -> String {
    match cause {
        Refusal::Stale => "credentials cannot be checked at the moment: try again".to_owned(),
        Refusal::Form(KeyFormatError::OlderForm) => KeyFormatError::OlderForm.to_string(),
        Refusal::Form(KeyFormatError::Malformed | KeyFormatError::Checksum)
        | Refusal::Unknown
        | Refusal::WrongSecret
        | Refusal::Revoked
        | Refusal::Expired
        | Refusal::Network
        | Refusal::Deactivated
        | Refusal::Suspended => "the API key is not valid".to_owned(),
        Refusal::Token(_) => "the bearer token is not valid".to_owned(),
        Refusal::Session(_) => "the session is over: sign in again".to_owned(),
    }
}
