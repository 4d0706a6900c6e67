//! Every operation of the document, and a request for each.

use http::Method;
use serde_json::{Value, json};

use crate::world::{Ask, World};

/// One operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Whether it needs no credentials.
    pub(crate) open: bool,
}

impl Operation {
    pub(crate) fn changes(&self) -> bool {
        self.method != Method::GET
    }

    /// Whether its address names something that belongs to one tenant.
    pub(crate) fn is_about_something(&self) -> bool {
        self.path.contains("_id}") && !self.path.contains("{tenant_id}")
    }
}

/// Every operation, in the order of the document.
pub(crate) fn all() -> Vec<Operation> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                open: operation["security"] == json!([]),
            });
        }
    }
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// What acme-corp has that requests can be about.
#[derive(Debug, Clone)]
pub(crate) struct Things {
    /// An agent that can be called.
    pub(crate) agent: String,
    /// The id of a draft of it.
    pub(crate) version: String,
    /// A pending request for approval of another agent's version.
    pub(crate) approval: String,
    pub(crate) budget: String,
    /// A key of olivia's.
    pub(crate) key: String,
    /// Vera.
    pub(crate) user: String,
}

impl Things {
    pub(crate) async fn of(world: &World<'_>) -> Self {
        let agent = world.callable().await;
        let version = world.draft(&agent, "2.0.0").await;
        let other = world.agent().await;
        let approval = world.submit(&world.draft(&other, "1.0.0").await).await;
        let count = world.entry_count();
        let budget = json!({
            "name": format!("Budget {count}"),
            "scope": { "type": "tenant" },
            "period": "month",
            "limit": { "amount": "1000.00", "currency": "USD" },
        });
        let budget = world.post("bob", "/api/v1/admin/budgets", budget).await.expect(201).get("/id");
        let key = json!({ "user_id": world.id("olivia"), "name": "second" });
        let key = world.post("bob", "/api/v1/admin/api-keys", key).await.expect(201).get("/id");
        let version = version.rsplit('/').next().unwrap().to_owned();
        Self { agent, version, approval, budget, key, user: world.id("vera").to_owned() }
    }

    /// The ids, which nobody else may see.
    pub(crate) fn ids(&self) -> [&str; 6] {
        let Self { agent, version, approval, budget, key, user } = self;
        [agent, version, approval, budget, key, user]
    }

    /// A request that is acceptable to whoever may make it.
    pub(crate) fn ask(&self, operation: &Operation) -> Ask {
        let path = operation
            .path
            .replace("{tenant_id}", "acme-corp")
            .replace("{agent_id}", &self.agent)
            .replace("{version_id}", &self.version)
            .replace("{approval_id}", &self.approval)
            .replace("{budget_id}", &self.budget)
            .replace("{key_id}", &self.key)
            .replace("{user_id}", &self.user)
            .replace("{request_type}", "agent_publish")
            .replace("{seq}", "0");
        assert!(!path.contains('{'), "{path} has a variable that is not known here");
        let ask = Ask::new(operation.method.clone(), path);
        let ask = match operation.id.as_str() {
            "set_workflow" => ask.with("if-match", "\"0\""),
            _ if [Method::PATCH, Method::PUT].contains(&operation.method) => ask.with("if-match", "\"1\""),
            _ => ask,
        };
        match self.body(&operation.id) {
            Some(body) => ask.json(&body),
            None => ask,
        }
    }

    /// The body of a request; `None` for operations that take none.
    fn body(&self, operation: &str) -> Option<Value> {
        let dollars = |amount: &str| json!({ "amount": amount, "currency": "USD" });
        Some(match operation {
            "create_tenant" => json!({ "id": "initech", "name": "Initech", "admin": "peter" }),
            "update_tenant" => json!({ "name": "Acme" }),
            "create_user" => json!({ "username": "zoe", "roles": ["viewer"] }),
            "update_user" => json!({ "email": "vera@example.com" }),
            "create_key" => json!({ "user_id": self.user, "name": "third" }),
            "create_agent" => json!({ "name": "Another" }),
            "update_agent" => json!({ "description": "Answers" }),
            "create_version" => json!({ "number": "3.0.0", "definition": { "model": "gpt-4o" } }),
            "update_version" => json!({ "changelog": "Better" }),
            "set_workflow" => {
                json!({ "name": "Two", "required_approvers": 2, "approver_roles": ["admin"], "expire_hours": 24 })
            }
            "approve" | "reject" => json!({ "comment": "Seen" }),
            "set_price" => json!({
                "model": "house-model",
                "input": dollars("1.00"),
                "output": dollars("2.00"),
                "max_output_tokens": 4096,
            }),
            "create_budget" => json!({
                "name": "Sample",
                "scope": { "type": "tenant" },
                "period": "day",
                "limit": dollars("500.00"),
            }),
            "update_budget" => json!({ "limit": dollars("2000.00") }),
            "create_chat_completion" => {
                json!({ "model": self.agent, "messages": [{ "role": "user", "content": "Hello" }] })
            }
            "export_package" | "revoke_key" | "cancel_approval" | "submit_version" | "publish_version"
            | "deprecate_version" | "archive_version" => return None,
            reads if reads.starts_with("get_") || reads.starts_with("list_") => return None,
            "whoami" | "healthz" | "readyz" | "metrics" => return None,
            unknown => panic!("`{unknown}` needs a sample body here"),
        })
    }

    /// Somebody who may, and a request that succeeds now.
    pub(crate) async fn permitted(&self, world: &World<'_>, operation: &Operation) -> (&'static str, Ask) {
        let version = format!("/api/v1/agents/{}/versions/{}", self.agent, self.version);
        let name = match operation.id.as_str() {
            "create_tenant" | "update_tenant" => "petra",
            "create_agent" | "update_agent" | "create_version" | "update_version" | "submit_version"
            | "cancel_approval" => "alice",
            "publish_version" => {
                world.approve(&version).await;
                "alice"
            }
            "deprecate_version" => {
                world.publish(&version).await;
                "alice"
            }
            "archive_version" => {
                world.publish(&version).await;
                world.post("alice", &format!("{version}/deprecate"), json!({})).await.expect(200);
                "alice"
            }
            "export_package" => "adam",
            "create_chat_completion" => "olivia",
            _ => "bob",
        };
        (name, self.ask(operation))
    }
}
