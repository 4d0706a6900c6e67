//! What policies are asked about a call, and what becomes of their word.

use authz::{Cause, DecisionInput, Obligation, Permission, Permissions, Role, Verdict};
use gateway::ChatError;
use serde_json::json;

use crate::world::{Says, allow, narrowed, on_both_engines, the_rule, watched};

#[test]
fn policies_are_asked_with_all_that_is_known_of_the_call_before_it_goes_anywhere() {
    on_both_engines(async |world| {
        let tool = json!({ "type": "function", "function": { "name": "search" } });
        let body = world.with(&json!({ "tools": [tool], "data_class": "public" }));
        let guard = Says::of_calls(Verdict::Deny);
        let refused = world.chat(&world.guarded(&guard), &body).await;
        assert!(
            matches!(&refused, Err(ChatError::Forbidden(refusal)) if matches!(refusal.cause, Cause::Policy { .. }))
        );
        assert_eq!(world.upstream.received().len(), 0);
        let agent = world.agent.as_str();
        let asked = guard.asked();
        assert_eq!(asked.len(), 1);
        for part in [
            format!("agent:execute {agent} "),
            format!("agent: Some(\"{agent}\"), version: Some(\"1.2.0\"), model: Some(\"gpt-4o-mini\"), tool: None"),
            "tools: [\"search\"], cost_nanos: Some(".to_owned(),
            "data_class: Some(\"confidential\")".to_owned(),
        ] {
            assert!(asked[0].contains(&part), "{part} in {}", asked[0]);
        }
    });
}

#[test]
fn a_refused_call_leaves_one_entry_that_says_by_which_rule_and_on_what_ground() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_calls(Verdict::Deny));
        let refused = world.chat(&olivia, &world.hello()).await.unwrap_err().to_string();
        assert_eq!(refused, "`gateway.call` is refused by the policy rule `the-rule`: it says so");
        let entries = world.entries();
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((&*entry.what, &entry.policy), ("gateway.call.refused refused", &the_rule()));
        assert_eq!(olivia.request().recorded(), Some(entry.seq), "so that nobody writes a second one");
        let payload = &entry.payload;
        assert_eq!((&payload["version_digest"], payload.get("request")), (&json!(world.digest), None));
        assert_eq!(payload["decision"]["verdict"], "deny");
        assert_eq!(
            payload["decision"]["policy"],
            json!({ "version": 3, "digest": "d".repeat(64), "rule": "the-rule" })
        );
        let input = DecisionInput::parse(&payload["decision"]["input"]).unwrap();
        assert_eq!((&input.id, input.permission), (&olivia.actor().id, Permission::AgentExecute));
        assert_eq!((input.permissions, input.at), (Role::Operator.permissions(), olivia.request().at));
        assert_eq!(input.resource.as_deref(), Some(world.agent.as_str()));
        assert_eq!(input.facts.data_class.as_deref(), Some("confidential"));
    });
}

#[test]
fn who_may_not_run_agents_learns_nothing_of_them_and_no_policy_is_asked() {
    on_both_engines(async |world| {
        let guard = Says::of_calls(allow());
        let viewer = watched(&world.somebody(&[Role::Viewer]), &guard);
        let mut elsewhere = world.hello();
        elsewhere["model"] = json!("agt_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f");
        for body in [world.hello(), elsewhere, json!({})] {
            let refused = world.chat(&viewer, &body).await;
            assert!(matches!(&refused, Err(ChatError::Forbidden(no)) if matches!(no.cause, Cause::Missing { .. })));
        }
        assert_eq!((guard.asked().len(), world.entries().len()), (0, 0));
    });
}

#[test]
fn without_policies_a_call_names_its_version_and_keeps_what_a_first_policy_would_be_asked() {
    on_both_engines(async |world| {
        world.answer(&world.olivia(), &world.hello()).await.unwrap();
        let entries = world.entries();
        let what: Vec<&str> = entries.iter().map(|entry| &*entry.what).collect();
        assert_eq!(what, ["gateway.call.requested ok", "gateway.call.completed ok"]);
        for entry in &entries {
            assert_eq!((&entry.policy["rule"], &entry.policy["digest"]), (&json!(world.digest), &json!(null)));
        }
        let decision = &entries[0].payload["decision"];
        assert_eq!((&decision["verdict"], decision.get("policy")), (&json!("allow"), None));
        let input = DecisionInput::parse(&decision["input"]).unwrap();
        assert_eq!(
            (input.facts.version.as_deref(), input.facts.model.as_deref()),
            (Some("1.2.0"), Some("gpt-4o-mini"))
        );
        assert!(input.facts.cost_nanos.unwrap() > 0);
        assert_eq!(entries[0].payload["request"], world.forwarded());
    });
}

#[test]
fn where_a_policy_allowed_a_call_its_entries_name_the_rule_and_keep_the_version() {
    on_both_engines(async |world| {
        let guard = Says::with_shadow(Verdict::Deny);
        world.answer(&world.guarded(&guard), &world.hello()).await.unwrap();
        let entries = world.entries();
        assert_eq!(entries.len(), 2);
        for entry in &entries {
            assert_eq!((&entry.policy, &entry.payload["version_digest"]), (&the_rule(), &json!(world.digest)));
        }
        let shadow = &entries[0].payload["decision"]["shadow"];
        assert_eq!((&shadow["verdict"], &shadow["policy"]["rule"]), (&json!("deny"), &json!("the-tried-rule")));
    });
}

#[test]
fn what_a_policy_obliges_a_call_to_is_done_before_it_goes_upstream() {
    on_both_engines(async |world| {
        let tool = json!({ "type": "function", "function": { "name": "search" } });
        let offering = json!({
            "tools": [tool], "tool_choice": "required", "parallel_tool_calls": false, "functions": [{ "name": "search" }],
            "function_call": "auto", "seed": 7,
        });
        let both = vec![Obligation::MaxOutputTokens(50), Obligation::WithoutTools];
        let strict = world.guarded(&Says::of_calls(Verdict::Allow(both)));
        world.answer(&strict, &world.with(&offering)).await.unwrap();
        let sent = world.forwarded();
        assert_eq!((&sent["max_tokens"], &sent["seed"]), (&json!(50), &json!(7)));
        for field in ["tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"] {
            assert_eq!(sent.get(field), None, "{field}");
        }
        world.answer(&world.olivia(), &world.with(&offering)).await.unwrap();
        assert_eq!((&world.forwarded()["max_tokens"], &world.forwarded()["tools"]), (&json!(200), &offering["tools"]));

        let entries = world.entries();
        let held = |at: usize| entries[at].payload["held"].as_str().unwrap().parse::<kernel::Money>().unwrap();
        assert!(held(0) < held(2), "less is set aside for what can cost less");
        let verdict = &entries[0].payload["decision"]["verdict"];
        assert_eq!(verdict, "allow with max_output_tokens=50, without_tools");
        let cost = |at: usize| entries[at].payload["decision"]["input"]["facts"]["cost_nanos"].as_i64().unwrap();
        assert_eq!(cost(0), cost(2), "a decision is about the call that was asked for");
    });
}

#[test]
fn a_limit_that_a_policy_sets_widens_no_other() {
    on_both_engines(async |world| {
        let generous = Says::of_calls(Verdict::Allow(vec![Obligation::MaxOutputTokens(5_000)]));
        world.answer(&world.guarded(&generous), &world.with(&json!({ "max_tokens": 20 }))).await.unwrap();
        assert_eq!(world.forwarded()["max_tokens"], 20);
    });
}

#[test]
fn a_key_that_may_run_agents_and_nothing_else_runs_them_under_policies() {
    on_both_engines(async |world| {
        let only = Permissions::NONE.with(Permission::AgentExecute);
        let guard = Says::of_calls(allow());
        world.answer(&watched(&narrowed(&world.olivia(), only), &guard), &world.hello()).await.unwrap();
        assert_eq!(guard.asked().len(), 1);
    });
}
