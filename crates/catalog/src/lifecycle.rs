//! The life of a version. Pure: statuses and steps, and no step skips a status.

use std::fmt;
use std::str::FromStr;

use approvals::Approval;

use crate::Version;

/// How far a version has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Being written.
    Draft,
    /// Frozen, and waiting for approval.
    PendingApproval,
    /// Approved, and not yet running.
    Approved,
    /// Running: the only one of its agent.
    Published,
    /// Replaced or stopped. It may run again while its approval stands.
    Deprecated,
    /// Over.
    Archived,
}

impl Status {
    /// Every status, in order.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::PendingApproval, Self::Approved, Self::Published, Self::Deprecated, Self::Archived];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::PendingApproval => "pending_approval",
            Self::Approved => "approved",
            Self::Published => "published",
            Self::Deprecated => "deprecated",
            Self::Archived => "archived",
        }
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no status of a version is named `{0}`")]
pub struct StatusError(String);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| StatusError(text.to_owned()))
    }
}

store::text_values!(Status);

/// What can happen to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its content changes.
    Edit,
    /// Its author asks for approval; for an approved version, anew.
    Submit,
    /// The request is approved.
    Approve,
    /// The request is rejected, cancelled, or expires.
    SendBack,
    /// It runs.
    Publish,
    /// It is replaced or stopped.
    Deprecate,
    /// It is put away.
    Archive,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edit => "changed",
            Self::Submit => "submitted",
            Self::Approve => "approved",
            Self::SendBack => "sent back",
            Self::Publish => "published",
            Self::Deprecate => "deprecated",
            Self::Archive => "archived",
        })
    }
}

/// The version is not where the step starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version that is `{status}` cannot be {step}")]
pub struct WrongStatus {
    /// Where it is.
    pub status: Status,
    /// What was asked.
    pub step: Step,
}

/// Where `step` leads from `status`. Publishing needs a proof besides: see [`publish`].
pub(crate) const fn next(status: Status, step: Step) -> Result<Status, WrongStatus> {
    match (status, step) {
        (Status::Draft, Step::Edit) | (Status::PendingApproval, Step::SendBack) => Ok(Status::Draft),
        (Status::Draft | Status::Approved, Step::Submit) => Ok(Status::PendingApproval),
        (Status::PendingApproval, Step::Approve) => Ok(Status::Approved),
        (Status::Approved | Status::Deprecated, Step::Publish) => Ok(Status::Published),
        (Status::Published, Step::Deprecate) => Ok(Status::Deprecated),
        (Status::Deprecated, Step::Archive) => Ok(Status::Archived),
        (
            Status::Draft
            | Status::PendingApproval
            | Status::Approved
            | Status::Published
            | Status::Deprecated
            | Status::Archived,
            Step::Edit
            | Step::Submit
            | Step::Approve
            | Step::SendBack
            | Step::Publish
            | Step::Deprecate
            | Step::Archive,
        ) => Err(WrongStatus { status, step }),
    }
}

/// Why a version does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unpublishable {
    #[error(transparent)]
    WrongStatus(#[from] WrongStatus),
    #[error("there is no standing approval of this content")]
    NotApproved,
}

/// Where publishing leads, given the approval of exactly this content of exactly this version, by the request that it
/// was last submitted with.
pub(crate) fn publish(version: &Version, approval: Option<Approval>) -> Result<(Status, Approval), Unpublishable> {
    let published = next(version.status, Step::Publish)?;
    let approval = approval.ok_or(Unpublishable::NotApproved)?;
    let last = version.review.as_ref() == Some(approval.request());
    if last && approval.covers(version.id.as_str(), &version.digest) {
        Ok((published, approval))
    } else {
        Err(Unpublishable::NotApproved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const STEPS: [Step; 7] =
        [Step::Edit, Step::Submit, Step::Approve, Step::SendBack, Step::Publish, Step::Deprecate, Step::Archive];

    /// A version and what is known of it: whether what it holds now was ever approved, and whether it ever ran.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct Known {
        status: Status,
        approved: bool,
        ran: bool,
    }

    const START: Known = Known { status: Status::Draft, approved: false, ran: false };

    fn after(known: Known, step: Step) -> Option<Known> {
        let status = next(known.status, step).ok()?;
        let approved = (known.approved || step == Step::Approve) && !matches!(step, Step::Edit | Step::SendBack);
        Some(Known { status, approved, ran: known.ran || status == Status::Published })
    }

    #[test]
    fn no_sequence_of_steps_runs_what_was_not_approved_or_changes_what_ran() {
        let mut seen = HashSet::from([START]);
        let mut open = vec![START];
        while let Some(known) = open.pop() {
            for next in STEPS.into_iter().filter_map(|step| after(known, step)) {
                assert!(next.status != Status::Published || next.approved, "{known:?} -> {next:?}");
                assert!(!(next.ran && next.status < Status::Published), "{known:?} -> {next:?}");
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        let reached: HashSet<Status> = seen.into_iter().map(|known| known.status).collect();
        assert_eq!(reached.len(), Status::ALL.len());
    }

    #[test]
    fn no_step_forward_skips_a_status() {
        let place = |status| Status::ALL.iter().position(|known| *known == status).unwrap();
        for status in Status::ALL {
            for step in STEPS {
                if let Ok(reached) = next(status, step) {
                    assert!(place(reached) <= place(status) + 1, "{status} {step}");
                }
            }
        }
    }

    #[test]
    fn the_table_of_steps_is_exactly_this() {
        let mut lines = Vec::new();
        for status in Status::ALL {
            for step in STEPS {
                if let Ok(reached) = next(status, step) {
                    lines.push(format!("{status} {step}: {reached}"));
                }
            }
        }
        assert_eq!(
            lines,
            [
                "draft changed: draft",
                "draft submitted: pending_approval",
                "pending_approval approved: approved",
                "pending_approval sent back: draft",
                "approved submitted: pending_approval",
                "approved published: published",
                "published deprecated: deprecated",
                "deprecated published: published",
                "deprecated archived: archived",
            ]
        );
    }

    proptest! {
        #[test]
        fn random_steps_reach_published_through_approval_only(steps in proptest::collection::vec(0..7_usize, 0..64)) {
            let mut known = START;
            let mut passed = Vec::new();
            for step in steps.into_iter().map(|at| STEPS[at]) {
                if let Some(next) = after(known, step) {
                    known = next;
                    passed.push(next.status);
                }
                prop_assert!(known.status != Status::Published || known.approved);
            }
            let first = |status| passed.iter().position(|known| *known == status);
            if let Some(published) = first(Status::Published) {
                prop_assert!(first(Status::PendingApproval) < first(Status::Approved));
                prop_assert!(first(Status::Approved) < Some(published));
            }
        }
    }
}
