//! Identity on both engines.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

mod access;
mod directory;
mod groups;
mod keys;
mod lists;
mod nodes;
mod permissions;
mod roles;
mod secrecy;
mod tenants;
mod users;
mod world;
