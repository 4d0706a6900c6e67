//! `taskforce session`: who is signed in.

use clap::Subcommand;
use serde_json::json;

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::{Asking, Column, Part, Remote, Whose, escaped, table};

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
    /// List one's own sessions, or with `user:manage` those of others.
    List {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        whose: Whose,
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
        Verb::List { part, whose } => {
            let user = whose.id(&remote)?;
            let page = remote.list(SESSIONS, &part, &[("user_id", user.as_deref())])?;
            table(output, &page.body, COLUMNS, "There are no such sessions.");
        }
        Verb::End { id } => {
            remote.post(&format!("{SESSIONS}/{}/end", escaped(&id)), &json!({}))?;
            output.line(format_args!("The session {id} is over."));
        }
    }
    Ok(Verdict::Well)
}
