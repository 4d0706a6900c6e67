//! Identity on both engines.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

mod access;
mod canaries;
mod directory;
mod exchange;
mod groups;
mod idp;
mod keys;
mod lists;
mod nodes;
mod permissions;
mod provided;
mod providers;
mod roles;
mod secrecy;
mod sign_in;
mod tenants;
mod tokens;
mod users;
mod world;
