//! Many at once (security.md, AP2).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use approvals::{DecideError, Refusal, Request, Status as Review};
use authz::{Caller, Role};
use catalog::{PublishError, Status, UpdateVersionError, Version, VersionPatch};
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, agent, approve, detail, hours, publish, recorded, required, running, submitted};

const THREADS: usize = 64;
const VERSIONS: usize = 8;

#[derive(Default)]
struct Tally {
    approvals: Mutex<Vec<(String, String)>>,
    publications: AtomicUsize,
    over: AtomicBool,
}

/// One thread's work on one version: approve, try to edit, publish. Everything but the expected refusals fails the test.
fn contend(t: &Tester, who: &Caller, author: &Caller, version: &Version, tally: &Tally) {
    match approve(t, who, version) {
        Ok(_) => tally.approvals.lock().unwrap().push((version.id.to_string(), who.actor().id.clone())),
        Err(DecideError::Refused(Refusal::AlreadyDecided | Refusal::NotPending(Review::Approved))) => {}
        Err(other) => panic!("{other}"),
    }
    let edited = catalog::update_version(&t.db, &t.again(author), &version.id, VersionPatch::default(), &t.moment());
    assert!(matches!(edited, Err(UpdateVersionError::WrongStatus(_))), "{edited:?}");
    match publish(t, who, &version.id) {
        Ok(_) => drop(tally.publications.fetch_add(1, Ordering::SeqCst)),
        Err(PublishError::WrongStatus(wrong)) => {
            assert!(matches!(wrong.status, Status::PendingApproval | Status::Published), "{wrong}");
        }
        Err(other) => panic!("{other}"),
    }
}

/// Watches while the others work: never two run, and once one runs, there is never none.
fn watch(t: &Tester, viewer: &Caller, tally: &Tally) {
    let mut began = false;
    while !tally.over.load(Ordering::SeqCst) {
        let runs = running(t, viewer).unwrap().len();
        assert!(runs <= 1 && (runs == 1 || !began), "{runs} run");
        began |= runs == 1;
    }
}

fn race(t: &Tester, rounds: usize) {
    let alice = t.user(ACME, "alice", [Role::AgentDesigner]);
    let vera = t.user(ACME, "vera", [Role::Viewer]);
    let approvers: Vec<Caller> = (0..8).map(|n| t.user(ACME, &format!("admin{n}"), [Role::Admin])).collect();
    required(t, &approvers[0], 3);
    let agent = agent(t, &alice);
    let versions: Vec<Version> = (0..VERSIONS).map(|n| submitted(t, &alice, &agent.id, &format!("1.{n}.0"))).collect();
    let (tally, start) = (Tally::default(), Barrier::new(THREADS));

    std::thread::scope(|scope| {
        scope.spawn(|| watch(t, &vera, &tally));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (tally, start, versions, alice, who) = (&tally, &start, &versions, &alice, &approvers[thread % 8]);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..rounds {
                        contend(t, who, alice, &versions[(thread / 8 + round) % VERSIONS], tally);
                    }
                })
            })
            .collect();
        let ends: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        tally.over.store(true, Ordering::SeqCst);
        for end in ends {
            end.unwrap();
        }
    });
    settle(t, &vera, &versions, &tally);
}

/// Every acknowledged approval is there, once; every version has exactly the three that it needed; one runs.
fn settle(t: &Tester, viewer: &Caller, versions: &[Version], tally: &Tally) {
    let mut kept = HashSet::new();
    for version in versions {
        let request = request_of(t, viewer, version);
        assert_eq!((request.status, request.decisions.len()), (Review::Approved, 3), "{}", version.number);
        kept.extend(request.decisions.into_iter().map(|decided| (version.id.to_string(), decided.user)));
    }
    let acknowledged = tally.approvals.lock().unwrap();
    assert_eq!(acknowledged.iter().cloned().collect::<HashSet<_>>(), kept);
    assert_eq!(acknowledged.len(), kept.len(), "an approval was acknowledged twice");

    let statuses: Vec<Status> = versions.iter().map(|version| crate::given::status(t, viewer, &version.id)).collect();
    assert_eq!(statuses.iter().filter(|status| **status == Status::Published).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == Status::Deprecated).count(), VERSIONS - 1, "{statuses:?}");
    let actions = recorded(t, viewer);
    let count = |action: &str| actions.iter().filter(|known| *known == action).count();
    assert_eq!(count("catalog.version.published"), tally.publications.load(Ordering::SeqCst));
    assert_eq!(count("approvals.request.approved"), VERSIONS);
    assert_eq!(count("approvals.request.decided"), 2 * VERSIONS);
}

fn request_of(t: &Tester, viewer: &Caller, version: &Version) -> Request {
    approvals::request(&t.db, viewer, version.review.as_ref().unwrap(), &t.moment()).unwrap().request
}

/// 64 threads, eight rounds each on SQLite: 512 rounds of approving, editing and publishing the same versions.
#[test]
fn when_many_approve_and_publish_at_once_exactly_one_runs_and_no_approval_is_lost() {
    on_both_engines(|t| race(t, if t.engine == "sqlite" { VERSIONS } else { 2 }));
}

#[test]
fn a_request_that_expires_while_it_is_approved_ends_one_way_for_all() {
    on_both_engines(|t| {
        let alice = t.user(ACME, "alice", [Role::AgentDesigner]);
        let approvers: Vec<Caller> = (0..4).map(|n| t.user(ACME, &format!("admin{n}"), [Role::Admin])).collect();
        required(t, &approvers[0], 2);
        let agent = agent(t, &alice);
        for round in 0..if t.engine == "sqlite" { 40 } else { 8 } {
            let version = submitted(t, &alice, &agent.id, &format!("1.{round}.0"));
            let start = Barrier::new(approvers.len() + 1);
            std::thread::scope(|scope| {
                for who in &approvers {
                    scope.spawn(|| {
                        start.wait();
                        approve(t, who, &version).is_ok()
                    });
                }
                start.wait();
                hours(t, 49);
            });
            let request = request_of(t, &alice, &version);
            let shown = detail(t, &alice, &version.id).version;
            let expected = match request.status {
                Review::Approved => Status::Approved,
                Review::Expired => Status::Draft,
                other @ (Review::Pending | Review::Rejected | Review::Cancelled) => panic!("it is {other}"),
            };
            assert_eq!(shown.status, expected);
            assert!(request.decisions.iter().all(|decided| decided.at < request.expires_at));
            assert_eq!(request.decisions.len() == 2, request.status == Review::Approved);
        }
    });
}
