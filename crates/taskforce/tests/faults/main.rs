//! Faults of the product as it is shipped: the real executable, as processes, over HTTP, on both engines.
//!
//! It is killed, told to stop, and left without a disk or a database while clients load it; its clients and its model
//! servers misbehave. Afterwards the ledger says what was promised.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests fail and print as tests do"
)]

mod budgets;
mod client;
mod cluster;
mod departures;
mod disk;
mod hostile;
mod installation;
mod kills;
mod ledger;
mod load;
mod nodes;
mod outage;
mod stopping;
mod trouble;
mod upstream;
mod world;
