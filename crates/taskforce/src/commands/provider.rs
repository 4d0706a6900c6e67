//! `taskforce provider`: who else may say who somebody is.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::json;

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Asking, Column, Part, Remote, escaped, facts, json_file, table};

const PROVIDERS: &str = "/api/v1/admin/identity-providers";
const COLUMNS: &[Column] = &[("provider", "/id"), ("name", "/name"), ("issuer", "/issuer"), ("status", "/status")];
const FACTS: &[Column] = &[
    ("provider", "/id"),
    ("name", "/name"),
    ("issuer", "/issuer"),
    ("audience", "/audience"),
    ("client", "/client_id"),
    ("algorithms", "/algorithms"),
    ("keys", "/jwks_url"),
    ("tenant claim", "/tenant_claim"),
    ("roles claim", "/roles_claim"),
    ("roles", "/role_map"),
    ("provisions", "/provision"),
    ("status", "/status"),
];
const CHECK: &[Column] = &[
    ("issuer", "/issuer"),
    ("reachable", "/reachable"),
    ("keys", "/keys"),
    ("left out", "/left_out"),
    ("problem", "/problem"),
];

/// What to do with identity providers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the tenant's identity providers.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Show a provider.
    Get {
        /// The provider's id.
        id: String,
    },
    /// Let a provider speak for this tenant's users.
    Create {
        /// Its settings: a file of JSON; `docs/sign-in.md` explains them.
        #[arg(value_name = "FILE")]
        settings: PathBuf,
    },
    /// Change a provider's settings.
    Update {
        /// The provider's id.
        id: String,
        /// What changes: a file of JSON.
        #[arg(value_name = "FILE")]
        settings: PathBuf,
    },
    /// Ask a provider for its description and keys, and say what is wrong.
    Check {
        /// The provider's id.
        id: String,
    },
    /// Let a provider speak for nobody any more.
    Delete {
        /// The provider's id.
        id: String,
    },
}

/// `taskforce provider`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part } => {
            table(output, &remote.list(PROVIDERS, &part, &[])?.body, COLUMNS, "There are no identity providers.");
        }
        Verb::Get { id } => facts(output, &remote.get(&at(&id))?.body, FACTS),
        Verb::Create { settings } => facts(output, &remote.post(PROVIDERS, &json_file(&settings)?)?.body, FACTS),
        Verb::Update { id, settings } => {
            let change = json_file(&settings)?;
            facts(output, &remote.change(Method::PATCH, &at(&id), Some(&change))?.body, FACTS);
        }
        Verb::Check { id } => facts(output, &remote.post(&format!("{}/check", at(&id)), &json!({}))?.body, CHECK),
        Verb::Delete { id } => {
            remote.change(Method::DELETE, &at(&id), None)?;
            output.line(format_args!("The identity provider {id} is gone."));
        }
    }
    Ok(Verdict::Well)
}

fn at(id: &str) -> String {
    format!("{PROVIDERS}/{}", escaped(id))
}
