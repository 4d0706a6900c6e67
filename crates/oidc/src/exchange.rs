//! One question to a provider, and its JSON answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use jose::MAX_KEY_SET;
use outbound::{Client, FetchError, Limits, Reach};
use serde::de::DeserializeOwned;

/// A person may be waiting; and no document of a provider is larger than a key set may be.
const LIMITS: Limits = Limits { deadline: Duration::from_secs(5), body_bytes: MAX_KEY_SET };

/// Why a provider's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// There is none.
    #[error("no answer")]
    Fetch(#[from] FetchError),
    /// It is no success.
    #[error("an answer with status {0}")]
    Status(StatusCode),
    /// It is not what it should be.
    #[error("an answer that is not the expected document")]
    Document,
}

/// The answer to a `GET`, which must be a success.
pub(crate) async fn get(client: &Client, uri: &Uri, reach: Reach) -> Result<Bytes, AnswerError> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    let response = ask(client, request, reach).await?;
    if response.status() == StatusCode::OK {
        Ok(response.into_body())
    } else {
        Err(AnswerError::Status(response.status()))
    }
}

/// The answer to any request, whatever its status.
pub(crate) async fn ask(
    client: &Client,
    mut request: Request<Full<Bytes>>,
    reach: Reach,
) -> Result<Response<Bytes>, AnswerError> {
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(client.fetch(request, LIMITS, reach).await?)
}

/// A JSON document that every reader understands alike.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AnswerError> {
    kernel::check_json(body).map_err(|_| AnswerError::Document)?;
    serde_json::from_slice(body).map_err(|_| AnswerError::Document)
}
