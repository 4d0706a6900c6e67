//! What the ledger says about identity. Leaves hold ids; names, addresses and roles are in the payloads.

pub(crate) mod credentials;
pub(crate) mod people;

/// Every action that this domain can record.
pub const ACTIONS: &[&str] = &[
    people::TENANT_CREATED,
    people::TENANT_UPDATED,
    people::USER_CREATED,
    people::USER_UPDATED,
    people::USER_DEACTIVATED,
    people::PLATFORM_BOOTSTRAPPED,
    credentials::KEY_CREATED,
    credentials::KEY_REVOKED,
];
