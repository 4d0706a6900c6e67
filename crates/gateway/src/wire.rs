//! The parts of OpenAI's chat completions that the gateway reads, and the answers it passes on.

use std::time::Duration;

use authz::{Cause, Forbidden};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use kernel::CallId;
use serde::Deserialize;
use usage::Tokens;

/// How long an answer may take altogether.
pub(crate) const TOTAL: Duration = Duration::from_mins(10);
/// The largest answer in one piece.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The header that names the call.
pub(crate) const CALL: HeaderName = HeaderName::from_static("taskforce-call");

#[derive(Deserialize)]
struct Answer {
    usage: Option<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl From<Reported> for Tokens {
    fn from(reported: Reported) -> Self {
        let Reported { prompt_tokens, completion_tokens, prompt_tokens_details } = reported;
        let cached = prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Self::of_prompt(prompt_tokens, cached, completion_tokens)
    }
}

/// The usage that an answer reports, if it does. An answer that is no JSON is none.
pub(crate) fn reported(body: &[u8]) -> Result<Option<Tokens>, serde_json::Error> {
    match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => Ok(answer.usage.map(Tokens::from)),
        Err(_) => serde_json::from_slice::<serde::de::IgnoredAny>(body).map(|_| None),
    }
}

/// What one event of a stream says about usage.
pub(crate) struct Chunk {
    pub(crate) tokens: Option<Tokens>,
    /// Whether the event carries nothing but usage.
    pub(crate) only_usage: bool,
}

/// Reads an event's data, if it speaks of usage at all.
pub(crate) fn chunk(data: &[u8]) -> Option<Chunk> {
    #[derive(Deserialize)]
    struct Event<'a> {
        usage: Option<Reported>,
        #[serde(borrow, default)]
        choices: Vec<&'a serde_json::value::RawValue>,
    }
    if !contains(data, b"\"usage\"") {
        return None;
    }
    let event: Event<'_> = serde_json::from_slice(data).ok()?;
    let only_usage = event.usage.is_some() && event.choices.is_empty();
    Some(Chunk { tokens: event.usage.map(Tokens::from), only_usage })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// An answer like the upstream's, without a body yet.
pub(crate) fn reply<B: Default>(response: &Response<Incoming>, call: &CallId) -> Response<B> {
    let mut reply = Response::new(B::default());
    let kind = response.headers().get(CONTENT_TYPE).cloned();
    let headers: &mut HeaderMap = reply.headers_mut();
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
    for name in [http::header::RETRY_AFTER, HeaderName::from_static("openai-processing-ms")] {
        if let Some(value) = response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if let Ok(value) = HeaderValue::from_str(call.as_str()) {
        headers.insert(CALL, value);
    }
    reply
}

/// The whole body, or nothing when it breaks off, is too large or takes longer than ten minutes.
pub(crate) async fn collect(body: Incoming) -> Result<Bytes, ()> {
    let limited = Limited::new(body, MAX_ANSWER);
    let collected = tokio::time::timeout(TOTAL, limited.collect()).await;
    Ok(collected.map_err(|_| ())?.map_err(|_| ())?.to_bytes())
}

/// An event that tells a stream's reader what went wrong, in the protocol's own form.
pub(crate) fn error_event(message: &str) -> Bytes {
    last_event(&serde_json::json!({ "message": message, "type": "server_error", "code": null, "param": null }))
}

/// An event that tells a stream's reader what is refused, in the protocol's own form.
pub(crate) fn refusal_event(refusal: &Forbidden) -> Bytes {
    let (code, basis) = match &refusal.cause {
        Cause::Missing { .. } | Cause::NotFresh => ("forbidden", None),
        Cause::Policy { basis, .. } => ("policy_denied", basis.as_ref()),
        Cause::NeedsApproval { basis, .. } => ("approval_required", basis.as_ref()),
    };
    last_event(&serde_json::json!({
        "message": refusal.to_string(),
        "type": "permission_error",
        "code": code,
        "param": null,
        "rule": basis.map(|basis| &basis.rule),
    }))
}

fn last_event(error: &serde_json::Value) -> Bytes {
    let mut event = BytesMut::from(&b"data: "[..]);
    event.extend_from_slice(serde_json::json!({ "error": error }).to_string().as_bytes());
    event.extend_from_slice(b"\n\n");
    event.freeze()
}
