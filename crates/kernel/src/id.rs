//! Identifiers. Each kind is its own type, carries its prefix, and cannot hold anything else.

use std::fmt;
use std::str::FromStr;

use crate::{Entropy, Moment};

/// An identifier that can be made anew: a prefix and 32 hexadecimal digits of a UUID version 7 (RFC 9562).
pub trait Id: Sized + Clone + fmt::Display + FromStr<Err = IdError> {
    /// What the identifier starts with, underscore included.
    const PREFIX: &'static str;

    /// A new identifier, ordered by the time it was made.
    fn generate(moment: &Moment<'_>) -> Self;
}

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected `{prefix}` and 32 lower-case hexadecimal digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn generate(moment: &Moment<'_>) -> Self {
                Self(format!("{}{}", $prefix, uuid_v7(moment).simple()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).ok_or(IdError { prefix: $prefix })?;
                let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                if digits.len() == 32 && hex { Ok(Self(text.to_owned())) } else { Err(IdError { prefix: $prefix }) }
            }
        }
    )+};
}

ids! {
    /// A governed agent.
    AgentId = "agt_";
    /// One version of an agent.
    VersionId = "ver_";
    /// A person or service account.
    UserId = "usr_";
    /// A request for approval.
    ReviewId = "apr_";
    /// An approval workflow.
    WorkflowId = "wfl_";
    /// A spending limit.
    BudgetId = "bud_";
    /// A row of the price book.
    PriceId = "prc_";
    /// One model call through the gateway.
    CallId = "cal_";
    /// One request to the server, shown to its caller and kept in the ledger.
    RequestId = "req_";
    /// One running server.
    NodeId = "nod_";
    /// A session of a person who signed in.
    SessionId = "ses_";
    /// A group of users.
    GroupId = "grp_";
    /// An identity provider of a tenant.
    ProviderId = "idp_";
}

fn uuid_v7(moment: &Moment<'_>) -> uuid::Uuid {
    let mut random = [0; 10];
    moment.fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(moment.now().unix_millis(), &random).into_uuid()
}

/// The name a tenant is known by: 2 to 63 lower-case letters, digits and hyphens, starting with a letter or digit.
///
/// A name that starts with an underscore is reserved: `_system` holds what concerns the installation itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(String);

/// A text that cannot name a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a tenant id: expected 2 to 63 lower-case letters, digits and hyphens, starting with a letter or digit")]
pub struct TenantIdError;

impl TenantId {
    /// The reserved tenant that holds platform administrators and the log of what they do.
    pub fn system() -> Self {
        Self("_system".to_owned())
    }

    /// Whether this is the reserved tenant.
    pub fn is_system(&self) -> bool {
        self.0 == "_system"
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        if text == "_system" {
            return Ok(Self::system());
        }
        let allowed = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if allowed && starts && (2..=63).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(TenantIdError) }
    }
}

/// The public part of an API key: twelve base62 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

/// A text that is no key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: expected twelve letters and digits")]
pub struct KeyIdError;

impl KeyId {
    /// A new key id. It is public: it identifies a key and proves nothing.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(crate::text::random_base62(entropy, 12))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let base62 = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if base62 && text.len() == 12 { Ok(Self(text.to_owned())) } else { Err(KeyIdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedMoment;

    #[test]
    fn an_id_of_one_kind_is_not_an_id_of_another() {
        let moment = FixedMoment::new(1);
        let agent: AgentId = moment.moment().id();
        assert!(agent.as_str().parse::<VersionId>().is_err());
    }

    #[test]
    fn ids_made_later_sort_later() {
        let clock = FixedMoment::new(1_000);
        let first: AgentId = clock.moment().id();
        clock.advance_micros(2_000);
        let second: AgentId = clock.moment().id();
        assert!(first < second);
    }

    #[test]
    fn a_tenant_id_is_a_short_lower_case_name() {
        for good in ["acme-corp", "a1", "0x"] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        for bad in ["", "a", "Acme", "acme:corp", "-acme", "_other", "a b", "ä-corp", &"a".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }
}
