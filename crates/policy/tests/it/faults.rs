//! Everything that is wrong with policies is told: where, in which of them, and what to do.

use authz::Permission;
use policy::{Cases, Invalid, MAX_SOURCE, Rules};

use crate::given::{input, line};

fn faults(source: &str) -> String {
    let Err(Invalid(faults)) = Rules::read(source) else { panic!("{source} is valid") };
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn policies_that_mean_nothing_are_refused_with_line_column_and_name() {
    for (source, expected) in [
        ("", "line 1, column 1: there is no policy"),
        ("// nothing\n", "line 1, column 1: there is no policy"),
        ("permit (principal, action, resource)", "line 1, column 37: unexpected end of input"),
        ("\n  permit (principal, action, resource);", "line 2, column 3: a policy needs a name: write `@id(\"...\")`"),
        ("@id(\"\") permit (principal, action, resource);", "must have 1 to 64 letters"),
        ("@id(\"a b\") permit (principal, action, resource);", "must have 1 to 64 letters"),
        ("@id(\"default\") permit (principal, action, resource);", "choose another `@id`"),
        ("@id(\"roles\") permit (principal, action, resource);", "choose another `@id`"),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            "line 2, column 1: policy `a`: another policy has the same `@id`",
        ),
        ("@id(\"a\") @if(\"x\") permit (principal, action, resource);", "policy `a`: `@if` means nothing here"),
        ("@id(\"a\") @reason(\"\") permit (principal, action, resource);", "policy `a`: `@reason` must not be empty"),
        ("@id(\"a\") permit (principal == ?principal, action, resource);", "a policy has no slots"),
        (
            "@id(\"a\") permit (principal, action, resource == Agent::\"\");",
            "policy `a`: the id `\"\"` stands for no thing",
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { resource == Agent::\"\\u{0}\" };\n\0",
            "policies have no U+0000",
        ),
    ] {
        let told = faults(source);
        assert!(told.contains(expected), "{source:?}: {told}");
    }
    assert!(faults(&format!("//{}", "x".repeat(MAX_SOURCE))).contains("at most"));
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    for (rule, expected) in [
        ("permit (principal == Robot::\"r\", action, resource)", "unrecognized entity type `Robot`"),
        (
            "permit (principal, action == Action::\"agent:fly\", resource)",
            "unrecognized action `Action::\"agent:fly\"`",
        ),
        ("permit (principal, action == Action::\"policy:manage\", resource)", "unrecognized action"),
        ("permit (principal, action == Action::\"tenant:manage\", resource)", "unrecognized action"),
        ("permit (principal, action, resource) when { principal.password == \"x\" }", "attribute `password`"),
        ("permit (principal, action, resource) when { context.colour == \"x\" }", "attribute `colour`"),
        ("permit (principal, action, resource) when { context.agent == \"agt_1\" }", "optional attribute"),
        ("permit (principal, action, resource) when { context.arguments.number.getTag(\"n\") > 1 }", "tag `\"n\"`"),
        ("permit (principal, action, resource) when { context.hour > \"9\" }", "unexpected type"),
        ("permit (principal, action == Action::\"agent:execute\", resource is Tool)", "policy is impossible"),
        ("permit (principal, action, resource) when { 1 == 2 }", "policy is impossible"),
        ("permit (principal, action, resource) when { principal.id == \"a\u{202e}b\" }", "BIDI"),
    ] {
        let told = faults(&format!("// A comment.\n@id(\"only\")\n{rule};"));
        assert!(told.contains(expected), "{rule}: {told}");
        assert!(
            (told.starts_with("line 2,") || told.starts_with("line 3,")) && told.contains("policy `only`"),
            "{rule}: {told}"
        );
        assert!(!told.contains("for policy `only`"), "{told}");
    }
}

#[test]
fn outcomes_and_obligations_stand_only_where_somebody_keeps_them() {
    const EXECUTE: &str = "(principal, action == Action::\"agent:execute\", resource)";
    const BOTH: &str = "(principal, action in [Action::\"agent:execute\", Action::\"tool:execute\"], resource)";
    const READ: &str = "(principal, action == Action::\"agent:read\", resource)";
    let read = |policy: String| Rules::read(&format!("@id(\"a\") {policy};"));
    for good in [
        format!("@outcome(\"require_approval\") permit {EXECUTE}"),
        format!("@outcome(\"require_approval\") permit {BOTH}"),
        format!("@obligation(\"without_tools,max_output_tokens=1\") permit {EXECUTE}"),
    ] {
        assert!(read(good.clone()).is_ok(), "{good}");
    }
    for bad in [
        format!("@outcome(\"allow\") permit {EXECUTE}"),
        format!("@outcome(\"require_approval\") forbid {EXECUTE}"),
        format!("@outcome(\"require_approval\") permit {READ}"),
        "@outcome(\"require_approval\") permit (principal, action, resource)".to_owned(),
        "@outcome(\"require_approval\") permit (principal, action in [], resource)".to_owned(),
        format!("@obligation(\"without_tools\") forbid {EXECUTE}"),
        format!("@obligation(\"without_tools\") permit {BOTH}"),
        format!("@obligation(\"without_tools\") permit {READ}"),
        format!("@obligation(\"be_nice\") permit {EXECUTE}"),
        format!("@obligation(\"max_output_tokens=0\") permit {EXECUTE}"),
        format!("@obligation(\"\") permit {EXECUTE}"),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let told = faults(
        "@id(\"a\") @if(\"x\") permit (principal, action, resource);\npermit (principal, action, resource);\n\
         @id(\"b\") @outcome(\"maybe\") permit (principal, action, resource);",
    );
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn tests_that_are_misspelt_are_refused_with_their_line() {
    const CASE: &str = "- name: one\n  principal: { roles: [operator] }\n  action: agent:execute\n  expect: allow\n";
    assert_eq!(Cases::read(CASE).unwrap().len(), 1);
    for (extra, expected) in [
        ("  expects: deny\n", "line 5"),
        ("  at: yesterday\n", "line 5"),
        ("  obligations: [be_nice]\n", "line 5"),
        ("  context: { colour: red }\n", "line 5"),
        ("  context: { cost: much }\n", "line 5"),
        ("  expect: deny\n", "line 5"),
        ("- name: two\n", "line 5"),
    ] {
        let told = Cases::read(&format!("{CASE}{extra}")).unwrap_err().to_string();
        assert!(told.contains(expected), "{extra}: {told}");
    }
    for (from, to) in [("agent:execute", "agent:fly"), ("operator", "Operator"), ("allow", "perhaps")] {
        assert!(Cases::read(&CASE.replace(from, to)).is_err(), "{to}");
    }
    assert!(Cases::read("").unwrap().is_empty());
    assert!(Cases::read("name: one").is_err());
}

#[test]
fn a_failed_test_says_what_it_expected() {
    let rules = Rules::read(crate::given::MORNINGS).unwrap();
    let cases = Cases::read(
        "- name: afternoon\n  principal: { roles: [operator] }\n  action: agent:execute\n  at: 2027-01-15T13:00:00Z\n  \
         expect: allow\n  rule: mornings\n- name: morning\n  principal: { roles: [operator] }\n  \
         action: agent:execute\n  at: 2027-01-15T09:00:00Z\n  expect: allow\n  obligations: [without_tools]\n",
    );
    let tested = cases.unwrap().run(&rules);
    assert_eq!(tested[0].wrong, ["verdict: expected `allow`, got `deny`", "rule: expected `mornings`, got `default`"]);
    assert_eq!(tested[1].wrong, ["obligations: expected `allow with without_tools`, got `allow`"]);
}

#[test]
fn policies_that_nest_without_end_are_refused_and_deep_ones_are_evaluated() {
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let read = |condition: &str| {
        Rules::read(&format!("@id(\"deep\") permit (principal, action, resource) when {{ {condition} }};"))
    };
    let shapes = |times: usize| {
        [
            deep("(", "context.hour == 8", ")", times.min(30)),
            deep("true && ", "context.hour == 8", "", times),
            deep("1 + ", "1", "", times) + &format!(" == {}", times + 1),
            deep("context.hour == 9 || ", "context.hour == 8", "", times / 3),
            deep("if context.hour == 9 then true else ", "true", "", times / 3),
        ]
    };
    for times in [10, 100, 450] {
        for condition in shapes(times) {
            let word = read(&condition).unwrap().replay(&input(Permission::AgentRead, None));
            assert_eq!(line(&word), "allow by deep", "{}", condition.get(..60).unwrap_or(&condition));
        }
    }
    for times in [2_000, 20_000] {
        let brackets = ["(", "[", "{a: "].map(|open| deep(open, "true", "", times));
        let endless = ["!", "context", "context.a", "-"].map(|open| deep(open, "true", "", times));
        for condition in brackets.iter().chain(&endless).chain(&shapes(times)[1..]) {
            assert!(read(condition).is_err(), "{}", condition.get(..60).unwrap_or(condition));
        }
    }
}
