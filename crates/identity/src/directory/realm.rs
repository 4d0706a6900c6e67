//! One tenant's share of the directory: its people, what they may do, and who else may speak for them.

use std::collections::HashMap;
use std::sync::Arc;

use authz::{Actor, ActorKind, Attributes, Guard, Makers, Permissions, Roles, Standing};
use kernel::{ProviderId, TenantId, UserId};

use crate::provider::Provider;
use crate::rules::RoleBook;
use crate::{Refusal, Settings};

/// A SHA-256 digest.
pub(crate) type Digest = [u8; 32];

/// What all users of a tenant have in common.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) tenant: TenantId,
    pub(crate) suspended: bool,
    pub(crate) guard: Option<Arc<dyn Guard>>,
    pub(crate) book: RoleBook,
}

/// A user as requests need it.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) realm: Arc<Realm>,
    pub(crate) user: UserId,
    pub(crate) kind: ActorKind,
    pub(crate) roles: Roles,
    pub(crate) allowed: Permissions,
    pub(crate) attributes: Arc<Attributes>,
    pub(crate) epoch: u64,
    pub(crate) active: bool,
}

/// Everything of one tenant but its keys.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) settings: Arc<Settings>,
    pub(crate) realm: Arc<Realm>,
    pub(crate) users: HashMap<UserId, Arc<Principal>>,
    pub(crate) providers: Vec<Arc<Provider>>,
    pub(crate) links: HashMap<(ProviderId, Digest), UserId>,
    /// Tokens that are refused before their time is over, and whose they must be to be meant; `None` for anybody's.
    pub(crate) revoked: HashMap<Digest, Option<UserId>>,
}

impl Realm {
    /// Those of `roles` that count here, and what they allow.
    pub(crate) fn effective(&self, roles: &Roles) -> (Roles, Permissions) {
        self.book.effective(&self.tenant, roles)
    }
}

impl Principal {
    /// Whether it may act at all.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.realm.suspended {
            return Err(Refusal::Suspended);
        }
        if !self.active {
            return Err(Refusal::Deactivated);
        }
        Ok(())
    }

    /// What makes it a caller: all that its roles give, by no credential yet.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            tenant: self.realm.tenant.clone(),
            actor: Actor::new(self.kind, self.user.as_str()),
            roles: self.roles.clone(),
            allowed: self.allowed,
            scopes: None,
            attributes: Arc::clone(&self.attributes),
            fresh: true,
            issued_by: Makers::default(),
            guard: self.realm.guard.clone(),
        }
    }

    /// Whom it belongs to, for the log.
    pub(crate) fn owner(&self) -> (TenantId, UserId) {
        (self.realm.tenant.clone(), self.user.clone())
    }
}
