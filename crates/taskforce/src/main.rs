//! The `taskforce` executable: configuration, wiring and the command line over the domain crates.
//!
//! **Invariant:** only this crate reads the environment and the clock; what the other crates need to know of them is
//! passed to them.
//!
//! **Invariant:** nothing is printed but through [`output::Output`], and no secret is printed but the key that was
//! just made, once.

mod chores;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod doctor;
mod edition;
mod environment;
mod failure;
mod home;
mod init;
mod issue;
mod keys;
mod logs;
mod node;
mod opening;
mod output;
mod remote;
mod replay;
mod serve;
mod signals;
mod upstreams;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;
use environment::Environment;
use output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = Environment::of_this_process();
    let cli = Cli::parse();
    let mut output = Output::stdout(&environment, cli.json);
    let verdict = cli.run(&environment, &mut output);
    failure::report(verdict, &output)
}
