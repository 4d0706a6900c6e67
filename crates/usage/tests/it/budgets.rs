//! Budgets: who may have them, and what they refuse.

use authz::Role;
use kernel::{BudgetId, PageSize};
use testkit::on_both_engines;
use usage::{
    BudgetChange, CreateBudgetError, Name, NewBudget, Period, ReadBudgetError, Scope, Status, UpdateBudgetError,
};

use crate::world::{World, usd};

fn new(name: &str, scope: Scope, limit: &str) -> NewBudget {
    NewBudget { name: Name::new(name).unwrap(), scope, period: Period::Month, limit: usd(limit) }
}

#[test]
fn a_budget_shows_what_is_spent_held_and_left() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Month, "100.00");
        assert_eq!(world.admin.request().recorded(), Some(0));
        let purse = world.purse();
        world.spend(&purse, usd("20.00"), usd("0.000000003"));
        let seen = world.budget(&budget.id);
        assert_eq!(seen.resets_at.map(|at| at.to_string()).as_deref(), Some("2027-02-01T00:00:00.000Z"));
        // The node keeps a stock of a twentieth; the rest of what the call held went back at once.
        assert_eq!((seen.spent, seen.held), (usd("0.000000003"), usd("5.00")));
        assert_eq!(seen.remaining(), usd("94.999999997"));
        assert_eq!(seen.overrun(), usd("0.00"));
        world.assert_within_limits();
    });
}

#[test]
fn only_an_admin_manages_budgets_and_a_viewer_sees_them() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let id = world.new_budget("Pilot", Period::Day, "1.00").id;
        for (name, role, may_see) in [
            ("vera", Role::Viewer, true),
            ("olivia", Role::Operator, false),
            ("alice", Role::AgentDesigner, false),
            ("adam", Role::Auditor, false),
        ] {
            let caller = tester.user("acme-corp", name, [role]);
            let (db, at) = (&tester.db, tester.moment());
            let created = usage::create_budget(db, &caller, new("Mine", Scope::Tenant, "1.00"), &at);
            assert!(matches!(created, Err(CreateBudgetError::Forbidden(_))), "{role}");
            let updated = usage::update_budget(db, &caller, &id, &BudgetChange::default(), &at);
            assert!(matches!(updated, Err(UpdateBudgetError::Forbidden(_))), "{role}");
            assert_eq!(usage::budget(db, &caller, &id, at.now()).is_ok(), may_see, "{role}");
            assert_eq!(usage::budgets(db, &caller, None, PageSize::default(), at.now()).is_ok(), may_see, "{role}");
        }
    });
}

#[test]
fn another_tenants_budget_agent_and_user_do_not_exist() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let id = world.new_budget("Pilot", Period::Day, "1.00").id;
        tester
            .raw(
                "acme-corp",
                &format!(
                    "INSERT INTO agents (tenant_id, agent_id, name, description, category, tags, search, owner_id,
                                         created_at, updated_at, revision)
                     VALUES ('acme-corp', '{}', 'a', '', '', '', '', 'usr_bob', 1, 1, 1)",
                    world.agent
                ),
            )
            .unwrap();
        let (gina, at) = (tester.user("globex", "gina", [Role::Admin]), tester.moment());
        let read = usage::budget(&tester.db, &gina, &id, at.now());
        assert!(matches!(read, Err(ReadBudgetError::NotFound(missing)) if missing == id));
        let change = BudgetChange { limit: Some(usd("0.00")), ..BudgetChange::default() };
        let updated = usage::update_budget(&tester.db, &gina, &id, &change, &at);
        assert!(matches!(updated, Err(UpdateBudgetError::NotFound(missing)) if missing == id));
        assert_eq!(usage::budgets(&tester.db, &gina, None, PageSize::default(), at.now()).unwrap().items, []);

        let scope = Scope::Agent(world.agent.clone());
        assert!(usage::create_budget(&tester.db, &world.admin, new("One agent", scope.clone(), "1.00"), &at).is_ok());
        let foreign = usage::create_budget(&tester.db, &gina, new("One agent", scope, "1.00"), &at).unwrap_err();
        assert_eq!(foreign.to_string(), format!("there is no agent `{}`", world.agent));
        let scope = Scope::User(world.user.clone());
        let unknown = usage::create_budget(&tester.db, &world.admin, new("One user", scope, "1.00"), &at);
        assert!(matches!(unknown, Err(CreateBudgetError::NoSuchScope(Scope::User(_)))));
    });
}

#[test]
fn absurd_limits_and_taken_names_are_refused() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let (db, at) = (world.db(), tester.moment());
        for limit in ["-0.000000001", "-5.00", "1000000000.000000001", "9223372036"] {
            let created = usage::create_budget(db, &world.admin, new("Absurd", Scope::Tenant, limit), &at);
            assert!(matches!(created, Err(CreateBudgetError::Limit(_))), "{limit}");
        }
        let budget = world.new_budget("Pilot", Period::Day, "0.00");
        let again = usage::create_budget(db, &world.admin, new("Pilot", Scope::Tenant, "1.00"), &at).unwrap_err();
        assert_eq!(again.to_string(), "a budget is named `Pilot` already");
        let change = BudgetChange { limit: Some(usd("-1.00")), ..BudgetChange::default() };
        let updated = usage::update_budget(db, &world.admin, &budget.id, &change, &at).unwrap_err();
        assert_eq!(updated.to_string(), "a limit is from 0.00 to 1000000000.00 USD, not `-1.00`");
    });
}

#[test]
fn a_change_made_for_an_older_revision_is_refused() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let (db, at) = (world.db(), tester.moment());
        let budget = world.new_budget("Pilot", Period::Day, "1.00");
        let change = BudgetChange { limit: Some(usd("2.00")), expected_revision: Some(1), status: None };
        let updated = usage::update_budget(db, &world.admin, &budget.id, &change, &at).unwrap();
        assert_eq!((updated.limit, updated.revision), (usd("2.00"), 2));
        let stale = usage::update_budget(db, &world.admin, &budget.id, &change, &at);
        assert!(matches!(stale, Err(UpdateBudgetError::Stale(2))));
        let missing: BudgetId = at.id();
        let missed = usage::update_budget(db, &world.admin, &missing, &change, &at);
        assert!(matches!(missed, Err(UpdateBudgetError::NotFound(id)) if id == missing));
    });
}

#[test]
fn a_closed_budget_limits_no_longer() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        let budget = world.new_budget("Pilot", Period::Day, "0.00");
        let purse = world.purse();
        assert!(world.reserve(&purse, usd("1.00")).is_err());
        let change = BudgetChange { status: Some(Status::Closed), ..BudgetChange::default() };
        usage::update_budget(world.db(), &world.admin, &budget.id, &change, &tester.moment()).unwrap();
        assert_eq!(world.limits(), []);
        assert!(world.reserve(&purse, usd("1.00")).is_ok());
        assert_eq!(world.budget(&budget.id).status, Status::Closed);
    });
}

#[test]
fn budgets_are_listed_page_by_page_with_where_they_stand() {
    on_both_engines(|tester| {
        let world = World::new(tester);
        for (name, period) in [("Day", Period::Day), ("Month", Period::Month), ("Ever", Period::Total)] {
            tester.clock.advance_micros(1_000);
            world.new_budget(name, period, "40.00");
        }
        world.spend(&world.purse(), usd("1.00"), usd("1.00"));
        let two = PageSize::new(2).unwrap();
        let first = usage::budgets(world.db(), &world.admin, None, two, world.now()).unwrap();
        let rest = usage::budgets(world.db(), &world.admin, first.next.as_ref(), two, world.now()).unwrap();
        assert_eq!(rest.next, None);
        let all: Vec<_> = first.items.into_iter().chain(rest.items).map(|budget| (budget.name, budget.spent)).collect();
        assert_eq!(all, ["Day", "Month", "Ever"].map(|name| (name.to_owned(), usd("1.00"))));
    });
}
