//! The system roles of the specification (part 1, "System Roles").

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

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

/// The name of a role that a tenant defines for itself: 2 to 64 lower-case letters, digits, `_`, `-`, starting with a
/// letter, and none of the system's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomRole(Arc<str>);

/// A text that cannot name a role of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomRoleError {
    /// It has another form.
    #[error(
        "`{0}` is not the name of a role: expected 2 to 64 lower-case letters, digits, `_` and `-`, starting with a letter"
    )]
    Form(String),
    /// It is taken, in every tenant.
    #[error("`{0}` is a role of the system")]
    System(Role),
}

impl CustomRole {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CustomRole {
    type Err = CustomRoleError;

    fn from_str(text: &str) -> Result<Self, CustomRoleError> {
        if let Ok(role) = text.parse() {
            return Err(CustomRoleError::System(role));
        }
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        let good = (2..=64).contains(&text.len())
            && text.bytes().all(plain)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if good { Ok(Self(text.into())) } else { Err(CustomRoleError::Form(text.to_owned())) }
    }
}

/// A role by name: one of the system's, or one of the tenant's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleName {
    /// A role that every tenant has.
    System(Role),
    /// A role that the tenant has defined. What it allows, only the tenant's rows say.
    Custom(CustomRole),
}

impl RoleName {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System(role) => role.as_str(),
            Self::Custom(role) => role.as_str(),
        }
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self::System(role)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RoleName {
    type Err = CustomRoleError;

    fn from_str(text: &str) -> Result<Self, CustomRoleError> {
        match text.parse() {
            Ok(role) => Ok(Self::System(role)),
            Err(RoleError(_)) => text.parse().map(Self::Custom),
        }
    }
}

/// The roles of one user: sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(Vec<RoleName>);

impl Roles {
    /// Whether the system's `role` is among them.
    pub fn contains(&self, role: Role) -> bool {
        self.has(&RoleName::System(role))
    }

    /// Whether `role` is among them.
    pub fn has(&self, role: &RoleName) -> bool {
        self.0.contains(role)
    }

    /// What the system's roles among them allow together. What a tenant's own roles allow, only its rows say.
    pub fn system_permissions(&self) -> Permissions {
        self.system().fold(Permissions::NONE, |all, role| all.union(role.permissions()))
    }

    /// The roles, in order.
    pub fn iter(&self) -> impl Iterator<Item = &RoleName> {
        self.0.iter()
    }

    /// The system's roles among them.
    pub fn system(&self) -> impl Iterator<Item = Role> {
        self.0.iter().filter_map(|role| match role {
            RoleName::System(role) => Some(*role),
            RoleName::Custom(_) => None,
        })
    }

    /// The tenant's own roles among them.
    pub fn custom(&self) -> impl Iterator<Item = &CustomRole> {
        self.0.iter().filter_map(|role| match role {
            RoleName::System(_) => None,
            RoleName::Custom(role) => Some(role),
        })
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).cloned().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<RoleName> for Roles {
    fn from_iter<I: IntoIterator<Item = RoleName>>(roles: I) -> Self {
        let mut roles: Vec<RoleName> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        Self(roles)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().map(RoleName::System).collect()
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
        let names: Vec<&str> = self.0.iter().map(RoleName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Roles {
    type Err = CustomRoleError;

    fn from_str(text: &str) -> Result<Self, CustomRoleError> {
        text.split(',').filter(|name| !name.is_empty()).map(str::parse::<RoleName>).collect()
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
        let mixed: Roles = "release-manager,admin".parse().unwrap();
        assert_eq!(mixed.to_string(), "admin,release-manager");
        assert!(mixed.contains(Role::Admin) && mixed.custom().count() == 1);
    }

    #[test]
    fn a_tenants_own_role_cannot_pass_for_one_of_the_systems() {
        assert_eq!("admin".parse::<CustomRole>(), Err(CustomRoleError::System(Role::Admin)));
        for bad in ["", "a", "Admin", "аdmin", "1st", "a,b", "a b", "ad\u{200b}min", &"a".repeat(65)] {
            assert!(bad.parse::<CustomRole>().is_err(), "{bad:?}");
        }
    }
}
