//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Places;
use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::{demo, doctor, init, key, replay, serve, verify};

const EXIT_CODES: &str = "Exit codes:
  0  done, and all is well
  1  done, and what was checked is not as it should be
  2  not done: wrong usage, a configuration that cannot be used, a file that cannot be read";

/// The control plane for AI agents: who may run them, what they did, what it cost, who approved it, and proof of it.
#[derive(Debug, Parser)]
#[command(name = "taskforce", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// Answer with JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job from key to proof: a server, tenants, people, calls, evidence, verification.
    Demo(DemoArgs),
    /// Set up a data directory: keys, database, profile, and the administrator's key.
    Init(InitArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// Make and manage API keys on the server's own machine.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Verify an exported package against a key of your own: offline, without trusting the server it came from.
    Verify(VerifyArgs),
    /// Check an installation: its keys, files, database, ledgers, clock, disk and settings.
    Doctor(DoctorArgs),
    /// Print the OpenAPI description of the REST API.
    #[command(hide = true)]
    Openapi,
    /// Answer as a model server would, from recorded conversations; no model is asked.
    Replay(ReplayArgs),
}

#[derive(Debug, Default, Args)]
pub(crate) struct DemoArgs {
    /// Keep the data in this directory, which must be new. Default: nothing is left.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Stay up on 127.0.0.1:8070 at the end, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Listen on this address. Default: a free port, or with --keep 127.0.0.1:8070.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Call this model server, which speaks the OpenAI protocol, instead of the bundled replay of recorded
    /// conversations: where its API starts, such as `https://api.openai.com/v1`.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The environment variable that holds the model server's key.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    pub(crate) upstream_key_env: Option<String>,
    /// The model that the agent uses.
    #[arg(long, default_value = replay::MODEL)]
    pub(crate) model: String,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The data directory to set up. Default: `$TASKFORCE_DATA`, else `taskforce-data`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What the names of this installation's logs start with, such as `taskforce.example.org`.
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Use PostgreSQL, as this role. Default: SQLite, in the data directory.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The PostgreSQL role that owns the tables and may change the schema.
    #[arg(long, value_name = "URL", requires = "database_url")]
    pub(crate) database_owner_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    /// The address to listen on. Default: the profile's `listen`.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key for a user, without credentials: whoever can read the data directory may.
    Create(KeyCreateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    /// The tenant.
    #[arg(long, required_unless_present = "platform", requires = "user")]
    pub(crate) tenant: Option<String>,
    /// The user's name.
    #[arg(long, requires = "tenant")]
    pub(crate) user: Option<String>,
    /// Bind the key to an agent: calls with it are that agent's, and need not name it.
    #[arg(long, value_name = "AGENT_ID", requires = "tenant")]
    pub(crate) agent: Option<String>,
    /// Make a key for the platform administrator, who creates tenants.
    #[arg(long, conflicts_with_all = ["tenant", "user", "agent"])]
    pub(crate) platform: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The package, a `.tfpack` file.
    pub(crate) file: PathBuf,
    /// The public key of the log, as `log.vkey` holds it. Several keys stand on lines of their own.
    #[arg(long, value_name = "VKEY_FILE")]
    pub(crate) key: PathBuf,
    /// A checkpoint of the same log that you kept: finds a log that was begun anew with the right key.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The log that it must be, such as `taskforce.example.org/taskforce/t/acme`.
    #[arg(long, value_name = "LOG")]
    pub(crate) origin: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    /// How many of each ledger's last entries to check.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) last: u64,
    /// Check every entry of each ledger.
    #[arg(long, conflicts_with = "last")]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8071")]
    pub(crate) listen: SocketAddr,
    /// The pause before each chunk of a stream, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub(crate) pace_ms: u64,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
        match self.command {
            Command::Demo(args) => demo::run(&args, environment, output),
            Command::Init(args) => init::run(&args, environment, output),
            Command::Serve(args) => serve::run(&args, environment, output),
            Command::Key(KeyCommand::Create(args)) => key::create(&args, environment, output),
            Command::Verify(args) => verify::run(&args, output),
            Command::Doctor(args) => doctor::run(&args, environment, output),
            Command::Openapi => {
                output.text(&api::openapi().to_pretty_json()?);
                Ok(Verdict::Well)
            }
            Command::Replay(args) => replay::run(&args, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::CommandFactory as _;

    use super::*;

    fn help(command: &mut clap::Command, text: &mut String) {
        let name = command.get_bin_name().unwrap_or("taskforce").to_owned();
        writeln!(text, "$ {name} --help\n\n{}", command.render_help()).unwrap();
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set()) {
            help(inner, text);
        }
    }

    #[test]
    fn the_help_is_what_was_reviewed() {
        let mut command = Cli::command().term_width(100);
        command.build();
        command.clone().debug_assert();
        let mut text = String::new();
        help(&mut command, &mut text);
        insta::assert_snapshot!("cli-help", text);
    }

    #[test]
    fn a_key_is_for_a_user_of_a_tenant_or_for_the_platform() {
        let parses = |args: &[&str]| Cli::try_parse_from([&["taskforce", "key", "create"], args].concat()).is_ok();
        assert!(parses(&["--tenant", "acme", "--user", "bob"]) && parses(&["--platform"]));
        assert!(!parses(&[]) && !parses(&["--tenant", "acme"]) && !parses(&["--platform", "--user", "bob"]));
    }
}
