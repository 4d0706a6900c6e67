//! Steps 4 and 5: calls that are let through, and calls that are not.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::story::{Act, Story, entry, header, reason, text};
use crate::client::{Answer, Streamed};
use crate::failure::Failure;
use crate::output::elapsed;

/// Where agents send what they have to say.
const CHAT: &str = "/v1/chat/completions";

pub(super) async fn make(story: &mut Story<'_>) -> Result<(), Failure> {
    story.begin(
        "Governed calls",
        "Olivia's agent speaks the OpenAI protocol; only its base URL and its key were changed. Which model it gets, with which prompt, settings and tools, the published version says.",
    );
    let asked = "What is your refund policy?";
    let answer = plain(story, asked, &json!({})).await?;
    said(story, asked, &answer);
    story.output.blank();
    let asked = "How long does delivery to Lisbon take?";
    let streamed = stream(story, asked).await?;
    streamed_as(story, asked, &streamed);
    story.output.blank();
    let asked = "My kettle arrived with a cracked lid, please open a ticket.";
    let tool = json!([{"type": "function", "function": {"name": "create_ticket", "parameters": {"type": "object"}}}]);
    let answer = plain(story, asked, &json!({"tools": tool})).await?;
    said(story, asked, &answer);
    story.end();
    Ok(())
}

fn body(message: &str, more: &Value) -> Value {
    // The client's own idea of a model: the published version's goes before it.
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": message}]});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

async fn plain(story: &mut Story<'_>, message: &str, more: &Value) -> Result<Answer, Failure> {
    let body = body(message, more);
    story.quietly(&Act::post("olivia", "asks", CHAT, &body).expect(StatusCode::OK)).await
}

async fn stream(story: &mut Story<'_>, message: &str) -> Result<Streamed, Failure> {
    let body = body(message, &json!({"stream": true}));
    story.stream(&Act::post("olivia", "asks", CHAT, &body).expect(StatusCode::OK)).await
}

fn said(story: &mut Story<'_>, message: &str, answer: &Answer) {
    let body = answer.json();
    let call = body.pointer("/choices/0/message/tool_calls/0/function");
    let text = match call {
        Some(call) => format!(
            "(calls the tool {} with {})",
            call.get("name").and_then(Value::as_str).unwrap_or_default(),
            call.get("arguments").and_then(Value::as_str).unwrap_or_default(),
        ),
        None => body.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    let tokens = |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let model = body.pointer("/model").and_then(Value::as_str).unwrap_or_default();
    let (input, output) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    let beside = entry(answer).map(|seq| format!(", ledger #{seq}")).unwrap_or_default();
    let about = format!("{model}, {input} + {output} tokens, {}{beside}", elapsed(answer.took));
    tell(story, message, &text, &about);
}

fn streamed_as(story: &mut Story<'_>, message: &str, streamed: &Streamed) {
    let chunks: Vec<Value> = streamed.events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let pieces = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/content")).filter_map(Value::as_str);
    let text: String = pieces.collect();
    let model = chunks.first().and_then(|chunk| chunk.pointer("/model")).and_then(Value::as_str).unwrap_or_default();
    let (first, took): (Duration, Duration) = (streamed.first, streamed.took);
    let about = format!(
        "{model}, streamed in {} events, the first after {}, all after {}",
        chunks.len(),
        elapsed(first),
        elapsed(took)
    );
    story.note("stream_events", chunks.len().into());
    story.note("usage_hidden", chunks.iter().all(|chunk| chunk.get("usage").is_none_or(Value::is_null)).into());
    tell(story, message, &text, &about);
}

fn tell(story: &mut Story<'_>, message: &str, text: &str, about: &str) {
    story.output.line(format_args!("     olivia   {message}"));
    story.output.paragraph(14, text);
    story.output.styled(crate::output::Look::Dim, format_args!("{:14}{about}", ""));
}

pub(super) async fn refuse(story: &mut Story<'_>) -> Result<(), Failure> {
    story.begin(
        "Calls that are refused",
        "Every refusal says why, to those who may know. Nothing went to the model server.",
    );
    let agent = story.noted("agent_id");
    let named = body("What is your refund policy?", &json!({"model": agent}));
    let viewer = Act::post("vera", "a viewer calls the agent", CHAT, &named).expect(StatusCode::FORBIDDEN);
    let refused = story.act(&viewer).await?;
    story.note("viewer_refused", reason(&refused.json()).into());
    let foreign = Act::post("grace", "globex asks for acme-corp's agent", CHAT, &named).expect(StatusCode::NOT_FOUND);
    story.act(&foreign).await?;
    budget(story, &agent).await?;
    story.end();
    Ok(())
}

/// A budget that the next call does not fit into, lifted again afterwards.
async fn budget(story: &mut Story<'_>, agent: &str) -> Result<(), Failure> {
    let limit = json!({"amount": "0.00001", "currency": "USD"});
    let new =
        json!({"name": "Support trial", "scope": {"type": "agent", "id": agent}, "period": "day", "limit": limit});
    let what = "sets a budget for the agent: 0.00001 USD a day";
    let made = story.act(&Act::post("bob", what, "/api/v1/admin/budgets", &new)).await?;
    let id = text(&made.json(), "/id")?;
    let asked = body("What is your refund policy?", &json!({}));
    let past = Act::post("olivia", "calls past the budget", CHAT, &asked).expect(StatusCode::TOO_MANY_REQUESTS);
    let refused = story.act(&past).await?;
    let wait = header(&refused, "retry-after");
    story.note("budget_refused", reason(&refused.json()).into());
    story.note("budget_retry_after", wait.clone().into());
    story.output.paragraph(14, &format!("retry-after: {wait} s"));
    let path = format!("/api/v1/admin/budgets/{id}");
    story.change(("bob", "closes that budget again"), Method::PATCH, &path, &json!({"status": "closed"})).await
}
