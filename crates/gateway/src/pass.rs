//! What lets one call go upstream.

use authz::{Action, Basis, Caller, Forbidden, Grant, Obligation, Permission};
use kernel::TenantId;
use store::{Attributed, Entry};

use crate::request::Limits;

/// Running an agent's published version.
#[derive(Debug)]
pub struct Invoke;

impl Action for Invoke {
    const NAME: &'static str = "gateway.call";
    const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
}

/// What everybody may do about a call of their own that a policy did not simply allow: ask for its approval, make it
/// once it has one, and be refused.
#[derive(Debug)]
pub(crate) struct Plead;

impl Action for Plead {
    const NAME: &'static str = "gateway.call.plead";
    const PERMISSION: Option<Permission> = None;
}

/// The permission to make one call: roles and policies give it, or somebody's approval where a policy wants that.
#[derive(Debug)]
pub(crate) enum Pass {
    Granted(Grant<Invoke>),
    Approved { grant: Grant<Plead>, basis: Option<Basis>, limits: Limits },
}

impl Pass {
    pub(crate) fn caller(&self) -> &Caller {
        match self {
            Self::Granted(grant) => grant.caller(),
            Self::Approved { grant, .. } => grant.caller(),
        }
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        self.caller().tenant()
    }

    /// The policy's rule that decided, where a policy speaks of such calls.
    pub(crate) fn basis(&self) -> Option<&Basis> {
        match self {
            Self::Granted(grant) => grant.basis(),
            Self::Approved { basis, .. } => basis.as_ref(),
        }
    }

    /// What the call must keep within.
    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Granted(grant) => Limits::of(grant.obligations()),
            Self::Approved { limits, .. } => *limits,
        }
    }

    /// An entry of the call.
    pub(crate) fn sign(&self, entry: Entry) -> Attributed {
        match self {
            Self::Granted(grant) => Attributed::new(grant, entry),
            Self::Approved { grant, .. } => Attributed::new(grant, entry),
        }
    }
}

/// Calling a tool that an answer asks for. Whoever may run an agent may let it call the tools that its published version
/// lists; policies may take that away.
#[derive(Debug)]
pub(crate) struct UseTool;

impl Action for UseTool {
    const NAME: &'static str = "gateway.tool";
    const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
    const ASKED: Option<Permission> = Some(Permission::ToolExecute);
}

/// A tool may be called, unless that needs what nobody here can do along with it.
pub(crate) fn without_obligations(grant: &Grant<UseTool>) -> Result<(), Forbidden> {
    let Some(obligation) = grant.obligations().first() else {
        return Ok(());
    };
    Err(unmet(obligation, grant.basis()))
}

fn unmet(obligation: &Obligation, basis: Option<&Basis>) -> Forbidden {
    refusal(format!("the obligation `{obligation}` cannot be met for a tool"), basis)
}

/// A tool is called although none was offered.
pub(crate) fn not_offered(basis: Option<&Basis>) -> Forbidden {
    refusal("the model is offered no tools".to_owned(), basis)
}

fn refusal(reason: String, basis: Option<&Basis>) -> Forbidden {
    Forbidden { action: UseTool::NAME, cause: authz::Cause::Policy { reason, basis: basis.cloned(), shadow: None } }
}
