//! `taskforce role`: the system's roles, and those that the tenant defines.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Asking, Column, Part, Remote, escaped, facts, object, table, words};

const ROLES: &str = "/api/v1/admin/roles";
const COLUMNS: &[Column] = &[("role", "/name"), ("description", "/description"), ("since", "/created_at")];
const FACTS: &[Column] = &[("role", "/name"), ("description", "/description"), ("permissions", "/permissions")];

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the roles.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Show what a role allows.
    Get {
        /// The role.
        name: String,
    },
    /// Define a role. It allows nothing that its maker may not do.
    Create {
        /// Its name, such as `release-manager`.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: String,
        /// What it allows, separated by commas.
        #[arg(long, value_name = "PERMISSIONS")]
        permissions: String,
    },
    /// Change what a role of the tenant's own allows, for everybody who has it.
    Update {
        /// The role.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        /// What it allows from now on, separated by commas.
        #[arg(long, value_name = "PERMISSIONS")]
        permissions: Option<String>,
    },
    /// Delete a role of the tenant's own that nobody has.
    Delete {
        /// The role.
        name: String,
    },
}

/// `taskforce role`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part } => {
            table(output, &remote.list(ROLES, &part, &[])?.body, COLUMNS, "There are no roles.");
        }
        Verb::Get { name } => facts(output, &remote.get(&at(&name))?.body, FACTS),
        Verb::Create { name, description, permissions } => {
            let new = object([
                ("name", Some(name.into())),
                ("description", Some(description.into())),
                ("permissions", Some(words(&permissions))),
            ]);
            facts(output, &remote.post(ROLES, &new)?.body, FACTS);
        }
        Verb::Update { name, description, permissions } => {
            let change = object([
                ("description", description.map(Value::from)),
                ("permissions", permissions.as_deref().map(words)),
            ]);
            facts(output, &remote.change(Method::PATCH, &at(&name), Some(&change))?.body, FACTS);
        }
        Verb::Delete { name } => {
            remote.change(Method::DELETE, &at(&name), None)?;
            output.line(format_args!("The role {name} is gone."));
        }
    }
    Ok(Verdict::Well)
}

fn at(name: &str) -> String {
    format!("{ROLES}/{}", escaped(name))
}
