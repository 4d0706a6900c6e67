//! The log against the published vectors, a naive reference, and hostile input.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

mod hostile;
mod log;
mod merkle;
mod notes;
mod properties;
mod receipts;
mod reference;
mod shared;
mod tiled_log;
