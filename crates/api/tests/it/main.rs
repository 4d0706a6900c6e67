//! The whole interface, through the real router, on both engines.

mod coverage;
mod document;
mod operations;
mod world;
