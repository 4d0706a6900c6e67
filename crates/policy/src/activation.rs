//! Which version holds: at once, or when others have approved it.

use ::store::{Database, ReadTx, StoreError, WriteTx};
use approvals::{Authors, NewRequest, OpenError, Request, RequestType};
use authz::{Caller, Forbidden};
use kernel::{Moment, ReviewId};

use crate::compare::{Comparison, RolesOfTenant, compare};
use crate::model::{Activation, Detail, State, Version, digest};
use crate::rules::Rules;
use crate::source::Invalid;
use crate::versions::{Manage, active, roles};
use crate::{entries, store};

/// Why another version does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The caller may not manage policies.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}` of the policies")]
    NotFound(u64),
    /// Somebody changed what holds in between.
    #[error("what holds has changed since: its revision is {0}")]
    Stale(u64),
    /// It holds already.
    #[error("it is so already")]
    Already,
    /// No other version has held before.
    #[error("there is no version to roll back to")]
    NothingBefore,
    /// It waits for approval already.
    #[error("the request for approval `{0}` is pending")]
    Pending(ReviewId),
    /// The version was made for another schema, and cannot be used any more.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Lets a version decide: at once, or, where the tenant has set a workflow for it, when it is approved.
/// `expected` is the revision of the state that this was decided on.
pub fn activate(
    db: &Database,
    caller: &Caller,
    number: u64,
    expected: Option<u64>,
    at: &Moment<'_>,
) -> Result<Activation, ActivateError> {
    change(db, caller, expected, at, |_| Ok(Some(number)))
}

/// Lets roles alone decide again. This allows more, so it needs the same approval.
pub fn deactivate(
    db: &Database,
    caller: &Caller,
    expected: Option<u64>,
    at: &Moment<'_>,
) -> Result<Activation, ActivateError> {
    change(db, caller, expected, at, |_| Ok(None))
}

/// Lets the version decide that did before the present one. It needs the same approval.
pub fn rollback(
    db: &Database,
    caller: &Caller,
    expected: Option<u64>,
    at: &Moment<'_>,
) -> Result<Activation, ActivateError> {
    change(db, caller, expected, at, |state| state.previous.map(Some).ok_or(ActivateError::NothingBefore))
}

/// Tries a version beside the one that decides, or, with `None`, none.
pub fn set_shadow(
    db: &Database,
    caller: &Caller,
    number: Option<u64>,
    expected: Option<u64>,
) -> Result<State, ActivateError> {
    let grant = caller.authorize::<Manage>()?;
    let tried = db.read(&grant, |tx| number.map(|number| found(tx, number)).transpose())?;
    if let Some(detail) = &tried {
        Rules::read(&detail.source)?;
    }
    db.write(grant, |tx| {
        let state = current(tx, expected)?;
        if state.shadow == number {
            return Err(ActivateError::Already);
        }
        let state = state.shadowed(number);
        store::save_state(tx, &state)?;
        Ok((entries::shadow_set(tried.as_ref().map(|detail| &detail.version), &state), state))
    })
}

/// What a change starts from. It is read, and its policies are, before the change begins: nobody else could write while
/// policies are checked.
struct Start {
    state: State,
    active: Option<Detail>,
    chosen: Option<Detail>,
    roles: RolesOfTenant,
}

fn change(
    db: &Database,
    caller: &Caller,
    expected: Option<u64>,
    at: &Moment<'_>,
    choose: impl FnOnce(&State) -> Result<Option<u64>, ActivateError>,
) -> Result<Activation, ActivateError> {
    let grant = caller.authorize::<Manage>()?;
    let Start { state, active, chosen, roles } = db.read(&grant, |tx| {
        let state = current(tx, expected)?;
        let number = choose(&state)?;
        if state.active == number {
            return Err(ActivateError::Already);
        }
        let chosen = number.map(|number| found(tx, number)).transpose()?;
        Ok(Start { active: active(tx)?, chosen, roles: roles(tx)?, state })
    })?;
    let rules = chosen.as_ref().map(|detail| Rules::read(&detail.source)).transpose()?;
    let before = active.and_then(|detail| Rules::read(&detail.source).ok());
    let changes = compare(before.as_ref(), rules.as_ref(), &roles, at.now());
    let version = chosen.map(|detail| detail.version);
    db.write(grant, |tx| {
        let state = current(tx, Some(state.revision))?;
        if approvals::has_workflow(tx, RequestType::PolicyActivate)? {
            let new = wanted(caller, &state, version.as_ref(), &changes);
            let asked = approvals::open(tx, new, at)?;
            return Ok((entries::requested(version.as_ref(), &asked, &changes), Activation::Waiting(asked.id)));
        }
        let state = state.activated(version.as_ref().map(|version| version.number));
        store::save_state(tx, &state)?;
        Ok((entries::activated(version.as_ref(), &state, &changes), Activation::Done(state)))
    })
}

fn current(tx: &mut ReadTx<'_>, expected: Option<u64>) -> Result<State, ActivateError> {
    let state = store::state(tx)?;
    if expected.is_some_and(|expected| expected != state.revision) {
        return Err(ActivateError::Stale(state.revision));
    }
    Ok(state)
}

fn found(tx: &mut ReadTx<'_>, number: u64) -> Result<Detail, ActivateError> {
    store::version(tx, number)?.ok_or(ActivateError::NotFound(number))
}

/// What is to be approved: `version` in the place of what holds now.
fn wanted(caller: &Caller, state: &State, version: Option<&Version>, changes: &Comparison) -> NewRequest {
    let requester = caller.actor().id.clone();
    let authors = Authors::of(version.map_or(requester.as_str(), |version| version.created_by.as_str()));
    let title = match version {
        Some(version) => format!("Activate version {} of the policies", version.number),
        None => "Deactivate the policies".to_owned(),
    };
    let note = version.map_or("", |version| version.note.as_str());
    let place = Place { to: version.map(|version| version.number), from: state.active };
    NewRequest {
        kind: RequestType::PolicyActivate,
        resource_kind: "policy",
        resource_id: place.to_string(),
        about: String::new(),
        digest: content(version),
        title,
        description: format!("{note}\n{}", changes.summary()).trim().to_owned(),
        requester,
        authors,
    }
}

impl From<OpenError> for ActivateError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Pending(id) => Self::Pending(id),
            OpenError::Database(error) => Self::Database(error),
        }
    }
}

/// The digest of what would hold.
fn content(version: Option<&Version>) -> String {
    version.map_or_else(|| digest("", ""), |version| version.digest.clone())
}

/// Activates what a request asked for when it is approved. For [`approvals::Followers`]: it runs in the transaction of
/// the last decision, whose entry records it. If another version holds meanwhile than the one that the approvers were
/// told of, the decision is refused: cancel the request, and ask again.
pub fn follow_activation(tx: &mut WriteTx<'_>, request: &Request) -> Result<(), StoreError> {
    if request.status != approvals::Status::Approved {
        return Ok(());
    }
    let conflict = |text: &str| StoreError::Conflict(text.to_owned());
    let place: Place = request.resource_id.parse()?;
    let state = store::state(tx)?;
    if state.active != place.from {
        return Err(conflict("other policies hold than those that this was compared with: cancel it and ask again"));
    }
    let version = match place.to {
        Some(number) => Some(store::version(tx, number)?.ok_or(StoreError::Decode("the number of a version"))?),
        None => None,
    };
    if content(version.as_ref().map(|detail| &detail.version)) != request.digest {
        return Err(conflict("the version is not the one that was asked for"));
    }
    let now = request.decided_at.unwrap_or(request.created_at);
    let used = approvals::consume(tx, &request.resource_id, &request.digest, now)?;
    if used.is_none_or(|approval| *approval.request() != request.id) {
        return Err(conflict("too few of those who approved it may still approve"));
    }
    store::save_state(tx, &state.activated(place.to))
}

/// What a request is about: one version in the place of another.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    to: Option<u64>,
    from: Option<u64>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pol_{}_for_{}", self.to.unwrap_or(0), self.from.unwrap_or(0))
    }
}

impl std::str::FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let read = |number: &str| number.parse().ok().map(|number: u64| (number > 0).then_some(number));
        let parts = text.strip_prefix("pol_").and_then(|rest| rest.split_once("_for_"));
        let place = parts.and_then(|(to, from)| Some(Self { to: read(to)?, from: read(from)? }));
        place.ok_or(StoreError::Decode("the policies that a request is about"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_is_about_survives_its_text() {
        for place in [Place { to: Some(3), from: None }, Place { to: None, from: Some(3) }] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        assert!("ver_1".parse::<Place>().is_err());
    }
}
