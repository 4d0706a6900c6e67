//! Step 2: two tenants, and the people of one of them.

use serde_json::{Value, json};

use super::story::{Act, Story, text};
use super::{ACME, GLOBEX};
use crate::failure::Failure;
use crate::output::Table;

/// Who works at acme-corp besides bob, what they may do, and what that means.
const PEOPLE: [(&str, &str, &str); 5] = [
    ("alice", "agent_designer", "designs agents and submits them"),
    ("carol", "admin", "administers and approves, as bob does"),
    ("olivia", "operator", "runs published agents"),
    ("vera", "viewer", "sees agents, runs none"),
    ("adam", "auditor", "reads and exports the ledger"),
];

pub(super) async fn appear(story: &mut Story<'_>) -> Result<(), Failure> {
    story.begin(
        "Two tenants and their people",
        "Each tenant has users, keys, budgets and a ledger of its own. The platform's administrator creates tenants and sees nothing inside them.",
    );
    tenant(story, ACME, "Acme Corporation", "bob").await?;
    tenant(story, GLOBEX, "Globex", "grace").await?;
    for (name, role, _) in PEOPLE {
        join(story, name, role).await?;
    }
    story.output.blank();
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["bob", "admin", "administers and approves"])];
    rows.extend(PEOPLE.map(|(name, role, about)| row([name, role, about])));
    story.output.table(&Table { head: vec!["acme-corp", "role", "what for"], rows });
    story.end();
    Ok(())
}

async fn tenant(story: &mut Story<'_>, id: &str, name: &str, admin: &str) -> Result<(), Failure> {
    let body = json!({"id": id, "name": name, "admin": admin});
    let what = format!("creates the tenant {id} with its administrator {admin}");
    let created = story.act(&Act::post("platform", &what, "/api/v1/admin/tenants", &body)).await?.json();
    story.give(admin, text(&created, "/key/secret")?);
    Ok(())
}

/// Creates a user and a key for them.
async fn join(story: &mut Story<'_>, name: &str, role: &str) -> Result<(), Failure> {
    let email = format!("{name}@acme.example");
    let body = json!({"username": name, "email": email, "roles": [role]});
    let what = format!("creates {name}, {role}, and a key for {name}");
    let user = story.act(&Act::post("bob", &what, "/api/v1/admin/users", &body)).await?.json();
    let id = text(&user, "/id")?;
    let key = key(story, &id, "first key", Value::Null).await?;
    story.note(&format!("{name}_id"), id.into());
    story.give(name, key);
    Ok(())
}

/// Creates a key, for one agent if it names one.
pub(super) async fn key(story: &mut Story<'_>, user: &str, name: &str, agent: Value) -> Result<String, Failure> {
    let body = json!({"user_id": user, "name": name, "agent_id": agent});
    let made = story.quietly(&Act::post("bob", "creates a key", "/api/v1/admin/api-keys", &body)).await?.json();
    Ok(text(&made, "/secret")?)
}
