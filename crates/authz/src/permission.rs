//! Permissions and sets of them.

use std::fmt;
use std::str::FromStr;

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One thing that a role may allow, named `resource:action` as in the specification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Permission {
            $($(#[$doc])* $variant,)+
        }

        impl Permission {
            /// Every permission, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

permissions! {
    /// Create agents and versions.
    AgentCreate = "agent:create",
    /// See agents and versions.
    AgentRead = "agent:read",
    /// Change and submit agents and versions.
    AgentUpdate = "agent:update",
    /// Deprecate and archive versions.
    AgentDelete = "agent:delete",
    /// Run an agent's published version.
    AgentExecute = "agent:execute",
    /// Decide on requests to publish a version.
    AgentApprove = "agent:approve",
    /// Publish an approved version.
    AgentPublish = "agent:publish",
    /// Open sessions.
    SessionCreate = "session:create",
    /// See sessions.
    SessionRead = "session:read",
    /// End sessions.
    SessionDelete = "session:delete",
    /// Call tools.
    ToolExecute = "tool:execute",
    /// See tools.
    ToolRead = "tool:read",
    /// Read memories.
    MemoryRead = "memory:read",
    /// Write memories.
    MemoryWrite = "memory:write",
    /// Delete memories.
    MemoryDelete = "memory:delete",
    /// See requests for approval.
    ApprovalRead = "approval:read",
    /// See usage and cost.
    UsageRead = "usage:read",
    /// See reports.
    ReportRead = "report:read",
    /// Make reports.
    ReportCreate = "report:create",
    /// Read the ledger, payloads included.
    AuditRead = "audit:read",
    /// Export the ledger as a package.
    AuditExport = "audit:export",
    /// Manage users and service accounts.
    UserManage = "user:manage",
    /// Manage roles.
    RoleManage = "role:manage",
    /// Manage API keys.
    KeyManage = "key:manage",
    /// Manage policies and approval workflows.
    PolicyManage = "policy:manage",
    /// Manage budgets and prices.
    BudgetManage = "budget:manage",
    /// See how the installation is set up.
    SystemConfig = "system:config",
    /// Read metrics.
    SystemMetrics = "system:metrics",
    /// Create, suspend and list tenants. Held by platform administrators only.
    TenantManage = "tenant:manage",
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no permission is named `{0}`")]
pub struct PermissionError(String);

impl Permission {
    /// The kind of thing that it is about: what stands before the colon.
    pub fn resource(self) -> &'static str {
        self.as_str().split_once(':').map_or("", |(resource, _)| resource)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| PermissionError(text.to_owned()))
    }
}

/// A set of permissions: one machine word.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u64);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | 1 << permission as u8)
    }

    /// Whether the set holds `permission`.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// What either set holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What the set holds and `other` does not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

/// Names separated by commas, as the database keeps them.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Permission::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Permissions {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse::<Permission>).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_permission_is_found_by_its_name_and_fits_the_word() {
        assert!(Permission::ALL.len() <= 64);
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        assert!("agent:*".parse::<Permission>().is_err());
    }

    proptest! {
        #[test]
        fn a_set_survives_its_text(bits in 0..1u64 << Permission::ALL.len()) {
            let set = Permissions(bits);
            prop_assert_eq!(set.to_string().parse(), Ok(set));
        }

        #[test]
        fn a_narrowed_set_never_grows(a: u64, b: u64) {
            let (a, b) = (Permissions(a), Permissions(b));
            prop_assert!(a.intersection(b).iter().all(|p| a.contains(p) && b.contains(p)));
            prop_assert!(a.iter().all(|p| a.union(b).contains(p)));
        }
    }
}
