//! Every operation of the document, and a request for each.

use http::Method;
use serde_json::{Value, json};

use crate::credentials::Credentials;
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

/// Operations that only read, though they are asked with a body.
const READING: [&str; 8] = [
    "backtest_policy",
    "check_provider",
    "evaluate",
    "evaluate_many",
    "plan_policy",
    "scim_search",
    "test_policy",
    "validate_policy",
];

/// Policies that decide on nothing that anything here does.
const POLICY: &str = "@id(\"memories\") permit (principal, action == Action::\"memory:delete\", resource);";

const SCIM: &str = "urn:ietf:params:scim";

impl Operation {
    pub(crate) fn changes(&self) -> bool {
        self.method != Method::GET && !READING.contains(&self.id.as_str())
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
    /// Somebody who may be deactivated and removed.
    pub(crate) leaver: String,
    /// A group of an administrator's.
    pub(crate) group: String,
    /// A group of a directory's.
    pub(crate) team: String,
    /// A role of the tenant's own.
    pub(crate) role: String,
    /// A version of the policies.
    pub(crate) policy: String,
    /// The revision of which version holds.
    pub(crate) policy_state: String,
    /// Sessions, tokens and providers.
    pub(crate) credentials: Credentials,
}

impl Things {
    pub(crate) async fn of(world: &World<'_>) -> Self {
        // What costs much, as a policy does, may be asked every two seconds.
        world.tester.clock.advance_micros(2_000_000);
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
        let made = async |path: &str, body: Value, id: &str| {
            let made = world.post("bob", &format!("/api/v1/admin/{path}"), body).await.expect(201).json();
            made[id].as_str().map_or_else(|| made[id].to_string(), str::to_owned)
        };
        let role = json!({ "name": format!("role-{count}"), "description": "Reads", "permissions": ["agent:read"] });
        let state = world.get("bob", "/api/v1/admin/policies/state").await.expect(200).json();
        Self {
            agent,
            version,
            approval,
            budget,
            key,
            user: world.id("vera").to_owned(),
            leaver: made("users", json!({ "username": format!("leaver-{count}"), "roles": [] }), "id").await,
            group: made("groups", json!({ "display_name": format!("Group {count}") }), "id").await,
            team: made("groups", json!({ "display_name": format!("Team {count}") }), "id").await,
            role: made("roles", role, "name").await,
            policy: made("policies", json!({ "source": POLICY }), "number").await,
            policy_state: state["revision"].to_string(),
            credentials: Credentials::of(world, count).await,
        }
    }

    /// The ids, which nobody else may see.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let Self { agent, version, approval, budget, key, user, leaver, group, team, role, credentials, .. } = self;
        let own = [agent, version, approval, budget, key, user, leaver, group, team, role];
        own.into_iter().map(String::as_str).chain(credentials.ids()).collect()
    }

    /// The same names for what is nowhere.
    pub(crate) fn nowhere() -> Self {
        let id = |prefix: &str| format!("{prefix}_00000000000070008000000000000000");
        Self {
            agent: id("agt"),
            version: id("ver"),
            approval: id("apr"),
            budget: id("bud"),
            key: "AAAAAAAAAAAA".to_owned(),
            user: id("usr"),
            leaver: id("usr"),
            group: id("grp"),
            team: id("grp"),
            role: "no-such-role".to_owned(),
            policy: "4711".to_owned(),
            policy_state: "0".to_owned(),
            credentials: Credentials::nowhere(),
        }
    }

    /// A request that is acceptable to whoever may make it.
    pub(crate) fn ask(&self, operation: &Operation) -> Ask {
        let scim = operation.id.starts_with("scim_");
        let ends = scim || ["deactivate_user", "reactivate_user", "sign_out_user"].contains(&operation.id.as_str());
        let suspends = ["suspend_tenant", "resume_tenant"].contains(&operation.id.as_str());
        let path = operation
            .path
            .replace("{tenant_id}", if suspends { "globex" } else { "acme-corp" })
            .replace("{group_id}", if scim { &self.team } else { &self.group })
            .replace("{role_id}", &self.role)
            .replace("{number}", &self.policy)
            .replace("{schema}", &format!("{SCIM}:schemas:core:2.0:User"))
            .replace("{resource_type}", "User")
            .replace("{agent_id}", &self.agent)
            .replace("{version_id}", &self.version)
            .replace("{approval_id}", &self.approval)
            .replace("{budget_id}", &self.budget)
            .replace("{key_id}", &self.key)
            .replace("{user_id}", if ends { &self.leaver } else { &self.user })
            .replace("{request_type}", "agent_publish")
            .replace("{seq}", "0");
        let path = self.credentials.path(&path);
        assert!(!path.contains('{'), "{path} has a variable that is not known here");
        let path = if operation.id == "explain_user" { path + "?permission=agent:read" } else { path };
        let ask = Ask::new(operation.method.clone(), path);
        let ask = match operation.id.as_str() {
            "set_workflow" => ask.with("if-match", "\"0\""),
            "set_shadow_policy" => ask.with("if-match", format!("\"{}\"", self.policy_state)),
            _ if [Method::PATCH, Method::PUT, Method::DELETE].contains(&operation.method) => {
                ask.with("if-match", "\"1\"")
            }
            _ => ask,
        };
        if let Some(ask) = self.credentials.ask(&operation.id, ask.clone()) {
            return ask;
        }
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
            "create_role" => json!({ "name": "reader", "description": "Reads", "permissions": ["agent:read"] }),
            "update_role" => json!({ "description": "Reads all" }),
            "create_group" => json!({ "display_name": "Engineers" }),
            "update_group" => json!({ "members": { "add": [self.user] } }),
            "create_policy" | "validate_policy" | "plan_policy" => json!({ "source": POLICY }),
            "test_policy" => json!({ "source": POLICY, "tests": "" }),
            "backtest_policy" => json!({ "source": null, "since": "2027-01-01T00:00:00Z" }),
            "set_shadow_policy" => json!({ "version": self.policy.parse::<u64>().unwrap() }),
            "evaluate" => self.question(),
            "evaluate_many" => json!({ "evaluations": [self.question()] }),
            scim if scim.starts_with("scim_") => return self.provisioned(scim),
            "suspend_tenant"
            | "resume_tenant"
            | "deactivate_user"
            | "reactivate_user"
            | "sign_out_user"
            | "activate_policy"
            | "deactivate_policies"
            | "roll_back_policies" => return None,
            deletes if deletes.starts_with("delete_") => return None,
            "export_package" | "revoke_key" | "cancel_approval" | "submit_version" | "publish_version"
            | "deprecate_version" | "archive_version" => return None,
            reads if reads.starts_with("get_") || reads.starts_with("list_") => return None,
            "explain_user" | "healthz" | "readyz" | "metrics" => return None,
            unknown => panic!("`{unknown}` needs a sample body here"),
        })
    }

    fn question(&self) -> Value {
        json!({
            "subject": { "type": "user", "id": self.user },
            "action": { "name": "agent:read" },
            "resource": { "type": "agent", "id": self.agent },
        })
    }

    /// The body of a directory's request.
    fn provisioned(&self, operation: &str) -> Option<Value> {
        let core = |kind: &str| json!([format!("{SCIM}:schemas:core:2.0:{kind}")]);
        let patch = json!({
            "schemas": [format!("{SCIM}:api:messages:2.0:PatchOp")],
            "Operations": [{ "op": "Replace", "path": "externalId", "value": "e-1" }],
        });
        let tail = |id: &str| id[id.len() - 12..].to_owned();
        Some(match operation {
            "scim_create_user" => json!({ "schemas": core("User"), "userName": "zack" }),
            "scim_replace_user" => json!({ "schemas": core("User"), "userName": tail(&self.leaver) }),
            "scim_create_group" => json!({ "schemas": core("Group"), "displayName": "Provisioned" }),
            "scim_replace_group" => json!({ "schemas": core("Group"), "displayName": tail(&self.team) }),
            "scim_patch_user" | "scim_patch_group" => patch,
            "scim_search" => json!({ "schemas": [format!("{SCIM}:api:messages:2.0:SearchRequest")] }),
            _ => return None,
        })
    }

    /// Somebody who may, and a request that succeeds now.
    pub(crate) async fn permitted(&self, world: &World<'_>, operation: &Operation) -> (&'static str, Ask) {
        let version = format!("/api/v1/agents/{}/versions/{}", self.agent, self.version);
        let bob = async |path: &str| {
            world.send("bob", Ask::new(Method::POST, format!("/api/v1/admin/{path}"))).await.expect(200);
            "bob"
        };
        let name = match operation.id.as_str() {
            "create_tenant" | "update_tenant" | "suspend_tenant" => "petra",
            "resume_tenant" => {
                // It may be suspended already.
                world.send("petra", Ask::new(Method::POST, "/api/v1/admin/tenants/globex/suspend")).await;
                "petra"
            }
            "reactivate_user" => bob(&format!("users/{}/deactivate", self.leaver)).await,
            "deactivate_policies" => bob(&format!("policies/{}/activate", self.policy)).await,
            "roll_back_policies" => {
                bob(&format!("policies/{}/activate", self.policy)).await;
                bob("policies/deactivate").await
            }
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
        let ask = self.ask(operation);
        let by_credential = self.credentials.permitted(world, &operation.id, &ask).await;
        by_credential.unwrap_or((name, ask))
    }
}
