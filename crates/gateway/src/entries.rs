//! What the gateway writes into the ledger.

use authz::{Basis, Evidence};
use kernel::{Money, ReviewId, hex};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use store::{Entry, Outcome, Policy, Resource};
use usage::Tokens;

use crate::facts::Call;
use crate::transcript::Transcript;

/// A call was allowed and begun. Durable before the first byte of its answer leaves.
pub const REQUESTED: &str = "gateway.call.requested";
/// A call was answered.
pub const COMPLETED: &str = "gateway.call.completed";
/// A policy refused a call, or a tool that its answer asked for.
pub const REFUSED: &str = "gateway.call.refused";
/// A call got no answer, or not all of it.
pub const FAILED: &str = "gateway.call.failed";
/// The client went away before the end.
pub const ABORTED: &str = "gateway.call.aborted";
/// A crash came between; what the upstream did is not known.
pub const UNKNOWN: &str = "gateway.call.unknown";

/// Every entry of this crate.
pub const ACTIONS: &[&str] = &[REQUESTED, COMPLETED, REFUSED, FAILED, ABORTED, UNKNOWN];

/// The beginning of a payload: what was decided about the call, and on what. To be completed by [`requested`] or
/// [`refused`] with a body of about `body` bytes.
pub(crate) fn decision(evidence: &Evidence<'_>, body: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1_536 + body);
    payload.extend_from_slice(b"{\"decision\":");
    evidence.write(&mut payload);
    payload
}

/// What lets a call begin.
pub(crate) struct Begun<'a> {
    /// What is set aside for it.
    pub(crate) held: Money,
    /// The policy's rule that decided.
    pub(crate) basis: Option<&'a Basis>,
    /// The approval that is used up for it.
    pub(crate) approval: Option<&'a ReviewId>,
}

/// What a payload says of a call that is yet to be made.
#[derive(Serialize)]
struct Facts<'a> {
    agent_id: &'a str,
    version_id: &'a str,
    version_digest: &'a str,
    model: &'a str,
    upstream: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(call: &'a Call, held: Option<Money>, approval: Option<&'a ReviewId>) -> Self {
        Self {
            agent_id: call.agent.as_str(),
            version_id: call.version.as_str(),
            version_digest: &call.digest,
            model: &call.price.model,
            upstream: &call.upstream,
            stream: call.stream,
            held: held.map(|held| held.to_string()),
            approval: approval.map(ReviewId::as_str),
        }
    }
}

pub(crate) fn requested(call: &Call, begun: &Begun<'_>, decision: Vec<u8>, body: &[u8]) -> Entry {
    let Begun { held, basis, approval } = *begun;
    let payload = completed(decision, &Facts::of(call, Some(held), approval), Some(body));
    entry(REQUESTED, call, basis, &digest(body)).with_payload_bytes(payload)
}

/// A policy refuses the call, before anything was forwarded. Where it wants an approval, `approval` is the request for
/// one; `body` is kept where approvers are to read it.
pub(crate) fn refused(
    call: &Call,
    basis: Option<&Basis>,
    decision: Vec<u8>,
    approval: Option<(&ReviewId, Option<&[u8]>)>,
    digest: &str,
) -> Entry {
    let facts = Facts::of(call, None, approval.map(|(id, _)| id));
    let payload = completed(decision, &facts, approval.and_then(|(_, body)| body));
    entry(REFUSED, call, basis, digest).with_outcome(Outcome::Refused).with_payload_bytes(payload)
}

/// The digest of a request's body, in hexadecimal.
pub(crate) fn digest(body: &[u8]) -> String {
    hex(tlog::sha256(body).as_bytes())
}

/// Adds facts, and the body: it is valid JSON and goes in as it goes upstream, byte for byte.
fn completed(mut payload: Vec<u8>, facts: &Facts<'_>, body: Option<&[u8]>) -> Vec<u8> {
    let at = payload.len();
    // Texts written into memory: this does not fail.
    let _written = serde_json::to_writer(&mut payload, facts);
    if let Some(brace) = payload.get_mut(at) {
        *brace = b',';
    }
    if let Some(body) = body {
        payload.pop();
        payload.extend_from_slice(b",\"request\":");
        payload.extend_from_slice(body);
        payload.push(b'}');
    }
    payload
}

/// What a call came to.
pub(crate) struct Bill<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) cost: Money,
    pub(crate) estimated: bool,
    /// Why it was not completed.
    pub(crate) reason: Option<&'a str>,
    /// The policy's rule that decided.
    pub(crate) basis: Option<&'a Basis>,
    /// What was decided about the tools that the answer asked for.
    pub(crate) tools: &'a [Box<RawValue>],
}

pub(crate) fn ended(action: &'static str, call: &Call, bill: &Bill<'_>, answer: &Transcript) -> Entry {
    let outcome = match action {
        COMPLETED => Outcome::Ok,
        REFUSED => Outcome::Refused,
        ABORTED => Outcome::Aborted,
        UNKNOWN => Outcome::Unknown,
        _ => Outcome::Failed,
    };
    let mut payload = json!({
        "agent_id": call.agent.as_str(),
        "version_id": call.version.as_str(),
        "version_digest": call.digest,
        "model": call.price.model,
        "price_id": call.price.id,
        "input_tokens": bill.tokens.input,
        "cached_tokens": bill.tokens.cached,
        "output_tokens": bill.tokens.output,
        "cost": bill.cost.to_string(),
        "currency": Money::CURRENCY,
        "estimated": bill.estimated,
        "reason": bill.reason,
        "answer": answer.text(),
        "answer_bytes": answer.length(),
        "answer_complete": answer.is_whole(),
    });
    if let (false, Some(fields)) = (bill.tools.is_empty(), payload.as_object_mut()) {
        fields.insert("tool_decisions".to_owned(), json!(bill.tools));
    }
    entry(action, call, bill.basis, &answer.digest()).with_outcome(outcome).with_payload(&payload)
}

/// Names the policy's rule that decided about the call; where no policy speaks of it, the version that governed it,
/// whose digest then is the rule. The payload names the version in both cases, and its digest.
fn entry(action: &'static str, call: &Call, basis: Option<&Basis>, digest: &str) -> Entry {
    let version =
        || Policy { id: call.version.to_string(), version: call.view, rule: call.digest.clone(), digest: None };
    let policy = basis.map_or_else(version, Policy::from);
    Entry::new(action, Resource::new("call", &call.id).with_digest(digest)).with_policy(policy)
}

pub(crate) fn unknown(open: &usage::OpenCall) -> Entry {
    let payload = json!({
        "agent_id": open.call.agent.as_str(),
        "version_id": open.call.version.as_str(),
        "model": open.call.model,
        "price_id": open.call.price_id,
        "cost": open.held.to_string(),
        "currency": Money::CURRENCY,
        "estimated": true,
        "reason": "the server stopped before the call's end; it is charged what was held for it",
    });
    Entry::new(UNKNOWN, Resource::new("call", &open.call.id)).with_outcome(Outcome::Unknown).with_payload(&payload)
}
