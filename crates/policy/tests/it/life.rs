//! Versions: made, read, compared, never changed.

use authz::{Permission, Permissions, Role};
use kernel::{PageSize, Text};
use policy::{CreateVersionError, Direction, Listing, NewVersion, ReadError, TestError};
use testkit::on_both_engines;

use crate::given::{ASKING, MORNINGS, NOTHING, held, ledger, made, new, people};

const TESTS: &str = "
- name: operators in the morning
  principal: { roles: [operator] }
  action: agent:execute
  at: 2027-01-15T08:00:00Z
  expect: allow
  rule: mornings
";

#[test]
fn a_version_is_numbered_digested_and_never_changed() {
    on_both_engines(|t| {
        let who = people(t);
        let note = Some(Text::new("Operators run agents in the morning").unwrap());
        let first = NewVersion { source: MORNINGS.to_owned(), tests: TESTS.replace('\n', "\r\n"), note };
        let first = policy::create_version(&t.db, &who.bob, first, &t.moment()).unwrap();
        let second = made(t, &who.carol, ASKING);
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(first.digest, policy::digest(MORNINGS, TESTS));
        let detail = policy::version(&t.db, &who.audra, 1).unwrap();
        assert_eq!((&detail.version, detail.source.as_str(), detail.tests.as_str()), (&first, MORNINGS, TESTS));
        let actions = ledger(t, &who.bob);
        assert_eq!(actions, ["policy.version.created"; 2]);
        for change in ["UPDATE policy_versions SET source = ''", "DELETE FROM policy_versions"] {
            assert!(t.raw(crate::given::ACME, change).is_err(), "{change}");
        }
    });
}

#[test]
fn what_is_wrong_or_fails_its_tests_is_not_kept() {
    on_both_engines(|t| {
        let who = people(t);
        let make = |source: &str, tests: &str| {
            let new = NewVersion { tests: tests.to_owned(), ..new(source) };
            policy::create_version(&t.db, &t.again(&who.bob), new, &t.moment()).unwrap_err()
        };
        assert!(matches!(make("permit", ""), CreateVersionError::Invalid(_)));
        assert!(matches!(make(MORNINGS, "- nam: x"), CreateVersionError::Unreadable(_)));
        let error = make(ASKING, TESTS);
        assert_eq!(
            error.to_string(),
            "1 of the tests failed: `operators in the morning` (verdict: expected `allow`, got `require_approval`; \
             rule: expected `mornings`, got `ask`)"
        );
        assert!(policy::versions(&t.db, &who.bob, &Listing::default()).unwrap().items.is_empty());
        assert_eq!(ledger(t, &who.bob), Vec::<String>::new());
    });
}

#[test]
fn who_manages_makes_who_audits_reads_and_nobody_else_sees_anything() {
    on_both_engines(|t| {
        let who = people(t);
        made(t, &who.bob, MORNINGS);
        for caller in [&who.audra, &who.olivia] {
            let made = policy::create_version(&t.db, caller, new(MORNINGS), &t.moment());
            assert!(matches!(made, Err(CreateVersionError::Forbidden(_))));
        }
        assert!(policy::state(&t.db, &who.audra).is_ok());
        assert!(matches!(policy::version(&t.db, &who.olivia, 1), Err(ReadError::Forbidden(_))));
        assert!(matches!(policy::test(&who.olivia, MORNINGS, ""), Err(TestError::Forbidden(_))));
        assert_eq!(policy::test(&who.audra, MORNINGS, TESTS).unwrap().len(), 1);
        let eve = t.user("globex", "eve", [Role::Admin]);
        assert!(matches!(policy::version(&t.db, &eve, 1), Err(ReadError::NotFound(1))));
        assert!(policy::versions(&t.db, &eve, &Listing::default()).unwrap().items.is_empty());
        assert_eq!(made(t, &eve, ASKING).number, 1, "each tenant counts for itself");
    });
}

#[test]
fn versions_come_in_pages() {
    on_both_engines(|t| {
        let who = people(t);
        for _ in 0..5 {
            made(t, &who.bob, MORNINGS);
        }
        let mut listing = Listing { size: PageSize::new(2).unwrap(), after: None };
        let mut seen = Vec::new();
        loop {
            let page = policy::versions(&t.db, &who.audra, &listing).unwrap();
            seen.extend(page.items.iter().map(|version| version.number));
            let Some(next) = page.next else { break };
            listing.after = Some(next);
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_plan_says_which_policies_actions_and_verdicts_would_change() {
    on_both_engines(|t| {
        let who = people(t);
        let plan = policy::plan(&t.db, &who.audra, ASKING, &t.moment()).unwrap();
        assert_eq!((plan.base, plan.changes.added), (None, vec!["ask".to_owned()]));
        assert_eq!(plan.changes.newly_governed, Permissions::NONE.with(Permission::AgentExecute));
        let version = held(t, &who.bob, MORNINGS);
        let plan = policy::plan(&t.db, &who.audra, ASKING, &t.moment()).unwrap();
        assert_eq!(plan.base, Some(version.number));
        assert_eq!(
            (&plan.changes.added[..], &plan.changes.removed[..]),
            (&["ask".to_owned()][..], &["mornings".to_owned()][..])
        );
        assert_eq!(plan.changes.newly_governed, Permissions::NONE);
        let shifts: Vec<String> = plan
            .changes
            .shifts
            .iter()
            .map(|shift| {
                format!(
                    "{} {} {}: {} to {}",
                    shift.role,
                    shift.permission,
                    shift.direction.as_str(),
                    shift.from,
                    shift.to
                )
            })
            .collect();
        assert_eq!(
            shifts,
            [
                "admin agent:execute widening: deny to require_approval",
                "agent_designer agent:execute widening: deny to require_approval",
                "operator agent:execute narrowing: allow to require_approval",
            ]
        );
        assert!(plan.changes.widens());
        // Spaces and comments change nothing; another condition does.
        let same = policy::plan(&t.db, &who.bob, &format!("// again\n{}", MORNINGS.replace(' ', "  ")), &t.moment());
        assert_eq!(same.unwrap().changes, policy::Comparison::default());
        let later = policy::plan(&t.db, &who.bob, &MORNINGS.replace("12", "18"), &t.moment()).unwrap();
        assert_eq!(later.changes.changed, ["mornings"]);
    });
}

#[test]
fn two_versions_are_compared_and_so_is_nothing_with_one() {
    on_both_engines(|t| {
        let who = people(t);
        made(t, &who.bob, NOTHING);
        made(t, &who.bob, MORNINGS);
        let compared = |from, to| policy::diff(&t.db, &who.audra, from, to, &t.moment());
        let opened = compared(Some(1), Some(2)).unwrap();
        assert!(opened.no_longer_governed.contains(Permission::AgentRead) && opened.widens());
        assert!(opened.shifts.iter().all(|shift| shift.direction == Direction::Widening));
        assert!(!compared(Some(2), Some(1)).unwrap().widens());
        assert!(!compared(None, Some(1)).unwrap().widens());
        assert_eq!(compared(Some(2), Some(2)).unwrap(), policy::Comparison::default());
        assert!(matches!(compared(Some(2), Some(3)), Err(ReadError::NotFound(3))));
    });
}
