//! Where a server stands, and which edition it is.

/// Where the metadata of RFC 9728 is.
pub(crate) const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Where a server stands in its network.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address that people and programs find it at: scheme, host and port.
    pub public_url: String,
    /// The proxies that are believed about where a request comes from.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// How far identity providers may be away.
    pub provider_reach: outbound::Reach,
}

/// Which edition of Taskforce is active. Both are free; the profile decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// One tenant, reached from the same machine only, by keys.
    Community,
    /// Tenants, people and their roles, sign-in, directories, policies.
    Enterprise,
}

impl Edition {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Community => "community",
            Self::Enterprise => "enterprise",
        }
    }
}
