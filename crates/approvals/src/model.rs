//! Requests for approval, the rule they are decided by, and what was decided.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use authz::{Permission, Role, Roles};
use kernel::{Cursor, PageSize, ReviewId, Text, Timestamp, WorkflowId};

/// A text that names no value of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {list} is named `{text}`")]
pub struct UnknownName {
    /// What was asked for.
    pub list: &'static str,
    /// What was given.
    pub text: String,
}

macro_rules! names {
    ($list:literal, $type:ident, $($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                let unknown = || UnknownName { list: $list, text: text.to_owned() };
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(unknown)
            }
        }
    };
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestType {
    /// To let a version of an agent run.
    AgentPublish,
    /// To make one call that a policy wants approved: exactly this one, once.
    AgentCall,
    /// To let other policies hold. Asked for only where the tenant has set a workflow for it.
    PolicyActivate,
}

names! { "type of request", RequestType,
    AgentPublish = "agent_publish", AgentCall = "agent_call", PolicyActivate = "policy_activate",
}

impl RequestType {
    /// The permission that deciding on such a request needs. That for policies is one that no policy governs, so that
    /// policies which refuse every approval can still be replaced.
    pub const fn approver(self) -> Permission {
        match self {
            Self::AgentPublish | Self::AgentCall => Permission::AgentApprove,
            Self::PolicyActivate => Permission::PolicyManage,
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Waiting for decisions.
    Pending,
    /// As many approved as had to.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Taken back.
    Cancelled,
    /// Not decided in time.
    Expired,
}

names! { "status", Status,
    Pending = "pending", Approved = "approved", Rejected = "rejected", Cancelled = "cancelled", Expired = "expired",
}

/// What one person says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No, which ends the request.
    Reject,
}

names! { "verdict", Verdict, Approve = "approve", Reject = "reject", }

/// How many must approve, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    required: u32,
    roles: Roles,
}

/// Why a rule would approve nothing, or anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowInvalid {
    /// Nobody, or more people than an organization can bring together.
    #[error("`required_approvers` must be between 1 and 20")]
    Required,
    /// Nobody could approve.
    #[error("`approver_roles` must not be empty")]
    NoRoles,
    /// The role's holders lack the permission to approve.
    #[error("the role `{0}` in `approver_roles` does not give the permission `{1}`")]
    CannotApprove(Role, Permission),
    /// At once, or after more than a year.
    #[error("`expire_hours` must be between 1 and 8760")]
    ExpireHours,
}

impl Quorum {
    /// So many approvals by holders of `roles`.
    pub fn new(required: u32, roles: Roles) -> Result<Self, WorkflowInvalid> {
        if !(1..=20).contains(&required) {
            return Err(WorkflowInvalid::Required);
        }
        if roles.is_empty() {
            return Err(WorkflowInvalid::NoRoles);
        }
        let quorum = Self { required, roles };
        quorum.fits(Permission::AgentApprove)?;
        Ok(quorum)
    }

    /// Whether each of the system's roles gives `permission`.
    pub(crate) fn fits(&self, permission: Permission) -> Result<(), WorkflowInvalid> {
        let misfit = self.roles.system().find(|role| !role.permissions().contains(permission));
        misfit.map_or(Ok(()), |role| Err(WorkflowInvalid::CannotApprove(role, permission)))
    }

    /// How many must approve.
    pub const fn required(&self) -> u32 {
        self.required
    }

    /// Who may: whoever has one of these roles.
    pub const fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Whether somebody with `roles` may decide.
    pub fn admits(&self, roles: &Roles) -> bool {
        roles.iter().any(|role| self.roles.has(role))
    }
}

/// How long a request waits before it expires: 1 hour to a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpireHours(u32);

impl ExpireHours {
    /// So many hours.
    pub fn new(hours: u32) -> Result<Self, WorkflowInvalid> {
        if (1..=8_760).contains(&hours) { Ok(Self(hours)) } else { Err(WorkflowInvalid::ExpireHours) }
    }

    /// In hours.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// When a request made at `created` expires.
    pub(crate) fn after(self, created: Timestamp) -> Timestamp {
        created.plus_seconds(i64::from(self.0) * 3_600)
    }
}

/// The rule for one type of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// Its id; `None` for the rule that holds where a tenant has set none.
    pub id: Option<WorkflowId>,
    /// Which requests it is for.
    pub kind: RequestType,
    /// What people call it.
    pub name: String,
    /// How many must approve, and who may.
    pub quorum: Quorum,
    /// How long a request waits.
    pub expire_hours: ExpireHours,
    /// Raised with each change; 0 for the rule that holds where none is set.
    pub revision: u64,
}

impl Workflow {
    /// What holds where a tenant has set nothing: one approval within 48 hours, by an admin, or, where it is about
    /// agents, by an agent designer.
    pub fn default_for(kind: RequestType) -> Self {
        let roles = [Role::Admin, Role::AgentDesigner].into_iter();
        let roles = roles.filter(|role| role.permissions().contains(kind.approver())).collect();
        Self {
            id: None,
            kind,
            name: "Default".to_owned(),
            quorum: Quorum { required: 1, roles },
            expire_hours: ExpireHours(48),
            revision: 0,
        }
    }
}

/// A rule to be set.
#[derive(Clone, Debug)]
pub struct WorkflowIn {
    /// What people call it.
    pub name: Text<128>,
    /// How many must approve, and who may.
    pub quorum: Quorum,
    /// How long a request waits.
    pub expire_hours: ExpireHours,
    /// The revision that the change was made from; `None` to overwrite any. The default rule has revision 0.
    pub expected_revision: Option<u64>,
}

/// The people and services whose work a thing is, by id: none of them may approve it.
///
/// There are at most [`Authors::MAX`] of them, so that the database can hold every decision against the whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authors(BTreeSet<String>);

impl Authors {
    /// How many authors one thing may have.
    pub const MAX: usize = 48;

    /// One author.
    pub fn of(id: impl Into<String>) -> Self {
        Self([id.into()].into())
    }

    /// The same authors and one more; `None` if there would be too many.
    #[must_use]
    pub fn and(&self, id: &str) -> Option<Self> {
        let mut all = self.0.clone();
        all.insert(id.to_owned());
        if all.len() > Self::MAX { None } else { Some(Self(all)) }
    }

    /// Whether `id` is one of them.
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Ids separated by commas, as the database keeps them.
impl fmt::Display for Authors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.iter().collect();
        f.write_str(&ids.join(","))
    }
}

impl FromStr for Authors {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.split(',').map(str::to_owned).collect()))
    }
}

/// What is to be approved.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// What is asked for.
    pub kind: RequestType,
    /// The kind of thing: `version`.
    pub resource_kind: &'static str,
    /// Its id.
    pub resource_id: String,
    /// The id that policies know it by: a version's agent.
    pub about: String,
    /// The digest of its content: an approval is an approval of exactly this.
    pub digest: String,
    /// One line for the approver.
    pub title: String,
    /// What the approver should know.
    pub description: String,
    /// Who asks.
    pub requester: String,
    /// Whose work it is.
    pub authors: Authors,
}

/// A request for approval. The rule that decides it is the one that held when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: ReviewId,
    /// What is asked for.
    pub kind: RequestType,
    /// The kind of thing: `version`.
    pub resource_kind: String,
    /// Its id.
    pub resource_id: String,
    /// The id that policies know it by: a version's agent.
    pub about: String,
    /// The digest of its content.
    pub digest: String,
    /// One line for the approver.
    pub title: String,
    /// What the approver should know.
    pub description: String,
    /// Who asks. May not decide.
    pub requester: String,
    /// Whose work it is. None of them may decide.
    pub authors: Authors,
    /// The workflow it follows; `None` for the default.
    pub workflow: Option<WorkflowId>,
    /// The workflow's revision when the request was made.
    pub workflow_revision: u64,
    /// How many must approve, and who may.
    pub quorum: Quorum,
    /// How far it has come, at the moment of reading.
    pub status: Status,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires unless decided.
    pub expires_at: Timestamp,
    /// When it came to its end.
    pub decided_at: Option<Timestamp>,
    /// Raised with each change.
    pub revision: u64,
    /// What was decided, in order; one decision of each person.
    pub decisions: Vec<Decided>,
}

impl Request {
    /// How many have approved.
    pub fn approvals(&self) -> usize {
        self.decisions.iter().filter(|decided| decided.verdict == Verdict::Approve).count()
    }
}

/// What one person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Who.
    pub user: String,
    /// What.
    pub verdict: Verdict,
    /// Why, in their words; may be empty.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// A decision to be made.
#[derive(Clone, Debug)]
pub struct Decision {
    /// On which request.
    pub request: ReviewId,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub comment: Option<Text<2_000>>,
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only those that have come this far.
    pub status: Option<Status>,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// How many at most.
    pub size: PageSize,
}

/// A request, as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The request.
    pub request: Request,
    /// Whether the caller may decide on it now.
    pub may_decide: bool,
}

/// Proof that a thing, by id and digest, was approved by as many people as had to, who may still approve. Only
/// [`granted`](crate::granted), [`usable`](crate::usable) and [`consume`](crate::consume) make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub(crate) request: ReviewId,
    pub(crate) resource_id: String,
    pub(crate) digest: String,
    pub(crate) approvers: Vec<String>,
}

impl Approval {
    /// The request that was approved.
    pub const fn request(&self) -> &ReviewId {
        &self.request
    }

    /// Who approved, by id.
    pub fn approvers(&self) -> &[String] {
        &self.approvers
    }

    /// Whether it is an approval of exactly this content of this thing.
    pub fn covers(&self, resource_id: &str, digest: &str) -> bool {
        self.resource_id == resource_id && self.digest == digest
    }
}

store::text_values!(RequestType, Status, Verdict, Authors);
