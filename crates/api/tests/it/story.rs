//! The main job, told once from beginning to end.

use serde_json::json;

use crate::world::{Answer, World, named, on_both_engines};

/// The answers as a reader would want them: status, and the document, with ids by name.
struct Story(Vec<String>);

impl Story {
    fn tell(&mut self, title: &str, answer: &Answer) {
        let mut json = answer.json();
        if let Some(fields) = json.as_object_mut() {
            // What is new each time, or long, and checked elsewhere.
            for field in ["created_at", "updated_at", "expires_at", "decided_at", "instance", "digest"] {
                fields.remove(field);
            }
        }
        self.0.push(format!("# {title}\n{} {json}", answer.status.as_u16()));
    }
}

async fn tell(world: &World<'_>) -> String {
    let mut story = Story(Vec::new());
    let rule =
        json!({ "name": "Two admins", "required_approvers": 2, "approver_roles": ["admin"], "expire_hours": 48 });
    let rule = crate::world::Ask::new(http::Method::PUT, "/api/v1/admin/workflows/agent_publish").json(&rule);
    story.tell("two must approve", &world.send("bob", rule.with("if-match", "\"0\"")).await);

    let agent = json!({ "name": "Customer Support Agent", "category": "support", "tags": ["production", "nlp"] });
    let agent = world.post("alice", "/api/v1/agents", agent).await;
    story.tell("alice creates an agent", &agent);
    let agent = agent.get("/id");
    let version = json!({
        "number": "1.1.0",
        "definition": { "model": "gpt-4o", "tools": ["semantic_search", "create_ticket"] },
        "changelog": "Added ticket creation capability",
    });
    let version = world.post("alice", &format!("/api/v1/agents/{agent}/versions"), version).await;
    story.tell("and a version", &version);
    let path = version.header("location").unwrap().to_owned();
    let submitted = world.post("alice", &format!("{path}/submit"), json!({})).await;
    story.tell("submits it", &submitted);
    let approve = format!("/api/v1/approvals/{}/approve", submitted.get("/approval_id"));
    story.tell("approves it herself", &world.post("alice", &approve, json!({})).await);
    story.tell("publishes it", &world.post("alice", &format!("{path}/publish"), json!({})).await);
    story.tell("bob approves", &world.post("bob", &approve, json!({ "comment": "Tested" })).await);
    story.tell("bob approves again", &world.post("bob", &approve, json!({})).await);
    story.tell("carol approves", &world.post("carol", &approve, json!({})).await);
    story.tell("alice publishes it", &world.post("alice", &format!("{path}/publish"), json!({})).await);

    let hello = json!({ "model": agent, "messages": [{ "role": "user", "content": "Hello" }] });
    let chat = "/v1/chat/completions";
    story.tell("olivia calls the agent", &world.post("olivia", chat, hello.clone()).await);
    story.tell("vera calls the agent", &world.post("vera", chat, hello.clone()).await);
    story.tell("gina calls the agent", &world.post("gina", chat, hello).await);
    story.tell("vera reads the usage", &world.get("vera", "/api/v1/usage?group_by=model").await);
    story.tell("and the costs", &world.get("vera", "/api/v1/costs").await);
    let entries = world.newest_entries(15).await.join("\n");
    format!("{}\n# the ledger, newest first\n{entries}", named(&story.0.join("\n")))
}

#[test]
fn an_agent_is_made_approved_published_called_and_paid_for() {
    on_both_engines(async |world| {
        let story = tell(world).await;
        insta::allow_duplicates! { insta::assert_snapshot!("story", story) }
    });
}
