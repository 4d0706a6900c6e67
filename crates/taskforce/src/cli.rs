//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{group, key, me, policy, provider, role, session, tenant, token, user};
use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::remote::Asking;
use crate::{demo, doctor, init, replay, serve, verify};

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
    Demo(demo::Args),
    /// Set up a data directory: keys, database, profile, and the administrator's key.
    Init(init::Args),
    /// Run the server.
    Serve(serve::Args),
    /// Say who the server takes the caller for, and what they may do.
    Me(me::Args),
    /// Manage tenants, as a platform administrator.
    Tenant(Asking<tenant::Verb>),
    /// Manage users and service accounts.
    User(Asking<user::Verb>),
    /// Manage groups, whose roles their members have.
    Group(Asking<group::Verb>),
    /// See the system's roles and manage the tenant's own.
    Role(Asking<role::Verb>),
    /// Make and manage API keys.
    Key(Asking<key::Verb>),
    /// Issue and revoke bearer tokens, and try out how they are verified.
    Token(Asking<token::Verb>),
    /// See and end sessions.
    Session(Asking<session::Verb>),
    /// Manage who else may say who somebody is: OpenID providers.
    Provider(Asking<provider::Verb>),
    /// Test policies and put them in force.
    Policy(Asking<policy::Verb>),
    /// Verify an exported package against a key of your own: offline, without trusting the server it came from.
    Verify(verify::Args),
    /// Check an installation: its keys, files, database, ledgers, clock, disk and settings.
    Doctor(doctor::Args),
    /// Print the OpenAPI description of the REST API.
    #[command(hide = true)]
    Openapi,
    /// Answer as a model server would, from recorded conversations; no model is asked.
    Replay(replay::Args),
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
        match self.command {
            Command::Demo(args) => demo::run(&args, environment, output),
            Command::Init(args) => init::run(&args, environment, output),
            Command::Serve(args) => serve::run(&args, environment, output),
            Command::Me(args) => me::run(&args, environment, output),
            Command::Tenant(asking) => tenant::run(asking, environment, output),
            Command::User(asking) => user::run(asking, environment, output),
            Command::Group(asking) => group::run(asking, environment, output),
            Command::Role(asking) => role::run(asking, environment, output),
            Command::Key(asking) => key::run(asking, environment, output),
            Command::Token(asking) => token::run(asking, environment, output),
            Command::Session(asking) => session::run(asking, environment, output),
            Command::Provider(asking) => provider::run(asking, environment, output),
            Command::Policy(asking) => policy::run(asking, environment, output),
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
        let parses = |args: &[&str]| Cli::try_parse_from([&["taskforce", "key", "issue"], args].concat()).is_ok();
        assert!(parses(&["--tenant", "acme", "--user", "bob"]) && parses(&["--platform"]));
        assert!(!parses(&[]) && !parses(&["--tenant", "acme"]) && !parses(&["--platform", "--user", "bob"]));
    }
}
