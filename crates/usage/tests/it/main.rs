//! The usage crate on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod budgets;
mod crashes;
mod leases;
mod prices;
mod reports;
mod world;
