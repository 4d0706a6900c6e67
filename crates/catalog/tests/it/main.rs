//! The use cases, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests panic as tests do"
)]

mod agents;
mod attacks;
mod drafts;
mod given;
mod life;
mod races;
mod sequences;
