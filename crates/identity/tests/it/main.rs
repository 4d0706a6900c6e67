//! Identity on both engines.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

mod directory;
mod keys;
mod nodes;
mod permissions;
mod secrecy;
mod tenants;
mod users;
mod world;
