//! The price book.

use std::collections::BTreeMap;

use authz::{Caller, Role};
use kernel::{Money, PageSize, Text, Timestamp};
use testkit::{Tester, on_both_engines};
use usage::{ListPricesError, NewPrice, PriceBook, SetPriceError};

use crate::world::{World, usd};

fn new(model: &str, output: &str, effective_from: Option<Timestamp>) -> NewPrice {
    NewPrice {
        model: Text::new(model).unwrap(),
        input: usd("1.00"),
        cached_input: usd("0.10"),
        output: usd(output),
        max_output_tokens: 4_096,
        effective_from,
    }
}

fn set(tester: &Tester, caller: &Caller, price: NewPrice) -> Result<usage::Price, SetPriceError> {
    usage::set_price(&tester.db, caller, price, &tester.moment())
}

fn book(tester: &Tester, caller: &Caller) -> PriceBook {
    let grant = caller.authorize::<usage::ListPrices>().unwrap();
    tester.db.read(&grant, PriceBook::load).unwrap()
}

#[test]
fn a_tenants_own_price_wins_from_its_date_on_and_only_for_it() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let later = world.now().plus_seconds(3_600);
        let first = set(tester, &world.admin, new("gpt-4o", "7.00", None)).unwrap();
        let second = set(tester, &world.admin, new("gpt-4o", "6.00", Some(later))).unwrap();
        let acme = book(tester, &world.admin);
        let at = |micros: i64| Timestamp::from_micros(micros);
        assert_eq!(acme.price("gpt-4o", at(world.now().micros() - 1)).unwrap().id, "list/gpt-4o/2026-11");
        assert_eq!(acme.price("gpt-4o", world.now()), Some(&first));
        assert_eq!(acme.price("gpt-4o", at(later.micros() - 1)), Some(&first));
        assert_eq!(acme.price("gpt-4o", later), Some(&second));
        assert_eq!(acme.price("no-such-model", later), None);
        let gina = tester.user("globex", "gina", [Role::Admin]);
        assert_eq!(book(tester, &gina).price("gpt-4o", later).unwrap().id, "list/gpt-4o/2026-11");
    });
}

#[test]
fn a_price_is_never_set_twice_nor_in_the_past() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        set(tester, &world.admin, new("gpt-4o", "7.00", None)).unwrap();
        let again = set(tester, &world.admin, new("gpt-4o", "8.00", None));
        assert!(matches!(again, Err(SetPriceError::AlreadySet { model, .. }) if model == "gpt-4o"));
        let past = world.now().plus_seconds(-1);
        let error = set(tester, &world.admin, new("gpt-4o", "8.00", Some(past))).unwrap_err();
        assert_eq!(error.to_string(), "a price cannot take effect in the past, at `2027-01-15T07:59:59.000Z`");
    });
}

#[test]
fn absurd_prices_are_refused() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        for output in ["-0.000000001", "100000.000000001", "9000000000"] {
            let error = set(tester, &world.admin, new("m", output, None)).unwrap_err();
            assert!(matches!(error, SetPriceError::Amount { field: "output", .. }), "{output}: {error}");
        }
        for tokens in [0, 10_000_001, u64::MAX] {
            let price = NewPrice { max_output_tokens: tokens, ..new("m", "1.00", None) };
            let error = set(tester, &world.admin, price).unwrap_err();
            assert!(matches!(error, SetPriceError::MaxOutputTokens(_)), "{tokens}: {error}");
        }
        assert!(set(tester, &world.admin, new("m", "100000.00", None)).is_ok());
        assert!(set(tester, &world.admin, new("free", "0.00", None)).is_ok());
    });
}

#[test]
fn only_an_admin_sets_prices_and_a_viewer_sees_them() {
    on_both_engines(|tester| {
        for (name, role, may_see) in [
            ("vera", Role::Viewer, true),
            ("olivia", Role::Operator, false),
            ("alice", Role::AgentDesigner, false),
            ("adam", Role::Auditor, false),
        ] {
            let caller = tester.user("acme-corp", name, [role]);
            let refused = set(tester, &caller, new("gpt-4o", "1.00", None));
            assert!(matches!(refused, Err(SetPriceError::Forbidden(_))), "{role}");
            let seen = usage::prices(&tester.db, &caller, None, PageSize::default());
            assert_eq!(seen.is_ok(), may_see, "{role}");
            assert!(may_see || matches!(seen, Err(ListPricesError::Forbidden(_))));
        }
    });
}

#[test]
fn the_listing_shows_own_prices_and_then_the_list_page_by_page() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let mut expected: Vec<String> =
            (0..5).map(|n| set(tester, &world.admin, new(&format!("model-{n}"), "1.00", None)).unwrap().id).collect();
        expected.sort();
        expected.extend(usage::built_in().iter().map(|price| price.id.clone()));
        for size in [1, 2, 3, 5, 7, 100] {
            let (mut seen, mut next) = (Vec::new(), None);
            loop {
                let size = PageSize::new(size).unwrap();
                let page = usage::prices(&tester.db, &world.admin, next.as_ref(), size).unwrap();
                seen.extend(page.items.into_iter().map(|price| price.id));
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "pages of {size}");
        }
        let wrong = "nonsense".parse().unwrap();
        let error = usage::prices(&tester.db, &world.admin, Some(&wrong), PageSize::default()).unwrap_err();
        assert_eq!(error.to_string(), "`nonsense` is no cursor of this listing");
    });
}

/// The list is copied from models.dev, and is compared with its copy where that is at hand.
#[test]
fn the_built_in_list_agrees_with_the_published_one() {
    type Json = BTreeMap<String, Box<serde_json::value::RawValue>>;
    let object = |text: &str| serde_json::from_str::<Json>(text).unwrap();
    let Some(path) = testkit::shared("standards/llm-prices/models.dev-subset.json") else {
        return;
    };
    let providers = object(&std::fs::read_to_string(path).unwrap());
    let mut checked = 0;
    for price in usage::built_in() {
        for provider in ["openai", "anthropic", "google"] {
            let models = object(object(providers[provider].get())["models"].get());
            let Some(model) = models.get(&price.model) else {
                continue;
            };
            let model = object(model.get());
            let (cost, limit) = (object(model["cost"].get()), object(model["limit"].get()));
            let published = |name: &str| cost[name].get().parse::<Money>().unwrap();
            assert_eq!(price.input, published("input"), "{}", price.id);
            assert_eq!(price.cached_input, published("cache_read"), "{}", price.id);
            assert_eq!(price.output, published("output"), "{}", price.id);
            assert_eq!(price.max_output_tokens.to_string(), limit["output"].get(), "{}", price.id);
            checked += 1;
        }
    }
    assert_eq!(checked, usage::built_in().len());
}
