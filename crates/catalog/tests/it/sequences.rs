//! Random stories, checked after each step (security.md, AP1).

use std::cell::Cell;

use approvals::Verdict;
use authz::{Caller, Role};
use catalog::{Agent, Status, Version, VersionPatch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{Row, StoreError, sql, values};
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, Act, agent, decide, detail, draft, followers, hours, publish, required, submit};

#[derive(Clone, Copy, Debug)]
enum Step {
    Edit { version: usize, by: usize },
    Submit { version: usize, by: usize },
    Decide { version: usize, by: usize, verdict: Verdict },
    Cancel { version: usize, by: usize },
    Publish { version: usize, by: usize },
    Deprecate { version: usize },
    Archive { version: usize },
    LetTimePass,
    Demote { who: usize },
    Restore { who: usize },
}

const PEOPLE: usize = 5;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let version = || prop_oneof![3 => Just(0), 1 => Just(1)];
    let by = || 0..PEOPLE;
    let decide = |verdict| (version(), by()).prop_map(move |(version, by)| Step::Decide { version, by, verdict });
    let step = prop_oneof![
        2 => (version(), by()).prop_map(|(version, by)| Step::Edit { version, by }),
        8 => (version(), by()).prop_map(|(version, by)| Step::Submit { version, by }),
        24 => decide(Verdict::Approve),
        1 => decide(Verdict::Reject),
        1 => (version(), by()).prop_map(|(version, by)| Step::Cancel { version, by }),
        10 => (version(), by()).prop_map(|(version, by)| Step::Publish { version, by }),
        1 => version().prop_map(|version| Step::Deprecate { version }),
        1 => version().prop_map(|version| Step::Archive { version }),
        1 => Just(Step::LetTimePass),
        2 => by().prop_map(|who| Step::Demote { who }),
        6 => by().prop_map(|who| Step::Restore { who }),
    ];
    proptest::collection::vec(step, 20..50)
}

struct Story<'t> {
    t: &'t Tester,
    people: &'t [Caller],
    agent: Agent,
    versions: Vec<Version>,
    published: &'t Cell<u32>,
}

impl Story<'_> {
    /// Takes one step. Whether it is refused does not matter: what is true afterwards does.
    fn take(&self, step: Step) {
        let t = self.t;
        let id = |version: usize| &self.versions[version].id;
        let by = |who: usize| t.again(&self.people[who]);
        let review = |version| detail(t, &self.people[0], id(version)).version.review;
        match step {
            Step::Edit { version, by: who } => {
                let tools: &[&str] = if who % 2 == 0 { &["a"] } else { &["a", "b"] };
                let definition = Some(crate::given::with_tools(tools));
                let patch = VersionPatch { definition, ..VersionPatch::default() };
                drop(catalog::update_version(&t.db, &by(who), id(version), patch, &t.moment()));
            }
            Step::Submit { version, by: who } => drop(submit(t, &by(who), id(version))),
            Step::Decide { version, by: who, verdict } => {
                drop(review(version).map(|review| decide(t, &by(who), &review, verdict)));
            }
            Step::Cancel { version, by: who } => {
                let cancel = |review| approvals::cancel(&t.db, &by(who), &review, &followers(), &t.moment());
                drop(review(version).map(cancel));
            }
            Step::Publish { version, by: who } => {
                if publish(t, &by(who), id(version)).is_ok() {
                    self.check_approval(version);
                    self.published.set(self.published.get() + 1);
                }
            }
            Step::Deprecate { version } => drop(catalog::deprecate(&t.db, &by(0), id(version), &t.moment())),
            Step::Archive { version } => drop(catalog::archive(&t.db, &by(0), id(version), &t.moment())),
            Step::LetTimePass => hours(t, 49),
            Step::Demote { who } => self.role(who, Role::Viewer),
            Step::Restore { who } => self.role(who, Role::Admin),
        }
    }

    fn role(&self, who: usize, role: Role) {
        let id = &self.people[who].actor().id;
        self.t.raw(ACME, &format!("UPDATE users SET roles = '{role}' WHERE user_id = '{id}'")).unwrap();
    }

    /// Read straight from the tables: two people who are admins now, and neither asked nor wrote, approved exactly
    /// this content of this version, in time, in one request that was not rejected.
    fn check_approval(&self, version: usize) {
        let shown = detail(self.t, &self.people[0], &self.versions[version].id);
        let authors: Vec<&str> = shown.version.authors.iter().collect();
        let grant = self.people[0].authorize::<Act>().unwrap();
        let rows = self.t.db.read(&grant, |tx| {
            tx.all(
                sql!(
                    "SELECT d.user_id, d.decision, r.requester_id
                       FROM approval_requests r
                       JOIN approval_decisions d ON d.tenant_id = r.tenant_id AND d.review_id = r.review_id
                       JOIN users u ON u.tenant_id = d.tenant_id AND u.user_id = d.user_id
                      WHERE r.tenant_id = $1 AND r.review_id = $2 AND r.resource_id = $3 AND r.digest = $4
                        AND r.status = 'approved' AND u.roles = 'admin' AND u.status = 'active'
                        AND d.at < r.expires_at"
                ),
                values![shown.version.review.clone(), &shown.version.id, shown.definition.digest(),],
                |row: &mut Row| Ok((row.get::<String>()?, row.get::<String>()?, row.get::<String>()?)),
            )
        });
        let rows: Vec<(String, String, String)> = rows.map_err(|error: StoreError| error).unwrap();
        let valid = rows.iter().filter(|(user, verdict, requester)| {
            verdict == "approve" && user != requester && !authors.contains(&user.as_str())
        });
        let users: std::collections::HashSet<&String> = valid.map(|(user, ..)| user).collect();
        assert!(users.len() >= 2, "{:?} was published with {rows:?}", shown.version);
    }

    fn statuses(&self) -> Vec<Status> {
        self.versions.iter().map(|version| detail(self.t, &self.people[0], &version.id).version.status).collect()
    }

    /// Returns how far the versions have come.
    fn check_step(&self, step: Step, before: &[Status]) -> Vec<Status> {
        let after = self.statuses();
        for (old, new) in before.iter().zip(&after) {
            let place = |status| Status::ALL.iter().position(|known| known == status).unwrap();
            assert!(place(new) <= place(old) + 1, "{step:?} skipped from {old} to {new}");
            assert!(
                place(old) < place(&Status::Published) || place(new) >= place(&Status::Published),
                "{step:?}: {old} to {new}"
            );
        }
        let published: Vec<_> = after.iter().filter(|status| **status == Status::Published).collect();
        let current = catalog::agent(&self.t.db, &self.people[0], &self.agent.id).unwrap().current;
        assert_eq!(published.len(), usize::from(current.is_some()), "{step:?}");
        after
    }
}

#[test]
fn no_story_publishes_what_two_others_did_not_approve() {
    on_both_engines(|t| {
        let people: Vec<Caller> = (0..PEOPLE).map(|who| t.user(ACME, &format!("p{who}"), [Role::Admin])).collect();
        required(t, &people[0], 2);
        let published = Cell::new(0);
        let cases = if t.engine == "sqlite" { 64 } else { 24 };
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let story = runner.run(&steps(), |steps| {
            let agent = agent(t, &people[0]);
            let versions: Vec<Version> =
                ["1.0.0", "2.0.0"].iter().map(|n| draft(t, &people[0], &agent.id, n)).collect();
            let story = Story { t, people: &people, agent, versions, published: &published };
            for who in 0..PEOPLE {
                story.role(who, Role::Admin);
            }
            let mut statuses = story.statuses();
            for step in steps {
                story.take(step);
                statuses = story.check_step(step, &statuses);
            }
            Ok(())
        });
        story.unwrap();
        assert!(published.get() > 0, "no story published anything");
    });
}
