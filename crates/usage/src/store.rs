//! All SQL of this crate.

pub(crate) mod budgets;
pub(crate) mod prices;
pub(crate) mod records;
pub(crate) mod reports;
