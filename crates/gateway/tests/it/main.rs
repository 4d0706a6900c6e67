//! Model calls under a tenant's policies, on both engines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests panic as tests do")]

mod approvals;
mod calls;
mod tools;
mod world;
