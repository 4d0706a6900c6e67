//! `taskforce user`: people and service accounts, by id or username.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Output};
use crate::remote::{Asking, Column, Part, Remote, escaped, facts, json_file, object, table, words};

const USERS: &str = "/api/v1/admin/users";
const COLUMNS: &[Column] = &[
    ("user", "/id"),
    ("name", "/username"),
    ("kind", "/kind"),
    ("roles", "/roles"),
    ("status", "/status"),
    ("created", "/created_at"),
];
const FACTS: &[Column] = &[
    ("user", "/id"),
    ("name", "/username"),
    ("display name", "/display_name"),
    ("kind", "/kind"),
    ("email", "/email"),
    ("roles", "/roles"),
    ("own roles", "/own_roles"),
    ("attributes", "/attributes"),
    ("status", "/status"),
    ("created", "/created_at"),
];

const WHY: &[Column] = &[
    ("given by", "/given_by"),
    ("would be given by", "/would_be_given_by"),
    ("in the way", "/obstacles"),
    ("policy says", "/policy/reason"),
    ("its rule", "/policy/rule/rule"),
    ("its version", "/policy/rule/version"),
];

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List users.
    List {
        #[command(flatten)]
        part: Part,
        /// Only those whose name or email begins with this.
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
        /// Only `active` or `deactivated` ones.
        #[arg(long)]
        status: Option<String>,
        /// Only those with this role.
        #[arg(long)]
        role: Option<String>,
        /// Only `user` or `service` accounts.
        #[arg(long)]
        kind: Option<String>,
        /// Sort by `username` or `created_at`; with `-` before it, the other way around.
        #[arg(long, allow_hyphen_values = true)]
        sort: Option<String>,
    },
    /// Show a user.
    Get {
        /// The user, by id or username; `me` for oneself.
        user: String,
    },
    /// Create a user or service account.
    Create {
        /// What it will be known by.
        username: String,
        /// Its roles, separated by commas.
        #[arg(long, value_name = "ROLES")]
        roles: Option<String>,
        /// Its address.
        #[arg(long)]
        email: Option<String>,
        /// What people call it.
        #[arg(long)]
        display_name: Option<String>,
        /// Make a service account.
        #[arg(long)]
        service: bool,
        /// What policies know of it: a file of JSON.
        #[arg(long, value_name = "FILE")]
        attributes: Option<PathBuf>,
    },
    /// Change a user.
    Update {
        /// The user, by id or username; `me` for oneself.
        user: String,
        /// Its own roles from now on, separated by commas.
        #[arg(long, value_name = "ROLES")]
        roles: Option<String>,
        /// Its address; empty for none.
        #[arg(long)]
        email: Option<String>,
        /// What people call it; empty for nothing.
        #[arg(long)]
        display_name: Option<String>,
        /// What policies know of it, in whole: a file of JSON.
        #[arg(long, value_name = "FILE")]
        attributes: Option<PathBuf>,
    },
    /// End a user's keys, sessions and pending requests, and let it act no more.
    Deactivate {
        /// The user, by id or username; `me` for oneself.
        user: String,
    },
    /// Let a deactivated user act again. Its keys and sessions stay ended.
    Reactivate {
        /// The user, by id or username; `me` for oneself.
        user: String,
    },
    /// End a user's sessions and tokens everywhere.
    SignOut {
        /// The user, by id or username; `me` for oneself.
        user: String,
    },
    /// Show what a user may do, and through which roles.
    Permissions {
        /// The user, by id or username; `me` for oneself.
        user: String,
    },
    /// Say whether a user may do something, and why.
    Explain {
        /// The user, by id or username; `me` for oneself.
        user: String,
        /// The permission, such as `agent:execute`.
        permission: String,
        /// The thing it is about, by id.
        #[arg(long, value_name = "ID")]
        resource: Option<String>,
    },
}

/// `taskforce user`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part, q, status, role, kind, sort } => {
            let filters = [("q", q), ("status", status), ("role", role), ("kind", kind), ("sort", sort)];
            let filters = filters.each_ref().map(|(name, value)| (*name, value.as_deref()));
            table(output, &remote.list(USERS, &part, &filters)?.body, COLUMNS, "There are no such users.");
        }
        Verb::Get { user } => facts(output, &remote.get(&at(&remote, &user)?)?.body, FACTS),
        Verb::Create { username, roles, email, display_name, service, attributes } => {
            let new = object([
                ("username", Some(username.into())),
                ("kind", Some(if service { "service" } else { "user" }.into())),
                ("roles", roles.as_deref().map(words)),
                ("email", email.map(Value::from)),
                ("display_name", display_name.map(Value::from)),
                ("attributes", attributes.map(|path| json_file(&path)).transpose()?),
            ]);
            facts(output, &remote.post(USERS, &new)?.body, FACTS);
        }
        Verb::Update { user, roles, email, display_name, attributes } => {
            let change = object([
                ("roles", roles.as_deref().map(words)),
                ("email", email.map(or_none)),
                ("display_name", display_name.map(or_none)),
                ("attributes", attributes.map(|path| json_file(&path)).transpose()?),
            ]);
            facts(output, &remote.change(Method::PATCH, &at(&remote, &user)?, Some(&change))?.body, FACTS);
        }
        Verb::Deactivate { user } => step(&remote, &user, "deactivate", output)?,
        Verb::Reactivate { user } => step(&remote, &user, "reactivate", output)?,
        Verb::SignOut { user } => {
            let done = remote.post(&format!("{}/sign-out", at(&remote, &user)?), &json!({}))?;
            output.json_or(&done.body, |output| output.line(format_args!("{user} is signed out everywhere.")));
        }
        Verb::Permissions { user } => {
            let held = remote.get(&format!("{}/permissions", at(&remote, &user)?))?;
            let columns: &[Column] =
                &[("role", "/role"), ("own", "/is_own"), ("through", "/groups"), ("permissions", "/permissions")];
            let roles = json!({ "items": held.body.pointer("/roles") });
            output.json_or(&held.body, |output| table(output, &roles, columns, "The user may do nothing."));
        }
        Verb::Explain { user, permission, resource } => {
            return explain(&remote, (&user, &permission, resource), output);
        }
    }
    Ok(Verdict::Well)
}

/// An empty text takes away what was there.
fn or_none(text: String) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn at(remote: &Remote, user: &str) -> Result<String, Failure> {
    Ok(format!("{USERS}/{}", escaped(&remote.user(user)?)))
}

fn step(remote: &Remote, user: &str, verb: &str, output: &mut Output) -> Result<(), Failure> {
    let done = remote.post(&format!("{}/{verb}", at(remote, user)?), &json!({}))?;
    facts(output, &done.body, FACTS);
    Ok(())
}

fn explain(
    remote: &Remote,
    (user, permission, resource): (&str, &str, Option<String>),
    output: &mut Output,
) -> Result<Verdict, Failure> {
    let resource = resource.map_or_else(String::new, |resource| format!("&resource={}", escaped(&resource)));
    let path = format!("{}/explain?permission={}{resource}", at(remote, user)?, escaped(permission));
    let answer = remote.get(&path)?.body;
    let allowed = answer.pointer("/is_allowed").and_then(Value::as_bool).unwrap_or(false);
    output.json_or(&answer, |output| {
        let (look, word) = if allowed { (Look::Good, "allowed") } else { (Look::Bad, "refused") };
        output.styled(look, format_args!("{permission} is {word}"));
        facts(output, &answer, WHY);
    });
    Ok(if allowed { Verdict::Well } else { Verdict::Findings })
}
