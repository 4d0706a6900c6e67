//! `taskforce key`: API keys.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Output};
use crate::remote::{Asking, Column, Part, Remote, Whose, escaped, facts, object, table, text, words};

const KEYS: &str = "/api/v1/admin/api-keys";
const COLUMNS: &[Column] = &[
    ("key", "/id"),
    ("ends in", "/last4"),
    ("user", "/user_id"),
    ("name", "/name"),
    ("status", "/status"),
    ("last used", "/used_at"),
    ("expires", "/expires_at"),
];
const FACTS: &[Column] = &[
    ("key", "/id"),
    ("ends in", "/last4"),
    ("user", "/user_id"),
    ("name", "/name"),
    ("status", "/status"),
    ("scopes", "/scopes"),
    ("networks", "/networks"),
    ("agent", "/agent_id"),
    ("issued by", "/issued_by"),
    ("created", "/created_at"),
    ("last used", "/used_at"),
    ("expires", "/expires_at"),
    ("old secret until", "/previous_until"),
    ("revoked", "/revoked_at"),
];

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a key for a user on the server's own machine, without credentials: whoever can read the data directory may.
    Issue(crate::issue::Args),
    /// List one's own keys, or with `key:manage` those of others.
    List {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        whose: Whose,
        /// Only `active`, `expired` or `revoked` ones.
        #[arg(long)]
        status: Option<String>,
        /// Only those whose name contains this.
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
    },
    /// Show a key.
    Get {
        /// The key's id: what stands between the underscores.
        id: String,
    },
    /// Make a key. It is shown this once.
    Create {
        /// What it is for.
        name: String,
        /// Whose it will be, by id or username. Default: the caller.
        #[arg(long)]
        user: Option<String>,
        /// What it is narrowed to, separated by commas. Default: all that its owner may do.
        #[arg(long, value_name = "PERMISSIONS")]
        scopes: Option<String>,
        /// From where it may be used: networks such as `10.0.0.0/8`, separated by commas.
        #[arg(long, value_name = "NETWORKS")]
        networks: Option<String>,
        /// The agent that calls with it are for.
        #[arg(long, value_name = "AGENT_ID")]
        agent: Option<String>,
        /// From when on it is refused. Default: in 90 days.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Change a key's name or networks.
    Update {
        /// The key's id.
        id: String,
        /// What it is for.
        #[arg(long)]
        name: Option<String>,
        /// From where it may be used, separated by commas; empty for everywhere.
        #[arg(long, value_name = "NETWORKS")]
        networks: Option<String>,
    },
    /// Give a key a new secret. The old one goes on for a while.
    Rotate {
        /// The key's id.
        id: String,
        /// For how many hours the old secret is still good, at most 168.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap: u32,
    },
    /// Refuse a key from now on.
    Revoke {
        /// The key's id.
        id: String,
    },
}

/// `taskforce key`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let Asking { connection, verb } = asking;
    let remote = || Remote::open(&connection, environment);
    match verb {
        Verb::Issue(args) => return crate::issue::run(&args, environment, output),
        Verb::List { part, whose, status, q } => {
            let remote = remote()?;
            let user = whose.id(&remote)?;
            let filters = [("user_id", user.as_deref()), ("status", status.as_deref()), ("q", q.as_deref())];
            table(output, &remote.list(KEYS, &part, &filters)?.body, COLUMNS, "There are no such keys.");
        }
        Verb::Get { id } => facts(output, &remote()?.get(&at(&id))?.body, FACTS),
        Verb::Create { name, user, scopes, networks, agent, expires_at } => {
            let remote = remote()?;
            let new = object([
                ("user_id", Some(owner(&remote, user)?.into())),
                ("name", Some(name.into())),
                ("scopes", scopes.as_deref().map(words)),
                ("networks", networks.as_deref().map(words)),
                ("agent_id", agent.map(Value::from)),
                ("expires_at", expires_at.map(Value::from)),
            ]);
            secret(output, &remote.post(KEYS, &new)?.body);
        }
        Verb::Update { id, name, networks } => {
            let change = object([("name", name.map(Value::from)), ("networks", networks.as_deref().map(words))]);
            facts(output, &remote()?.change(Method::PATCH, &at(&id), Some(&change))?.body, FACTS);
        }
        Verb::Rotate { id, overlap } => {
            let rotated = remote()?.post(&format!("{}/rotate", at(&id)), &json!({ "overlap_hours": overlap }))?;
            secret(output, &rotated.body);
        }
        Verb::Revoke { id } => facts(output, &remote()?.post(&format!("{}/revoke", at(&id)), &json!({}))?.body, FACTS),
    }
    Ok(Verdict::Well)
}

/// The user who is named, or else the caller.
fn owner(remote: &Remote, user: Option<String>) -> Result<String, Failure> {
    match user {
        Some(user) => Ok(remote.user(&user)?),
        None => Ok(remote.caller()?),
    }
}

fn at(id: &str) -> String {
    format!("{KEYS}/{}", escaped(id))
}

fn secret(output: &mut Output, issued: &Value) {
    output.json_or(issued, |output| {
        let part = |pointer: &str| text(issued.pointer(pointer));
        output.styled(Look::Bold, format_args!("The key {} ({}). It is shown this once:", part("/id"), part("/name")));
        output.blank();
        output.line(format_args!("  {}", part("/secret")));
        output.blank();
        output.line(format_args!("It expires on {}.", part("/expires_at")));
    });
}
