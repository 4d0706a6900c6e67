//! The store on both engines: its locks attacked, its promises checked, its faults made on purpose.

#![cfg(test)]

mod given;
mod group;
mod kill9;
mod ledger;
mod locks;
mod once;
mod platform;
mod schema;
mod start;
mod trouble;
