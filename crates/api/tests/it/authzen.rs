//! Decisions for others who enforce them.

use authz::{Action, Caller, Facts, Permission};
use http::Method;
use serde_json::{Value, json};

use crate::world::{Ask, PEOPLE, World, on_both_engines};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

/// Rules of every outcome, for some of what roles allow.
const POLICY: &str = r#"
@id("reading") permit (principal, action == Action::"agent:read", resource);
@id("not-that-one") @reason("it is retired") forbid (principal, action == Action::"agent:read", resource == Agent::"agt_2");
@id("short") @obligation("max_output_tokens=100") permit (principal, action == Action::"agent:execute", resource);
@id("refunds") @outcome("require_approval") @reason("refunds wait") permit (principal, action == Action::"tool:execute", resource);
"#;

fn question(subject: &str, permission: Permission, resource: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": subject },
        "action": { "name": permission.as_str() },
        "resource": { "type": permission.resource(), "id": resource },
    })
}

/// What a permission is asked for by, one action for each.
macro_rules! actions {
    ($($permission:ident)+) => {
        /// What the caller itself may do, as every use case asks it.
        fn authorized(caller: &Caller, permission: Permission, resource: Option<&str>) -> bool {
            match permission {
                $(Permission::$permission => {
                    #[derive(Debug)]
                    struct Doing;
                    impl Action for Doing {
                        const NAME: &'static str = "test.do";
                        const PERMISSION: Option<Permission> = Some(Permission::$permission);
                    }
                    match resource {
                        Some(resource) => caller.authorize_with::<Doing>(resource, &Facts::default()).is_ok(),
                        None => caller.authorize::<Doing>().is_ok(),
                    }
                })+
            }
        }
    };
}

actions!(
    AgentCreate AgentRead AgentUpdate AgentDelete AgentExecute AgentApprove AgentPublish SessionCreate SessionRead
    SessionDelete ToolExecute ToolRead MemoryRead MemoryWrite MemoryDelete ApprovalRead UsageRead ReportRead
    ReportCreate AuditRead AuditExport UserManage RoleManage KeyManage PolicyManage BudgetManage SystemConfig
    SystemMetrics TenantManage
);

async fn activate(world: &World<'_>) {
    let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": POLICY })).await.expect(201).json();
    let activate = format!("/api/v1/admin/policies/{}/activate", made["number"]);
    world.send("bob", Ask::new(Method::POST, activate)).await.expect(200);
}

#[test]
fn every_decision_is_what_the_server_itself_would_decide() {
    on_both_engines(async |world| {
        for with_policies in [false, true] {
            if with_policies {
                activate(world).await;
            }
            let mut allowed = 0;
            for name in PEOPLE.map(|(name, _)| name).into_iter().chain(["bob"]) {
                let caller = world.caller(name);
                let questions = Permission::ALL
                    .iter()
                    .flat_map(|permission| ["agt_1", "agt_2", "*"].map(|resource| (*permission, resource)));
                let questions: Vec<_> = questions.collect();
                let body = questions.iter().map(|(permission, on)| question(world.id(name), *permission, on));
                let answer = world.post(name, EVALUATIONS, json!({ "evaluations": body.collect::<Vec<_>>() })).await;
                let decisions = answer.expect(200).json()["evaluations"].as_array().unwrap().clone();
                assert_eq!(decisions.len(), questions.len());
                for ((permission, on), decision) in questions.into_iter().zip(decisions) {
                    let expected = authorized(&caller, permission, Some(on).filter(|on| *on != "*"));
                    assert_eq!(decision["decision"], expected, "{name} {permission} {on}: {decision}");
                    allowed += u32::from(expected);
                }
            }
            assert!(allowed > 100, "{allowed}");
        }
    });
}

#[test]
fn a_decision_says_why_and_by_which_rule() {
    on_both_engines(async |world| {
        activate(world).await;
        let olivia = world.id("olivia");
        let mut said = Vec::new();
        for ask in [
            question(olivia, Permission::AgentRead, "agt_1"),
            question(olivia, Permission::AgentRead, "agt_2"),
            question(olivia, Permission::AgentExecute, "agt_1"),
            question(world.id("bob"), Permission::ToolExecute, "refund"),
            question(olivia, Permission::AgentDelete, "agt_1"),
            question("usr_00000000000070008000000000000000", Permission::AgentRead, "agt_1"),
            question(world.id("gina"), Permission::AgentRead, "agt_1"),
            json!({ "subject": { "type": "robot", "id": olivia }, "action": { "name": "agent:read" },
                "resource": { "type": "agent", "id": "agt_1" } }),
            json!({ "subject": { "type": "user", "id": olivia }, "action": { "name": "agent:*" },
                "resource": { "type": "agent", "id": "agt_1" } }),
            json!({ "subject": { "type": "user", "id": olivia, "properties": { "roles": ["admin"] } },
                "action": { "name": "agent:delete", "properties": {} }, "context": { "tool": "t", "color": 1 },
                "resource": { "type": "tool", "id": "agt_1", "properties": {} } }),
        ] {
            let answer = world.post("bob", EVALUATION, ask).await.expect(200);
            assert_eq!(answer.header("taskforce-entry"), None);
            let mut json = answer.json();
            let digest = json["context"]["policy_digest"].take();
            assert_eq!(digest.is_string(), json["context"]["rule"].is_string());
            said.push(json.to_string());
        }
        insta::allow_duplicates! { insta::assert_snapshot!(said.join("\n"), @r#"
        {"decision":true,"context":{"outcome":"allow","reason":"the rule permits it","rule":"reading","policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"it is retired","rule":"not-that-one","policy_digest":null,"obligations":[]}}
        {"decision":true,"context":{"outcome":"allow","reason":"the rule permits it","rule":"short","policy_digest":null,"obligations":["max_output_tokens=100"]}}
        {"decision":false,"context":{"outcome":"require_approval","reason":"refunds wait","rule":"refunds","policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"no role of the subject gives `agent:delete`","rule":null,"policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"no such subject is known","rule":null,"policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"no such subject is known","rule":null,"policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"no such subject is known","rule":null,"policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"no permission is named `agent:*`","rule":null,"policy_digest":null,"obligations":[]}}
        {"decision":false,"context":{"outcome":"deny","reason":"`agent:delete` is about things of the type `agent`, not `tool`","rule":null,"policy_digest":null,"obligations":[]}}
        "#) }
    });
}

#[test]
fn what_is_known_besides_counts() {
    on_both_engines(async |world| {
        let source = r#"
            @id("cheap") permit (principal, action == Action::"tool:execute", resource)
            when { context has tool && context.tool == "refund" && context.arguments.number.hasTag("amount")
                && context.arguments.number.getTag("amount") < 100 && context has cost && context.cost.lessThan(decimal("1.0"))
                && context has data_class && context.data_class == "public" };
        "#;
        let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": source })).await.expect(201).json();
        let activate = format!("/api/v1/admin/policies/{}/activate", made["number"]);
        world.send("bob", Ask::new(Method::POST, activate)).await.expect(200);
        let asked = async |amount: i64, cost: &str, class: &str| {
            let mut ask = question(world.id("bob"), Permission::ToolExecute, "refund");
            ask["context"] = json!({ "tool": "refund", "arguments": { "amount": amount }, "data_class": class,
                "cost": { "amount": cost, "currency": "USD" } });
            world.post("bob", EVALUATION, ask).await.expect(200).json()["decision"].clone()
        };
        assert_eq!(asked(99, "0.99", "public").await, true);
        assert_eq!(asked(100, "0.99", "public").await, false);
        assert_eq!(asked(99, "1.00", "public").await, false);
        assert_eq!(asked(99, "0.99", "secret").await, false);
    });
}

#[test]
fn who_may_ask_about_whom() {
    on_both_engines(async |world| {
        let about_alice = || question(world.id("alice"), Permission::AgentRead, "agt_1");
        for (name, status) in [("bob", 200), ("adam", 200), ("alice", 200), ("olivia", 403), ("nina", 403)] {
            world.post(name, EVALUATION, about_alice()).await.expect(status);
        }
        let own = question(world.id("nina"), Permission::AgentRead, "agt_1");
        assert_eq!(world.post("nina", EVALUATION, own).await.expect(200).json()["decision"], false);
        // Somebody of another tenant is nobody, also for who may ask about everybody of their own.
        let foreign = world.post("gina", EVALUATION, about_alice()).await.expect(200);
        let nobody = question("usr_00000000000070008000000000000000", Permission::AgentRead, "agt_1");
        assert_eq!(foreign.body, world.post("gina", EVALUATION, nobody).await.expect(200).body);
    });
}

#[test]
fn many_questions_share_what_they_have_in_common_and_may_end_early() {
    on_both_engines(async |world| {
        let read = |id: &str| json!({ "resource": { "type": "agent", "id": id } });
        let asked = async |semantic: Option<&str>| {
            let mut ask = question(world.id("olivia"), Permission::AgentRead, "unused");
            let other = json!({ "action": { "name": "agent:delete" }, "resource": { "type": "agent", "id": "agt_1" } });
            ask["evaluations"] = json!([read("agt_1"), other, read("agt_3")]);
            if let Some(semantic) = semantic {
                ask["options"] = json!({ "evaluations_semantic": semantic });
            }
            let answer = world.post("bob", EVALUATIONS, ask).await.expect(200).json();
            let decisions = answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].clone());
            Value::Array(decisions.collect())
        };
        assert_eq!(asked(None).await, json!([true, false, true]));
        assert_eq!(asked(Some("execute_all")).await, json!([true, false, true]));
        assert_eq!(asked(Some("deny_on_first_deny")).await, json!([true, false]));
        assert_eq!(asked(Some("permit_on_first_permit")).await, json!([true]));
        let alone = world.post("bob", EVALUATIONS, question(world.id("olivia"), Permission::AgentRead, "a")).await;
        assert_eq!(alone.expect(200).json()["decision"], true);
    });
}

#[test]
fn a_question_that_is_none_is_a_bad_request_and_one_is_known_by_its_name() {
    on_both_engines(async |world| {
        let whole = question(world.id("bob"), Permission::AgentRead, "agt_1");
        let without = |name: &str| {
            let mut ask = whole.clone();
            ask.as_object_mut().unwrap().remove(name);
            ask
        };
        let many: Vec<Value> = (0..101).map(|_| whole.clone()).collect();
        for (path, ask) in [
            (EVALUATION, without("subject")),
            (EVALUATION, without("action")),
            (EVALUATION, without("resource")),
            (EVALUATION, json!([])),
            (EVALUATION, json!({ "subject": "bob" })),
            (EVALUATION, json!({ "subject": { "type": "user" } })),
            (EVALUATIONS, json!({ "evaluations": [without("action")] })),
            (EVALUATIONS, json!({ "evaluations": many })),
            (EVALUATIONS, json!({ "evaluations": [whole], "options": { "evaluations_semantic": "any" } })),
        ] {
            let answer = world.post("bob", path, ask.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.get("/type").as_str()), (400, "/problems/malformed"), "{ask}");
        }
        let named = Ask::post(EVALUATION, &whole).with("x-request-id", "bfe9eb29-ab87-4ca3");
        assert_eq!(world.send("bob", named).await.expect(200).header("x-request-id"), Some("bfe9eb29-ab87-4ca3"));
        let about = world.ask(None, Ask::get("/.well-known/authzen-configuration")).await.expect(200).json();
        assert_eq!(about["access_evaluation_endpoint"], "https://taskforce.example/access/v1/evaluation");
    });
}
