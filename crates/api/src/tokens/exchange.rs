//! Token exchange (RFC 8693): its form, and its errors as OAuth has them.

use authz::{Caller, Permissions};
use axum::Extension;
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use http::{Uri, header};
use identity::{Exchange, ExchangeError, IssuedToken};
use kernel::{Secret, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::names;
use crate::app::App;
use crate::client::Client;
use crate::extract::read_body;
use crate::problem::{Kind, OAUTH_ERROR, Problem};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A form that asks for an exchange.
pub(crate) struct ExchangeForm {
    subject_token: Secret<String>,
    scopes: Option<Permissions>,
    /// What the token is to be used at; it is for this server or for nobody.
    targets: Vec<String>,
}

/// The form, for its description.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `ExchangeForm` reads")]
pub(crate) struct ExchangeIn {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// A token of whom the caller will act for.
    subject_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`, or `…:jwt`.
    subject_token_type: String,
    /// The same again, or nothing.
    requested_token_type: Option<String>,
    /// What the token is narrowed to: permissions with spaces between.
    scope: Option<String>,
    /// Where the token will be used: this server's address, or nothing.
    resource: Option<String>,
    /// The same.
    audience: Option<String>,
}

impl FromRequest<App> for ExchangeForm {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if essence.as_deref() != Some("application/x-www-form-urlencoded") {
            let wanted = "expected `content-type: application/x-www-form-urlencoded`";
            return Err(Problem::client(Kind::UnsupportedMediaType, &wanted));
        }
        Self::read(&read_body(request.into_body()).await?)
    }
}

fn refused(error: &'static str, why: &'static str) -> Problem {
    Problem::client(Kind::Invalid, &why).with(OAUTH_ERROR, error)
}

impl ExchangeForm {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let pairs = pairs(body).ok_or_else(|| refused("invalid_request", "the body is not a form"))?;
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(each, _)| each == name).map(|(_, value)| value.as_str());
            let first = values.next().filter(|value| !value.is_empty());
            if values.next().is_some() {
                return Err(refused("invalid_request", "a parameter stands twice"));
            }
            Ok(first)
        };
        let is_ours = |name: Option<&str>| name.is_none_or(|name| name == ACCESS_TOKEN || name == JWT);
        if one("grant_type")? != Some(GRANT) {
            return Err(refused("unsupported_grant_type", "only token exchange (RFC 8693) is known here"));
        }
        let missing = || refused("invalid_request", "`subject_token` and its type are needed");
        let subject_token = one("subject_token")?.ok_or_else(missing)?;
        let subject_type = one("subject_token_type")?.ok_or_else(missing)?;
        if !is_ours(Some(subject_type)) || !is_ours(one("requested_token_type")?) {
            return Err(refused("invalid_request", "only access tokens are exchanged"));
        }
        if one("actor_token")?.is_some() || one("actor_token_type")?.is_some() {
            return Err(refused("invalid_request", "who acts is who sends the request: `actor_token` is not read"));
        }
        let scopes = one("scope")?.map(|scope| scope.split_ascii_whitespace().map(str::parse).collect());
        let scopes = scopes.transpose().map_err(|_| refused("invalid_scope", "a scope is no permission"))?;
        let targets = pairs.iter().filter(|(name, _)| name == "resource" || name == "audience");
        let targets = targets.map(|(_, value)| value.clone()).collect();
        Ok(Self { subject_token: Secret::new(subject_token.to_owned()), scopes, targets })
    }
}

/// The pairs of a form.
fn pairs(body: &[u8]) -> Option<Vec<(String, String)>> {
    let address = format!("/?{}", std::str::from_utf8(body).ok()?);
    let uri: Uri = address.parse().ok()?;
    let pairs = axum::extract::Query::try_from_uri(&uri).ok().map(|axum::extract::Query(pairs)| pairs);
    pairs.filter(|pairs: &Vec<(String, String)>| pairs.iter().all(|(_, value)| !value.contains('\0')))
}

/// A token that was made for an exchange (RFC 8693, 2.2.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct ExchangedOut {
    /// The token.
    access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    issued_token_type: &'static str,
    /// `Bearer`.
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: u64,
    /// What it is narrowed to: permissions with spaces between.
    scope: String,
}

impl ExchangedOut {
    fn of(issued: &IssuedToken, now: Timestamp) -> Self {
        let IssuedToken { token, id: _, scopes, expires_at } = issued;
        Self {
            access_token: token.expose().clone(),
            issued_token_type: ACCESS_TOKEN,
            token_type: "Bearer",
            expires_in: now.seconds_until(*expires_at),
            scope: scopes.map(names).unwrap_or_default().join(" "),
        }
    }
}

/// Exchanges a token of somebody for one by which the caller acts for them (RFC 8693).
///
/// It allows what the subject's token allows, or less, ends when that does, or before, and names the caller as the one
/// who acts; so does every ledger entry. Errors are OAuth's (RFC 6749, 5.2).
#[utoipa::path(
    post, path = "/oauth/token", tag = "Tokens",
    request_body(content = ExchangeIn, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = ExchangedOut), Problem)
)]
pub(crate) async fn exchange_token(
    State(app): State<App>,
    caller: Caller,
    Extension(Client(from)): Extension<Client>,
    form: ExchangeForm,
) -> Result<Json<ExchangedOut>, Problem> {
    let ExchangeForm { subject_token, scopes, targets } = form;
    app.0.is_meant(&targets)?;
    app.run(move |inner| {
        let exchange = Exchange { subject_token: subject_token.expose(), from, scopes, expires_in_seconds: None };
        let (db, at) = (&inner.db, inner.db.moment());
        let issued =
            inner.verifying(at.now(), |verifier| identity::exchange_token(db, verifier, &caller, exchange, &at));
        Ok(Json(ExchangedOut::of(&issued?, at.now())))
    })
    .await
}

impl crate::app::Inner {
    /// Tokens are for this server alone.
    fn is_meant(&self, targets: &[String]) -> Result<(), Problem> {
        let ours = [self.place.public_url.as_str(), self.tokens.issuer()];
        if targets.iter().all(|target| ours.contains(&target.trim_end_matches('/'))) {
            return Ok(());
        }
        Err(refused("invalid_target", "tokens are made for this server only"))
    }
}

impl From<ExchangeError> for Problem {
    fn from(error: ExchangeError) -> Self {
        let wrong = |name: &'static str| Self::client(Kind::Invalid, &error).with(OAUTH_ERROR, name);
        match error {
            ExchangeError::Forbidden(refusal) => refusal.into(),
            ExchangeError::Delegated | ExchangeError::NoUser => wrong("unauthorized_client"),
            ExchangeError::Subject(_) | ExchangeError::TooLong | ExchangeError::Lifetime => wrong("invalid_request"),
            ExchangeError::Nothing => wrong("invalid_scope"),
            ExchangeError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c\
        &subject_token_type=urn:ietf:params:oauth:token-type:access_token";

    fn refusal(body: &str) -> String {
        let problem = ExchangeForm::read(body.as_bytes()).err().unwrap().into_body();
        problem.members[OAUTH_ERROR].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_form_is_read_as_rfc_8693_has_it() {
        let form = ExchangeForm::read(format!("{GOOD}&scope=agent:read+agent%3Aexecute&unknown=1").as_bytes());
        let form = form.unwrap_or_else(|problem| panic!("{problem:?}"));
        assert_eq!(form.subject_token.expose(), "a.b.c");
        assert_eq!(form.scopes.unwrap().to_string(), "agent:read,agent:execute");
        assert!(form.targets.is_empty());
    }

    #[test]
    fn what_is_no_exchange_is_refused_in_oauth_s_words() {
        for (body, error) in [
            ("", "unsupported_grant_type"),
            ("grant_type=client_credentials", "unsupported_grant_type"),
            (&format!("{GOOD}&grant_type=x"), "invalid_request"),
            (&format!("{GOOD}&subject_token=d.e.f"), "invalid_request"),
            (&GOOD.replace("subject_token=a.b.c", "subject_token="), "invalid_request"),
            (&GOOD.replace("access_token", "saml2"), "invalid_request"),
            (&format!("{GOOD}&requested_token_type=urn:x"), "invalid_request"),
            (&format!("{GOOD}&actor_token=a.b.c"), "invalid_request"),
            (&format!("{GOOD}&scope=root"), "invalid_scope"),
            (&format!("{GOOD}&scope=agent:read%00"), "invalid_request"),
            ("\u{fffd}", "unsupported_grant_type"),
        ] {
            assert_eq!(refusal(body), error, "{body}");
        }
    }
}
