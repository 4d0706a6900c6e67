//! Idempotency keys: one effect for each, and its answer kept, sealed.

use std::sync::Barrier;

use authz::{Caller, Idempotency, Rendered, Request, Role};
use store::{Answered, Database, Entry, Resource, StoreError};
use testkit::{Tester, on_both_engines};

use crate::given::{Touch, entry, set_email, size, touch, two_tenants, verified};

const BODY: &[u8] = b"the answer that was given to the client";

fn once(t: &Tester, caller: &Caller, key: &str, fingerprint: u8) -> Caller {
    let render: authz::Render =
        Box::new(|value| value.downcast_ref::<u64>().map(|_| Rendered { status: 201, body: BODY.to_vec() }));
    let idempotency = Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32], render };
    caller.with_request(Request::made(&t.moment()).once(idempotency))
}

fn act(db: &Database, caller: &Caller) -> Result<u64, StoreError> {
    db.write(caller.authorize::<Touch>().unwrap(), |tx| {
        let changed = set_email(tx, caller, "once@acme.example")?;
        Ok((entry("thg_1"), changed))
    })
}

fn kept() -> Answered {
    Answered::Same(Rendered { status: 201, body: BODY.to_vec() })
}

#[test]
fn a_repeated_request_has_one_effect_and_the_first_answer() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let first = once(t, &alice, "key-1", 1);
        assert_eq!(t.db.answered(&first).unwrap(), None);
        act(&t.db, &first).unwrap();
        let again = once(t, &alice, "key-1", 1);
        assert_eq!(t.db.answered(&again).unwrap(), Some(kept()));
        assert!(matches!(act(&t.db, &again), Err(StoreError::Repeated)));
        assert_eq!(verified(&t.db, &alice), 1);
        assert_eq!(t.db.answered(&t.again(&alice)).unwrap(), None, "a request without a key has no answer");
    });
}

#[test]
fn a_key_belongs_to_one_request_of_one_principal() {
    on_both_engines(|t| {
        let (alice, gina) = two_tenants(t);
        let bob = t.user("acme-corp", "bob", [Role::Admin]);
        act(&t.db, &once(t, &alice, "key-1", 1)).unwrap();
        assert_eq!(t.db.answered(&once(t, &alice, "key-1", 2)).unwrap(), Some(Answered::Other));
        assert!(matches!(act(&t.db, &once(t, &alice, "key-1", 2)), Err(StoreError::Repeated)));
        for other in [&bob, &gina] {
            assert_eq!(t.db.answered(&once(t, other, "key-1", 1)).unwrap(), None);
            act(&t.db, &once(t, other, "key-1", 1)).unwrap();
        }
        assert_eq!((size(&t.db, &alice), size(&t.db, &gina)), (2, 1));
    });
}

#[test]
fn a_request_that_failed_may_be_sent_again() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let failing = once(t, &alice, "key-1", 1);
        let outcome = t.db.write(failing.authorize::<Touch>().unwrap(), |tx| {
            set_email(tx, &failing, "x")?;
            Err::<(Entry, u64), _>(StoreError::Decode("right"))
        });
        assert!(outcome.is_err());
        let again = once(t, &alice, "key-1", 1);
        assert_eq!(t.db.answered(&again).unwrap(), None);
        act(&t.db, &again).unwrap();
    });
}

#[test]
fn sixty_four_requests_at_once_with_one_key_have_one_effect() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let start = Barrier::new(64);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        let caller = once(t, &alice, "key-1", 1);
                        start.wait();
                        act(&t.db, &caller)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let repeated = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Repeated)));
        assert_eq!(repeated.count(), 63);
        assert_eq!(verified(&t.db, &alice), 1);
        assert_eq!(t.db.answered(&once(t, &alice, "key-1", 1)).unwrap(), Some(kept()));
    });
}

#[test]
fn a_kept_answer_cannot_be_read_in_the_database() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        act(&t.db, &once(t, &alice, "key-which-stays-readable", 1)).unwrap();
        let stored = if let Some(directory) = t.data_directory() {
            let files = std::fs::read_dir(directory).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
            files.collect::<Vec<_>>().concat()
        } else {
            let rows =
                "SELECT key, convert_from(decode(replace(encode(body, 'escape'), '\\', '\\\\'), 'escape'), 'UTF8')
                          FROM idempotency_keys";
            t.psql("postgres", rows).into_bytes()
        };
        let holds = |text: &[u8]| stored.windows(text.len()).any(|window| window == text);
        assert!(holds(b"key-which-stays-readable"));
        assert!(!holds(BODY));
    });
}

#[test]
fn the_answer_to_a_platform_request_is_kept_where_it_is_looked_up() {
    on_both_engines(|t| {
        let tenant = t.tenant("acme-corp");
        let write = |caller: &Caller| {
            t.db.write_platform(caller.authorize::<Touch>().unwrap(), &tenant, |_| {
                Ok::<_, StoreError>((Entry::new("test.touched", Resource::new("tenant", &tenant)), 1_u64))
            })
        };
        write(&once(t, &t.platform(), "key-1", 1)).unwrap();
        let again = once(t, &t.platform(), "key-1", 1);
        assert_eq!(t.db.answered(&again).unwrap(), Some(kept()));
        assert!(matches!(write(&again), Err(StoreError::Repeated)));
        touch(&t.db, &t.user("acme-corp", "alice", [Role::Admin]), "thg_1").unwrap();
    });
}

#[test]
fn an_answer_is_forgotten_after_a_day() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        act(&t.db, &once(t, &alice, "key-1", 1)).unwrap();
        t.clock.advance_micros(86_401 * 1_000_000);
        assert_eq!(t.db.answered(&once(t, &alice, "key-1", 1)).unwrap(), None);
        act(&t.db, &once(t, &alice, "key-1", 2)).unwrap();
        assert_eq!(t.db.answered(&once(t, &alice, "key-1", 2)).unwrap(), Some(kept()));
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate, with a key of the same user")]
fn a_narrower_key_of_the_same_user_is_not_answered_what_a_wider_one_was() {
    on_both_engines(|t| {
        let (alice, _) = two_tenants(t);
        let via = |key: &str| {
            let via = Some(authz::Via::Key(key.parse().unwrap()));
            let actor = authz::Actor { via, ..alice.actor().clone() };
            Caller::authenticated(authz::Standing { actor, ..alice.standing().clone() }, Request::made(&t.moment()))
        };
        act(&t.db, &once(t, &via("aaaaaaaaaaaa"), "key-1", 1)).unwrap();
        assert_eq!(t.db.answered(&once(t, &via("aaaaaaaaaaaa"), "key-1", 1)).unwrap(), Some(kept()));
        assert_eq!(t.db.answered(&once(t, &via("bbbbbbbbbbbb"), "key-1", 1)).unwrap(), None);
    });
}
