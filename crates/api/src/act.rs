//! Extractors of requests that are to change something.

use authz::Caller;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::StatusCode;
use http::header::IF_MATCH;
use http::request::Parts;
use kernel::Moment;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::Database;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::app::App;
use crate::extract::{expect_json, parse, read_body};
use crate::once::{Once, answered_at_most_once};
use crate::problem::{Kind, Problem};
use crate::wire::Show;

/// Who is to change something, and with what. A body that is absent is an empty object.
#[derive(Debug)]
pub(crate) struct Act<T> {
    /// Who, and whether at most once.
    pub(crate) by: (Caller, Option<Once>),
    /// The body.
    pub(crate) body: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Act<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let bytes = read_body(body).await?;
        let once = Once::read(&parts, &bytes)?;
        if bytes.is_empty() {
            return Ok(Self { by: (caller, once), body: parse(b"{}")? });
        }
        expect_json(&parts.headers)?;
        Ok(Self { by: (caller, once), body: parse(&bytes)? })
    }
}

/// A body that says nothing: absent, or an empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl App {
    /// Runs a use case that changes something, at most once if the client wants it so, and answers with what `show`
    /// makes of what it returned. What the use case returns is what the answer is kept from: nothing else may change it.
    pub(crate) async fn act_as<T: 'static, S: Show, E: Into<Problem>>(
        &self,
        (by, status): ((Caller, Option<Once>), StatusCode),
        show: impl Fn(&T) -> S + Clone + Send + Sync + 'static,
        use_case: impl FnOnce(&Database, &Caller, &Moment<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.run(move |inner| {
            let answer = move |value: &T| Answer::of(status, &show(value));
            answered_at_most_once(&inner.db, by, answer, |caller| use_case(&inner.db, caller, &inner.db.moment()))
        })
        .await
    }
}

/// The revision that a change was made for, from `If-Match`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected(pub(crate) u64);

/// The revision that a change was made for, where the client wants to name one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpectedIfAny(pub(crate) Option<u64>);

impl FromRequestParts<App> for ExpectedIfAny {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if !parts.headers.contains_key(IF_MATCH) {
            return Ok(Self(None));
        }
        Expected::from_request_parts(parts, app).await.map(|expected| Self(Some(expected.0)))
    }
}

/// How often a change is tried that is for no particular state, when others come between.
const TRIES: u32 = 8;

/// Makes `change` to what `load` finds, whatever that is: tried again when another change came between.
pub(crate) fn changed_as_it_is<T, U>(
    load: impl Fn() -> Result<T, Problem>,
    change: impl Fn(T) -> Result<U, Problem>,
) -> Result<U, Problem> {
    let mut tries = 1;
    loop {
        match load().and_then(&change) {
            Err(problem) if problem.kind() == Kind::Stale && tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

impl FromRequestParts<App> for Expected {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter();
        let (value, more) = (values.next(), values.next().is_some());
        let value = value.ok_or_else(|| Problem::new(Kind::PreconditionRequired))?;
        if value == "*" {
            return Err(Problem::client(Kind::PreconditionRequired, &"`if-match` must name the `etag` that was read"));
        }
        let text = value.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        let plain = text.filter(|text| !more && text.bytes().all(|byte| byte.is_ascii_digit()));
        // Whatever else it is, it is no `ETag` that was given here: the state that it names is not the present one.
        plain.and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| Problem::new(Kind::Stale))
    }
}
