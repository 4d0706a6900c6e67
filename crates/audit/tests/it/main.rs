//! The use cases, on both engines.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests panic as tests do")]

mod checking;
mod checkpoints;
mod given;
mod packages;
mod reading;
mod refusals;
