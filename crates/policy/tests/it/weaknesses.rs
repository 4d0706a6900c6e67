//! What the reference's engine did wrong, tried on ours.

use std::sync::Arc;

use authz::{Cause, Facts, Guard, Permission, Question, Role, Verdict};
use policy::{Policies, Rules};
use testkit::on_both_engines;

use crate::given::{ACME, Execute, executing, guarded, held, line, people};

#[test]
fn one_tenants_policies_refuse_another_tenants_callers() {
    on_both_engines(|t| {
        let who = people(t);
        held(t, &who.bob, r#"@id("all") permit (principal, action, resource);"#);
        let eve = t.user("evil-corp", "eve", [Role::Viewer]);
        let policies = Policies::load(&t.db).unwrap();
        assert!(policies.guard_for(eve.tenant()).is_none(), "evil-corp has no policies of its own");
        let acme: Arc<dyn Guard> = policies.guard_for(who.bob.tenant()).unwrap();
        let facts = Facts::default();
        let judgment = |caller| {
            let at = t.moment().now();
            acme.judge(&Question {
                caller,
                permission: Permission::AgentRead,
                resource: Some("agt_1"),
                at,
                facts: &facts,
            })
        };
        assert_eq!(judgment(&eve).verdict, Verdict::Deny);
        assert_eq!(judgment(&who.bob).verdict, Verdict::Allow(Vec::new()));
    });
}

#[test]
fn an_action_is_only_about_things_of_its_kind() {
    for kind in ["Tool", "Account", "Key", "System", "Tenant"] {
        let source =
            format!(r#"@id("odd") permit (principal, action == Action::"agent:execute", resource is {kind});"#);
        assert!(Rules::read(&source).is_err(), "{kind}");
    }
}

#[test]
fn conditions_count() {
    let source = r#"@id("never") permit (principal, action, resource) when { context.hour > 23 };"#;
    assert_eq!(line(&executing(source, |_| {})), "deny by default");
}

#[test]
fn what_forbids_wins_whether_or_not_a_role_would_allow() {
    on_both_engines(|t| {
        let who = people(t);
        let source = r#"@id("allow") permit (principal, action, resource);
            @id("stop") forbid (principal, action == Action::"agent:execute", resource)
            when { principal.roles.contains("operator") };"#;
        held(t, &who.bob, source);
        let policies = Policies::load(&t.db).unwrap();
        let refused = guarded(t, &policies, &who.olivia).authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::Policy { basis: Some(basis), .. } if basis.rule == "stop"));
        // A role that lacks the permission stays without it, whatever a policy permits.
        let refused = guarded(t, &policies, &who.audra).authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::Missing { .. }));
        assert!(guarded(t, &policies, &who.bob).authorize_on::<Execute>("agt_1").is_ok());
    });
}

#[test]
fn a_rule_for_one_agent_does_not_match_a_request_without_id() {
    let source = r#"@id("one") permit (principal, action == Action::"agent:execute", resource == Agent::"agt_1");"#;
    assert_eq!(line(&executing(source, |_| {})), "allow by one");
    assert_eq!(line(&executing(source, |i| i.resource = None)), "deny by default");
}

#[test]
fn a_refusal_is_an_answer_and_names_its_rule() {
    on_both_engines(|t| {
        let who = people(t);
        let source = r#"@id("no-calls") @reason("Calls are stopped until Monday")
            forbid (principal, action == Action::"agent:execute", resource);"#;
        let version = held(t, &who.bob, source);
        let policies = Policies::load(&t.db).unwrap();
        let refused = guarded(t, &policies, &who.olivia).authorize_on::<Execute>("agt_1").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`gateway.call` is refused by the policy rule `no-calls`: Calls are stopped until Monday"
        );
        let Cause::Policy { basis: Some(basis), .. } = refused.cause else { panic!("no rule") };
        assert_eq!((basis.version, basis.digest), (version.number, version.digest));
    });
}

#[test]
fn a_tenant_without_policies_has_no_guard_and_a_tenant_that_is_not_known_is_refused() {
    on_both_engines(|t| {
        let who = people(t);
        assert!(Policies::load(&t.db).unwrap().guard_for(who.olivia.tenant()).is_none());
        // Not loaded is not the same as having none.
        let nothing_loaded = Policies::default();
        let refused = guarded(t, &nothing_loaded, &who.olivia).authorize_on::<Execute>("agt_1").unwrap_err();
        assert!(matches!(refused.cause, Cause::Policy { .. }));
        nothing_loaded.refresh(&t.db, who.olivia.tenant()).unwrap();
        assert!(nothing_loaded.guard_for(who.olivia.tenant()).is_none());
        assert_eq!(who.olivia.tenant().as_str(), ACME);
    });
}
