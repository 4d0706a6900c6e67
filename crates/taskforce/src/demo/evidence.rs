//! Step 6: what the ledger, the usage and the costs say of all this.

use serde_json::Value;

use super::story::{Act, Story, text};
use crate::failure::Failure;
use crate::output::{Look, Table};

const REQUESTED: &str = "gateway.call.requested";
const COMPLETED: &str = "gateway.call.completed";

pub(super) async fn show(story: &mut Story<'_>) -> Result<(), Failure> {
    story.begin(
        "The evidence, the usage and the cost",
        "Each call left two entries: one before the first byte of its answer left, one before the last. Reading them leaves one, too.",
    );
    let entries = entries(story).await?;
    calls(story, &entries).await?;
    costs(story).await?;
    receipt(story, &entries).await?;
    story.end();
    Ok(())
}

/// What happened last, in the ledger's own words.
async fn entries(story: &mut Story<'_>) -> Result<Vec<Value>, Failure> {
    let path = "/api/v1/audit/entries?limit=40";
    let page = story.quietly(&Act::get("adam", "reads the ledger", path)).await?.json();
    let items = page.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows = items.iter().take(11).rev().map(|item| cells(item, &["/seq", "/action", "/outcome", "/hash"])).collect();
    story.output.table(&Table { head: vec!["entry", "what happened", "outcome", "hash of the entry"], rows });
    story.output.blank();
    Ok(items)
}

/// What each call used, and where it lies.
async fn calls(story: &mut Story<'_>, entries: &[Value]) -> Result<(), Failure> {
    let page = story.quietly(&Act::get("bob", "reads the usage", "/api/v1/usage/records")).await?.json();
    let records = page.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |record: &Value| {
        let call = record.get("call_id").and_then(Value::as_str).unwrap_or_default();
        let place = |action| place(entries, call, action).map(|seq| format!("#{seq}")).unwrap_or_default();
        let mut row = cells(record, &["/model", "/input_tokens", "/output_tokens", "/cost/amount"]);
        row.push(format!("{} to {}", place(REQUESTED), place(COMPLETED)));
        row
    };
    let rows = records.iter().rev().map(row).collect();
    let head = vec!["each call's model", "tokens in", "tokens out", "cost in USD", "entries"];
    story.output.table(&Table { head, rows });
    story.output.blank();
    story.note("calls", records.len().into());
    Ok(())
}

/// The place of what was done to something.
fn place(entries: &[Value], resource: &str, action: &str) -> Option<u64> {
    let is = |entry: &&Value, field: &str, value: &str| entry.get(field).and_then(Value::as_str) == Some(value);
    let found = entries.iter().find(|entry| is(entry, "resource_id", resource) && is(entry, "action", action));
    found?.get("seq")?.as_u64()
}

/// What it cost, line by line, and the exact sum.
async fn costs(story: &mut Story<'_>) -> Result<(), Failure> {
    let report = story.quietly(&Act::get("bob", "reads the costs", "/api/v1/costs")).await?.json();
    let lines = report.pointer("/lines").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| cells(line, &["/description", "/quantity", "/unit_price/amount", "/amount/amount"]))
        .collect();
    let total = text(&report, "/total/amount")?;
    rows.push(vec!["total".to_owned(), String::new(), String::new(), total.clone()]);
    story.output.table(&Table { head: vec!["cost report", "quantity", "USD a million", "USD"], rows });
    story.output.blank();
    story.note("total_cost", total.into());
    Ok(())
}

/// A receipt proves one entry without the others.
async fn receipt(story: &mut Story<'_>, entries: &[Value]) -> Result<(), Failure> {
    let is = |entry: &&Value| entry.get("action").and_then(Value::as_str) == Some(COMPLETED);
    let seq = entries.iter().find(is).and_then(|entry| entry.get("seq")?.as_u64());
    let seq = seq.ok_or("the ledger shows no completed call")?;
    let path = format!("/api/v1/audit/entries/{seq}/proof");
    let receipt = story.quietly(&Act::get("adam", "fetches a receipt", &path)).await?.body;
    let lines = String::from_utf8_lossy(&receipt).lines().count();
    let said = format!(
        "     A receipt for entry {seq} (C2SP tlog-proof, {lines} lines) proves it to anyone, without the other entries."
    );
    story.output.styled(Look::Dim, said);
    story.note("completed_entry", seq.into());
    Ok(())
}

fn cells(item: &Value, places: &[&str]) -> Vec<String> {
    let cell = |place: &&str| match item.pointer(place) {
        Some(Value::String(text)) => text.chars().take(46).collect(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => String::new(),
    };
    places.iter().map(cell).collect()
}
