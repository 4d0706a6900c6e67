//! What is switched on, and who is there from the first moment.

use authz::Request;
use identity::{Directory, IssuedKey, NewTenant, Settings as TenantSettings};
use kernel::{TenantId, Text};
use store::Database;

use crate::config::Settings;
use crate::failure::Failure;

/// The only tenant where tenants are not switched on.
const DEFAULT_TENANT: &str = "default";

/// Whether this program was built with the enterprise edition (the feature `enterprise`, which is on by default).
pub(crate) const COMPILED: bool = cfg!(feature = "enterprise");

/// Which parts of Taskforce are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edition {
    /// The profile has no `enterprise` section: one tenant, on loopback only.
    Community,
    /// The profile has one.
    Enterprise { multi_tenant: bool },
}

impl Edition {
    pub(crate) fn of(settings: &Settings) -> Self {
        match settings.profile.enterprise().filter(|_| COMPILED) {
            Some(enterprise) => Self::Enterprise { multi_tenant: enterprise.multi_tenant },
            None => Self::Community,
        }
    }

    /// The same, as the server tells it.
    pub(crate) const fn kind(self) -> api::Edition {
        match self {
            Self::Community => api::Edition::Community,
            Self::Enterprise { .. } => api::Edition::Enterprise,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.kind().as_str()
    }

    /// The parts of the enterprise edition that are active.
    pub(crate) fn parts(self) -> Vec<String> {
        let parts: &[&str] = match self {
            Self::Community => &[],
            Self::Enterprise { multi_tenant: false } => &["encryption", "rbac", "policies", "sign_in", "audit"],
            Self::Enterprise { multi_tenant: true } => {
                &["multi_tenant", "encryption", "rbac", "policies", "sign_in", "audit"]
            }
        };
        parts.iter().map(ToString::to_string).collect()
    }

    pub(crate) const fn is_multi_tenant(self) -> bool {
        matches!(self, Self::Enterprise { multi_tenant: true })
    }
}

/// The key of the first administrator: of the platform, or of the only tenant. `None` when there is one already.
pub(crate) fn first_key(settings: &Settings, db: &Database) -> Result<Option<IssuedKey>, Failure> {
    let at = db.moment();
    let platform = identity::bootstrap(db, &at)?;
    if Edition::of(settings).is_multi_tenant() {
        return Ok(platform);
    }
    let tenant: TenantId = DEFAULT_TENANT.parse()?;
    let directory = Directory::load(db, identity::unguarded())?;
    if directory.tenant_settings(&tenant).is_some() {
        return Ok(None);
    }
    let platform = match platform {
        Some(issued) => issued,
        None => identity::issue_local_key(db, &TenantId::system(), &"platform".parse()?, None, &at)?,
    };
    directory.refresh(db, &TenantId::system())?;
    let platform = directory.authenticate(platform.secret.expose(), None, Request::made(&at), at.now())?.caller;
    let name = Text::new("Default")?;
    let new = NewTenant { id: tenant, name, settings: TenantSettings::default(), admin: "admin".parse()? };
    Ok(Some(identity::create_tenant(db, &platform, new, &usage::open_monthly, &at)?.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ENTERPRISE, Places};
    use crate::environment::Environment;

    #[test]
    fn the_edition_is_what_the_profile_says_and_the_build_has() {
        let dir = tempfile::tempdir().unwrap();
        let read = || Settings::read(&Places { profile: None, data: Some(dir.path().into()) }, &Environment::default());
        assert_eq!(Edition::of(&read().unwrap()), Edition::Community);
        std::fs::write(dir.path().join("taskforce.yaml"), ENTERPRISE).unwrap();
        let has = Edition::of(&read().unwrap()) == Edition::Enterprise { multi_tenant: true };
        assert_eq!(has, COMPILED);
    }
}
