//! Group commit: many writes share one commit, and its end.

use authz::{Caller, Role};
use store::{Database, Entry, StoreError};
use testkit::{Tester, on_both_engines};

use crate::given::{Touch, email, entry, set_email, share, size, touch, two_tenants, verified, write};

const THREADS: usize = 64;

/// Runs all `jobs` in one group: the first keeps the connection until the others wait for it.
fn together<T: Send>(db: &Database, first: &Caller, jobs: Vec<Box<dyn FnOnce() -> T + Send + '_>>) -> Vec<T> {
    let count = jobs.len();
    let (held, holding) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let holder = scope.spawn(move || {
            db.write(first.authorize::<Touch>().unwrap(), |_| {
                held.send(()).unwrap();
                while db.waiting() < count {
                    std::thread::yield_now();
                }
                Ok::<_, StoreError>((entry("thg_first"), ()))
            })
        });
        holding.recv().unwrap();
        let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        drop(holder.join().unwrap());
        results
    })
}

fn touches<'a>(t: &'a Tester, caller: &Caller, count: usize) -> Vec<Box<dyn FnOnce() -> TouchResult + Send + 'a>> {
    let one = |at: usize| {
        let caller = t.again(caller);
        let job: Box<dyn FnOnce() -> TouchResult + Send + 'a> =
            Box::new(move || touch(&t.db, &caller, &format!("thg_{at}")));
        job
    };
    (0..count).map(one).collect()
}

type TouchResult = Result<(), StoreError>;

#[test]
fn writers_that_wait_share_one_commit() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let before = t.db.commits();
        let outcomes = together(&t.db, &alice, touches(t, &alice, THREADS));
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(verified(&t.db, &alice), THREADS + 1);
        assert_eq!(t.db.commits() - before, 1);
    });
}

#[test]
fn shares_of_many_tenants_are_one_commit() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let before = t.db.commits();
        let shares = (0..300).map(|at| share(if at % 2 == 0 { &alice } else { &gina }, 1)).collect();
        assert!(t.db.write_shares(shares).iter().all(Result::is_ok));
        assert_eq!((verified(&t.db, &alice), verified(&t.db, &gina)), (150, 150));
        assert_eq!(t.db.commits() - before, 1);
    });
}

#[test]
fn every_acknowledged_write_of_many_threads_is_there() {
    const EACH: usize = 20;
    on_both_engines(|t| {
        let callers = [two_tenants(t).0, two_tenants(t).1, t.user("initech", "ivan", [Role::Admin])];
        std::thread::scope(|scope| {
            for at in 0..THREADS {
                let caller = &callers[at % callers.len()];
                scope.spawn(move || {
                    for _ in 0..EACH {
                        let caller = t.again(caller);
                        touch(&t.db, &caller, "thg_1").unwrap();
                        assert!(caller.request().recorded().is_some());
                    }
                });
            }
        });
        let total: usize = callers.iter().map(|caller| verified(&t.db, caller)).sum();
        assert_eq!(total, THREADS * EACH);
    });
}

#[test]
fn a_failed_commit_fails_every_write_of_its_group_and_keeps_none() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        t.db.refuse_commits(true).unwrap();
        let mut jobs = touches(t, &alice, 16);
        jobs.extend(touches(t, &gina, 16));
        let outcomes = together(&t.db, &alice, jobs);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Unavailable(_)))), "{outcomes:?}");
        assert_eq!((size(&t.db, &alice), size(&t.db, &gina)), (0, 0));

        t.db.refuse_commits(false).unwrap();
        touch(&t.db, &alice, "thg_1").unwrap();
        assert_eq!(verified(&t.db, &alice), 1, "and the numbers go on where they were");
    });
}

#[test]
fn a_refusal_that_was_decided_by_an_undone_write_is_not_told() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        t.db.refuse_commits(true).unwrap();
        let refuse: Box<dyn FnOnce() -> TouchResult + Send> = Box::new(|| {
            t.db.write(alice.authorize::<Touch>().unwrap(), |_| {
                Err::<(Entry, ()), _>(StoreError::Conflict("there is one already".to_owned()))
            })
        });
        let outcomes = together(&t.db, &alice, vec![refuse]);
        assert!(matches!(outcomes.as_slice(), [Err(StoreError::Unavailable(_))]), "{outcomes:?}");
    });
}

#[test]
fn one_write_that_fails_or_panics_takes_no_other_with_it() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let mut jobs = touches(t, &alice, 8);
        jobs.push(Box::new(|| {
            write(t, &gina, |tx| {
                set_email(tx, &gina, "failed")?;
                Err(StoreError::Decode("right"))
            })
            .map(|_| ())
        }));
        jobs.push(Box::new(|| {
            let panicking = std::panic::AssertUnwindSafe(|| {
                write(t, &gina, |tx| {
                    set_email(tx, &gina, "panicked")?;
                    panic!("in the middle of a group")
                })
            });
            std::panic::catch_unwind(panicking).map_or(Err(StoreError::Decode("calm")), |_| Ok(()))
        }));
        jobs.extend(touches(t, &alice, 8));
        let outcomes = together(&t.db, &alice, jobs);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 16, "{outcomes:?}");
        assert_eq!(verified(&t.db, &alice), 17);
        assert_eq!((size(&t.db, &gina), email(t, &gina)), (0, None));
    });
}

#[test]
fn a_share_that_fails_takes_no_other_with_it() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let bad = {
            let gina = gina.clone();
            move |tx: &mut store::WriteTx<'_>| {
                set_email(tx, &gina, "failed")?;
                Err(StoreError::Decode("right"))
            }
        };
        let outcomes = t.db.write_shares(vec![
            share(&alice, 3),
            (gina.tenant().clone(), Box::new(bad)),
            ("nobody".parse().unwrap(), share(&gina, 1).1),
            share(&gina, 0),
            share(&gina, 2),
        ]);
        let seqs: Vec<_> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().ok().map(|places| places.iter().map(|place| place.seq).collect::<Vec<_>>()))
            .collect();
        assert_eq!(seqs, [Some(vec![0, 1, 2]), None, None, Some(vec![]), Some(vec![0, 1])]);
        assert_eq!((verified(&t.db, &alice), verified(&t.db, &gina), email(t, &gina)), (3, 2, None));
    });
}

#[test]
fn a_share_that_panics_leaves_no_writer_waiting_for_ever() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let mut jobs = touches(t, &alice, 4);
        jobs.push(Box::new(|| {
            let panics: store::Job<'_> = Box::new(|_| panic!("in a share"));
            let shares = vec![share(&gina, 2), (gina.tenant().clone(), panics)];
            let panicking = std::panic::AssertUnwindSafe(|| t.db.write_shares(shares));
            std::panic::catch_unwind(panicking).map_or(Err(StoreError::Decode("calm")), |_| Ok(()))
        }));
        let outcomes = together(&t.db, &alice, jobs);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4, "{outcomes:?}");
        assert_eq!((verified(&t.db, &alice), verified(&t.db, &gina)), (5, 2));
    });
}

#[test]
fn nodes_that_write_the_same_tenants_never_wait_for_each_other_in_a_circle() {
    const ROUNDS: usize = 25;
    on_both_engines(|t| {
        if t.engine != "postgres" {
            return;
        }
        let (alice, gina) = two_tenants(t);
        let nodes = [t.second_node(), t.second_node()];
        std::thread::scope(|scope| {
            for (db, order) in [(&nodes[0], [&alice, &gina]), (&nodes[1], [&gina, &alice])] {
                for _ in 0..4 {
                    scope.spawn(move || {
                        for _ in 0..ROUNDS {
                            for outcome in db.write_shares(order.iter().map(|caller| share(caller, 1)).collect()) {
                                outcome.unwrap();
                            }
                            let platform = t.platform();
                            let grant = platform.authorize::<Touch>().unwrap();
                            db.write_platform(grant, order[0].tenant(), |_| Ok::<_, StoreError>((entry("x"), ())))
                                .unwrap();
                        }
                    });
                }
            }
        });
        assert_eq!((verified(&t.db, &alice), verified(&t.db, &gina)), (8 * ROUNDS, 8 * ROUNDS));
    });
}
