//! Usage records, their sums, and open calls.

use std::collections::BTreeMap;

use kernel::{BudgetId, CallId, Money, NodeId, Timestamp};
use store::{ReadTx, Row, StoreError, Value, WriteTx, sql, values};

use crate::model::{Call, Charge, Measure, OpenCall};

/// One row to be: a call, when it began, and what it is charged.
pub(crate) struct NewRecord<'a> {
    pub(crate) call: &'a Call,
    pub(crate) at: Timestamp,
    pub(crate) charge: Charge,
    /// The whole cost; more than the charge's where the end of the call is not known.
    pub(crate) cost: Money,
    pub(crate) measure: Measure,
}

/// Records, their share of the sums, and the end of the open calls.
pub(crate) fn insert(tx: &mut WriteTx<'_>, records: &[NewRecord<'_>]) -> Result<(), StoreError> {
    tx.execute_many(
        sql!(
            "INSERT INTO usage_records (tenant_id, call_id, at, agent_id, version_id, user_id, model, price_id,
                                        input_tokens, cached_tokens, output_tokens, input_nanos, cached_nanos,
                                        output_nanos, cost_nanos, measure)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        ),
        records.iter().map(record_row).collect(),
    )?;
    tx.execute_many(
        sql!(
            "INSERT INTO usage_rollups (tenant_id, day, agent_id, model, price_id, calls, unknown_calls, input_tokens,
                                        cached_tokens, output_tokens, input_nanos, cached_nanos, output_nanos,
                                        cost_nanos)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (tenant_id, day, agent_id, model, price_id) DO UPDATE SET
                    calls = usage_rollups.calls + excluded.calls,
                    unknown_calls = usage_rollups.unknown_calls + excluded.unknown_calls,
                    input_tokens = usage_rollups.input_tokens + excluded.input_tokens,
                    cached_tokens = usage_rollups.cached_tokens + excluded.cached_tokens,
                    output_tokens = usage_rollups.output_tokens + excluded.output_tokens,
                    input_nanos = usage_rollups.input_nanos + excluded.input_nanos,
                    cached_nanos = usage_rollups.cached_nanos + excluded.cached_nanos,
                    output_nanos = usage_rollups.output_nanos + excluded.output_nanos,
                    cost_nanos = usage_rollups.cost_nanos + excluded.cost_nanos"
        ),
        rollup_rows(records),
    )?;
    close(tx, records.iter().map(|record| &record.call.id))
}

fn record_row(record: &NewRecord<'_>) -> Vec<Value> {
    let NewRecord { call: Call { id, agent, version, user, model, price_id }, at, charge, cost, measure } = record;
    let Charge { tokens, input, cached, output } = charge;
    values![
        id,
        *at,
        agent,
        version,
        user,
        model.as_str(),
        price_id.as_str(),
        tokens.input,
        tokens.cached,
        tokens.output,
        *input,
        *cached,
        *output,
        *cost,
        *measure
    ]
}

#[derive(Default)]
struct Sums {
    calls: u64,
    unknown: u64,
    tokens: [u64; 3],
    nanos: [Money; 4],
}

/// One row for each key, because one statement cannot touch a row twice.
fn rollup_rows(records: &[NewRecord<'_>]) -> Vec<Vec<Value>> {
    let mut rows: BTreeMap<(Timestamp, &str, &str, &str), Sums> = BTreeMap::new();
    for NewRecord { call, at, charge, cost, measure } in records {
        let key = (at.day_start(), call.agent.as_str(), call.model.as_str(), call.price_id.as_str());
        let sums = rows.entry(key).or_default();
        let Charge { tokens, input, cached, output } = charge;
        sums.calls += 1;
        sums.unknown += u64::from(*measure == Measure::Held);
        let [a, b, c] = sums.tokens;
        sums.tokens = [a + tokens.input, b + tokens.cached, c + tokens.output];
        let [a, b, c, d] = sums.nanos;
        sums.nanos = [a + *input, b + *cached, c + *output, d + *cost];
    }
    let row = |((day, agent, model, price), sums): ((Timestamp, &str, &str, &str), Sums)| {
        let Sums { calls, unknown, tokens, nanos } = sums;
        let mut row = values![day, agent, model, price, calls, unknown];
        row.extend(tokens.map(Value::from));
        row.extend(nanos.map(Value::from));
        row
    };
    rows.into_iter().map(row).collect()
}

pub(crate) fn open(tx: &mut WriteTx<'_>, calls: &[&OpenCall]) -> Result<(), StoreError> {
    tx.execute_many(
        sql!(
            "INSERT INTO open_calls (tenant_id, call_id, node_id, at, agent_id, version_id, user_id, model, price_id,
                                     held_nanos, budgets)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        calls.iter().map(|open| open_row(open)).collect(),
    )
}

fn open_row(open: &OpenCall) -> Vec<Value> {
    let OpenCall { call: Call { id, agent, version, user, model, price_id }, node, at, held, budgets } = open;
    let budgets: serde_json::Value =
        budgets.iter().map(|(budget, start)| serde_json::json!([budget.as_str(), start.micros()])).collect();
    values![id, node, *at, agent, version, user, model.as_str(), price_id.as_str(), *held, budgets.to_string()]
}

fn close<'a>(tx: &mut WriteTx<'_>, calls: impl Iterator<Item = &'a CallId>) -> Result<(), StoreError> {
    let ids: serde_json::Value = calls.map(CallId::as_str).collect();
    tx.execute(
        sql! {
            sqlite: "DELETE FROM open_calls WHERE tenant_id = $1 AND call_id IN (SELECT value FROM json_each($2))",
            postgres: "DELETE FROM open_calls WHERE tenant_id = $1
                       AND call_id IN (SELECT json_array_elements_text(CAST(CAST($2 AS TEXT) AS JSON)))",
        },
        values![ids.to_string()],
    )?;
    Ok(())
}

pub(crate) fn open_of(tx: &mut ReadTx<'_>, node: &NodeId) -> Result<Vec<OpenCall>, StoreError> {
    tx.all(
        sql!(
            "SELECT call_id, node_id, at, agent_id, version_id, user_id, model, price_id, held_nanos, budgets
             FROM open_calls WHERE tenant_id = $1 AND node_id = $2 ORDER BY call_id"
        ),
        values![node],
        |row| {
            let (id, node, at) = (row.get()?, row.get()?, row.get()?);
            let call = Call {
                id,
                agent: row.get()?,
                version: row.get()?,
                user: row.get()?,
                model: row.get()?,
                price_id: row.get()?,
            };
            Ok(OpenCall { call, node, at, held: row.get()?, budgets: budgets(&row.get::<String>()?)? })
        },
    )
}

/// Whether the call is still open.
pub(crate) fn is_open(tx: &mut ReadTx<'_>, call: &CallId) -> Result<bool, StoreError> {
    let found = tx.optional(
        sql!("SELECT at FROM open_calls WHERE tenant_id = $1 AND call_id = $2"),
        values![call],
        Row::get::<i64>,
    )?;
    Ok(found.is_some())
}

/// Whether the call has its record.
pub(crate) fn is_recorded(tx: &mut ReadTx<'_>, call: &CallId) -> Result<bool, StoreError> {
    let found = tx.optional(
        sql!("SELECT at FROM usage_records WHERE tenant_id = $1 AND call_id = $2"),
        values![call],
        Row::get::<i64>,
    )?;
    Ok(found.is_some())
}

fn budgets(text: &str) -> Result<Vec<(BudgetId, Timestamp)>, StoreError> {
    let pairs: Option<Vec<(BudgetId, Timestamp)>> =
        serde_json::from_str::<Vec<(String, i64)>>(text).ok().and_then(|pairs| {
            pairs.into_iter().map(|(id, at)| Some((id.parse().ok()?, Timestamp::from_micros(at)))).collect()
        });
    pairs.ok_or(StoreError::Decode("an open call's budgets"))
}
