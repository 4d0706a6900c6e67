//! The executable, from outside: as a person at a terminal, a supervisor and an auditor use it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests fail and print as tests do"
)]

mod commands;
mod demo;
mod program;
mod serve;
mod verbs;
