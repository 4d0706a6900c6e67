//! The verbs that ask a running server: one file for each noun.

pub(crate) mod group;
pub(crate) mod key;
pub(crate) mod me;
pub(crate) mod policy;
pub(crate) mod provider;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod user;
