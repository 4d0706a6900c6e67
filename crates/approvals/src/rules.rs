//! Who may decide, and what follows from it. Pure.

use std::collections::BTreeSet;

use authz::{ActorKind, Permissions, Roles};
use kernel::Timestamp;

use crate::{Approval, Decided, Quorum, Request, Status, Verdict};

/// Why somebody may not decide on a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It came to its end before.
    #[error("the request is `{0}` and no longer pending")]
    NotPending(Status),
    /// Its time is over.
    #[error("the request expired at {0}")]
    Expired(Timestamp),
    /// Services, and Taskforce itself, approve nothing.
    #[error("only a person may decide on a request")]
    NotAPerson,
    /// The person was deactivated, or was never there.
    #[error("the person is not active in this tenant")]
    NotActive,
    /// They asked for it, or who did has made the credential that they come with.
    #[error("nobody decides on their own request, or with a credential that its requester made")]
    OwnRequest,
    /// They wrote it, or a part of it; or who did has made the credential that they come with.
    #[error("nobody decides on their own work, or with a credential that its author made")]
    OwnWork,
    /// They decided on it before, with whatever key or session.
    #[error("the person, or who made the credential that they come with, has decided on this request already")]
    AlreadyDecided,
    /// None of the person's roles is among those asked for.
    #[error("deciding needs one of the roles `{0}`")]
    WrongRole(Roles),
}

/// Somebody, as the tenant knows them at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) kind: ActorKind,
    pub(crate) active: bool,
    pub(crate) roles: Roles,
    /// What the roles allow together.
    pub(crate) allowed: Permissions,
    /// Who else has had the credential that they come with: it could as well be those who decide.
    pub(crate) hands: BTreeSet<String>,
}

impl Person {
    /// Whether `id` may be who decides.
    fn may_be(&self, id: &str) -> bool {
        self.id == id || self.hands.contains(id)
    }

    /// Whether they may approve `request`, if somebody else made it.
    fn counts(&self, request: &Request) -> bool {
        self.kind == ActorKind::User
            && self.active
            && request.quorum.admits(&self.roles)
            && self.allowed.contains(request.kind.approver())
    }
}

/// How far a request has come at `now`: what is pending beyond its time has expired.
pub(crate) fn status_at(stored: Status, expires_at: Timestamp, now: Timestamp) -> Status {
    if stored == Status::Pending && expires_at <= now { Status::Expired } else { stored }
}

/// Whether `person` may decide on `request` at `now`.
pub(crate) fn may_decide(request: &Request, person: &Person, now: Timestamp) -> Result<(), Refusal> {
    match status_at(request.status, request.expires_at, now) {
        Status::Pending => {}
        Status::Expired => return Err(Refusal::Expired(request.expires_at)),
        ended @ (Status::Approved | Status::Rejected | Status::Cancelled) => return Err(Refusal::NotPending(ended)),
    }
    if person.kind != ActorKind::User {
        return Err(Refusal::NotAPerson);
    }
    if person.may_be(&request.requester) {
        return Err(Refusal::OwnRequest);
    }
    if request.authors.iter().any(|author| person.may_be(author)) {
        return Err(Refusal::OwnWork);
    }
    if request.decisions.iter().any(|decided| person.may_be(&decided.user)) {
        return Err(Refusal::AlreadyDecided);
    }
    if !person.active {
        return Err(Refusal::NotActive);
    }
    if !person.counts(request) {
        return Err(Refusal::WrongRole(request.quorum.roles().clone()));
    }
    Ok(())
}

/// The request after `decided`: one rejection ends it, the last approval that it needs grants it.
pub(crate) fn decide(request: Request, decided: Decided) -> Request {
    let at = decided.at;
    let verdict = decided.verdict;
    let mut request = request;
    request.decisions.push(decided);
    request.revision += 1;
    match verdict {
        Verdict::Reject => end(request, Status::Rejected, at),
        Verdict::Approve if request.approvals() >= needed(&request.quorum) => end(request, Status::Approved, at),
        Verdict::Approve => request,
    }
}

/// The request, come to its end.
pub(crate) fn end(request: Request, status: Status, at: Timestamp) -> Request {
    Request { status, decided_at: Some(at), ..request }
}

/// The proof that `request` stands: approved, undisputed, and still backed by as many distinct people as it needs, of
/// whom `people` says what they are now.
pub(crate) fn standing(request: &Request, people: &[Person]) -> Option<Approval> {
    let disputed = request.decisions.iter().any(|decided| decided.verdict == Verdict::Reject);
    if request.status != Status::Approved || disputed {
        return None;
    }
    let approved = request.decisions.iter().filter(|decided| decided.verdict == Verdict::Approve);
    let approvers: BTreeSet<&str> = approved
        .map(|decided| decided.user.as_str())
        .filter(|user| *user != request.requester && !request.authors.contains(user))
        .filter(|user| people.iter().any(|person| person.id == **user && person.counts(request)))
        .collect();
    (approvers.len() >= needed(&request.quorum)).then(|| Approval {
        request: request.id.clone(),
        resource_id: request.resource_id.clone(),
        digest: request.digest.clone(),
        approvers: approvers.into_iter().map(str::to_owned).collect(),
    })
}

fn needed(quorum: &Quorum) -> usize {
    usize::try_from(quorum.required()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
