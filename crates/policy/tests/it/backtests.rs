//! The calls of the past, decided again.

use authz::{Caller, Evidence, Facts, Permission, Question, Role};
use policy::{BacktestError, Policies};
use store::{Attributed, Entry, Job, Outcome, Resource};
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, ASKING, Anything, Execute, MORNINGS, NOTHING, guarded, held, ledger, made, people};

/// Makes a call as the gateway does: decided by roles and policies, and kept with what that depended on.
fn call(t: &Tester, policies: &Policies, caller: &Caller, agent: &str) {
    let caller = guarded(t, policies, caller);
    let facts = Facts { agent: Some(agent), model: Some("gpt-4o"), ..Facts::default() };
    let at = caller.request().at;
    let question =
        Question { caller: &caller, permission: Permission::AgentExecute, resource: Some(agent), at, facts: &facts };
    let decided = caller.authorize_with::<Execute>(agent, &facts);
    let mut payload = b"{\"request\":{\"messages\":[]},\"decision\":".to_vec();
    Evidence::new(&question, decided.as_ref()).write(&mut payload);
    payload.push(b'}');
    let entry = if decided.is_ok() {
        Entry::new("gateway.call.requested", Resource::new("call", "call_1"))
    } else {
        Entry::new("gateway.call.refused", Resource::new("call", "call_1")).with_outcome(Outcome::Refused)
    };
    append(t, &caller, entry.with_payload_bytes(payload));
}

fn append(t: &Tester, caller: &Caller, entry: Entry) {
    let attributed = Attributed::new(&caller.authorize::<Anything>().unwrap(), entry);
    let share: Job<'_> = Box::new(move |_tx| Ok(vec![attributed]));
    for written in t.db.write_shares(vec![(caller.tenant().clone(), share)]) {
        written.unwrap();
    }
}

fn hours(t: &Tester, hours: i64) {
    t.clock.advance_micros(hours * 3_600 * 1_000_000);
}

/// Two days of calls, each morning and each afternoon, under policies that allow the mornings.
fn two_days(t: &Tester) -> crate::given::People {
    let who = people(t);
    held(t, &who.bob, MORNINGS);
    let policies = Policies::load(&t.db).unwrap();
    for _ in 0..2 {
        call(t, &policies, &who.olivia, "agt_1");
        hours(t, 6);
        call(t, &policies, &who.olivia, "agt_1");
        call(t, &policies, &who.bob, "agt_2");
        call(t, &policies, &who.audra, "agt_2");
        hours(t, 18);
    }
    who
}

#[test]
fn replaying_the_policies_that_held_changes_nothing() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = two_days(t);
        let report = policy::backtest(&t.db, &who.audra, Some(MORNINGS), since, &t.moment()).unwrap();
        assert_eq!((report.looked_at, report.not_replayable, report.approvals), (8, 0, 0));
        assert_eq!(report.changes, []);
        assert!(report.callers.is_empty());
        assert_eq!(ledger(t, &who.bob).last().map(String::as_str), Some("policy.backtested"));
    });
}

#[test]
fn other_policies_change_what_they_change_for_whom_they_do() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = two_days(t);
        let report = policy::backtest(&t.db, &who.bob, Some(ASKING), since, &t.moment()).unwrap();
        let changes: Vec<_> =
            report.changes.iter().map(|change| (change.from.as_str(), change.to.as_str(), change.count)).collect();
        assert_eq!(changes, [("deny", "require_approval", 4), ("allow", "require_approval", 2)]);
        let example = &report.changes[1].examples[0];
        assert_eq!(
            (example.who.as_str(), example.agent.as_deref(), example.rule.as_deref()),
            ("usr_olivia", Some("agt_1"), Some("ask"))
        );
        // The auditor's calls stay refused: the roles come first.
        let callers: Vec<_> = report.callers.into_iter().collect();
        assert_eq!(callers, [("usr_bob".to_owned(), 2), ("usr_olivia".to_owned(), 4)]);
        assert_eq!(report.approvals, 6);
        let report = policy::backtest(&t.db, &t.again(&who.bob), Some(ASKING), since, &t.moment()).unwrap();
        assert!((report.approvals_per_day() - 3.0).abs() < 1e-9);
        let report = policy::backtest(&t.db, &t.again(&who.bob), None, since, &t.moment()).unwrap();
        assert_eq!((report.changes.len(), report.changes[0].to.as_str(), report.changes[0].count), (1, "allow", 4));
        let report = policy::backtest(&t.db, &t.again(&who.bob), Some(NOTHING), since, &t.moment()).unwrap();
        assert_eq!((report.changes.len(), report.changes[0].to.as_str(), report.changes[0].count), (1, "deny", 2));
    });
}

#[test]
fn only_the_period_that_was_asked_for_is_looked_at() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = two_days(t);
        let looked_at =
            |since| policy::backtest(&t.db, &t.again(&who.bob), Some(ASKING), since, &t.moment()).unwrap().looked_at;
        assert_eq!(looked_at(since.plus_seconds(86_400)), 4);
        assert_eq!(looked_at(since.plus_seconds(86_400 + 1)), 3);
        assert_eq!(looked_at(since.plus_seconds(2 * 86_400)), 0);
        assert_eq!(looked_at(since.plus_seconds(-86_400)), 8);
    });
}

#[test]
fn what_was_erased_or_not_kept_is_counted_and_not_guessed() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = two_days(t);
        let bare = Entry::new("gateway.call.requested", Resource::new("call", "call_2"));
        append(t, &who.olivia, bare.clone());
        append(t, &who.olivia, Entry::new("gateway.call.completed", Resource::new("call", "call_2")));
        append(t, &who.olivia, bare.with_payload(&serde_json::json!({ "decision": { "verdict": "allow" } })));
        append(
            t,
            &who.olivia,
            Entry::new("request.refused", Resource::new("agent", "agt_1")).with_outcome(Outcome::Refused),
        );
        t.raw(ACME, "DELETE FROM ledger_payloads WHERE seq = (SELECT MIN(seq) FROM ledger_entries WHERE action = 'gateway.call.requested')").unwrap();
        let report = policy::backtest(&t.db, &who.bob, Some(MORNINGS), since, &t.moment()).unwrap();
        assert_eq!((report.looked_at, report.not_replayable), (10, 3));
        assert_eq!(report.changes, []);
    });
}

#[test]
fn nobody_sees_another_tenants_calls_and_an_operator_sees_none() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = two_days(t);
        let eve = t.user("globex", "eve", [Role::Admin]);
        let report = policy::backtest(&t.db, &eve, Some(NOTHING), since, &t.moment()).unwrap();
        assert_eq!(report.looked_at, 0);
        let refused = policy::backtest(&t.db, &who.olivia, Some(NOTHING), since, &t.moment());
        assert!(matches!(refused, Err(BacktestError::Forbidden(_))));
        let invalid = policy::backtest(&t.db, &who.bob, Some("permit"), since, &t.moment());
        assert!(matches!(invalid, Err(BacktestError::Invalid(_))));
        assert_eq!(made(t, &who.bob, ASKING).number, 2);
    });
}

#[test]
fn tools_that_answers_asked_for_are_decided_again_too() {
    on_both_engines(|t| {
        let since = t.moment().now();
        let who = people(t);
        let facts = Facts { tool: Some("send_email"), arguments: Some("{}"), ..Facts::default() };
        let (caller, permission, at) = (&who.olivia, Permission::ToolExecute, who.olivia.request().at);
        let question = Question { caller, permission, resource: Some("send_email"), at, facts: &facts };
        let decided = who.olivia.authorize_with::<Anything>("send_email", &facts);
        let mut payload = b"{\"answer\":\"...\",\"tool_decisions\":[".to_vec();
        Evidence::new(&question, decided.as_ref()).write(&mut payload);
        payload.extend_from_slice(b"]}");
        append(
            t,
            &who.olivia,
            Entry::new("gateway.call.completed", Resource::new("call", "call_1")).with_payload_bytes(payload),
        );
        let forbids =
            r#"@id("no-mail") forbid (principal, action == Action::"tool:execute", resource == Tool::"send_email");"#;
        let report = policy::backtest(&t.db, &who.bob, Some(forbids), since, &t.moment()).unwrap();
        let changes: Vec<_> = report.changes.iter().map(|change| (&*change.from, &*change.to, change.count)).collect();
        assert_eq!((report.looked_at, report.not_replayable, changes), (1, 0, vec![("allow", "deny", 1)]));
    });
}
