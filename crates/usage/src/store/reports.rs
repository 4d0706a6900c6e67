//! Sums over records: whole days from the rollups, parts of days from the records.

use kernel::{Money, PageSize, Timestamp};
use store::{ReadTx, Row, StoreError, TenantSql, sql, values};

use crate::model::{Call, Record, Tokens};
use crate::sums::{Filter, Group, Source, Sums};

/// The sums of `from <= at < to` by day, model or agent.
pub(crate) fn sums(
    tx: &mut ReadTx<'_>,
    source: Source,
    group: Group,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(String, Sums)>, StoreError> {
    let read = |row: &mut Row| {
        let key = match group {
            Group::Day => row.get::<Timestamp>()?.to_string(),
            Group::Model | Group::Agent => row.get::<String>()?,
        };
        Ok((key, read_sums(row)?))
    };
    tx.all(statement(source, group), values![from, to], read)
}

fn statement(source: Source, group: Group) -> TenantSql {
    match (source, group) {
        (Source::Rollups, Group::Day) => sql!(
            "SELECT day, CAST(SUM(calls) AS BIGINT), CAST(SUM(unknown_calls) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_rollups WHERE tenant_id = $1 AND day >= $2 AND day < $3 GROUP BY day"
        ),
        (Source::Rollups, Group::Model) => sql!(
            "SELECT model, CAST(SUM(calls) AS BIGINT), CAST(SUM(unknown_calls) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_rollups WHERE tenant_id = $1 AND day >= $2 AND day < $3 GROUP BY model"
        ),
        (Source::Rollups, Group::Agent) => sql!(
            "SELECT agent_id, CAST(SUM(calls) AS BIGINT), CAST(SUM(unknown_calls) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_rollups WHERE tenant_id = $1 AND day >= $2 AND day < $3 GROUP BY agent_id"
        ),
        // A part of a day lies within one day: its first instant will do as the day's name.
        (Source::Records, Group::Day) => sql!(
            "SELECT at - at % 86400000000, COUNT(*), CAST(SUM(CASE measure WHEN 'held' THEN 1 ELSE 0 END) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_records WHERE tenant_id = $1 AND at >= $2 AND at < $3 GROUP BY at - at % 86400000000"
        ),
        (Source::Records, Group::Model) => sql!(
            "SELECT model, COUNT(*), CAST(SUM(CASE measure WHEN 'held' THEN 1 ELSE 0 END) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_records WHERE tenant_id = $1 AND at >= $2 AND at < $3 GROUP BY model"
        ),
        (Source::Records, Group::Agent) => sql!(
            "SELECT agent_id, COUNT(*), CAST(SUM(CASE measure WHEN 'held' THEN 1 ELSE 0 END) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT)
             FROM usage_records WHERE tenant_id = $1 AND at >= $2 AND at < $3 GROUP BY agent_id"
        ),
    }
}

fn read_sums(row: &mut Row) -> Result<Sums, StoreError> {
    Ok(Sums {
        calls: row.get()?,
        unknown_calls: row.get()?,
        tokens: Tokens { input: row.get()?, cached: row.get()?, output: row.get()? },
        cost: row.get()?,
    })
}

/// A model's name and the id of the price its calls were charged at.
pub(crate) type ModelAtPrice = (String, String);

/// What one model cost at one price, kind by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) sums: Sums,
    pub(crate) input: Money,
    pub(crate) cached: Money,
    pub(crate) output: Money,
}

/// The costs of `from <= at < to` by model and price.
pub(crate) fn costs(
    tx: &mut ReadTx<'_>,
    source: Source,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(ModelAtPrice, Costs)>, StoreError> {
    let statement = match source {
        Source::Rollups => sql!(
            "SELECT model, price_id, CAST(SUM(calls) AS BIGINT), CAST(SUM(unknown_calls) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT),
                    CAST(SUM(input_nanos) AS BIGINT), CAST(SUM(cached_nanos) AS BIGINT),
                    CAST(SUM(output_nanos) AS BIGINT)
             FROM usage_rollups WHERE tenant_id = $1 AND day >= $2 AND day < $3 GROUP BY model, price_id"
        ),
        Source::Records => sql!(
            "SELECT model, price_id, COUNT(*), CAST(SUM(CASE measure WHEN 'held' THEN 1 ELSE 0 END) AS BIGINT),
                    CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
                    CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT),
                    CAST(SUM(input_nanos) AS BIGINT), CAST(SUM(cached_nanos) AS BIGINT),
                    CAST(SUM(output_nanos) AS BIGINT)
             FROM usage_records WHERE tenant_id = $1 AND at >= $2 AND at < $3 GROUP BY model, price_id"
        ),
    };
    tx.all(statement, values![from, to], |row| {
        let key = (row.get()?, row.get()?);
        let sums = read_sums(row)?;
        Ok((key, Costs { sums, input: row.get()?, cached: row.get()?, output: row.get()? }))
    })
}

/// Records before the key `(at, call)`, the newest first.
pub(crate) fn records(
    tx: &mut ReadTx<'_>,
    filter: &Filter,
    before: (Timestamp, &str),
    size: PageSize,
) -> Result<Vec<Record>, StoreError> {
    let Filter { span, agent, user, model } = filter;
    tx.all(
        sql!(
            "SELECT call_id, at, agent_id, version_id, user_id, model, price_id, input_tokens, cached_tokens,
                    output_tokens, cost_nanos, measure
             FROM usage_records
             WHERE tenant_id = $1 AND at >= $2 AND at < $3 AND (at, call_id) < ($4, $5)
                   AND ($6 = '' OR agent_id = $6) AND ($7 = '' OR user_id = $7) AND ($8 = '' OR model = $8)
             ORDER BY at DESC, call_id DESC LIMIT $9"
        ),
        values![
            span.from,
            span.to,
            before.0,
            before.1,
            agent.as_ref().map_or("", |agent| agent.as_str()),
            user.as_ref().map_or("", |user| user.as_str()),
            model.as_deref().unwrap_or(""),
            size.limit()
        ],
        |row| {
            let (id, at) = (row.get()?, row.get()?);
            let call = Call {
                id,
                agent: row.get()?,
                version: row.get()?,
                user: row.get()?,
                model: row.get()?,
                price_id: row.get()?,
            };
            let tokens = Tokens { input: row.get()?, cached: row.get()?, output: row.get()? };
            Ok(Record { call, at, tokens, cost: row.get()?, measure: row.get()? })
        },
    )
}
