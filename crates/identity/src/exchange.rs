//! Token exchange (RFC 8693): somebody acts for another, with less than the other may do, and both are named.

use std::net::IpAddr;

use authz::{Action, Caller, Forbidden, Permission, Permissions, Via};
use kernel::Moment;
use store::{Database, StoreError};

use crate::token::{self, IssuedToken, MAX_CHAIN, Said};
use crate::tokens::{Bearer, Purpose, Verifier, lifetime};
use crate::{AuthError, entries, store as rows};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// A token of whom the caller will act for: one of ours, or of a provider's.
    pub subject_token: &'a str,
    /// The network address that it comes from.
    pub from: Option<IpAddr>,
    /// What the new token is narrowed to; `None` for all that the subject's allows.
    pub scopes: Option<Permissions>,
    /// For how many seconds it is good: never longer than the subject's.
    pub expires_in_seconds: Option<u32>,
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Exchanging a token.
#[derive(Debug)]
pub struct ExchangeToken;

impl Action for ExchangeToken {
    const NAME: &'static str = "identity.token.exchange";
    const PERMISSION: Option<Permission> = None;
    const SENSITIVE: bool = true;
}

/// Why nothing was exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The caller may not exchange tokens.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The subject's token is not good, or is another tenant's.
    #[error("the subject's token is not valid")]
    Subject(Option<AuthError>),
    /// The caller acts for somebody already: who it is for must not be lost.
    #[error("who acts for another exchanges no tokens")]
    Delegated,
    /// The caller is no user.
    #[error("only users act for others")]
    NoUser,
    /// Too many would act one for another.
    #[error("at most {MAX_CHAIN} may act one for another")]
    TooLong,
    /// The new token could do nothing that the subject's can.
    #[error("the token would allow nothing")]
    Nothing,
    /// It would be good for no time, or for too long.
    #[error("a token is good for 1 to 86400 seconds")]
    Lifetime,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes a token by which the caller acts for the subject of another. It only narrows: it allows what the subject's token
/// allows at this moment and at each later one, or less; it ends when that one does, or before; it names the caller, and
/// those who acted before.
pub fn exchange_token(
    db: &Database,
    verifier: &Verifier<'_>,
    caller: &Caller,
    exchange: Exchange<'_>,
    at: &Moment<'_>,
) -> Result<IssuedToken, ExchangeError> {
    let grant = caller.authorize::<ExchangeToken>()?;
    let Exchange { subject_token, from, scopes, expires_in_seconds } = exchange;
    let lifetime = lifetime(expires_in_seconds).ok_or(ExchangeError::Lifetime)?;
    if !caller.actor().act.is_empty() {
        return Err(ExchangeError::Delegated);
    }
    let subject = Bearer { token: subject_token, from, tenant: Some(caller.tenant()), now: at.now() };
    let subject = verifier.admit(subject, Purpose::Use);
    let subject = subject.map_err(|error| ExchangeError::Subject(Some(error)))?;
    let (standing, principal) = (&subject.standing, &subject.principal);
    if standing.tenant != *caller.tenant() {
        return Err(ExchangeError::Subject(None));
    }
    let allowed = standing.scopes.map_or(standing.allowed, |scopes| standing.allowed.intersection(scopes));
    let scopes = scopes.map_or(allowed, |scopes| allowed.intersection(scopes));
    if scopes.is_empty() {
        return Err(ExchangeError::Nothing);
    }
    let mut line = vec![subject.digest];
    line.extend(&subject.line);
    let myself = caller.actor().id.parse().map_err(|_| ExchangeError::NoUser)?;
    db.write_data(grant, |tx| {
        let found = rows::users::user(tx, &myself)?.ok_or(ExchangeError::NoUser)?;
        let mut act = subject.act.clone();
        if myself != principal.user {
            let (epoch, key) = (Some(found.epoch), caller.actor().via.as_ref().and_then(Via::key).cloned());
            act.insert(0, token::Actor { id: myself.to_string(), kind: caller.actor().kind, epoch, key });
        }
        if act.len() > MAX_CHAIN || line.len() > MAX_CHAIN {
            return Err(ExchangeError::TooLong);
        }
        let said = Said {
            tenant: standing.tenant.clone(),
            user: principal.user.clone(),
            epoch: principal.epoch,
            id: kernel::hex(&at.bytes::<16>()),
            issued_at: at.now(),
            expires_at: subject.expires_at.min(at.now().plus_seconds(lifetime)),
            scopes: Some(scopes),
            key: subject.key.clone(),
            issued_by: standing.issued_by.clone(),
            act,
            line,
        };
        let issued = verifier.tokens.sign(&said);
        Ok((entries::credentials::token_exchanged(&issued, &said), issued))
    })
}
