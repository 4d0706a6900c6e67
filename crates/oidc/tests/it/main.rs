//! Keys and sign-in, against a server that does what a test says and against a certified provider.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod discovery;
mod fake;
mod keys;
mod provider;
mod sign_in;
