//! The whole interface, through the real router.

mod document;
