//! Tenants, users, roles, groups and keys, and the texts that may name them.

use std::fmt;
use std::str::FromStr;

use authz::{CustomRole, Permissions, Roles};
use kernel::{GroupId, TenantId, Text, Timestamp, UserId};

use crate::{Settings, UserAttributes};

/// An organization, apart from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// What it is known by.
    pub id: TenantId,
    /// What people call it.
    pub name: Text<100>,
    /// What it may have.
    pub settings: Settings,
    /// Whether its keys are good.
    pub status: TenantStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// What something is known by elsewhere, such as in a directory that provisions users.
pub type ExternalId = Text<255>;

/// A person or service account of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id, never given again.
    pub id: UserId,
    /// Person or service account.
    pub kind: UserKind,
    /// What it is known by within its tenant.
    pub username: Username,
    /// What people call it.
    pub display_name: Option<Text<100>>,
    /// Where a person is reached.
    pub email: Option<Email>,
    /// What it is known by elsewhere.
    pub external_id: Option<ExternalId>,
    /// What policies may ask about it.
    pub attributes: UserAttributes,
    /// The roles that were given to it.
    pub own_roles: Roles,
    /// What it may do: its own roles and those of its groups.
    pub roles: Roles,
    /// Whether it may act.
    pub status: UserStatus,
    /// Raised when all that was signed before ends: sessions and tokens carry it.
    pub epoch: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

impl User {
    /// Whether it was removed for good.
    pub(crate) fn is_removed(&self) -> bool {
        self.username == Username::of_removed(&self.id)
    }
}

/// A role that a tenant has defined for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRole {
    /// What it is known by within its tenant.
    pub name: CustomRole,
    /// What it is for.
    pub description: Text<200>,
    /// What it allows.
    pub permissions: Permissions,
    /// When it was created.
    pub created_at: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// Users of one tenant who have roles in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id, never given again.
    pub id: GroupId,
    /// What people call it: no two groups of a tenant are called alike.
    pub display_name: Text<200>,
    /// What it is known by elsewhere.
    pub external_id: Option<ExternalId>,
    /// What its members may do besides what they may do on their own.
    pub roles: Roles,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it, or who is in it, was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// What becomes of something that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Remove,
    /// It becomes another.
    Set(T),
}

impl<T: Clone> Edit<T> {
    pub(crate) fn over(self, before: Option<&T>) -> Option<T> {
        match self {
            Self::Keep => before.cloned(),
            Self::Remove => None,
            Self::Set(value) => Some(value),
        }
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(WordError { given: text.to_owned(), expected: concat!($("`", $word, "` ",)+).trim_ascii_end() }),
                }
            }
        }
    )+};
}

words! {
    /// What kind of account a user is.
    UserKind {
        /// A person.
        User = "user",
        /// A service account: a program with an identity of its own.
        Service = "service",
    }
    /// Whether a user may act.
    UserStatus {
        /// It may.
        Active = "active",
        /// It may not, and its keys are revoked.
        Deactivated = "deactivated",
    }
    /// Whether a tenant may act.
    TenantStatus {
        /// It may.
        Active = "active",
        /// None of its users may, until it is active again.
        Suspended = "suspended",
    }
    /// Whether an identity provider is believed.
    ProviderStatus {
        /// It is.
        Active = "active",
        /// It is not, until it is active again.
        Disabled = "disabled",
    }
    /// How somebody signed in.
    SignInMethod {
        /// With a password that is kept here.
        Password = "password",
        /// With an identity provider.
        Oidc = "oidc",
    }
}

/// A word that is not among those expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {expected}")]
pub struct WordError {
    given: String,
    expected: &'static str,
}

/// What a user is known by within its tenant: 1 to 64 lower-case letters, digits and `.`, `_`, `-`, `+`, `@`, starting
/// with a letter or digit. Lower case only, so that no two names differ in nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that cannot be a username.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a username: expected 1 to 64 lower-case letters, digits and `.`, `_`, `-`, `+`, `@`, starting with a letter or \
     digit"
)]
pub struct UsernameError;

impl Username {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What somebody is known by who was removed: the id, which is nobody else's.
    pub(crate) fn of_removed(id: &UserId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, UsernameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let allowed = text.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@'));
        let starts = text.bytes().next().is_some_and(plain);
        if allowed && starts && text.len() <= 64 { Ok(Self(text.to_owned())) } else { Err(UsernameError) }
    }
}

/// An address that mail can be sent to: one `@`, something before it, a name with letters, digits, `.` and `-` after it,
/// at most 254 bytes of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// A text that cannot be an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an email address, such as `alice@example.com`")]
pub struct EmailError;

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.split_once('@').ok_or(EmailError)?;
        let special =
            |byte: u8| matches!(byte, b'"' | b'(' | b')' | b',' | b':' | b';' | b'<' | b'>' | b'[' | b'\\' | b']');
        let local_is_good = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && !special(byte));
        let label_is_good = |label: &str| {
            let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
        };
        let good = text.len() <= 254 && local_is_good && domain.split('.').all(label_is_good);
        if good { Ok(Self(text.to_owned())) } else { Err(EmailError) }
    }
}

store::text_values!(Username, Email, UserKind, UserStatus, TenantStatus, ProviderStatus, SignInMethod);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_that_look_alike_cannot_both_exist() {
        for good in ["alice", "a", "0x", "alice.smith+ci@example.com", "build_bot-1"] {
            assert!(good.parse::<Username>().is_ok(), "{good}");
        }
        for bad in ["", "Alice", "älice", "аlice", ".alice", "al ice", "alice\0", "alice\u{202e}", &"a".repeat(65)] {
            assert!(bad.parse::<Username>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_that_mail_cannot_reach_is_refused() {
        for good in ["alice@example.com", "a.b+c@x-1.example", "root@localhost"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in
            ["", "alice", "@example.com", "alice@", "a@b@c", "a b@c.d", "a@b..c", "a@-b.c", "a@b.c\r\nBcc: x", &long]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        assert_eq!("active".parse(), Ok(UserStatus::Active));
        let refusal = "gone".parse::<UserStatus>().unwrap_err();
        assert_eq!(refusal.to_string(), "`gone` is not one of `active` `deactivated`");
    }
}
