//! Credentials become a caller.

use std::fmt;
use std::sync::Arc;

use authz::Request as Asked;
use axum::extract::FromRequestParts;
use futures_util::future::join_all;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use identity::{
    AuthError, Authenticated, Bearer, EnterError, Entered, LIFETIME_SECONDS, Newcomer, Provider, ProvisionError,
    Refusal, Session, TokenRefusal,
};
use kernel::{Secret, TenantId, Timestamp};

use crate::app::{App, Inner};
use crate::arrival::Arrival;
use crate::cookies;
use crate::credential::Credential;
use crate::problem::{Kind, Problem};

/// Names the tenant whose identity providers alone are asked about a bearer token.
const TENANT: HeaderName = HeaderName::from_static("taskforce-tenant");

/// Who was let in, and by what.
pub(crate) struct Admitted {
    /// Who.
    pub(crate) authenticated: Authenticated,
    /// The session, if it was one.
    pub(crate) entrance: Option<Entrance>,
    /// The cookie that takes the place of the session's.
    pub(crate) cookie: Option<HeaderValue>,
}

/// A session, and what it was presented by.
#[derive(Clone)]
pub(crate) struct Entrance {
    /// What is known of it.
    pub(crate) session: Session,
    /// The value of its cookie.
    pub(crate) secret: Secret<String>,
}

impl From<Authenticated> for Admitted {
    fn from(authenticated: Authenticated) -> Self {
        Self { authenticated, entrance: None, cookie: None }
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("session", &self.session.id).finish_non_exhaustive()
    }
}

impl FromRequestParts<App> for Entrance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let missing = || Problem::client(Kind::WrongState, &"the request came with no session");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Who makes the request, by its one credential.
pub(crate) async fn authenticate(app: &App, parts: &Parts, arrival: &Arrival) -> Result<Admitted, Problem> {
    let Some(credential) = Credential::of(&parts.headers)? else {
        let missing = "send an API key or a token as `authorization: Bearer …`, or an API key as `x-api-key`";
        return Err(Problem::client(Kind::Unauthenticated, &missing));
    };
    match credential {
        Credential::Key(key) => {
            let (asked, from) = (arrival.asked.clone(), arrival.client.0);
            let held = app.0.directory.authenticate(key, from, asked, arrival.now());
            Ok(held.map_err(|error| refused(&arrival.asked, &error))?.into())
        }
        Credential::Token(token) => Ok(bearer(app, arrival, (token, meant(&parts.headers)?)).await?.into()),
        Credential::Session(cookie) => {
            if arrival.is_mutating() {
                from_our_own_page(app, parts, cookie)?;
            }
            let (asked, secret) = (arrival.asked.clone(), Secret::new(cookie.to_owned()));
            app.run(move |inner| enter(inner, &asked, secret)).await
        }
    }
}

/// Says who presents the token. A key that its provider has published since, and a subject who is to become a user, are
/// each seen to once.
async fn bearer(
    app: &App,
    arrival: &Arrival,
    (token, tenant): (&str, Option<TenantId>),
) -> Result<Authenticated, Problem> {
    let (from, now) = (arrival.client.0, arrival.now());
    let bearer = Bearer { token, from, tenant: tenant.as_ref(), now };
    let verified = || app.0.verifying(now, |verifier| verifier.authenticate(bearer, arrival.asked.clone()));
    let mut held = verified();
    if let Err(AuthError { cause: Refusal::Token(TokenRefusal::UnknownKey(providers)), .. }) = &held {
        fetch_keys(app, providers, token, now).await;
        held = verified();
    } else {
        let unheard = app.0.verifying(now, |verifier| verifier.unheard(bearer));
        if !unheard.is_empty() && app.0.issuers.ask_aside() {
            // The request does not wait: a provider that never answers must not make those of others slow.
            let (app, token) = (app.clone(), Secret::new(token.to_owned()));
            tokio::spawn(async move {
                fetch_keys(&app, &unheard, token.expose(), now).await;
                app.0.issuers.asked_aside();
            });
        }
    }
    if let Err(AuthError { cause: Refusal::Token(TokenRefusal::Newcomer(newcomer)), .. }) = &held {
        let newcomer = Newcomer::clone(newcomer);
        app.run(move |inner| provide(inner, &newcomer)).await?;
        held = verified();
    }
    held.map_err(|error| refused(&arrival.asked, &error))
}

/// The one tenant whose providers are asked about a token, where the request names one.
fn meant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let mut named = headers.get_all(TENANT).iter();
    let Some(tenant) = named.next() else { return Ok(None) };
    let tenant = tenant.to_str().ok().and_then(|tenant| tenant.parse().ok()).filter(|_| named.next().is_none());
    let wrong = || Problem::client(Kind::Malformed, &"`taskforce-tenant` is not the id of one tenant");
    tenant.map(Some).ok_or_else(wrong)
}

/// Asks providers, all at once, for the key that a token names, as often as that may be asked.
async fn fetch_keys(app: &App, providers: &[Arc<Provider>], token: &str, now: Timestamp) {
    let named = jose::peek(token).ok().and_then(|token| token.key_id().map(str::to_owned));
    let fetches = providers.iter().map(async |provider| {
        match app.0.issuers.of(provider) {
            // Without keys the token stays unknown: the log says why they are not to be had.
            Ok(issuer) => drop(issuer.keys.refresh_for(named.as_deref(), now).await),
            Err(error) => tracing::warn!(provider.id = %provider.id, error = %error, "a provider cannot be asked"),
        }
    });
    join_all(fetches).await;
}

/// Makes somebody a user for whom a provider vouches.
fn provide(inner: &Inner, newcomer: &Newcomer) -> Result<(), Problem> {
    match identity::provision(&inner.db, newcomer, &inner.db.moment()) {
        // Another request, or another node, may have done it: what it did must be known here before the next try.
        Ok(()) => Ok(inner.refresh()?),
        Err(ProvisionError::Refused | ProvisionError::Known) => Ok(()),
        Err(ProvisionError::Database(error)) => Err(error.into()),
    }
}

/// A change with a cookie must come from a page of ours, which knows what follows from the cookie.
fn from_our_own_page(app: &App, parts: &Parts, cookie: &str) -> Result<(), Problem> {
    let refuse = |why: &'static str| Err(Problem::client(Kind::CsrfRefused, &why));
    if !cookies::is_same_origin(&parts.headers, &app.0.place.public_url) {
        return refuse("the request does not come from a page of this server");
    }
    let mut given = parts.headers.get_all(&cookies::CSRF).iter();
    let (token, more) = (given.next().and_then(|token| token.to_str().ok()), given.next().is_some());
    if more || !token.is_some_and(|token| identity::is_csrf_token(cookie, token)) {
        return refuse("`x-csrf-token` is missing, or not the session's");
    }
    Ok(())
}

/// Says whose session it is. One that began under other roles gets another secret: whoever has seen the old one shall not
/// have what came later.
fn enter(inner: &Inner, asked: &Asked, secret: Secret<String>) -> Result<Admitted, Problem> {
    let entered = identity::authenticate_session(&inner.db, &inner.directory, secret.expose(), asked.clone(), asked.at);
    let Entered { authenticated, session, renew } = entered.map_err(|error| match error {
        EnterError::Refused(error) => refused(asked, &error),
        EnterError::Database(error) => error.into(),
    })?;
    if !renew {
        return Ok(Admitted { authenticated, entrance: Some(Entrance { session, secret }), cookie: None });
    }
    // The renewal has an entry of its own beside the one that the request leaves.
    let renewing = authenticated.caller.with_request(Asked::new(asked.id.clone(), asked.at));
    let issued = identity::renew_session(&inner.db, &renewing, &inner.db.moment())?;
    let cookie = cookies::set(cookies::SESSION, issued.secret.expose(), LIFETIME_SECONDS);
    Ok(Admitted { authenticated, entrance: Some(Entrance { session: issued.session, secret: issued.secret }), cookie })
}

/// What the outside may know of refused credentials; the cause is for the log.
fn refused(asked: &Asked, error: &AuthError) -> Problem {
    if error.cause == Refusal::Stale {
        return Problem::client(Kind::Unavailable, error).retry_after(1);
    }
    tracing::info!(request.id = %asked.id, cause = %error.cause, "credentials refused: {}", error.cause);
    Problem::client(Kind::Unauthenticated, error)
}
