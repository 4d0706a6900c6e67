//! At most one effect for an `Idempotency-Key`: the answer is kept in the transaction of the effect.

use authz::{Caller, Idempotency};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use store::{Answered, Database};

use crate::answer::Answer;
use crate::problem::{Kind, Problem};
use crate::wire::Show;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The client's wish to have an effect at most once.
#[derive(Debug)]
pub(crate) struct Once {
    key: String,
    fingerprint: [u8; 32],
}

impl Once {
    /// Reads the wish. The fingerprint covers everything that makes the effect: method, address and body.
    pub(crate) fn read(parts: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let (Some(value), more) = (values.next(), values.next().is_some()) else {
            return Ok(None);
        };
        let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
        let key = value.to_str().ok().filter(|key| visible && !more && (1..=255).contains(&key.len()));
        let Some(key) = key else {
            let wrong = "expected one `idempotency-key` of 1 to 255 visible ASCII characters";
            return Err(Problem::client(Kind::Malformed, &wrong));
        };
        let address = parts.uri.path_and_query().map_or("", |address| address.as_str());
        let covered = [parts.method.as_str().as_bytes(), b"\n", address.as_bytes(), b"\n", body].concat();
        let fingerprint = *tlog::sha256(&covered).as_bytes();
        Ok(Some(Self { key: key.to_owned(), fingerprint }).filter(|_| parts.method == Method::POST))
    }

    /// The wish, with what writes the answer for what the use case returns.
    fn answering<T: 'static>(
        self,
        answer: impl Fn(&T) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Idempotency {
        let Self { key, fingerprint } = self;
        let render = Box::new(move |value: &dyn std::any::Any| answer(value.downcast_ref()?).ok()?.keep());
        Idempotency { key, fingerprint, render }
    }
}

/// Lets `change` happen, at most once if `once` says so, and answers with `status` and what it returned.
pub(crate) fn at_most_once<T: Show, E: Into<Problem>>(
    db: &Database,
    (caller, once): (Caller, Option<Once>),
    status: StatusCode,
    change: impl FnOnce(&Caller) -> Result<T, E>,
) -> Result<Response, Problem> {
    answered_at_most_once(db, (caller, once), move |value| Answer::of(status, value), change)
}

/// Lets `change` happen, at most once if `once` says so, and answers as `answer` says with what it returned.
pub(crate) fn answered_at_most_once<T: 'static, E: Into<Problem>>(
    db: &Database,
    (caller, once): (Caller, Option<Once>),
    answer: impl Fn(&T) -> Result<Answer, Problem> + Clone + Send + Sync + 'static,
    change: impl FnOnce(&Caller) -> Result<T, E>,
) -> Result<Response, Problem> {
    let Some(once) = once else {
        return Ok(answer(&change(&caller).map_err(Into::into)?)?.into_response());
    };
    let caller = caller.with_request(caller.request().once(once.answering(answer.clone())));
    if let Some(answer) = replayed(db, &caller)? {
        return Ok(answer);
    }
    match change(&caller) {
        Ok(value) => Ok(answer(&value)?.into_response()),
        // The same request may have come twice at the same time: the one that lost says what the other did.
        Err(error) => replayed(db, &caller)?.ok_or_else(|| error.into()),
    }
}

fn replayed(db: &Database, caller: &Caller) -> Result<Option<Response>, Problem> {
    match db.answered(caller)? {
        None => Ok(None),
        Some(Answered::Same(rendered)) => Ok(Some(Answer::kept(&rendered)?.replayed())),
        Some(Answered::Other) => Err(Problem::new(Kind::IdempotencyMismatch)),
    }
}
