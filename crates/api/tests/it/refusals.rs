//! What is said to those whom a policy holds back.

use http::Method;
use serde_json::json;

use crate::world::{Ask, on_both_engines};

const POLICY: &str = r#"
@id("roles-decide")
permit (principal, action, resource);

@id("no-new-agents")
@reason("No agent is made this month")
forbid (principal, action == Action::"agent:create", resource);
"#;

#[test]
fn a_policy_s_refusal_names_its_rule_its_version_and_its_reason() {
    on_both_engines(async |world| {
        let create = || Ask::post("/api/v1/agents", &json!({ "name": "x" }));
        world.send("alice", create()).await.expect(201);
        let made = world.post("bob", "/api/v1/admin/policies", json!({ "source": POLICY })).await.expect(201);
        let number = &made.json()["number"];
        let activate = format!("/api/v1/admin/policies/{number}/activate");
        world.send("bob", Ask::new(Method::POST, activate)).await.expect(200);
        let before = world.entry_count();
        let refused = world.send("alice", create()).await.expect(403);
        assert_eq!(
            (refused.get("/type"), refused.get("/rule")),
            ("/problems/policy-denied".into(), "no-new-agents".into())
        );
        assert_eq!(refused.json()["policy"]["version"], *number);
        assert!(refused.get("/detail").contains("No agent is made this month"), "{}", refused.text());
        assert_eq!(world.entry_count(), before + 1);
        // Whom the roles refuse, the roles refuse.
        assert_eq!(world.send("vera", create()).await.expect(403).get("/type"), "/problems/forbidden");
        world.get("alice", "/api/v1/agents").await.expect(200);
        world.send("bob", Ask::new(Method::POST, "/api/v1/admin/policies/deactivate")).await.expect(200);
        world.send("alice", create()).await.expect(201);
    });
}
