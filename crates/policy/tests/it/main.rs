//! Policies: what they mean, what is wrong with them, and their life in the database.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests panic as tests do")]

mod activations;
mod backtests;
mod books;
mod faults;
mod given;
mod life;
mod meaning;
mod oracle;
mod weaknesses;
