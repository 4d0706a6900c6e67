//! Policies: what they mean, what is wrong with them, and their life in the database.

mod given;
mod meaning;
mod oracle;
