//! Use cases of the reports: who used what, and what it cost.

use std::collections::BTreeMap;

use authz::{Action, Caller, Forbidden, Permission};
use kernel::{CallId, Cursor, Money, Page, PageSize, Timestamp};

use ::store::{Database, ReadTx, StoreError};

use crate::book::PriceBook;
use crate::model::{Price, Record};
use crate::store;
use crate::store::reports::{Costs, ModelAtPrice};
use crate::sums::{Filter, Group, Span, Sums};

/// Seeing usage and cost.
#[derive(Debug)]
pub struct ReadUsage;

impl Action for ReadUsage {
    const NAME: &'static str = "usage.read";
    const PERMISSION: Option<Permission> = Some(Permission::UsageRead);
}

/// What was used in a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// When.
    pub span: Span,
    /// By what the groups are made.
    pub group: Group,
    /// The whole.
    pub totals: Sums,
    /// By model name, agent id, or first instant of the day (RFC 3339), in that order. The groups sum up to the whole.
    pub groups: Vec<(String, Sums)>,
}

/// What a line of a cost report is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of prompts that the provider had cached.
    CachedInputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Calls whose end is not known, at the cost held for them.
    UnknownCalls,
}

impl Item {
    const fn words(self) -> &'static str {
        match self {
            Self::InputTokens => "input tokens",
            Self::CachedInputTokens => "cached input tokens",
            Self::OutputTokens => "output tokens",
            Self::UnknownCalls => "calls whose end is not known, at the cost held",
        }
    }

    /// What is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::InputTokens | Self::CachedInputTokens | Self::OutputTokens => "1M tokens",
            Self::UnknownCalls => "call",
        }
    }

    const fn price(self, price: &Price) -> Option<Money> {
        match self {
            Self::InputTokens => Some(price.input),
            Self::CachedInputTokens => Some(price.cached_input),
            Self::OutputTokens => Some(price.output),
            Self::UnknownCalls => None,
        }
    }
}

/// One line of a cost report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// In words: `gpt-4o - input tokens`.
    pub description: String,
    /// The model.
    pub model: String,
    /// The price that the calls were charged at.
    pub price_id: String,
    /// What it is for.
    pub item: Item,
    /// How many tokens or calls.
    pub quantity: u64,
    /// For a million tokens. `None` for calls, whose prices differ.
    pub unit_price: Option<Money>,
    /// What they cost: the sum of what each call was charged.
    pub amount: Money,
}

/// What a span of time cost, line by line. The lines sum up to the total, and the total is the sum of the records, to
/// the nano-dollar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostReport {
    /// When.
    pub span: Span,
    /// By model, price and item.
    pub lines: Vec<Line>,
    /// The whole.
    pub total: Money,
}

/// Why a report is not given.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor is not one of this listing.
    #[error("`{0}` is no cursor of this listing")]
    Cursor(Cursor),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Sums up usage. Whole days come from their sums, however many calls there were.
pub fn aggregate(db: &Database, caller: &Caller, span: Span, group: Group) -> Result<Aggregation, ReportError> {
    let grant = caller.authorize::<ReadUsage>()?;
    let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
    db.read(&grant, |tx| {
        for (source, part) in span.parts() {
            for (key, sums) in store::reports::sums(tx, source, group, part)? {
                *groups.entry(key).or_default() += sums;
            }
        }
        Ok::<_, StoreError>(())
    })?;
    let mut totals = Sums::default();
    for sums in groups.values() {
        totals += *sums;
    }
    Ok(Aggregation { span, group, totals, groups: groups.into_iter().collect() })
}

/// Says what a span of time cost.
pub fn cost_report(db: &Database, caller: &Caller, span: Span) -> Result<CostReport, ReportError> {
    let grant = caller.authorize::<ReadUsage>()?;
    let (costs, book) = db.read(&grant, |tx| Ok::<_, StoreError>((costs(tx, span)?, PriceBook::load(tx)?)))?;
    let total = costs.values().map(|costs| costs.sums.cost).sum();
    let lines = costs.iter().flat_map(|((model, price), costs)| lines(&book, model, price, costs)).collect();
    Ok(CostReport { span, lines, total })
}

fn costs(tx: &mut ReadTx<'_>, span: Span) -> Result<BTreeMap<ModelAtPrice, Costs>, StoreError> {
    let mut all: BTreeMap<ModelAtPrice, Costs> = BTreeMap::new();
    for (source, part) in span.parts() {
        for (key, costs) in store::reports::costs(tx, source, part)? {
            let sum = all.entry(key).or_default();
            sum.sums += costs.sums;
            sum.input = sum.input + costs.input;
            sum.cached = sum.cached + costs.cached;
            sum.output = sum.output + costs.output;
        }
    }
    Ok(all)
}

fn lines(book: &PriceBook, model: &str, price_id: &str, costs: &Costs) -> Vec<Line> {
    let Costs { sums, input, cached, output } = *costs;
    let unknown = sums.cost - input - cached - output;
    let all = [
        (Item::InputTokens, sums.tokens.input, input),
        (Item::CachedInputTokens, sums.tokens.cached, cached),
        (Item::OutputTokens, sums.tokens.output, output),
        (Item::UnknownCalls, sums.unknown_calls, unknown),
    ];
    let price = book.by_id(price_id);
    let line = |(item, quantity, amount): (Item, u64, Money)| Line {
        description: format!("{model} - {}", item.words()),
        model: model.to_owned(),
        price_id: price_id.to_owned(),
        item,
        quantity,
        unit_price: price.and_then(|price| item.price(price)),
        amount,
    };
    all.into_iter().filter(|(_, quantity, amount)| *quantity > 0 || *amount != Money::ZERO).map(line).collect()
}

/// The records themselves, the newest first.
pub fn records(
    db: &Database,
    caller: &Caller,
    filter: &Filter,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Record>, ReportError> {
    let grant = caller.authorize::<ReadUsage>()?;
    let before = after.map_or(Ok((Span::ALWAYS.to, String::new())), place)?;
    let rows = db.read(&grant, |tx| store::reports::records(tx, filter, (before.0, &before.1), size))?;
    Ok(Page::of(rows, size, |record| format!("{}.{}", record.at.micros(), record.call.id)))
}

/// A place in the records: the instant and the call of the last one shown.
fn place(cursor: &Cursor) -> Result<(Timestamp, String), ReportError> {
    let place = cursor.key().split_once('.').and_then(|(micros, call)| {
        let call: CallId = call.parse().ok()?;
        Some((Timestamp::from_micros(micros.parse().ok()?), call.to_string()))
    });
    place.ok_or_else(|| ReportError::Cursor(cursor.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::Source;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn whole_days_are_never_read_from_records() {
        let span = |from: &str, to: &str| Span { from: at(from), to: at(to) }.parts();
        let midnight = |day: u8| format!("2027-01-{day:02}T00:00:00Z");
        let days = (at(&midnight(2)), at(&midnight(5)));
        assert_eq!(span(&midnight(2), &midnight(5)), [(Source::Rollups, days)]);
        let (early, late) = ("2027-01-01T08:00:00Z", "2027-01-05T09:00:00Z");
        let parts =
            [(Source::Records, (at(early), days.0)), (Source::Rollups, days), (Source::Records, (days.1, at(late)))];
        assert_eq!(span(early, late), parts);
        let noon = "2027-01-01T12:00:00Z";
        assert_eq!(span(early, noon), [(Source::Records, (at(early), at(noon)))]);
        assert_eq!(span(noon, early), []);
    }
}
