//! The ledger entries that this domain writes. What calls leave in the ledger is the gateway's.

use ::store::{Entry, Resource};
use serde_json::json;

use crate::model::{Budget, Price};

/// The name of every entry below.
pub const ACTIONS: &[&str] = &["usage.price.set", "usage.budget.created", "usage.budget.updated"];

/// A price was set.
pub(crate) fn price_set(price: &Price) -> Entry {
    let Price { id, model, input, cached_input, output, max_output_tokens, effective_from } = price;
    Entry::new("usage.price.set", Resource::new("price", id)).with_payload(&json!({
        "model": model,
        "input": input.to_string(),
        "cached_input": cached_input.to_string(),
        "output": output.to_string(),
        "max_output_tokens": max_output_tokens,
        "effective_from": effective_from.to_string(),
    }))
}

/// A budget was created.
pub(crate) fn budget_created(budget: &Budget) -> Entry {
    Entry::new("usage.budget.created", Resource::new("budget", &budget.id)).with_payload(&json!({
        "name": budget.name,
        "scope": budget.scope.kind(),
        "scope_id": budget.scope.id(),
        "period": budget.period.as_str(),
        "limit": budget.limit.to_string(),
    }))
}

/// A budget's limit or status was changed.
pub(crate) fn budget_updated(before: &Budget, after: &Budget) -> Entry {
    let state = |budget: &Budget| {
        json!({
            "limit": budget.limit.to_string(),
            "status": budget.status.as_str(),
            "revision": budget.revision,
        })
    };
    Entry::new("usage.budget.updated", Resource::new("budget", &after.id)).with_payload(&json!({
        "name": after.name,
        "before": state(before),
        "after": state(after),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Period, Scope, Status};
    use kernel::{FixedMoment, Money, Timestamp};

    #[test]
    fn every_entry_is_listed() {
        let (nothing, at) = (Money::ZERO, Timestamp::from_micros(0));
        let price = Price {
            id: "prc".to_owned(),
            model: "m".to_owned(),
            input: nothing,
            cached_input: nothing,
            output: nothing,
            max_output_tokens: 1,
            effective_from: at,
        };
        let budget = Budget {
            id: FixedMoment::new(0).moment().id(),
            name: "Pilot".to_owned(),
            scope: Scope::Tenant,
            period: Period::Day,
            limit: nothing,
            status: Status::Active,
            created_at: at,
            revision: 1,
            spent: nothing,
            held: nothing,
            resets_at: None,
        };
        let all = [price_set(&price), budget_created(&budget), budget_updated(&budget, &budget)];
        assert_eq!(all.each_ref().map(Entry::action).as_slice(), ACTIONS);
    }
}
