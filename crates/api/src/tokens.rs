//! Bearer tokens: made for oneself, exchanged so as to act for others, revoked.

mod exchange;

use authz::{Permission, Permissions};
use axum::extract::State;
use axum::response::Response;
use identity::{IssueTokenError, IssuedToken, NewToken, RevokeTokenError, TokenRef};
use kernel::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::act::Act;
use crate::app::App;
use crate::problem::{Kind, Problem};
use crate::wire::{Hidden, Show, Written};

/// The operations about tokens.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(issue_token))
        .routes(routes!(revoke_token))
        .routes(routes!(exchange::exchange_token))
}

/// A token to be, for oneself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenIn {
    /// For how many seconds it is good; an hour unless given.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    expires_in: Option<u32>,
    /// What it is narrowed to; null for all that the caller may do at each moment.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["agent:execute"]))]
    scopes: Option<Vec<Written<Permission>>>,
}

impl From<TokenIn> for NewToken {
    fn from(TokenIn { expires_in, scopes }: TokenIn) -> Self {
        let scopes = scopes.map(|scopes| scopes.into_iter().map(|scope| scope.0).collect());
        Self { expires_in_seconds: expires_in, scopes }
    }
}

/// A token at the one moment when it is shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenOut {
    /// The token: send it as `authorization: Bearer …`. It is not shown again.
    token: String,
    /// `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How the ledger names it.
    #[schema(example = "tok_5f4dcc3b5aa765d61d8327de")]
    id: String,
    /// What it is narrowed to.
    scopes: Option<Vec<&'static str>>,
    /// When it ends.
    expires_at: String,
}

fn names(scopes: Permissions) -> Vec<&'static str> {
    scopes.iter().map(Permission::as_str).collect()
}

impl Show for IssuedToken {
    type Out = TokenOut;

    fn show(&self) -> TokenOut {
        let Self { token, id, scopes, expires_at } = self;
        TokenOut {
            token: token.expose().clone(),
            token_type: "Bearer",
            id: id.clone(),
            scopes: scopes.map(names),
            expires_at: expires_at.to_string(),
        }
    }
}

/// Makes a bearer token for oneself.
///
/// It says who its bearer is, never what they may do: that is looked up at each request. It ends with the key that it was
/// made with, and when its subject signs out everywhere. It is shown this once.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "Tokens", request_body = Option<TokenIn>,
    responses((status = 201, body = TokenOut), Problem)
)]
pub(crate) async fn issue_token(State(app): State<App>, act: Act<TokenIn>) -> Result<Response, Problem> {
    let (new, issuing) = (act.body.into(), app.clone());
    app.create(act.by, move |db, caller, at| identity::issue_token(db, &issuing.0.tokens, caller, new, at)).await
}

/// Which token is refused from now on: the token itself, or the `jti` of one that was made here.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationIn {
    /// The token.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 8192)]
    token: Option<Hidden>,
    /// Its `jti`.
    #[serde(default)]
    #[schema(max_length = 255)]
    jti: Option<String>,
}

/// A token, by one of its two names.
enum Meant {
    Token(Secret<String>),
    Id(String),
}

impl RevocationIn {
    fn meant(self) -> Result<Meant, Problem> {
        match self {
            Self { token: Some(Hidden(token)), jti: None } => Ok(Meant::Token(token)),
            Self { token: None, jti: Some(id) } => Ok(Meant::Id(id)),
            Self { .. } => Err(Problem::field("", &"expected either `token` or `jti`")),
        }
    }
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedOut {
    /// `revoked`.
    #[schema(example = "revoked")]
    status: &'static str,
}

impl Show for () {
    type Out = RevokedOut;

    fn show(&self) -> RevokedOut {
        RevokedOut { status: "revoked" }
    }
}

/// Refuses a token from now on, and all that descend from it: one's own, or anybody's with `key:manage`.
#[utoipa::path(
    post, path = "/api/v1/tokens/revoke", tag = "Tokens", request_body = RevocationIn,
    responses((status = 200, body = RevokedOut), Problem)
)]
pub(crate) async fn revoke_token(State(app): State<App>, act: Act<RevocationIn>) -> Result<Response, Problem> {
    let (meant, by) = (act.body.meant()?, act.by);
    let verifying = app.clone();
    app.act(by, move |db, caller, at| {
        verifying.0.verifying(at.now(), |verifier| identity::revoke_token(db, verifier, caller, meant.as_ref(), at))
    })
    .await
}

impl Meant {
    fn as_ref(&self) -> TokenRef<'_> {
        match self {
            Self::Token(token) => TokenRef::Token(token.expose()),
            Self::Id(id) => TokenRef::Id(id),
        }
    }
}

impl From<IssueTokenError> for Problem {
    fn from(error: IssueTokenError) -> Self {
        match error {
            IssueTokenError::Forbidden(refusal) => refusal.into(),
            IssueTokenError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            IssueTokenError::FromToken | IssueTokenError::NoUser => Self::client(Kind::WrongState, &error),
            IssueTokenError::Lifetime => Self::field("/expires_in", &error),
            IssueTokenError::Database(error) => error.into(),
        }
    }
}

impl From<RevokeTokenError> for Problem {
    fn from(error: RevokeTokenError) -> Self {
        match error {
            RevokeTokenError::Forbidden(refusal) => refusal.into(),
            RevokeTokenError::NotFound => Self::client(Kind::NotFound, &error),
            RevokeTokenError::Database(error) => error.into(),
        }
    }
}
