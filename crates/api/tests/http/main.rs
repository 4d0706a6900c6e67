//! Hostile HTTP against the real server on a loopback port.

mod json;
mod sample;
mod shutdown;
mod slow;
mod vectors;
