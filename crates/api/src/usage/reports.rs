//! Usage and cost.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use kernel::{AgentId, Cursor, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use usage::{Aggregation, Call, CostReport, Filter, Group, Item, Line, Record, ReportError, Span, Sums, Tokens};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::extract::Query;
use crate::problem::{Kind, Problem};
use crate::wire::{Amount, Limit, PageOut, Show, Written};

/// Which time a report is about, and by what it is grouped.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// The first instant (RFC 3339); the beginning of all records unless given.
    #[param(value_type = Option<String>, example = "2027-01-01T00:00:00Z")]
    from: Option<Written<Timestamp>>,
    /// The first instant after it; the end of all records unless given.
    #[param(value_type = Option<String>)]
    to: Option<Written<Timestamp>>,
    /// `day`, `model` or `agent`; `day` unless given.
    #[serde(default)]
    #[param(inline)]
    group_by: GroupIn,
}

/// Which time a report is about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CostsQuery {
    /// The first instant (RFC 3339); the beginning of all records unless given.
    #[param(value_type = Option<String>, example = "2027-01-01T00:00:00Z")]
    from: Option<Written<Timestamp>>,
    /// The first instant after it; the end of all records unless given.
    #[param(value_type = Option<String>)]
    to: Option<Written<Timestamp>>,
}

/// Which records, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordsQuery {
    /// Only calls that began at this instant (RFC 3339) or later.
    #[param(value_type = Option<String>)]
    from: Option<Written<Timestamp>>,
    /// Only calls that began before this instant.
    #[param(value_type = Option<String>)]
    to: Option<Written<Timestamp>>,
    /// Only calls of this agent.
    #[param(value_type = Option<String>)]
    agent_id: Option<Written<AgentId>>,
    /// Only calls for this user.
    #[param(value_type = Option<String>)]
    user_id: Option<Written<UserId>>,
    /// Only calls of this model.
    model: Option<String>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// By what usage is summed.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupIn {
    /// By day, in UTC.
    #[default]
    Day,
    /// By model.
    Model,
    /// By agent.
    Agent,
}

impl From<GroupIn> for Group {
    fn from(group: GroupIn) -> Self {
        match group {
            GroupIn::Day => Self::Day,
            GroupIn::Model => Self::Model,
            GroupIn::Agent => Self::Agent,
        }
    }
}

fn span(from: Option<Written<Timestamp>>, to: Option<Written<Timestamp>>) -> Span {
    Span { from: from.map_or(Span::ALWAYS.from, |at| at.0), to: to.map_or(Span::ALWAYS.to, |at| at.0) }
}

/// An end of a span as it was asked for: null where none was.
fn bound(at: Timestamp, unbounded: Timestamp) -> Option<String> {
    if at == unbounded { None } else { Some(at.to_string()) }
}

/// What a number of calls used and cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SumsOut {
    /// How many there were.
    calls: u64,
    /// How many of them came to an end that is not known; they cost what was held for them.
    unknown_calls: u64,
    /// Tokens of prompts that were not cached.
    input_tokens: u64,
    /// Tokens of prompts that the provider had cached.
    cached_input_tokens: u64,
    /// Tokens of answers.
    output_tokens: u64,
    /// What all of them cost.
    cost: Amount,
}

impl From<&Sums> for SumsOut {
    fn from(sums: &Sums) -> Self {
        let Sums { calls, unknown_calls, tokens: Tokens { input, cached, output }, cost } = *sums;
        Self {
            calls,
            unknown_calls,
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            cost: cost.into(),
        }
    }
}

/// What was used in a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageOut {
    /// The first instant; null for the beginning of all records.
    from: Option<String>,
    /// The first instant after it; null for the end of all records.
    to: Option<String>,
    /// By what the groups are made.
    group_by: &'static str,
    /// The whole.
    total: SumsOut,
    /// The groups sum up to the whole.
    groups: Vec<UsageGroupOut>,
}

/// One group of usage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageGroupOut {
    /// The day's first instant, the model, or the agent's id.
    key: String,
    /// What was used.
    #[serde(flatten)]
    sums: SumsOut,
}

impl Show for Aggregation {
    type Out = UsageOut;

    fn show(&self) -> UsageOut {
        let Self { span: Span { from, to }, group, totals, groups } = self;
        UsageOut {
            from: bound(*from, Span::ALWAYS.from),
            to: bound(*to, Span::ALWAYS.to),
            group_by: match group {
                Group::Day => "day",
                Group::Model => "model",
                Group::Agent => "agent",
            },
            total: totals.into(),
            groups: groups.iter().map(|(key, sums)| UsageGroupOut { key: key.clone(), sums: sums.into() }).collect(),
        }
    }
}

/// What a span of time cost, line by line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostsOut {
    /// The first instant; null for the beginning of all records.
    from: Option<String>,
    /// The first instant after it; null for the end of all records.
    to: Option<String>,
    /// The whole: the exact sum of the lines.
    total: Amount,
    /// By model, price and item.
    lines: Vec<CostLineOut>,
}

/// One line of a cost report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostLineOut {
    /// In words.
    #[schema(example = "gpt-4o - input tokens")]
    description: String,
    /// The model.
    model: String,
    /// The price that the calls were charged at.
    price_id: String,
    /// `input_tokens`, `cached_input_tokens`, `output_tokens` or `unknown_calls`.
    item: &'static str,
    /// How many tokens or calls.
    quantity: u64,
    /// What `unit_price` is for.
    #[schema(example = "1M tokens")]
    unit: &'static str,
    /// For one unit; null for calls whose end is not known, whose costs differ.
    unit_price: Option<Amount>,
    /// What they cost: the sum of what each call was charged.
    amount: Amount,
}

impl From<&Line> for CostLineOut {
    fn from(line: &Line) -> Self {
        let Line { description, model, price_id, item, quantity, unit_price, amount } = line;
        Self {
            description: description.clone(),
            model: model.clone(),
            price_id: price_id.clone(),
            item: match item {
                Item::InputTokens => "input_tokens",
                Item::CachedInputTokens => "cached_input_tokens",
                Item::OutputTokens => "output_tokens",
                Item::UnknownCalls => "unknown_calls",
            },
            quantity: *quantity,
            unit: item.unit(),
            unit_price: unit_price.map(Amount::from),
            amount: (*amount).into(),
        }
    }
}

impl Show for CostReport {
    type Out = CostsOut;

    fn show(&self) -> CostsOut {
        let Self { span: Span { from, to }, lines, total } = self;
        CostsOut {
            from: bound(*from, Span::ALWAYS.from),
            to: bound(*to, Span::ALWAYS.to),
            total: (*total).into(),
            lines: lines.iter().map(CostLineOut::from).collect(),
        }
    }
}

/// One call's use, as it was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageRecordOut {
    /// The call.
    call_id: String,
    /// The agent that was run.
    agent_id: String,
    /// The version of it.
    version_id: String,
    /// On whose behalf.
    user_id: String,
    /// The model that was asked.
    model: String,
    /// The price that it was charged at.
    price_id: String,
    /// When it began.
    at: String,
    /// Tokens of the prompt that were not cached.
    input_tokens: u64,
    /// Tokens of the prompt that the provider had cached.
    cached_input_tokens: u64,
    /// Tokens of the answer.
    output_tokens: u64,
    /// What it cost.
    cost: Amount,
    /// How that is known: `reported`, `estimated`, or `held` where a crash came between.
    #[schema(example = "reported")]
    measure: &'static str,
}

impl Show for Record {
    type Out = UsageRecordOut;

    fn show(&self) -> UsageRecordOut {
        let Self { call, at, tokens: Tokens { input, cached, output }, cost, measure } = self;
        let Call { id, agent, version, user, model, price_id } = call;
        UsageRecordOut {
            call_id: id.to_string(),
            agent_id: agent.to_string(),
            version_id: version.to_string(),
            user_id: user.to_string(),
            model: model.clone(),
            price_id: price_id.clone(),
            at: at.to_string(),
            input_tokens: *input,
            cached_input_tokens: *cached,
            output_tokens: *output,
            cost: (*cost).into(),
            measure: measure.as_str(),
        }
    }
}

/// Sums up what was used, by day, model or agent.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "Money", params(UsageQuery), responses((status = 200, body = UsageOut), Problem)
)]
pub(crate) async fn get_usage(
    State(app): State<App>,
    caller: Caller,
    Query(UsageQuery { from, to, group_by }): Query<UsageQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| usage::aggregate(db, caller, span(from, to), group_by.into())).await
}

/// Lists the usage records themselves, the newest first.
#[utoipa::path(
    get, path = "/api/v1/usage/records", tag = "Money", params(RecordsQuery),
    responses((status = 200, body = PageOut<UsageRecordOut>), Problem)
)]
pub(crate) async fn list_usage_records(
    State(app): State<App>,
    caller: Caller,
    Query(RecordsQuery { from, to, agent_id, user_id, model, cursor, limit }): Query<RecordsQuery>,
) -> Result<Response, Problem> {
    let (agent, user) = (agent_id.map(|agent| agent.0), user_id.map(|user| user.0));
    let (filter, after) = (Filter { span: span(from, to), agent, user, model }, cursor.map(|cursor| cursor.0));
    app.read(caller, move |db, caller, _| usage::records(db, caller, &filter, after.as_ref(), limit.0)).await
}

/// Says what a span of time cost, line by line, to the last decimal.
#[utoipa::path(
    get, path = "/api/v1/costs", tag = "Money", params(CostsQuery), responses((status = 200, body = CostsOut), Problem)
)]
pub(crate) async fn get_costs(
    State(app): State<App>,
    caller: Caller,
    Query(CostsQuery { from, to }): Query<CostsQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| usage::cost_report(db, caller, span(from, to))).await
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Forbidden(refusal) => refusal.into(),
            ReportError::Cursor(_) => Self::client(Kind::Invalid, &error),
            ReportError::Database(error) => error.into(),
        }
    }
}
