//! Which price holds for a model at a time. Pure.

use std::collections::HashMap;
use std::sync::LazyLock;

use kernel::{Money, Timestamp};
use serde_json::Value;

use crate::model::{Charge, Price, Tokens};

/// The prices of one tenant: its own rows, and behind them the built-in list.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    /// By model, the newest first.
    own: HashMap<String, Vec<Price>>,
}

/// A report of more tokens of one kind for one call is not believed: it counts as so many.
pub const MAX_TOKENS: u64 = 100_000_000;

/// A nano-dollar.
const LEAST: Money = Money::from_nanos(1);

impl PriceBook {
    pub(crate) fn new(rows: Vec<Price>) -> Self {
        let mut own: HashMap<String, Vec<Price>> = HashMap::new();
        for price in rows {
            own.entry(price.model.clone()).or_default().push(price);
        }
        for prices in own.values_mut() {
            prices.sort_by_key(|price| std::cmp::Reverse(price.effective_from));
        }
        Self { own }
    }

    /// The price of `model` at that instant: the tenant's own that took effect last, else the built-in one. A model
    /// without a price must not be called, for nobody could say what it costs.
    pub fn price(&self, model: &str, at: Timestamp) -> Option<&Price> {
        let own = self.own.get(model).and_then(|prices| prices.iter().find(|price| price.effective_from <= at));
        own.or_else(|| built_in().iter().find(|price| price.model == model))
    }

    /// The price of that id, whenever it holds.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Price> {
        self.own.values().flatten().chain(built_in()).find(|price| price.id == id)
    }
}

/// List prices that hold where a tenant has set none, at any time.
pub fn built_in() -> &'static [Price] {
    static LIST: LazyLock<Vec<Price>> = LazyLock::new(|| read(include_str!("../prices.json")).unwrap_or_default());
    &LIST
}

fn read(text: &str) -> Option<Vec<Price>> {
    let list: Value = serde_json::from_str(text).ok()?;
    let edition = list.get("edition")?.as_str()?;
    let price = |row: &Value| {
        let model = row.get("model")?.as_str()?.to_owned();
        let amount = |name: &str| row.get(name)?.as_str()?.parse::<Money>().ok();
        Some(Price {
            id: format!("list/{model}/{edition}"),
            model,
            input: amount("input")?,
            cached_input: amount("cached_input")?,
            output: amount("output")?,
            max_output_tokens: row.get("max_output_tokens")?.as_u64()?,
            effective_from: Timestamp::from_micros(0),
        })
    };
    list.get("prices")?.as_array()?.iter().map(price).collect()
}

impl Price {
    /// What these tokens cost, kind by kind, each rounded up to the nano-dollar.
    pub fn charge(&self, tokens: &Tokens) -> Charge {
        let believed = |count: u64| count.min(MAX_TOKENS);
        let tokens =
            Tokens { input: believed(tokens.input), cached: believed(tokens.cached), output: believed(tokens.output) };
        Charge {
            tokens,
            input: self.input.per_million(tokens.input),
            cached: self.cached_input.per_million(tokens.cached),
            output: self.output.per_million(tokens.output),
        }
    }

    /// What these tokens cost.
    pub fn cost(&self, tokens: &Tokens) -> Money {
        self.charge(tokens).total()
    }

    /// The most that a call can cost whose prompt has at most `input_bound` tokens, however many of them are cached,
    /// and whose answer has at most `output_bound`.
    pub fn worst_case(&self, input_bound: u64, output_bound: u64) -> Money {
        let dearest = if self.input < self.cached_input { self.cached_input } else { self.input };
        // A prompt of two kinds is rounded up twice.
        let whole = dearest.nanos() % 1_000_000 == 0 && self.cached_input.nanos() % 1_000_000 == 0;
        let rounding = if whole { Money::ZERO } else { LEAST };
        let believed = |count: u64| count.min(MAX_TOKENS);
        dearest.per_million(believed(input_bound)) + rounding + self.output.per_million(believed(output_bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(input: i64, cached: i64, output: i64) -> Price {
        Price {
            id: "prc".to_owned(),
            model: "m".to_owned(),
            input: Money::from_nanos(input),
            cached_input: Money::from_nanos(cached),
            output: Money::from_nanos(output),
            max_output_tokens: 1,
            effective_from: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn the_built_in_list_is_read_to_the_last_row() {
        let rows = include_str!("../prices.json").matches("\"model\"").count();
        assert_eq!(built_in().len(), rows);
        assert!(rows >= 12);
        let book = PriceBook::default();
        let gpt = book.price("gpt-4o", Timestamp::from_micros(1)).unwrap();
        assert_eq!((gpt.id.as_str(), gpt.input.to_string().as_str()), ("list/gpt-4o/2026-11", "2.50"));
        assert_eq!(gpt.cost(&Tokens { input: 1_000, cached: 200, output: 500 }).to_string(), "0.00775");
        assert!(book.price("gpt-4O", Timestamp::from_micros(1)).is_none());
    }

    #[test]
    fn the_price_in_force_is_the_latest_that_has_begun() {
        let row = |id: &str, from: i64| Price {
            id: id.to_owned(),
            model: "gpt-4o".to_owned(),
            effective_from: Timestamp::from_micros(from),
            ..price(1, 1, 1)
        };
        let book = PriceBook::new(vec![row("first", 100), row("third", 300), row("second", 200)]);
        for (at, id) in [(99, "list/gpt-4o/2026-11"), (100, "first"), (299, "second"), (300, "third"), (999, "third")] {
            assert_eq!(book.price("gpt-4o", Timestamp::from_micros(at)).unwrap().id, id, "at {at}");
        }
    }

    #[test]
    fn an_absurd_report_does_not_overflow() {
        let dear = price(100_000_000_000_000, 100_000_000_000_000, 100_000_000_000_000);
        let cost = dear.cost(&Tokens { input: u64::MAX, cached: u64::MAX, output: u64::MAX });
        assert_eq!(cost.to_string(), "30000000.00");
    }

    proptest! {
        #[test]
        fn no_call_within_its_bounds_costs_more_than_its_worst_case(
            prices in (0_i64..1 << 40, 0_i64..1 << 40, 0_i64..1 << 40),
            prompt in 0_u64..200_000, cached in 0_u64..200_000, output in 0_u64..50_000,
        ) {
            let price = price(prices.0, prices.1, prices.2);
            let cost = price.cost(&Tokens::of_prompt(prompt, cached, output));
            prop_assert!(cost <= price.worst_case(prompt, output));
        }
    }
}
