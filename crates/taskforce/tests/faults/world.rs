//! A tenant with people and a published agent, made over HTTP as a client would make them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::client::Client;
use crate::upstream::Conduct;

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// The model of every agent here. A call may make 16 tokens.
const MODEL: &str = "gpt-4o-mini";

/// The tenant `acme`: who is in it, and what may run.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The administrator's key.
    pub(crate) bob: String,
    /// The other administrator's.
    pub(crate) carol: String,
    /// An agent designer's.
    pub(crate) alice: String,
    /// An operator's.
    pub(crate) olivia: String,
    /// An auditor's.
    pub(crate) adam: String,
    /// The published agent.
    pub(crate) agent: String,
    /// The id of olivia's user.
    pub(crate) olivia_id: String,
}

impl World {
    pub(crate) async fn create(address: SocketAddr, platform: &str) -> Self {
        let tenant = json!({"id": "acme", "name": "Acme", "admin": "bob"});
        let made = Client::new(address, platform).post("/api/v1/admin/tenants", &tenant).await.expect(201);
        let bob = text(&made, "/key/secret");
        let mut admin = Client::new(address, &bob);
        let alice = join(&mut admin, "alice", "agent_designer").await.1;
        let (olivia_id, olivia) = join(&mut admin, "olivia", "operator").await;
        let adam = join(&mut admin, "adam", "auditor").await.1;
        let carol = join(&mut admin, "carol", "admin").await.1;
        let mut world = Self { bob, carol, alice, olivia, adam, agent: String::new(), olivia_id };
        world.agent = publish(&mut admin, address, &world).await;
        world
    }

    /// The body of a call to the agent.
    pub(crate) fn call(&self, conduct: Conduct, stream: bool) -> Value {
        call_to(&self.agent, conduct, stream)
    }
}

/// The body of a call.
pub(crate) fn call_to(agent: &str, conduct: Conduct, stream: bool) -> Value {
    let message = json!({"role": "user", "content": format!("Is it {}?", conduct.word())});
    json!({"model": agent, "stream": stream, "messages": [message]})
}

/// A user with a role, and a key of theirs.
pub(crate) async fn join(admin: &mut Client, name: &str, role: &str) -> (String, String) {
    let user = admin.post("/api/v1/admin/users", &json!({"username": name, "roles": [role]})).await.expect(201);
    let id = text(&user, "/id");
    let key = key_of(admin, &id).await;
    (id, text(&key, "/secret"))
}

/// A new key of a user.
pub(crate) async fn key_of(admin: &mut Client, user: &str) -> Value {
    admin.post("/api/v1/admin/api-keys", &json!({"user_id": user, "name": "test"})).await.expect(201)
}

/// An agent whose first version is published: written by alice, approved by bob and carol.
pub(crate) async fn publish(bob: &mut Client, address: SocketAddr, world: &World) -> String {
    let mut designer = Client::new(address, &world.alice);
    let agent = designer.post("/api/v1/agents", &json!({"name": "Support"})).await.expect(201);
    let agent = text(&agent, "/id");
    let versions = format!("/api/v1/agents/{agent}/versions");
    let definition = json!({"model": MODEL, "parameters": {"max_tokens": 16}});
    let new = json!({"number": "1.0.0", "changelog": "The first.", "definition": definition});
    let version = text(&designer.post(&versions, &new).await.expect(201), "/id");
    let submitted = designer.post(&format!("{versions}/{version}/submit"), &json!({})).await.expect(200);
    let approve = format!("/api/v1/approvals/{}/approve", text(&submitted, "/approval_id"));
    let decided = bob.post(&approve, &json!({})).await.expect(200);
    if text(&decided, "/status") == "pending" {
        Client::new(address, &world.carol).post(&approve, &json!({})).await.expect(200);
    }
    bob.post(&format!("{versions}/{version}/publish"), &json!({})).await.expect(200);
    agent
}

/// A budget, by its id.
pub(crate) async fn budget(admin: &mut Client, scope: &Value, limit: &str) -> String {
    let limit = json!({"amount": limit, "currency": "USD"});
    let new = json!({"name": format!("Trial of {scope}"), "scope": scope, "period": "total", "limit": limit});
    text(&admin.post("/api/v1/admin/budgets", &new).await.expect(201), "/id")
}

/// A string of an answer.
#[track_caller]
pub(crate) fn text(answer: &Value, pointer: &str) -> String {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no `{pointer}` in {answer:#}")).to_owned()
}

/// An amount of money of an answer, in nano-dollars.
#[track_caller]
pub(crate) fn nanos(answer: &Value, pointer: &str) -> i64 {
    let amount = text(answer, pointer);
    let (whole, part) = amount.split_once('.').unwrap_or((&amount, ""));
    whole.parse::<i64>().unwrap() * 1_000_000_000 + format!("{part:0<9}").parse::<i64>().unwrap()
}
