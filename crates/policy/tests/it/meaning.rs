//! What policies mean, in tables.

use authz::{ActorKind, DecisionInput, Permission, Permissions};

use crate::given::{executing, input, line, rules};

/// What makes a condition hold.
type Change = fn(&mut DecisionInput);

/// Conditions over every fact there is.
const CONDITIONS: &[(&str, Change)] = &[
    (r#"principal == User::"usr_olivia""#, |_| {}),
    ("principal is User", |_| {}),
    ("principal is Service", |i| i.kind = ActorKind::Service),
    (r#"principal.id == "usr_olivia""#, |_| {}),
    (r#"principal.roles.contains("night-shift")"#, |_| {}),
    (
        r#"principal.attributes.text.hasTag("department") && principal.attributes.text.getTag("department") == "finance""#,
        |_| {},
    ),
    (r#"principal.attributes.number.hasTag("level") && principal.attributes.number.getTag("level") >= 3"#, |_| {}),
    (r#"principal.attributes.flag.hasTag("trained") && principal.attributes.flag.getTag("trained")"#, |_| {}),
    (
        r#"principal.attributes.list.hasTag("regions") && principal.attributes.list.getTag("regions").contains("eu")"#,
        |_| {},
    ),
    (r#"principal.attributes.names.contains("level")"#, |_| {}),
    (r#"resource == Agent::"agt_1""#, |_| {}),
    (
        r#"context.time < datetime("2027-01-15T08:00:00.001Z") && context.time >= datetime("2027-01-15T08:00:00Z")"#,
        |_| {},
    ),
    (r#"context["\u{74}ime"] <= datetime("2027-01-15T08:00:00Z")"#, |_| {}),
    ("context.hour == 8 && context.weekday == 5", |_| {}),
    (r#"context has agent && context.agent == "agt_1""#, |i| i.facts.agent = Some("agt_1".into())),
    (r#"context has version && context.version == "1.2.0""#, |i| i.facts.version = Some("1.2.0".into())),
    (r#"context has model && context.model like "gpt-*""#, |i| i.facts.model = Some("gpt-4o".into())),
    (r#"context has tool && context.tool == "refund""#, |i| i.facts.tool = Some("refund".into())),
    (r#"context.tools.contains("refund")"#, |i| i.facts.tools = vec!["refund".into()]),
    (r#"context has cost && context.cost.lessThanOrEqual(decimal("0.25"))"#, |i| {
        i.facts.cost_nanos = Some(250_000_000);
    }),
    (r#"context has data_class && context.data_class == "internal""#, |i| i.facts.data_class = Some("internal".into())),
    (r#"context.arguments.number.hasTag("amount") && context.arguments.number.getTag("amount") > 1000"#, |i| {
        i.facts.arguments = Some(r#"{"amount": 1001}"#.into());
    }),
    (
        r#"context.arguments.decimal.hasTag("payment/amount") && context.arguments.decimal.getTag("payment/amount").greaterThan(decimal("10.0"))"#,
        |i| {
            i.facts.arguments = Some(r#"{"payment": {"amount": 10.01}}"#.into());
        },
    ),
    (r#"context.arguments.list.hasTag("to") && ["a@x"].containsAny(context.arguments.list.getTag("to"))"#, |i| {
        i.facts.arguments = Some(r#"{"to": ["b@x", "a@x"]}"#.into());
    }),
    (r#"context.arguments.text.hasTag("to/0") && context.arguments.text.getTag("to/0") == "b@x""#, |i| {
        i.facts.arguments = Some(r#"{"to": ["b@x", "a@x"]}"#.into());
    }),
    (r#"context.arguments.names.contains("bcc")"#, |i| i.facts.arguments = Some(r#"{"bcc": null}"#.into())),
];

#[test]
fn a_condition_over_each_fact_is_met_by_that_fact_alone() {
    for (condition, met) in CONDITIONS {
        let source = format!("@id(\"only\") permit (principal, action, resource) when {{ {condition} }};");
        assert_eq!(line(&executing(&source, met)), "allow by only", "{condition}");
        let unmet = |i: &mut DecisionInput| {
            met(i);
            i.id = "usr_else".into();
            i.kind = if i.kind == ActorKind::User { ActorKind::Service } else { ActorKind::User };
            i.roles = authz::Roles::default();
            i.attributes.clear();
            i.resource = Some("agt_2".into());
            i.at = "2027-01-16T09:00:00Z".parse().unwrap();
            i.facts = authz::Known::default();
        };
        assert_eq!(line(&executing(&source, unmet)), "deny by default", "{condition}");
    }
}

#[test]
fn on_an_action_that_no_policy_mentions_the_roles_word_stands() {
    let rules = rules(
        r#"@id("one") permit (principal, action == Action::"agent:execute", resource) when { context.hour < 8 };"#,
    );
    assert_eq!(rules.governs(), Permissions::NONE.with(Permission::AgentExecute));
    assert_eq!(line(&rules.replay(&input(Permission::AgentRead, None))), "allow by none");
    assert_eq!(line(&rules.replay(&input(Permission::AgentExecute, None))), "deny by default");
}

#[test]
fn a_policy_without_an_action_governs_every_action_but_the_two_that_repair_it() {
    let rules = rules(r#"@id("none") forbid (principal, action, resource);"#);
    for permission in Permission::ALL {
        let free = matches!(permission, Permission::PolicyManage | Permission::TenantManage);
        let expected = if free { "allow by none" } else { "deny by none" };
        assert_eq!(line(&rules.replay(&input(*permission, None))), expected, "{permission}");
    }
}

#[test]
fn a_rule_for_one_thing_never_matches_a_question_about_none() {
    for (rule, id, other, none) in [
        (
            r#"permit (principal, action, resource == Agent::"agt_1")"#,
            "allow by one",
            "deny by default",
            "deny by default",
        ),
        (
            r#"permit (principal, action, resource) when { resource == Agent::"agt_1" }"#,
            "allow by one",
            "deny by default",
            "deny by default",
        ),
        (
            r#"permit (principal, action == Action::"agent:execute", resource) when { [Agent::"agt_1"].contains(resource) }"#,
            "allow by one",
            "deny by default",
            "deny by default",
        ),
        (
            r#"permit (principal, action, resource in Agent::"agt_1")"#,
            "allow by one",
            "deny by default",
            "deny by default",
        ),
        ("permit (principal, action, resource is Agent)", "allow by one", "allow by one", "allow by one"),
    ] {
        let source = format!("@id(\"one\") {rule};");
        let said = |resource: Option<&str>| line(&executing(&source, |i| i.resource = resource.map(str::to_owned)));
        assert_eq!(said(Some("agt_1")), id, "{rule}");
        assert_eq!(said(Some("agt_2")), other, "{rule}");
        assert_eq!(said(None), none, "{rule}");
        assert_eq!(said(Some("")), none, "{rule}");
    }
    let forbidding = r#"@id("all") permit (principal, action, resource);
        @id("one") forbid (principal, action, resource == Agent::"agt_1");"#;
    assert_eq!(line(&executing(forbidding, |_| {})), "deny by one");
    assert_eq!(line(&executing(forbidding, |i| i.resource = None)), "allow by all");
    let but_one = r#"@id("all") permit (principal, action, resource);
        @id("but") forbid (principal, action, resource) unless { resource == Agent::"agt_1" };"#;
    assert_eq!(line(&executing(but_one, |_| {})), "allow by all");
    assert_eq!(line(&executing(but_one, |i| i.resource = None)), "deny by but");
}

#[test]
fn what_forbids_comes_first_then_what_fails_then_approval_then_obligations() {
    const EXECUTE: &str = r#"(principal, action == Action::"agent:execute", resource)"#;
    let plain = format!("@id(\"plain\") permit {EXECUTE};");
    let approve = format!("@id(\"ask\") @outcome(\"require_approval\") @reason(\"Ask Vera\") permit {EXECUTE};");
    let capped = format!("@id(\"cap\") @obligation(\"max_output_tokens=1000, without_tools\") permit {EXECUTE};");
    let lower = format!("@id(\"low\") @obligation(\"max_output_tokens=10\") permit {EXECUTE};");
    let failing = format!("@id(\"odd\") permit {EXECUTE} when {{ 9223372036854775807 + context.hour > 0 }};");
    let odd_forbid = format!("@id(\"odder\") forbid {EXECUTE} when {{ 9223372036854775807 + context.hour > 0 }};");
    let forbid = format!("@id(\"never\") @reason(\"Not in this house\") forbid {EXECUTE};");
    for (policies, expected) in [
        (vec![&plain], "allow by plain"),
        (vec![&plain, &capped], "allow with max_output_tokens=1000, without_tools by cap"),
        (vec![&lower, &plain, &capped], "allow with max_output_tokens=10, without_tools by cap"),
        (vec![&plain, &approve, &capped], "require_approval with max_output_tokens=1000, without_tools by ask"),
        (vec![&plain, &approve, &failing], "deny by odd"),
        (vec![&plain, &odd_forbid], "deny by odder"),
        (vec![&odd_forbid, &failing], "deny by odd"),
        (vec![&failing, &forbid, &approve], "deny by never"),
    ] {
        let mut policies: Vec<&str> = policies.into_iter().map(String::as_str).collect();
        for _ in 0..policies.len() {
            policies.rotate_left(1);
            assert_eq!(line(&executing(&policies.join("\n"), |_| {})), expected, "{policies:?}");
        }
    }
    let both = [plain, approve, forbid].join("\n");
    assert_eq!(executing(&both, |_| {}).reason, "Not in this house");
}

#[test]
fn a_permission_that_the_roles_lack_is_refused_before_a_policy_is_asked() {
    let word = executing(r#"@id("all") permit (principal, action, resource);"#, |i| i.permissions = Permissions::NONE);
    assert_eq!(
        (line(&word), word.reason.as_str()),
        ("deny by roles".to_owned(), "the roles do not give the permission `agent:execute`")
    );
}

#[test]
fn arguments_that_cannot_be_read_are_refused_where_a_policy_looks_at_them() {
    let looks = r#"@id("all") permit (principal, action, resource);
        @id("large") forbid (principal, action, resource) when { context.arguments.number.hasTag("n") && context.arguments.number.getTag("n") > 5 };"#;
    let twice = |i: &mut DecisionInput| i.facts.arguments = Some(r#"{"n": 1, "n": 9}"#.into());
    let word = executing(looks, twice);
    assert_eq!(line(&word), "deny by default");
    assert!(word.reason.contains("duplicate field `n`"), "{}", word.reason);
    assert_eq!(line(&executing(r#"@id("all") permit (principal, action, resource);"#, twice)), "allow by all");
}
