//! Crashes between any two steps: what is spent and leased never passes a limit, and the records add up.

use kernel::{Entropy, Money, SeededEntropy};
use testkit::{Tester, on_both_engines};
use usage::{Measure, OpenCall, Period, Purse, Reservation, Usage};

use crate::world::{World, charge, share, usd};

#[test]
fn after_a_crash_each_open_call_is_settled_at_what_was_held_and_leases_return() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "10.00");
        let (purse, other) = (world.purse(), world.purse());
        let node = purse.node().clone();
        world.spend(&purse, usd("1.00"), usd("0.10"));
        let opened: Vec<_> = ["2.00", "3.00"].map(|held| world.begin(&purse, usd(held))).into();
        let survivor = world.begin(&other, usd("1.00"));
        // Settled in memory only; and held without being promised to the database.
        let mut opened = opened.into_iter();
        let (reservation, first) = opened.next().unwrap();
        let _lost = reservation.settle(charge(usd("0.01")));
        let (_lost_too, second) = opened.next().unwrap();
        let _never_opened = world.reserve(&purse, usd("1.00")).unwrap();
        world.assert_within_limits();

        let mut recovered = world.recover(&node);
        recovered.sort_by_key(|open| open.held);
        assert_eq!(recovered, [first, second]);
        let seen = world.budget(&budget.id);
        assert_eq!(seen.spent, usd("5.10"));
        assert_eq!(seen.spent, world.recorded());
        assert_eq!(seen.held, usd("1.00"), "only the other node's call holds something");
        world.assert_within_limits();

        let again = Purse::new(node);
        assert!(world.reserve(&again, usd("3.91")).is_err());
        world.spend(&again, usd("3.90"), usd("3.90"));
        world.end(survivor, usd("1.00"));
        assert_eq!(world.budget(&budget.id).spent, usd("10.00"));
        world.assert_within_limits();
    });
}

#[test]
fn a_recovery_that_is_cut_short_is_simply_done_again() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "10.00");
        let purse = world.purse();
        let (_lost, first) = world.begin(&purse, usd("2.00"));
        let (_lost_too, _second) = world.begin(&purse, usd("3.00"));
        share(world.db(), &world.tenant, |tx| usage::settle_abandoned(tx, &first).map(|_| ())).unwrap();
        share(world.db(), &world.tenant, |tx| {
            assert!(!usage::settle_abandoned(tx, &first)?, "it is not open any more");
            Ok(())
        })
        .unwrap();
        assert_eq!(world.recover(purse.node()).len(), 1);
        assert_eq!(world.budget(&budget.id).spent, usd("5.00"));
        assert_eq!(world.budget(&budget.id).held, Money::ZERO);
    });
}

#[test]
fn recovery_reaches_every_tenant_and_no_other_node() {
    on_both_engines(|tester| {
        let acme = World::new(tester);
        acme.new_budget("Pilot", Period::Day, "10.00");
        let (purse, other) = (acme.purse(), acme.purse());
        let _held = acme.reserve(&purse, usd("1.00")).unwrap();
        let _other = acme.begin(&other, usd("1.00"));
        let left = usage::abandoned(&tester.db, purse.node()).unwrap();
        assert_eq!(left, [(acme.tenant.clone(), Vec::new())], "leases without calls are found");
        let left = usage::abandoned(&tester.db, other.node()).unwrap();
        assert_eq!(left.iter().map(|(_, calls)| calls.len()).sum::<usize>(), 1);
    });
}

/// One server that may crash at any time.
struct Node {
    purse: Purse,
    reserved: Vec<Reservation>,
    open: Vec<(Reservation, OpenCall)>,
    settled: Vec<Usage>,
    durable: Vec<Usage>,
}

impl Node {
    fn new(purse: Purse) -> Self {
        Self { purse, reserved: Vec::new(), open: Vec::new(), settled: Vec::new(), durable: Vec::new() }
    }

    /// A step chosen by `dice`, each as small as a crash could tell apart.
    fn step(&mut self, world: &World<'_>, dice: &mut Dice) {
        match dice.throw(12) {
            0..=3 => {
                let amount = Money::from_nanos(i64::try_from(dice.throw(60_000)).unwrap());
                self.reserved.extend(world.reserve(&self.purse, amount).ok());
            }
            4 if dice.throw(4) > 0 => drop(dice.take(&mut self.reserved)),
            // A task that ends without settling what it has begun.
            4 => drop(dice.take(&mut self.open)),
            5 | 6 => {
                if let Some(mut reservation) = dice.take(&mut self.reserved) {
                    let open = reservation.open(world.call());
                    if dice.throw(8) > 0 {
                        share(world.db(), &world.tenant, |tx| usage::open_calls(tx, &[&open])).unwrap();
                    }
                    self.open.push((reservation, open));
                }
            }
            7 | 8 => {
                if let Some((reservation, open)) = dice.take(&mut self.open) {
                    let most = u64::try_from(reservation.amount().nanos()).unwrap();
                    let cost = Money::from_nanos(i64::try_from(dice.throw(most + 1)).unwrap());
                    let settled = reservation.settle(charge(cost));
                    self.settled.push(Usage { call: open.call, measure: Measure::Estimated, settled });
                }
            }
            9 => {
                let batch = std::mem::take(&mut self.settled);
                let all: Vec<&Usage> = batch.iter().collect();
                share(world.db(), &world.tenant, |tx| usage::record(tx, &all)).unwrap();
                self.durable.extend(batch);
            }
            10 => self.durable.drain(..).for_each(Usage::committed),
            _ => self.purse.renew(world.db(), self.purse.renewals(world.now())).unwrap(),
        }
    }

    /// Everything in memory is gone, and nothing of it is told to anybody.
    fn crash(&mut self, world: &World<'_>) {
        let node = self.purse.node().clone();
        std::mem::forget(std::mem::replace(self, Self::new(Purse::new(node.clone()))));
        world.recover(&node);
    }
}

struct Dice(SeededEntropy);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    }

    fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        if from.is_empty() {
            return None;
        }
        let at = self.throw(from.len() as u64);
        Some(from.swap_remove(usize::try_from(at).unwrap()))
    }
}

fn live_through(tester: &Tester, seed: u64, steps: usize) {
    let world = World::new(tester);
    let total = world.new_budget("Ever", Period::Total, "0.0009");
    world.new_budget("Daily", Period::Day, "0.0003");
    let mut dice = Dice(SeededEntropy::new(seed));
    let mut nodes = [Node::new(world.purse()), Node::new(world.purse())];
    for _ in 0..steps {
        let at = usize::try_from(dice.throw(2)).unwrap();
        match dice.throw(40) {
            0 => nodes[at].crash(&world),
            1 => tester.clock.advance_micros(7 * 3_600_000_000),
            2 => tester.clock.advance_micros(61_000_000),
            _ => nodes[at].step(&world, &mut dice),
        }
        world.assert_within_limits();
        let spent = |name| world.periods().iter().filter(|(id, _)| (*id == total.id) == name).map(|(_, p)| p[1]).sum();
        assert_eq!(world.recorded(), spent(true), "seed {seed}");
        assert_eq!(world.recorded(), spent(false), "seed {seed}");
    }
    // At rest nothing is set aside.
    for node in &mut nodes {
        node.crash(&world);
    }
    assert!(world.periods().iter().all(|(_, [_, _, leased, _])| *leased == Money::ZERO));
    assert!(world.recorded() > Money::ZERO);
}

#[test]
fn no_crash_at_any_point_lets_a_budget_be_passed() {
    on_both_engines(|tester| live_through(tester, 1, 250));
}

#[test]
fn nor_does_any_of_many_histories() {
    for seed in 2..14 {
        live_through(&Tester::sqlite(), seed, 200);
    }
}
