//! Reports: every number is the sum of records.

use authz::Role;
use kernel::{AgentId, Entropy, Money, PageSize, SeededEntropy, Text, Timestamp};
use testkit::on_both_engines;
use usage::{
    Call, Filter, Group, Item, Measure, NewPrice, Price, Purse, Record, ReportError, Span, Sums, Tokens, Usage,
};

use crate::world::{World, share, usd};

fn everything(world: &World<'_>, filter: &Filter, size: u16) -> Vec<Record> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let size = PageSize::new(size).unwrap();
        let page = usage::records(world.db(), &world.admin, filter, next.as_ref(), size).unwrap();
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return all;
        }
    }
}

/// Prices at which nearly every charge is rounded.
fn odd_prices(world: &World<'_>) -> Vec<Price> {
    let new = |model: &str, input: &str| NewPrice {
        model: Text::new(model).unwrap(),
        input: usd(input),
        cached_input: usd("0.033333333"),
        output: usd("1.000000007"),
        max_output_tokens: 100,
        effective_from: None,
    };
    [("alpha", "0.123456789"), ("beta", "0.777777777")]
        .into_iter()
        .map(|(model, input)| {
            usage::set_price(world.db(), &world.admin, new(model, input), &world.tester.moment()).unwrap()
        })
        .chain(usage::built_in().iter().take(1).cloned())
        .collect()
}

/// Calls of three models and three agents, spread over five days.
fn traffic(world: &World<'_>, purse: &Purse, count: u32) -> Vec<AgentId> {
    let (prices, dice) = (odd_prices(world), SeededEntropy::new(99));
    let agents: Vec<AgentId> = (0..3).map(|_| world.tester.moment().id()).collect();
    let throw = |sides: u64| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    };
    let pick = |sides: usize| usize::try_from(throw(sides as u64)).unwrap();
    for _ in 0..count {
        world.tester.clock.advance_micros(i64::try_from(throw(2 * 5 * 86_400_000_000 / u64::from(count))).unwrap());
        let price = &prices[pick(3)];
        let call = Call {
            agent: agents[pick(3)].clone(),
            model: price.model.clone(),
            price_id: price.id.clone(),
            ..world.call()
        };
        let tokens = Tokens::of_prompt(throw(10_000), throw(5_000), throw(100));
        let mut reservation = world.reserve(purse, price.worst_case(10_000, 100)).unwrap();
        let open = reservation.open(call.clone());
        share(world.db(), &world.tenant, |tx| {
            usage::open_calls(tx, &[&open])?;
            // Some calls come to no known end.
            if throw(10) == 0 {
                return Ok(());
            }
            let settled = reservation.settle(price.charge(&tokens));
            let usage = Usage { call, measure: Measure::Reported, settled };
            usage::record(tx, &[&usage])
        })
        .unwrap();
    }
    agents
}

fn sum<'r>(records: impl Iterator<Item = &'r Record>) -> Sums {
    let mut sums = Sums::default();
    for Record { tokens, cost, measure, .. } in records {
        let unknown_calls = u64::from(*measure == Measure::Held);
        sums += Sums { calls: 1, unknown_calls, tokens: *tokens, cost: *cost };
    }
    sums
}

#[test]
fn every_report_is_the_sum_of_the_records_to_the_nano_dollar() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let (purse, begin) = (world.purse(), world.now());
        traffic(&world, &purse, 200);
        world.recover(purse.node());
        let all = everything(&world, &Filter::default(), 1_000);
        assert_eq!(all.len(), 200);
        let midnight = begin.day_start();
        let spans = [
            Span::ALWAYS,
            Span { from: midnight, to: midnight.plus_seconds(2 * 86_400) },
            Span { from: begin.plus_seconds(4_000), to: begin.plus_seconds(200_000) },
            Span { from: begin.plus_seconds(4_000), to: begin.plus_seconds(9_000) },
            Span { from: begin, to: begin },
        ];
        for span in spans {
            let within = || all.iter().filter(|record| span.from <= record.at && record.at < span.to);
            for group in [Group::Day, Group::Model, Group::Agent] {
                let aggregation = usage::aggregate(world.db(), &world.admin, span, group).unwrap();
                assert_eq!(aggregation.totals, sum(within()), "{span:?} {group:?}");
                for (key, sums) in &aggregation.groups {
                    let of = |record: &&Record| match group {
                        Group::Day => record.at.day_start().to_string() == *key,
                        Group::Model => record.call.model == *key,
                        Group::Agent => record.call.agent.as_str() == key,
                    };
                    assert_eq!(*sums, sum(within().filter(of)), "{span:?} {key}");
                }
            }
            let report = usage::cost_report(world.db(), &world.admin, span).unwrap();
            assert_eq!(report.total, sum(within()).cost);
            assert_eq!(report.lines.iter().map(|line| line.amount).sum::<Money>(), report.total, "{span:?}");
        }
    });
}

#[test]
fn a_cost_report_says_what_each_line_is_for() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let price = &usage::built_in()[0];
        let purse = world.purse();
        let call = || Call { model: price.model.clone(), price_id: price.id.clone(), ..world.call() };
        for tokens in [Tokens::of_prompt(1_000, 400, 500), Tokens::of_prompt(1, 0, 0)] {
            let settled = world.reserve(&purse, price.worst_case(1_000, 500)).unwrap().settle(price.charge(&tokens));
            world.record(&Usage { call: call(), measure: Measure::Reported, settled }).unwrap();
        }
        let mut lost = world.reserve(&purse, usd("0.25")).unwrap();
        let open = lost.open(call());
        share(world.db(), &world.tenant, |tx| usage::open_calls(tx, &[&open])).unwrap();
        world.recover(purse.node());
        let report = usage::cost_report(world.db(), &world.admin, Span::ALWAYS).unwrap();
        let lines: Vec<_> = report
            .lines
            .iter()
            .map(|line| {
                let unit_price = line.unit_price.map(|price| price.to_string());
                (line.description.as_str(), line.quantity, unit_price, line.amount.to_string(), line.item.unit())
            })
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            lines,
            [
                ("gpt-4o - input tokens", 601, some("2.50"), "0.0015025".to_owned(), "1M tokens"),
                ("gpt-4o - cached input tokens", 400, some("1.25"), "0.0005".to_owned(), "1M tokens"),
                ("gpt-4o - output tokens", 500, some("10.00"), "0.005".to_owned(), "1M tokens"),
                ("gpt-4o - calls whose end is not known, at the cost held", 1, None, "0.25".to_owned(), "call"),
            ]
        );
        assert_eq!(report.lines[3].item, Item::UnknownCalls);
        assert_eq!(report.total.to_string(), "0.2570025");
    });
}

#[test]
fn records_are_listed_newest_first_page_by_page_and_filtered() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let purse = world.purse();
        let agents = traffic(&world, &purse, 60);
        world.recover(purse.node());
        let all = everything(&world, &Filter::default(), 1_000);
        assert!(all.windows(2).all(|pair| (pair[0].at, &pair[0].call.id) > (pair[1].at, &pair[1].call.id)));
        for size in [1, 7, 59, 60] {
            assert_eq!(everything(&world, &Filter::default(), size), all, "pages of {size}");
        }
        let one_agent = Filter { agent: Some(agents[1].clone()), ..Filter::default() };
        let expected: Vec<_> = all.iter().filter(|record| record.call.agent == agents[1]).cloned().collect();
        assert_eq!(everything(&world, &one_agent, 5), expected);
        let span = Span { from: all[40].at, to: all[10].at };
        let one_model = Filter { model: Some("beta".to_owned()), span, ..Filter::default() };
        let expected: Vec<_> = all[11..=40].iter().filter(|record| record.call.model == "beta").cloned().collect();
        assert_eq!(everything(&world, &one_model, 3), expected);
        let nobody = Filter { user: Some(tester.moment().id()), ..Filter::default() };
        assert_eq!(everything(&world, &nobody, 3), []);
        let wrong = "1.agt_0".parse().unwrap();
        let refused = usage::records(world.db(), &world.admin, &nobody, Some(&wrong), PageSize::default());
        assert!(matches!(refused, Err(ReportError::Cursor(_))));
    });
}

#[test]
fn a_viewer_reads_reports_and_an_operator_does_not() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        world.spend(&world.purse(), usd("1.00"), usd("0.02"));
        for (name, role, may) in [
            ("vera", Role::Viewer, true),
            ("olivia", Role::Operator, false),
            ("alice", Role::AgentDesigner, false),
            ("adam", Role::Auditor, false),
        ] {
            let caller = tester.user("acme-corp", name, [role]);
            let (db, span) = (&tester.db, Span::ALWAYS);
            assert_eq!(usage::aggregate(db, &caller, span, Group::Day).is_ok(), may, "{role}");
            assert_eq!(usage::cost_report(db, &caller, span).is_ok(), may, "{role}");
            let records = usage::records(db, &caller, &Filter::default(), None, PageSize::default());
            assert_eq!(records.is_ok(), may, "{role}");
        }
        let gina = tester.user("globex", "gina", [Role::Admin]);
        let foreign = usage::aggregate(&tester.db, &gina, Span::ALWAYS, Group::Agent).unwrap();
        assert_eq!((foreign.totals, foreign.groups), (Sums::default(), Vec::new()));
        let records = usage::records(&tester.db, &gina, &Filter::default(), None, PageSize::default()).unwrap();
        assert_eq!(records.items, []);
        let empty = Span { from: Timestamp::from_micros(5), to: Timestamp::from_micros(0) };
        assert_eq!(usage::cost_report(&tester.db, &gina, empty).unwrap().total, Money::ZERO);
    });
}
