//! Why somebody who wanted to sign in was turned away.

use kernel::{ProviderId, TenantId, UserId};

use crate::SignInMethod;

/// Why somebody was not let in. For the ledger, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No active tenant has that id.
    #[error("no such tenant")]
    NoTenant,
    /// The tenant may not act.
    #[error("the tenant is suspended")]
    Suspended,
    /// The tenant has no such user.
    #[error("no such user")]
    NoUser,
    /// The user has no password.
    #[error("the user has no password")]
    NoPassword,
    /// The password is another.
    #[error("the password is wrong")]
    WrongPassword,
    /// The user may not act.
    #[error("the user is deactivated")]
    Deactivated,
    /// Something that decided about it changed while they signed in.
    #[error("it was changed meanwhile")]
    Changed,
    /// It was tried too often.
    #[error("too many failed attempts")]
    Throttled,
    /// The provider is not registered, or is disabled.
    #[error("no such provider")]
    NoProvider,
    /// What the provider says is about another issuer, client or tenant.
    #[error("the provider speaks of another tenant")]
    OtherTenant,
    /// The provider's subject is nobody's, and the provider makes nobody.
    #[error("the subject is linked to no user")]
    Unlinked,
    /// The flow itself failed: its state, its code, its tokens.
    #[error("the sign-in at the provider failed")]
    Flow,
}

impl Cause {
    /// A short name of the cause, one of a fixed list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTenant => "no_tenant",
            Self::Suspended => "suspended",
            Self::NoUser => "no_user",
            Self::NoPassword => "no_password",
            Self::WrongPassword => "wrong_password",
            Self::Deactivated => "deactivated",
            Self::Changed => "changed",
            Self::Throttled => "throttled",
            Self::NoProvider => "no_provider",
            Self::OtherTenant => "other_tenant",
            Self::Unlinked => "unlinked",
            Self::Flow => "flow",
        }
    }
}

/// Somebody who was turned away.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where they wanted to sign in.
    pub tenant: TenantId,
    /// Who they said they are, if that is somebody.
    pub user: Option<UserId>,
    /// How they tried.
    pub method: SignInMethod,
    /// With which provider, if with one.
    pub provider: Option<ProviderId>,
    /// Why they were turned away.
    pub cause: Cause,
}
