//! `taskforce session`: who is signed in.

use clap::Subcommand;
use serde_json::json;

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Asking, Column, Part, Remote, escaped, table};

const SESSIONS: &str = "/api/v1/admin/sessions";
const COLUMNS: &[Column] = &[
    ("session", "/id"),
    ("user", "/user_id"),
    ("by", "/method"),
    ("from", "/network"),
    ("since", "/created_at"),
    ("last seen", "/seen_at"),
];

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the sessions: one's own, or with `user:manage` everybody's.
    List {
        #[command(flatten)]
        part: Part,
        /// Only those of one user, by id or username.
        #[arg(long)]
        user: Option<String>,
    },
    /// End a session.
    End {
        /// The session's id.
        id: String,
    },
}

/// `taskforce session`.
pub(crate) fn run(asking: Asking<Verb>, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let remote = Remote::open(&asking.connection, environment)?;
    match asking.verb {
        Verb::List { part, user } => {
            let user = user.map(|user| remote.user(&user)).transpose()?;
            let page = remote.list(SESSIONS, &part, &[("user_id", user.as_deref())])?;
            table(output, &page.body, COLUMNS, "Nobody is signed in.");
        }
        Verb::End { id } => {
            remote.post(&format!("{SESSIONS}/{}/end", escaped(&id)), &json!({}))?;
            output.line(format_args!("The session {id} is over."));
        }
    }
    Ok(Verdict::Well)
}
