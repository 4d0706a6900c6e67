//! The system roles of the specification (part 1, "System Roles").

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::{Permission, Permissions};

/// A role that every tenant has. What it allows is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Every permission within one tenant.
    Admin,
    /// Creates and manages agents: `agent:*`, `memory:read`, `memory:write`.
    AgentDesigner,
    /// Executes and monitors agents: `agent:execute`, `agent:read`, `session:*`.
    Operator,
    /// Reads: `*:read`, but not `audit:read`.
    Viewer,
    /// Compliance: `audit:*`, `report:*`.
    Auditor,
    /// Manages tenants and sees nothing inside them. Exists in the reserved tenant only.
    PlatformAdmin,
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no role is named `{0}`: expected one of admin, agent_designer, operator, viewer, auditor")]
pub struct RoleError(String);

impl Role {
    /// The roles a tenant can give.
    pub const TENANT: [Self; 5] = [Self::Admin, Self::AgentDesigner, Self::Operator, Self::Viewer, Self::Auditor];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::AgentDesigner => "agent_designer",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::PlatformAdmin => "platform_admin",
        }
    }

    /// What it is for, in the specification's words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Admin => "Full access to one tenant",
            Self::AgentDesigner => "Create and manage agents",
            Self::Operator => "Execute and monitor agents",
            Self::Viewer => "Read-only access",
            Self::Auditor => "Compliance and audit access",
            Self::PlatformAdmin => "Manage tenants, see nothing inside them",
        }
    }

    /// What it allows. Each request asks, so that it is worked out once.
    pub fn permissions(self) -> Permissions {
        static ALLOWED: LazyLock<[Permissions; 6]> = LazyLock::new(|| {
            let [first, second, third, fourth, fifth] = Role::TENANT;
            [first, second, third, fourth, fifth, Role::PlatformAdmin]
                .map(|role| Permission::ALL.iter().copied().filter(|permission| role.allows(*permission)).collect())
        });
        ALLOWED.get(self as usize).copied().unwrap_or_default()
    }

    fn allows(self, permission: Permission) -> bool {
        let (resource, action) = permission.as_str().split_once(':').unwrap_or_default();
        match self {
            Self::Admin => permission != Permission::TenantManage,
            Self::AgentDesigner => {
                resource == "agent" || matches!(permission, Permission::MemoryRead | Permission::MemoryWrite)
            }
            Self::Operator => {
                resource == "session" || matches!(permission, Permission::AgentExecute | Permission::AgentRead)
            }
            Self::Viewer => action == "read" && permission != Permission::AuditRead,
            Self::Auditor => matches!(resource, "audit" | "report"),
            Self::PlatformAdmin => permission == Permission::TenantManage,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let all = Self::TENANT.into_iter().chain([Self::PlatformAdmin]);
        all.into_iter().find(|role| role.as_str() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}

/// The roles of one user: sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Whether `role` is among them.
    pub fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// What the roles allow together.
    pub fn permissions(&self) -> Permissions {
        self.0.iter().fold(Permissions::NONE, |all, role| all.union(role.permissions()))
    }

    /// The roles, in order.
    pub fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let mut roles: Vec<Role> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        Self(roles)
    }
}

impl<const N: usize> From<[Role; N]> for Roles {
    fn from(roles: [Role; N]) -> Self {
        roles.into_iter().collect()
    }
}

/// Names separated by commas, as the database keeps them.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Roles {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_has_every_permission_of_a_tenant_but_not_the_tenants() {
        assert!(!Role::Admin.permissions().contains(Permission::TenantManage));
        assert_eq!(Role::Admin.permissions().iter().count(), Permission::ALL.len() - 1);
    }

    #[test]
    fn a_viewer_reads_everything_but_the_ledger() {
        assert!(!Role::Viewer.permissions().contains(Permission::AuditRead));
        assert!(Role::Viewer.permissions().contains(Permission::UsageRead));
        assert!(Role::Viewer.permissions().iter().all(|permission| permission.as_str().ends_with(":read")));
    }

    #[test]
    fn each_role_finds_its_own_permissions() {
        for role in Role::TENANT.into_iter().chain([Role::PlatformAdmin]) {
            for permission in Permission::ALL {
                assert_eq!(role.permissions().contains(*permission), role.allows(*permission), "{role} {permission}");
            }
        }
    }

    #[test]
    fn roles_survive_their_text() {
        let roles = Roles::from([Role::Viewer, Role::Admin, Role::Viewer]);
        assert_eq!(roles.to_string(), "admin,viewer");
        assert_eq!(roles.to_string().parse(), Ok(roles));
        assert_eq!("".parse(), Ok(Roles::default()));
    }
}
