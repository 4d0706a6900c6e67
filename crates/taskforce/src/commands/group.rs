//! `taskforce group`: groups of users, whose roles their members have.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Asking, Column, Part, Remote, escaped, facts, object, table, words};

const GROUPS: &str = "/api/v1/admin/groups";
const COLUMNS: &[Column] = &[("group", "/id"), ("name", "/display_name"), ("roles", "/roles")];
const FACTS: &[Column] = &[("group", "/id"), ("name", "/display_name"), ("roles", "/roles"), ("members", "/members")];

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the groups.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Show a group and its members.
    Get {
        /// The group's id.
        id: String,
    },
    /// Make a group.
    Create {
        /// Its name.
        name: String,
        /// The roles that its members have, separated by commas.
        #[arg(long, value_name = "ROLES", default_value = "")]
        roles: String,
    },
    /// Change a group's name or roles.
    Update {
        /// The group's id.
        id: String,
        /// Its name.
        #[arg(long)]
        name: Option<String>,
        /// The roles that its members have from now on, separated by commas.
        #[arg(long, value_name = "ROLES")]
        roles: Option<String>,
    },
    /// Put a user into a group.
    Add {
        /// The group's id.
        id: String,
        /// The user, by id or username.
        user: String,
    },
    /// Take a user out of a group.
    Remove {
        /// The group's id.
        id: String,
        /// The user, by id or username.
        user: String,
    },
    /// Delete a group. Its members lose its roles.
    Delete {
        /// The group's id.
        id: String,
    },
}

/// `taskforce group`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part } => {
            table(output, &remote.list(GROUPS, &part, &[])?.body, COLUMNS, "There are no groups.");
        }
        Verb::Get { id } => facts(output, &remote.get(&at(&id))?.body, FACTS),
        Verb::Create { name, roles } => {
            let new = json!({ "display_name": name, "roles": words(&roles) });
            facts(output, &remote.post(GROUPS, &new)?.body, FACTS);
        }
        Verb::Update { id, name, roles } => {
            let change = object([("display_name", name.map(Value::from)), ("roles", roles.as_deref().map(words))]);
            facts(output, &remote.change(Method::PATCH, &at(&id), Some(&change))?.body, FACTS);
        }
        Verb::Add { id, user } => {
            let change = json!({ "members": { "add": [remote.user(&user)?] } });
            facts(output, &remote.change(Method::PATCH, &at(&id), Some(&change))?.body, FACTS);
        }
        Verb::Remove { id, user } => {
            let change = json!({ "members": { "remove": [remote.user(&user)?] } });
            facts(output, &remote.change(Method::PATCH, &at(&id), Some(&change))?.body, FACTS);
        }
        Verb::Delete { id } => {
            remote.change(Method::DELETE, &at(&id), None)?;
            output.line(format_args!("The group {id} is gone."));
        }
    }
    Ok(Verdict::Well)
}

fn at(id: &str) -> String {
    format!("{GROUPS}/{}", escaped(id))
}
