//! `taskforce me`: who the server takes the caller for.

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Column, Connection, Remote, facts};

const FACTS: &[Column] = &[
    ("tenant", "/tenant_id"),
    ("user", "/user_id"),
    ("kind", "/kind"),
    ("credential", "/credential/kind"),
    ("scopes", "/credential/scopes"),
    ("acting", "/acting"),
    ("agent", "/agent_id"),
    ("roles", "/roles"),
    ("permissions", "/permissions"),
];

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
}

/// `taskforce me`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let answer = Remote::open(&args.connection, environment)?.get("/api/v1/me")?;
    facts(output, &answer.body, FACTS);
    Ok(Verdict::Well)
}
