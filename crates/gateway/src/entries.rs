//! What the gateway writes into the ledger.

use kernel::{Money, hex};
use serde_json::json;
use store::{Entry, Outcome, Policy, Resource};
use usage::Tokens;

use crate::facts::Call;
use crate::transcript::Transcript;

/// A call was allowed and begun. Durable before the first byte of its answer leaves.
pub const REQUESTED: &str = "gateway.call.requested";
/// A call was answered.
pub const COMPLETED: &str = "gateway.call.completed";
/// A call got no answer, or not all of it.
pub const FAILED: &str = "gateway.call.failed";
/// The client went away before the end.
pub const ABORTED: &str = "gateway.call.aborted";
/// A crash came between; what the upstream did is not known.
pub const UNKNOWN: &str = "gateway.call.unknown";

/// Every entry of this crate.
pub const ACTIONS: &[&str] = &[REQUESTED, COMPLETED, FAILED, ABORTED, UNKNOWN];

pub(crate) fn requested(call: &Call, held: Money, body: &[u8]) -> Entry {
    let facts = json!({
        "agent_id": call.agent.as_str(),
        "version_id": call.version.as_str(),
        "model": call.price.model,
        "upstream": call.upstream,
        "stream": call.stream,
        "held": held.to_string(),
    });
    // The body is valid JSON and goes in as it goes upstream, byte for byte.
    let mut payload = facts.to_string().into_bytes();
    payload.pop();
    payload.extend_from_slice(b",\"request\":");
    payload.extend_from_slice(body);
    payload.push(b'}');
    entry(REQUESTED, call, &hex(tlog::sha256(body).as_bytes())).with_payload_bytes(payload)
}

/// What a call came to.
pub(crate) struct Bill<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) cost: Money,
    pub(crate) estimated: bool,
    /// Why it was not completed.
    pub(crate) reason: Option<&'a str>,
}

pub(crate) fn ended(action: &'static str, call: &Call, bill: &Bill<'_>, answer: &Transcript) -> Entry {
    let outcome = match action {
        COMPLETED => Outcome::Ok,
        ABORTED => Outcome::Aborted,
        UNKNOWN => Outcome::Unknown,
        _ => Outcome::Failed,
    };
    let payload = json!({
        "agent_id": call.agent.as_str(),
        "version_id": call.version.as_str(),
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
    entry(action, call, &answer.digest()).with_outcome(outcome).with_payload(&payload)
}

/// Names the version that governed the call as the policy that decided it: its digest is the rule.
fn entry(action: &'static str, call: &Call, digest: &str) -> Entry {
    let policy = Policy { id: call.version.to_string(), version: call.view, rule: call.digest.clone(), digest: None };
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
