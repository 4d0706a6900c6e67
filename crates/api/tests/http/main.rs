//! Hostile HTTP against the real server on a loopback port.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is test code: it panics as tests do")]

mod json;
mod sample;
mod shutdown;
mod slow;
mod vectors;
