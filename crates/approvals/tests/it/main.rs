//! The use cases, on both engines.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests panic as tests do")]

mod attacks;
mod decisions;
mod given;
mod leaving;
mod uses;
mod workflows;
