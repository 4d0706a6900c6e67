//! What the ledger says about identity. Leaves hold ids; names, addresses and roles are in the payloads.

pub(crate) mod credentials;
pub(crate) mod people;

/// Every action that this domain can record.
pub const ACTIONS: &[&str] = &[
    people::TENANT_CREATED,
    people::TENANT_UPDATED,
    people::TENANT_SUSPENDED,
    people::TENANT_RESUMED,
    people::USER_CREATED,
    people::USER_UPDATED,
    people::USER_DEACTIVATED,
    people::USER_ACTIVATED,
    people::USER_REMOVED,
    people::ROLE_CREATED,
    people::ROLE_UPDATED,
    people::ROLE_DELETED,
    people::GROUP_CREATED,
    people::GROUP_UPDATED,
    people::GROUP_DELETED,
    people::PLATFORM_BOOTSTRAPPED,
    credentials::KEY_CREATED,
    credentials::KEY_UPDATED,
    credentials::KEY_ROTATED,
    credentials::KEY_REVOKED,
    credentials::TOKEN_ISSUED,
    credentials::TOKEN_EXCHANGED,
    credentials::TOKEN_REVOKED,
    credentials::PASSWORD_SET,
    credentials::SESSION_STARTED,
    credentials::SESSION_RENEWED,
    credentials::SESSION_ENDED,
    credentials::SIGNED_OUT,
    credentials::SIGN_IN_FAILED,
    credentials::SIGN_INS_SUPPRESSED,
    credentials::USER_PROVISIONED,
    credentials::PROVIDER_CREATED,
    credentials::PROVIDER_UPDATED,
    credentials::PROVIDER_DELETED,
    credentials::USER_LINKED,
    credentials::USER_UNLINKED,
];
