//! Answers of handlers, as they are sent and as they are kept to be sent again.

use authz::Rendered;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::problem::{Kind, Problem};
use crate::wire::Show;

/// Says that the answer is that of an earlier request with the same idempotency key.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A JSON document with what belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: StatusCode,
    media_type: String,
    etag: Option<String>,
    location: Option<String>,
    body: Vec<u8>,
}

/// An answer as the database keeps it.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    media_type: String,
    etag: Option<String>,
    location: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Answer {
    /// What a use case returned.
    pub(crate) fn of<T: Show>(status: StatusCode, value: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(&value.show()).map_err(|error| Problem::server(Kind::Internal, error))?;
        let status = if value.is_pending() { StatusCode::ACCEPTED } else { status };
        let etag = value.revision().map(|revision| format!("\"{revision}\""));
        let location = value.address().filter(|_| status == StatusCode::CREATED);
        Ok(Self { status, media_type: T::MEDIA_TYPE.to_owned(), etag, location, body })
    }

    /// The answer, to be kept.
    pub(crate) fn keep(&self) -> Option<Rendered> {
        let Self { status, media_type, etag, location, body } = self;
        let body = serde_json::from_slice(body).ok()?;
        let kept = Kept { media_type: media_type.clone(), etag: etag.clone(), location: location.clone(), body };
        Some(Rendered { status: status.as_u16(), body: serde_json::to_vec(&kept).ok()? })
    }

    /// An answer that was kept.
    pub(crate) fn kept(rendered: &Rendered) -> Result<Self, Problem> {
        let Rendered { status, body } = rendered;
        let status = StatusCode::from_u16(*status).map_err(|error| Problem::server(Kind::Internal, error))?;
        let Kept { media_type, etag, location, body } =
            serde_json::from_slice(body).map_err(|error| Problem::server(Kind::Internal, error))?;
        Ok(Self { status, media_type, etag, location, body: body.get().as_bytes().to_vec() })
    }

    /// The same answer, said to be a repetition.
    pub(crate) fn replayed(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self { status, media_type, etag, location, body } = self;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [(CONTENT_TYPE, Some(media_type)), (ETAG, etag), (LOCATION, location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_being_kept() {
        let answer = Answer {
            status: StatusCode::CREATED,
            media_type: "application/scim+json".to_owned(),
            etag: Some("\"1\"".to_owned()),
            location: Some("/api/v1/agents/agt_1".to_owned()),
            body: br#"{"name": "x",  "n": 1.0}"#.to_vec(),
        };
        assert_eq!(Answer::kept(&answer.keep().unwrap()).unwrap(), answer);
    }
}
