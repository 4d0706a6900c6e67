//! Tokens, keys and rules through the public interface, as an attacker and as an honest issuer would use them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]
#![expect(clippy::needless_pass_by_value, reason = "JSON literals are handed to the helpers as they stand")]

mod attacks;
mod claims;
mod corpus;
mod given;
mod issuing;
mod keys;
mod properties;
mod sets;
