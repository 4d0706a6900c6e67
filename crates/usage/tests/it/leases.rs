//! Reserving: nobody passes a limit, however many try at once.

use std::sync::Mutex;

use kernel::{Money, Timestamp};
use store::StoreError;
use testkit::on_both_engines;
use usage::{BudgetChange, LeaseError, Measure, Period, Purse, Reservation, Usage};

use crate::world::{World, charge, share, usd};

#[test]
fn of_a_thousand_parallel_calls_on_a_budget_for_a_hundred_a_hundred_go_through() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "100.00");
        let (limits, purse, held) = (world.limits(), world.purse(), Mutex::new(Vec::new()));
        let (now, dollar) = (world.now(), usd("1.00"));
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let reserved = purse.reserve(&world.tenant, &limits, dollar, now);
                        match reserved.or_else(|short| purse.lease(&tester.db, short)) {
                            Ok(reservation) => held.lock().unwrap().push(reservation),
                            Err(LeaseError::Exhausted(why)) => assert_eq!(why.held, usd("100.00")),
                            Err(LeaseError::Database(error)) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        world.assert_within_limits();
        let held = held.into_inner().unwrap();
        assert_eq!(held.len(), 100);
        let settled = |reservation: Reservation| Usage {
            call: world.call(),
            measure: Measure::Reported,
            settled: reservation.settle(charge(usd("0.09"))),
        };
        let usages: Vec<Usage> = held.into_iter().map(settled).collect();
        let all: Vec<&Usage> = usages.iter().collect();
        share(world.db(), &world.tenant, |tx| usage::record(tx, &all)).unwrap();
        assert_eq!(world.budget(&budget.id).spent, usd("9.00"));
        assert_eq!(world.recorded(), usd("9.00"));
    });
}

#[test]
fn a_refusal_names_the_budget_and_when_it_starts_anew() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        world.spend(&purse, usd("0.75"), usd("0.75"));
        let Err(LeaseError::Exhausted(why)) = world.reserve(&purse, usd("0.26")) else {
            panic!("not refused");
        };
        assert_eq!((&why.budget, why.spent, why.limit), (&budget.id, usd("0.75"), usd("1.00")));
        assert_eq!(why.resets_at.unwrap().to_string(), "2027-01-16T00:00:00.000Z");
        assert_eq!(why.to_string(), "the budget `Pilot` is used up: 0.75 spent and 0.00 held of 1.00 USD");
        assert!(world.reserve(&purse, usd("0.25")).is_ok());
    });
}

#[test]
fn all_budgets_cover_a_call_or_none_is_touched() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let wide = world.new_budget("Wide", Period::Month, "100.00");
        let narrow = world.new_budget("Narrow", Period::Day, "1.00");
        let purse = world.purse();
        let Err(LeaseError::Exhausted(why)) = world.reserve(&purse, usd("2.00")) else {
            panic!("not refused");
        };
        assert_eq!(why.budget, narrow.id);
        assert_eq!(world.budget(&wide.id).held, Money::ZERO);
        world.spend(&purse, usd("1.00"), usd("0.50"));
        assert_eq!((world.budget(&wide.id).spent, world.budget(&narrow.id).spent), (usd("0.50"), usd("0.50")));
    });
}

#[test]
fn a_dropped_reservation_is_refunded_and_an_opened_one_is_not() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        drop(world.reserve(&purse, usd("1.00")).unwrap());
        let mut reservation = world.reserve(&purse, usd("1.00")).unwrap();
        let _promised = reservation.open(world.call());
        drop(reservation);
        assert!(world.reserve(&purse, usd("0.01")).is_err());
    });
}

#[test]
fn what_a_call_leaves_over_is_free_when_its_record_is_durable_and_not_before() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        let (reservation, open) = world.begin(&purse, usd("1.00"));
        let settled = reservation.settle(charge(usd("0.01")));
        let usage = Usage { call: open.call, measure: Measure::Estimated, settled };
        assert!(world.reserve(&purse, usd("0.01")).is_err());
        world.record(&usage).unwrap();
        assert!(world.reserve(&purse, usd("0.99")).is_err(), "the stock is still set aside");
        usage.committed();
        assert!(world.reserve(&purse, usd("0.99")).is_ok());
        world.assert_within_limits();
    });
}

#[test]
fn two_nodes_share_a_budget_and_use_it_up_together() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Total, "20.00");
        let nodes = [world.purse(), world.purse()];
        let mut calls = [0, 0];
        while calls.iter().sum::<i32>() < 1_000 {
            let before = calls;
            for (node, count) in nodes.iter().zip(&mut calls) {
                if let Ok(reservation) = world.reserve(node, usd("1.00")) {
                    let usage = Usage {
                        call: world.call(),
                        measure: Measure::Reported,
                        settled: reservation.settle(charge(usd("0.099999999"))),
                    };
                    world.record(&usage).unwrap();
                    usage.committed();
                    *count += 1;
                }
                world.assert_within_limits();
            }
            if calls == before {
                break;
            }
        }
        let seen = world.budget(&budget.id);
        assert_eq!(seen.spent, world.recorded());
        // What is left is less than one call needs, on each node and in the budget.
        assert!(seen.spent > usd("18.00") && seen.spent <= usd("20.00"), "{}", seen.spent);
        assert!(calls.iter().all(|calls| *calls > 60), "{calls:?}");
    });
}

#[test]
fn a_small_budget_is_not_hoarded() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        world.new_budget("Pilot", Period::Day, "1.00");
        let (one, other) = (world.purse(), world.purse());
        world.spend(&one, usd("0.90"), usd("0.01"));
        assert!(world.reserve(&other, usd("0.90")).is_ok(), "the first node kept more than a twentieth");
        world.assert_within_limits();
    });
}

#[test]
fn with_the_day_the_budget_starts_anew_and_a_late_call_counts_for_its_own_day() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Daily", Period::Day, "1.00");
        let purse = world.purse();
        let late = world.begin(&purse, usd("0.60"));
        assert!(world.reserve(&purse, usd("0.60")).is_err());
        tester.clock.advance_micros(16 * 3_600_000_000);
        assert_eq!(world.now().to_string(), "2027-01-16T00:00:00.000Z");
        let fresh = world.begin(&purse, usd("0.60"));
        world.end(late, usd("0.55"));
        assert_eq!((world.budget(&budget.id).spent, world.budget(&budget.id).held), (usd("0.00"), usd("0.60")));
        world.end(fresh, usd("0.50"));
        assert_eq!(world.budget(&budget.id).spent, usd("0.50"));
        let yesterday = usage::budget(world.db(), &world.admin, &budget.id, world.now().plus_seconds(-1)).unwrap();
        assert_eq!(yesterday.spent, usd("0.55"));
        assert!(yesterday.held > Money::ZERO);
        purse.renew(world.db(), purse.renewals(world.now())).unwrap();
        let yesterday = usage::budget(world.db(), &world.admin, &budget.id, world.now().plus_seconds(-1)).unwrap();
        assert_eq!(yesterday.held, Money::ZERO, "what is left of a past day's lease is given back");
        world.assert_within_limits();
    });
}

#[test]
fn a_cost_beyond_what_was_held_is_recorded_and_shown() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        let (reservation, open) = world.begin(&purse, usd("0.50"));
        let settled = reservation.settle(charge(usd("0.075")));
        assert_eq!(settled.overrun(), Money::ZERO);
        let usage = Usage { call: open.call, measure: Measure::Reported, settled };
        world.record(&usage).unwrap();
        usage.committed();
        let (reservation, open) = world.begin(&purse, usd("0.925"));
        let settled = reservation.settle(charge(usd("1.50")));
        assert_eq!((settled.cost(), settled.overrun()), (usd("1.50"), usd("0.575")));
        let usage = Usage { call: open.call, measure: Measure::Reported, settled };
        world.record(&usage).unwrap();
        usage.committed();
        let seen = world.budget(&budget.id);
        assert_eq!((seen.spent, seen.overrun(), seen.remaining()), (usd("1.575"), usd("0.575"), usd("0.00")));
        assert_eq!(seen.spent, world.recorded());
        assert!(world.reserve(&purse, usd("0.01")).is_err());
        assert!(world.reserve(&purse, Money::ZERO).is_ok(), "what costs nothing is not refused");
    });
}

#[test]
fn a_lowered_limit_stops_further_leases() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "10.00");
        let purse = world.purse();
        world.spend(&purse, usd("2.00"), usd("2.00"));
        let change = BudgetChange { limit: Some(usd("1.00")), ..BudgetChange::default() };
        usage::update_budget(world.db(), &world.admin, &budget.id, &change, &tester.moment()).unwrap();
        assert!(world.reserve(&purse, usd("0.60")).is_err());
        assert_eq!(world.budget(&budget.id).overrun(), usd("1.00"));
        assert_eq!(world.budget(&budget.id).remaining(), Money::ZERO);
    });
}

#[test]
fn leases_are_renewed_ahead_and_given_back_when_idle() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "100.00");
        let purse = world.purse();
        let renew = || {
            let renewals = purse.renewals(world.now());
            let count = renewals.len();
            assert!(purse.renewals(world.now()).is_empty(), "a renewal under way is not handed out again");
            purse.renew(world.db(), renewals).unwrap();
            count
        };
        world.spend(&purse, usd("1.00"), usd("1.00"));
        assert_eq!((renew(), world.budget(&budget.id).held), (0, usd("4.00")));
        world.spend(&purse, usd("1.75"), usd("1.75"));
        assert_eq!(world.budget(&budget.id).held, usd("2.25"));
        assert_eq!((renew(), world.budget(&budget.id).held), (1, usd("5.00")));
        assert!(purse.reserve(&world.tenant, &world.limits(), usd("5.00"), world.now()).is_ok());
        tester.clock.advance_micros(60_000_000);
        assert_eq!((renew(), world.budget(&budget.id).held), (1, usd("0.00")));
        assert_eq!(renew(), 0);
        world.assert_within_limits();
        world.spend(&purse, usd("5.00"), usd("5.00"));
    });
}

#[test]
fn an_emptied_budget_is_not_asked_again_and_again() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        world.spend(&purse, usd("1.00"), usd("1.00"));
        purse.renew(world.db(), purse.renewals(world.now())).unwrap();
        assert!(purse.renewals(world.now()).is_empty());
    });
}

#[test]
fn negative_amounts_set_nothing_aside() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        let nothing = world.reserve(&purse, usd("-5.00")).unwrap();
        assert_eq!(nothing.amount(), Money::ZERO);
        assert!(world.reserve(&purse, usd("1.01")).is_err());
        drop(nothing);
        assert!(world.budget(&budget.id).held <= usd("0.05"));
    });
}

#[test]
fn a_call_is_recorded_once_and_in_its_own_tenant() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "1.00");
        let purse = world.purse();
        let (reservation, open) = world.begin(&purse, usd("0.50"));
        let settled = reservation.settle(charge(usd("0.02")));
        let usage = Usage { call: open.call, measure: Measure::Reported, settled };
        let globex = tester.tenant("globex");
        let foreign = share(world.db(), &globex, |tx| usage::record(tx, &[&usage]));
        assert!(matches!(foreign, Err(StoreError::OtherTenant)));
        world.record(&usage).unwrap();
        let again = world.record(&usage);
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        assert_eq!((world.budget(&budget.id).spent, world.recorded()), (usd("0.02"), usd("0.02")));
        world.assert_within_limits();
    });
}

#[test]
fn a_call_without_budgets_is_free_to_go_and_still_recorded() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let purse: Purse = world.purse();
        world.spend(&purse, usd("5.00"), usd("0.04"));
        assert_eq!(world.recorded(), usd("0.04"));
        assert_eq!(purse.renewals(Timestamp::from_micros(i64::MAX)).len(), 0);
    });
}
