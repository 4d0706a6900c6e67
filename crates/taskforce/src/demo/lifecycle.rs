//! Step 3: a version on its way from draft to published.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::cast::key;
use super::story::{Act, Story, text};
use crate::failure::Failure;

const PROMPT: &str = "You answer customers of Acme. Be brief and exact. Quote the policy you rely on. When money or an \
                      account is at stake, open a ticket instead of promising.";

/// The rule for requests to publish a version.
const WORKFLOW: &str = "/api/v1/admin/workflows/agent_publish";

pub(super) async fn publish(story: &mut Story<'_>, model: &str) -> Result<(), Failure> {
    story.begin(
        "A version that two people approve",
        "An agent's versions are immutable once submitted. Two administrators must approve; whoever wrote or requested it never counts.",
    );
    let agent = create(story).await?;
    require_two(story).await?;
    price(story, model).await?;
    let version = draft(story, &agent, model).await?;
    let review = submit(story, &agent, &version).await?;
    decide(story, &review).await?;
    let path = format!("/api/v1/agents/{agent}/versions/{version}/publish");
    let publish = Act::post("bob", "publishes version 1.1.0", &path, &Value::Null).expect(StatusCode::OK);
    let published = story.act(&publish).await?.json();
    bind(story, &agent).await?;
    story.output.blank();
    let digest = text(&published, "/digest")?;
    story.output.facts(&[("published", &text(&published, "/number")?), ("digest", &digest)]);
    story.note("agent_id", agent.into());
    story.note("version_id", version.into());
    story.note("digest", digest.into());
    story.end();
    Ok(())
}

/// A model without a price cannot be kept within a budget, so it is not called: it gets one for the occasion.
async fn price(story: &mut Story<'_>, model: &str) -> Result<(), Failure> {
    let path = "/api/v1/admin/prices?limit=1000";
    let prices = story.quietly(&Act::get("bob", "reads the prices", path)).await?.json();
    let known = prices.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    if known.filter_map(|price| price.get("model")?.as_str()).any(|known| known == model) {
        return Ok(());
    }
    let dollar = json!({"amount": "1.00", "currency": "USD"});
    let body = json!({"model": model, "input": dollar, "output": dollar, "max_output_tokens": 4096});
    let what = format!("sets an example price for {model}: 1 USD a million");
    story.act(&Act::post("bob", &what, "/api/v1/admin/prices", &body)).await?;
    Ok(())
}

/// Without a rule of its own a tenant asks for one approval.
async fn require_two(story: &mut Story<'_>) -> Result<(), Failure> {
    let rule =
        json!({"name": "Two administrators", "required_approvers": 2, "approver_roles": ["admin"], "expire_hours": 72});
    story.change(("bob", "rules that two administrators must approve"), Method::PUT, WORKFLOW, &rule).await
}

async fn create(story: &mut Story<'_>) -> Result<String, Failure> {
    let body = json!({
        "name": "Customer Support Agent",
        "description": "Answers questions about orders, deliveries and refunds",
        "category": "customer_service",
        "tags": ["support", "production"],
    });
    let what = "creates the agent \"Customer Support Agent\"";
    let agent = story.act(&Act::post("alice", what, "/api/v1/agents", &body)).await?.json();
    Ok(text(&agent, "/id")?)
}

async fn draft(story: &mut Story<'_>, agent: &str, model: &str) -> Result<String, Failure> {
    let ticket = json!({
        "type": "function",
        "function": {
            "name": "create_ticket",
            "description": "Open a ticket for a colleague to follow up",
            "parameters": {
                "type": "object",
                "properties": {"subject": {"type": "string"}, "priority": {"type": "string"}, "order_id": {"type": "string"}},
                "required": ["subject"],
            },
        },
    });
    let definition = json!({
        "model": model,
        "system_prompt": PROMPT,
        "parameters": {"temperature": 0.2, "max_tokens": 300},
        "tools": ["lookup_order", ticket],
    });
    let body = json!({
        "number": "1.1.0",
        "changelog": "Added ticket creation capability",
        "definition": definition,
    });
    let path = format!("/api/v1/agents/{agent}/versions");
    let what = format!("drafts version 1.1.0: {model}, two tools, a changelog");
    let version = story.act(&Act::post("alice", &what, &path, &body)).await?.json();
    Ok(text(&version, "/id")?)
}

async fn submit(story: &mut Story<'_>, agent: &str, version: &str) -> Result<String, Failure> {
    let path = format!("/api/v1/agents/{agent}/versions/{version}/submit");
    let submit = Act::post("alice", "submits it for approval", &path, &Value::Null).expect(StatusCode::OK);
    let submitted = story.act(&submit).await?.json();
    Ok(text(&submitted, "/approval_id")?)
}

async fn decide(story: &mut Story<'_>, review: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/approvals/{review}/approve");
    let nothing = json!({});
    let own = Act::post("alice", "approves her own request", &path, &nothing).expect(StatusCode::FORBIDDEN);
    story.act(&own).await?;
    let body = json!({"comment": "The ticket tool is scoped to support."});
    let first = story.act(&Act::post("carol", "approves", &path, &body).expect(StatusCode::OK)).await?.json();
    story.output.paragraph(14, &format!("one of two: the request is {}", text(&first, "/status")?));
    let second = story.act(&Act::post("bob", "approves", &path, &nothing).expect(StatusCode::OK)).await?.json();
    let status = text(&second, "/status")?;
    story.output.paragraph(14, &format!("two of two: the request is {status}"));
    story.note("review_id", review.into());
    story.note("approval_after_one", text(&first, "/status")?.into());
    story.note("approval_after_two", status.into());
    Ok(())
}

/// Olivia's agent gets a key that is bound to it: base URL and key are all that the agent needs to know.
async fn bind(story: &mut Story<'_>, agent: &str) -> Result<(), Failure> {
    let olivia = story.noted("olivia_id");
    let key = key(story, &olivia, "support desk", agent.into()).await?;
    story.give("olivia", key);
    story.tell("bob", "creates a key for olivia that is bound to the agent", StatusCode::CREATED, "");
    Ok(())
}
