//! Use cases about versions.

use approvals::{Authors, NewRequest, Request, RequestType};
use authz::{Action, Caller, Forbidden, Grant, Permission};
use kernel::{AgentId, Moment, Page, ReviewId, Timestamp, VersionId};
use store::{Database, ReadTx, StoreError, WriteTx};

use crate::agents::{ReadAgents, ReadError};
use crate::diff::{Diff, diff};
use crate::lifecycle::{self, Status, Step, Unpublishable, WrongStatus};
use crate::model::{Detail, NewVersion, Number, Published, Version, VersionListing, VersionPatch};
use crate::store as rows;
use crate::{Definition, entries};

/// Creating versions.
#[derive(Debug)]
pub struct CreateVersion;

impl Action for CreateVersion {
    const NAME: &'static str = "catalog.version.create";
    const PERMISSION: Option<Permission> = Some(Permission::AgentCreate);
}

/// Changing drafts.
#[derive(Debug)]
pub struct UpdateVersion;

impl Action for UpdateVersion {
    const NAME: &'static str = "catalog.version.update";
    const PERMISSION: Option<Permission> = Some(Permission::AgentUpdate);
}

/// Asking for a version's approval.
#[derive(Debug)]
pub struct Submit;

impl Action for Submit {
    const NAME: &'static str = "catalog.version.submit";
    const PERMISSION: Option<Permission> = Some(Permission::AgentUpdate);
}

/// Letting an approved version run.
#[derive(Debug)]
pub struct Publish;

impl Action for Publish {
    const NAME: &'static str = "catalog.version.publish";
    const PERMISSION: Option<Permission> = Some(Permission::AgentPublish);
}

/// Stopping versions and putting them away.
#[derive(Debug)]
pub struct Retire;

impl Action for Retire {
    const NAME: &'static str = "catalog.version.retire";
    const PERMISSION: Option<Permission> = Some(Permission::AgentDelete);
}

/// Why a version was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateVersionError {
    /// The caller may not create versions.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such agent in this tenant.
    #[error("there is no agent `{0}`")]
    AgentNotFound(AgentId),
    /// The number is not after every number that the agent has.
    #[error("the number must be greater than `{0}`, the agent's latest")]
    NotGreater(Number),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates a draft.
pub fn create_version(
    db: &Database,
    caller: &Caller,
    agent: &AgentId,
    new: NewVersion,
    at: &Moment<'_>,
) -> Result<Version, CreateVersionError> {
    let grant = caller.authorize_on::<CreateVersion>(agent.as_str())?;
    db.write(grant, |tx| {
        rows::agent(tx, agent)?.ok_or_else(|| CreateVersionError::AgentNotFound(agent.clone()))?;
        let NewVersion { number, definition, changelog } = new;
        if let Some(latest) = latest(rows::numbers(tx, agent)?)
            && !number.is_after(&latest)
        {
            return Err(CreateVersionError::NotGreater(latest));
        }
        let creator = caller.actor().id.clone();
        let version = Version {
            id: at.id(),
            agent_id: agent.clone(),
            number,
            status: Status::Draft,
            digest: definition.digest().to_owned(),
            changelog: changelog.as_str().to_owned(),
            authors: Authors::of(creator.as_str()),
            created_by: creator,
            review: None,
            created_at: at.now(),
            updated_at: at.now(),
            published_at: None,
            revision: 1,
        };
        let (_, diff) = compare(tx, &version, &definition)?;
        rows::insert_version(tx, &version, &definition)?;
        Ok((entries::version_created(&version, &diff), version))
    })
}

/// One page of an agent's versions, in the order of their creation.
pub fn versions(
    db: &Database,
    caller: &Caller,
    agent: &AgentId,
    listing: &VersionListing,
    at: &Moment<'_>,
) -> Result<Page<Version>, ReadError> {
    let grant = caller.authorize_on::<ReadAgents>(agent.as_str())?;
    db.read(&grant, |tx| {
        rows::agent(tx, agent)?.ok_or_else(|| ReadError::NotFound { kind: "agent", id: agent.to_string() })?;
        let found = rows::versions(tx, agent, listing)?;
        let shown = found.into_iter().map(|version| as_of(tx, version, at.now())).collect::<Result<_, _>>()?;
        Ok(Page::of(shown, listing.size, |version: &Version| version.id.to_string()))
    })
}

/// One version, with what it does and what it changes.
pub fn version(db: &Database, caller: &Caller, id: &VersionId, at: &Moment<'_>) -> Result<Detail, ReadError> {
    let grant = grant_for::<ReadAgents, ReadError>(db, caller, id)?;
    let missing = || ReadError::NotFound { kind: "version", id: id.to_string() };
    db.read(&grant, |tx| {
        let version = rows::version(tx, id)?.ok_or_else(missing)?;
        let definition = rows::definition(tx, id)?.ok_or_else(missing)?;
        let version = as_of(tx, version, at.now())?;
        let (compared_with, diff) = compare(tx, &version, &definition)?;
        Ok(Detail { version, definition, compared_with, diff })
    })
}

/// Why a draft was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateVersionError {
    /// The caller may not change versions.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}`")]
    NotFound(VersionId),
    /// It is no draft: what was submitted is never changed.
    #[error(transparent)]
    WrongStatus(#[from] WrongStatus),
    /// Somebody changed it in between.
    #[error("the version has changed since: its revision is {0}")]
    Stale(u64),
    /// Too many people have worked on it for the rule that none of them approves it.
    #[error("a version has at most {} authors: create a new version", Authors::MAX)]
    TooManyAuthors,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Changes a draft. Who does becomes one of its authors.
pub fn update_version(
    db: &Database,
    caller: &Caller,
    id: &VersionId,
    patch: VersionPatch,
    at: &Moment<'_>,
) -> Result<Version, UpdateVersionError> {
    let grant = grant_for::<UpdateVersion, UpdateVersionError>(db, caller, id)?;
    db.write(grant, |tx| {
        let missing = || UpdateVersionError::NotFound(id.clone());
        let version = load(tx, id, at.now())?.ok_or_else(missing)?;
        let old = rows::definition(tx, id)?.ok_or_else(missing)?;
        let VersionPatch { expected_revision, definition, changelog } = patch;
        if expected_revision.is_some_and(|expected| expected != version.revision) {
            return Err(UpdateVersionError::Stale(version.revision));
        }
        let before = version.revision;
        let new = definition.unwrap_or_else(|| old.clone());
        let version = Version {
            status: lifecycle::next(version.status, Step::Edit)?,
            digest: new.digest().to_owned(),
            changelog: changelog.map_or(version.changelog, |changelog| changelog.as_str().to_owned()),
            authors: version.authors.and(&caller.actor().id).ok_or(UpdateVersionError::TooManyAuthors)?,
            updated_at: at.now(),
            revision: before + 1,
            ..version
        };
        rows::save_content(tx, &version, &new, before)?;
        Ok((entries::version_updated(&version, &diff(Some(&old), &new)), version))
    })
}

/// Why a version was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The caller may not submit versions.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}`")]
    NotFound(VersionId),
    /// It is no draft.
    #[error(transparent)]
    WrongStatus(#[from] WrongStatus),
    /// It waits for approval already.
    #[error("the request for approval `{0}` is pending")]
    Pending(ReviewId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Freezes a draft and asks for its approval. An approved version is submitted again only when its approval no longer
/// stands, because somebody who approved it left or lost the role.
pub fn submit(db: &Database, caller: &Caller, id: &VersionId, at: &Moment<'_>) -> Result<Version, SubmitError> {
    let grant = grant_for::<Submit, SubmitError>(db, caller, id)?;
    db.write(grant, |tx| {
        let missing = || SubmitError::NotFound(id.clone());
        let version = load(tx, id, at.now())?.ok_or_else(missing)?;
        let definition = rows::definition(tx, id)?.ok_or_else(missing)?;
        let agent = rows::agent(tx, &version.agent_id)?.ok_or_else(missing)?;
        let (before, status) = (version.revision, version.status);
        let submitted = lifecycle::next(status, Step::Submit)?;
        if status == Status::Approved && approvals::granted(tx, id.as_str(), &version.digest)?.is_some() {
            return Err(WrongStatus { status, step: Step::Submit }.into());
        }
        let new = NewRequest {
            kind: RequestType::AgentPublish,
            resource_kind: "version",
            resource_id: id.to_string(),
            about: version.agent_id.to_string(),
            digest: version.digest.clone(),
            title: format!("Publish {} {}", agent.name, version.number),
            description: version.changelog.clone(),
            requester: caller.actor().id.clone(),
            authors: version.authors.clone(),
        };
        let request = approvals::open(tx, new, at).map_err(|error| match error {
            approvals::OpenError::Pending(id) => SubmitError::Pending(id),
            approvals::OpenError::Database(error) => SubmitError::Database(error),
        })?;
        let version = Version { review: Some(request.id.clone()), ..moved(version, submitted, at.now()) };
        rows::save_state(tx, &version, before)?;
        let (_, diff) = compare(tx, &version, &definition)?;
        Ok((entries::version_submitted(&version, &request, &diff), version))
    })
}

/// Moves a version on when its request for approval has come to its end. For [`approvals::Followers`]: it runs in the
/// transaction of the decision, whose entry records it.
pub fn follow_decision(tx: &mut WriteTx<'_>, request: &Request) -> Result<(), StoreError> {
    let step = match request.status {
        approvals::Status::Pending => return Ok(()),
        approvals::Status::Approved => Step::Approve,
        approvals::Status::Rejected | approvals::Status::Cancelled | approvals::Status::Expired => Step::SendBack,
    };
    let id: VersionId = request.resource_id.parse().map_err(|_| StoreError::Decode("the id of a version"))?;
    let version = rows::version(tx, &id)?.ok_or(StoreError::Decode("a version that was submitted"))?;
    if version.review.as_ref() != Some(&request.id) || version.digest != request.digest {
        return Err(StoreError::Conflict("the version is not the one that was submitted".to_owned()));
    }
    let before = version.revision;
    let status = lifecycle::next(version.status, step).map_err(|error| StoreError::Conflict(error.to_string()))?;
    let at = request.decided_at.unwrap_or(version.updated_at);
    rows::save_state(tx, &moved(version, status, at), before)
}

/// Why a version does not run.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The caller may not publish.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}`")]
    NotFound(VersionId),
    /// It is neither approved nor deprecated.
    #[error(transparent)]
    WrongStatus(#[from] WrongStatus),
    /// Too few of those who approved exactly this content may still approve. Submit an approved version again; give
    /// the content of a deprecated one a new number.
    #[error("no approval of exactly this content stands any more")]
    NotApproved,
    /// The database failed, or the stored definition is not what its digest names.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Lets an approved version run instead of the one that runs, which is deprecated in the same transaction. Rolling
/// back is publishing a deprecated version again, while its approval stands.
pub fn publish(db: &Database, caller: &Caller, id: &VersionId, at: &Moment<'_>) -> Result<Version, PublishError> {
    let grant = grant_for::<Publish, PublishError>(db, caller, id)?;
    db.write(grant, |tx| {
        let missing = || PublishError::NotFound(id.clone());
        let version = load(tx, id, at.now())?.ok_or_else(missing)?;
        let definition = rows::definition(tx, id)?.ok_or_else(missing)?;
        let granted = approvals::granted(tx, id.as_str(), definition.digest())?;
        let (status, approval) = lifecycle::publish(&version, granted)?;
        let previous = rows::running(tx, &version.agent_id)?;
        if let Some(previous) = &previous {
            let deprecated = lifecycle::next(previous.status, Step::Deprecate)?;
            rows::save_state(tx, &moved(previous.clone(), deprecated, at.now()), previous.revision)?;
        }
        let before = version.revision;
        let version = Version { published_at: Some(at.now()), ..moved(version, status, at.now()) };
        rows::save_state(tx, &version, before)?;
        Ok((entries::version_published(&version, &approval, previous.as_ref()), version))
    })
}

impl From<Unpublishable> for PublishError {
    fn from(error: Unpublishable) -> Self {
        match error {
            Unpublishable::WrongStatus(wrong) => Self::WrongStatus(wrong),
            Unpublishable::NotApproved => Self::NotApproved,
        }
    }
}

/// Why a version was not stopped or put away.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The caller may not retire versions.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}`")]
    NotFound(VersionId),
    /// Only what runs is deprecated, and only what is deprecated is archived.
    #[error(transparent)]
    WrongStatus(#[from] WrongStatus),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Stops the version that runs: the agent has none then.
pub fn deprecate(db: &Database, caller: &Caller, id: &VersionId, at: &Moment<'_>) -> Result<Version, RetireError> {
    let grant = grant_for::<Retire, RetireError>(db, caller, id)?;
    db.write(grant, |tx| {
        let version = retire(tx, id, Step::Deprecate, at.now())?;
        Ok((entries::version_deprecated(&version), version))
    })
}

/// Puts a deprecated version away for good.
pub fn archive(db: &Database, caller: &Caller, id: &VersionId, at: &Moment<'_>) -> Result<Version, RetireError> {
    let grant = grant_for::<Retire, RetireError>(db, caller, id)?;
    db.write(grant, |tx| {
        let version = retire(tx, id, Step::Archive, at.now())?;
        Ok((entries::version_archived(&version), version))
    })
}

/// What runs in this tenant: the published version of each agent that has one. Each definition is checked against its
/// digest; one that is not what was approved fails the whole answer.
pub fn published(tx: &mut ReadTx<'_>) -> Result<Vec<Published>, StoreError> {
    rows::published(tx)
}

/// Finding out whose version it is, for the policies that decide whether the caller may go on.
#[derive(Debug)]
struct Locate;

impl Action for Locate {
    const NAME: &'static str = "catalog.version.locate";
    const PERMISSION: Option<Permission> = None;
}

/// The grant to do `A` to the agent that the version belongs to: policies speak of agents.
fn grant_for<A: Action, E: From<Forbidden> + From<StoreError>>(
    db: &Database,
    caller: &Caller,
    id: &VersionId,
) -> Result<Grant<A>, E> {
    if caller.standing().guard.is_none() {
        return Ok(caller.authorize::<A>()?);
    }
    let version = db.read::<_, _, StoreError>(&caller.authorize::<Locate>()?, |tx| rows::version(tx, id))?;
    let grant = |version: Version| caller.authorize_on::<A>(version.agent_id.as_str());
    Ok(version.map_or_else(|| caller.authorize::<A>(), grant)?)
}

fn retire(tx: &mut WriteTx<'_>, id: &VersionId, step: Step, now: Timestamp) -> Result<Version, RetireError> {
    let version = load(tx, id, now)?.ok_or_else(|| RetireError::NotFound(id.clone()))?;
    let before = version.revision;
    let status = lifecycle::next(version.status, step)?;
    let version = moved(version, status, now);
    rows::save_state(tx, &version, before)?;
    Ok(version)
}

/// The version as it is at `now`. One whose request has expired is a draft again, and the rows say so from now on.
fn load(tx: &mut WriteTx<'_>, id: &VersionId, now: Timestamp) -> Result<Option<Version>, StoreError> {
    let Some(version) = rows::version(tx, id)? else {
        return Ok(None);
    };
    if let (Status::PendingApproval, Some(review)) = (version.status, version.review.clone())
        && approvals::lapse(tx, &review, now)?
    {
        let before = version.revision;
        let version = moved(version, Status::Draft, now);
        rows::save_state(tx, &version, before)?;
        return Ok(Some(version));
    }
    Ok(Some(version))
}

/// The version as it is at `now`, for reading.
fn as_of(tx: &mut ReadTx<'_>, version: Version, now: Timestamp) -> Result<Version, StoreError> {
    if let (Status::PendingApproval, Some(review)) = (version.status, &version.review)
        && approvals::status(tx, review, now)? == Some(approvals::Status::Expired)
    {
        return Ok(Version { status: Status::Draft, ..version });
    }
    Ok(version)
}

fn moved(version: Version, status: Status, now: Timestamp) -> Version {
    Version { status, updated_at: now, revision: version.revision + 1, ..version }
}

/// What `version` changes about the one that runs; about the one before it, if it runs itself or none does.
fn compare(
    tx: &mut ReadTx<'_>,
    version: &Version,
    definition: &Definition,
) -> Result<(Option<Number>, Diff), StoreError> {
    let running = rows::running(tx, &version.agent_id)?.filter(|running| running.id != version.id);
    let other = match running {
        Some(running) => Some((running.number, running.id)),
        None => before(tx, version)?,
    };
    let Some((number, id)) = other else {
        return Ok((None, diff(None, definition)));
    };
    let old = rows::definition(tx, &id)?;
    Ok((Some(number), diff(old.as_ref(), definition)))
}

/// The version before this one, by number.
fn before(tx: &mut ReadTx<'_>, version: &Version) -> Result<Option<(Number, VersionId)>, StoreError> {
    let numbers = rows::numbers(tx, &version.agent_id)?.into_iter().filter(|number| version.number.is_after(number));
    let Some(number) = latest(numbers) else {
        return Ok(None);
    };
    Ok(rows::numbered(tx, &version.agent_id, &number)?.map(|id| (number, id)))
}

fn latest(numbers: impl IntoIterator<Item = Number>) -> Option<Number> {
    numbers.into_iter().reduce(|latest, number| if number.is_after(&latest) { number } else { latest })
}
