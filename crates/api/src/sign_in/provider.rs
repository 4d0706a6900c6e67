//! Signing in with an identity provider: OpenID Connect, by authorization code.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use identity::{Cause, Client, Failure, Provider, ProviderSignIn, ProviderStatus, SignInMethod};
use kernel::{ProviderId, Secret, TenantId};
use oidc::{Begun, Callback, Flow, RelyingParty};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{client_of, forget, hold};
use crate::app::{App, Inner};
use crate::arrival::Arrival;
use crate::cookies;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::Written;

/// For how many seconds a browser holds a sign-in that has begun.
const FLOW_SECONDS: i64 = 600;

/// Whose providers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProvidersQuery {
    /// The tenant.
    #[param(value_type = String, example = "acme-corp")]
    tenant: Written<TenantId>,
}

/// A provider that people can sign in with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignInProviderOut {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
}

/// The providers that people can sign in with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignInProvidersOut {
    /// The providers; none for a tenant that does not exist.
    items: Vec<SignInProviderOut>,
}

/// Lists the providers that people of a tenant can sign in with, by name.
#[utoipa::path(get, path = "/auth/providers", tag = "Sign-in", params(ProvidersQuery),
    responses((status = 200, body = SignInProvidersOut), Problem))]
pub(crate) async fn list_sign_in_providers(
    State(app): State<App>,
    Query(ProvidersQuery { tenant }): Query<ProvidersQuery>,
) -> Json<SignInProvidersOut> {
    let known = app.0.directory.providers(&tenant.0);
    let usable = known.iter().filter(|provider| is_usable(provider));
    let shown =
        usable.map(|provider| SignInProviderOut { id: provider.id.to_string(), name: provider.name.to_string() });
    Json(SignInProvidersOut { items: shown.collect() })
}

fn is_usable(provider: &Provider) -> bool {
    provider.status == ProviderStatus::Active && provider.settings.client_id.is_some()
}

/// The provider that somebody signs in with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct LoginPath {
    /// The tenant.
    #[param(value_type = String, example = "acme-corp")]
    tenant: Written<TenantId>,
    /// The provider's id.
    #[param(value_type = String)]
    provider: Written<ProviderId>,
}

/// What follows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LoginQuery {
    /// The page of this server to come back to: a path.
    return_to: Option<String>,
}

/// A sign-in that has begun, as the browser holds it, sealed.
#[derive(Serialize, Deserialize)]
struct Pending {
    tenant: String,
    provider: String,
    return_to: String,
    flow: Vec<u8>,
}

/// Sends somebody to their identity provider.
///
/// The answer is a redirect, and a cookie by which the way back is recognized.
#[utoipa::path(get, path = "/auth/login/{tenant}/{provider}", tag = "Sign-in", params(LoginPath, LoginQuery),
    responses((status = 302, description = "To the provider."), Problem))]
pub(crate) async fn begin_sign_in(
    State(app): State<App>,
    Path(LoginPath { tenant, provider }): Path<LoginPath>,
    Query(LoginQuery { return_to }): Query<LoginQuery>,
) -> Result<Response, Problem> {
    let return_to = local_path(return_to)?;
    let party = app.party(&tenant.0, &provider.0).await?;
    let Begun { url, flow } = party.begin(&app.0.db.moment()).await.map_err(unusable)?;
    let (tenant, provider) = (tenant.0.to_string(), provider.0.to_string());
    let flow = flow.to_bytes().expose().clone();
    let mut response = redirect(StatusCode::FOUND, &url)?;
    response.headers_mut().insert(SET_COOKIE, app.0.flow_cookie(&Pending { tenant, provider, return_to, flow })?);
    Ok(response)
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::client(Kind::UpstreamFailed, &"the identity provider cannot be used").caused_by(error)
}

/// A path of this server, to which a browser goes without leaving it.
fn local_path(given: Option<String>) -> Result<String, Problem> {
    let Some(path) = given else { return Ok("/".to_owned()) };
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let local = path.starts_with('/') && !path.starts_with("//");
    if plain && local && path.len() <= 1_024 {
        return Ok(path);
    }
    Err(Problem::client(Kind::Invalid, &"`return_to` must be a path of this server, such as `/agents`"))
}

fn redirect(status: StatusCode, to: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(to).map_err(|error| Problem::server(Kind::Internal, error))?;
    let mut response = status.into_response();
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

impl App {
    /// The way to a provider of a tenant, if people can sign in with it.
    async fn party(&self, tenant: &TenantId, id: &ProviderId) -> Result<RelyingParty, Problem> {
        let known = self.0.directory.providers(tenant);
        let found = known.into_iter().find(|provider| provider.id == *id && is_usable(provider));
        let provider: Arc<Provider> = found.ok_or_else(|| Problem::new(Kind::NotFound))?;
        let issuer = self.0.issuers.of(&provider).map_err(unusable)?;
        let (tenant, id) = (tenant.clone(), id.clone());
        let secret = self.run(move |inner| Ok(identity::client_secret(&inner.db, &tenant, &id, &inner.db.moment())?));
        Ok(self.0.issuers.party(&issuer, &provider.settings, secret.await?))
    }
}

impl Inner {
    fn flow_cookie(&self, pending: &Pending) -> Result<HeaderValue, Problem> {
        let plain = serde_json::to_vec(pending).map_err(|error| Problem::server(Kind::Internal, error))?;
        let sealed = self.sealer.seal(&Secret::new(plain), &self.db.moment());
        let cookie = sealed.and_then(|sealed| cookies::set(cookies::FLOW, &sealed, FLOW_SECONDS));
        cookie.ok_or_else(|| Problem::server(Kind::Internal, "a sign-in cannot be sealed"))
    }

    /// The sign-in that this browser has begun.
    fn pending(&self, headers: &HeaderMap) -> Result<Pending, Problem> {
        let none = || Problem::new(Kind::SignInFailed);
        let cookie = cookies::read(headers, cookies::FLOW)?.ok_or_else(none)?;
        let plain = self.sealer.open(cookie).ok_or_else(none)?;
        serde_json::from_slice(plain.expose()).map_err(|_| none())
    }
}

/// What the provider sends back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// What the sign-in is recognized by.
    state: Option<String>,
    /// What becomes tokens.
    code: Option<String>,
    /// Whose answer it is (RFC 9207).
    iss: Option<String>,
    /// Why nobody signed in.
    error: Option<String>,
}

/// Takes somebody back from their identity provider and signs them in.
///
/// The answer sets the session's cookie and leads to the page that was named at the beginning. It is the provider that
/// sends browsers here.
#[utoipa::path(get, path = "/auth/callback", tag = "Sign-in", params(CallbackQuery),
    responses((status = 303, description = "Signed in: to the page that was named."), Problem))]
pub(crate) async fn finish_sign_in(
    State(app): State<App>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    Query(answer): Query<CallbackQuery>,
) -> Response {
    let client = client_of(arrival.client, &headers);
    let mut response = app.arrive(&headers, client, &answer).await.unwrap_or_else(Problem::into_response);
    // A flow serves once.
    forget(&mut response, cookies::FLOW);
    response
}

impl App {
    async fn arrive(&self, headers: &HeaderMap, client: Client, answer: &CallbackQuery) -> Result<Response, Problem> {
        let Pending { tenant, provider, return_to, flow } = self.0.pending(headers)?;
        let none = |_| Problem::new(Kind::SignInFailed);
        let (tenant, provider) = (tenant.parse::<TenantId>().map_err(none), provider.parse::<ProviderId>());
        let (tenant, provider) = (tenant?, provider.map_err(|_| Problem::new(Kind::SignInFailed))?);
        let flow = Flow::from_bytes(&flow).map_err(|_| Problem::new(Kind::SignInFailed))?;
        let party = self.party(&tenant, &provider).await?;
        let CallbackQuery { state, code, iss, error } = answer;
        let callback =
            Callback { state: state.as_deref(), code: code.as_deref(), iss: iss.as_deref(), error: error.as_deref() };
        let claims = match party.finish(&flow, &callback, self.0.db.moment().now()).await {
            Ok(claims) => claims,
            Err(error) => return Err(self.failed(tenant, provider, error).await),
        };
        let issued = self.run(move |inner| {
            let asked = ProviderSignIn { tenant, provider, claims: &claims, client };
            Ok(identity::sign_in(&inner.db, &inner.gate, &inner.directory, asked, &inner.db.moment())?)
        });
        let mut response = redirect(StatusCode::SEE_OTHER, &return_to)?;
        hold(&mut response, &issued.await?)?;
        Ok(response)
    }

    /// Records that a flow failed. Why is for the log.
    async fn failed(&self, tenant: TenantId, provider: ProviderId, error: oidc::FinishError) -> Problem {
        let recorded = self.run(move |inner| {
            let (method, cause) = (SignInMethod::Oidc, Cause::Flow);
            let failure = Failure { tenant, user: None, method, provider: Some(provider), cause };
            Ok(identity::turn_away(&inner.db, &inner.gate, &inner.directory, &failure, &inner.db.moment())?)
        });
        match recorded.await {
            Ok(()) => Problem::client(Kind::SignInFailed, &error).caused_by(error),
            Err(problem) => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_to_this_server_alone() {
        for good in ["/", "/agents", "/agents?q=a%20b&x=//y", "/a/../b"] {
            assert_eq!(local_path(Some(good.to_owned())).unwrap(), good);
        }
        assert_eq!(local_path(None).unwrap(), "/");
        let long = format!("/{}", "a".repeat(1_024));
        for bad in [
            "",
            "agents",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/a b",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/é",
            &long,
        ] {
            assert!(local_path(Some(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
