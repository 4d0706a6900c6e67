//! The whole interface, through the real router, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is test code: it fails as tests do"
)]

mod admin;
mod authzen;
mod canary;
mod coverage;
mod credentials;
mod document;
mod faults;
mod gateway;
mod hostile;
mod idempotency;
mod isolation;
mod limits;
mod operations;
mod providers;
mod provisioning;
mod refusals;
mod revisions;
mod sessions;
mod story;
mod system;
mod tokens;
mod world;
