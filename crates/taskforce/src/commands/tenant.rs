//! `taskforce tenant`: for platform administrators, who see nothing inside.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::{Look, Output};
use crate::remote::{Asking, Column, Part, Remote, escaped, facts, json_file, object, table, text};

const TENANTS: &str = "/api/v1/admin/tenants";
const COLUMNS: &[Column] = &[("tenant", "/id"), ("name", "/name"), ("status", "/status"), ("created", "/created_at")];
const FACTS: &[Column] = &[
    ("tenant", "/id"),
    ("name", "/name"),
    ("status", "/status"),
    ("settings", "/settings"),
    ("created", "/created_at"),
];

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the tenants.
    List {
        #[command(flatten)]
        part: Part,
        /// Only those whose id or name contains this.
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
        /// Only `active` or `suspended` ones.
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a tenant.
    Get {
        /// The tenant.
        id: String,
    },
    /// Create a tenant. The answer holds its administrator's key, which is shown this once.
    Create {
        /// What it will be known by, such as `acme-corp`.
        id: String,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// The name of its first administrator.
        #[arg(long, value_name = "USERNAME")]
        admin: String,
        /// Its settings: a file of JSON.
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Change a tenant's name or settings.
    Update {
        /// The tenant.
        id: String,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
        /// Its settings, in whole: a file of JSON.
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Refuse every credential of a tenant until it is resumed.
    Suspend {
        /// The tenant.
        id: String,
    },
    /// Let a suspended tenant act again.
    Resume {
        /// The tenant.
        id: String,
    },
}

/// `taskforce tenant`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part, q, status } => {
            let filters = [("q", q.as_deref()), ("status", status.as_deref())];
            let page = remote.list(TENANTS, &part, &filters)?;
            table(output, &page.body, COLUMNS, "There are no tenants.");
        }
        Verb::Get { id } => {
            let tenant = remote.get(&at(&id))?;
            facts(output, &tenant.body, FACTS);
        }
        Verb::Create { id, name, admin, settings } => {
            let settings = settings.map_or_else(|| Ok(json!({})), |path| json_file(&path))?;
            let body = json!({ "id": id, "name": name, "admin": admin, "settings": settings });
            let made = remote.post(TENANTS, &body)?;
            created(output, &made.body);
        }
        Verb::Update { id, name, settings } => {
            let settings = settings.map(|path| json_file(&path)).transpose()?;
            let change = object([("name", name.map(Value::from)), ("settings", settings)]);
            let tenant = remote.change(Method::PATCH, &at(&id), Some(&change))?;
            facts(output, &tenant.body, FACTS);
        }
        Verb::Suspend { id } => step(&remote, &id, "suspend", output)?,
        Verb::Resume { id } => step(&remote, &id, "resume", output)?,
    }
    Ok(Verdict::Well)
}

fn at(id: &str) -> String {
    format!("{TENANTS}/{}", escaped(id))
}

fn step(remote: &Remote, id: &str, verb: &str, output: &mut Output) -> Result<(), Failure> {
    let tenant = remote.post(&format!("{}/{verb}", at(id)), &json!({}))?;
    facts(output, &tenant.body, FACTS);
    Ok(())
}

fn created(output: &mut Output, made: &Value) {
    output.json_or(made, |output| {
        output.line(format_args!("The tenant {} is there.", text(made.pointer("/tenant/id"))));
        output.blank();
        let admin = text(made.pointer("/admin/username"));
        output.styled(Look::Bold, format_args!("The key of its administrator {admin}. It is shown this once:"));
        output.blank();
        output.line(format_args!("  {}", text(made.pointer("/key/secret"))));
    });
}
