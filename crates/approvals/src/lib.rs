//! Approvals: N people of M say yes to exactly this content, and what waited for it follows in the same transaction.
//!
//! **Invariant:** nobody decides on their own request, on their own work, or twice. The pure rule says so with a reason,
//! and the schema refuses it even to raw SQL. Nor does anybody with a credential that went through the hands of somebody
//! who may not.
//!
//! **Invariant:** the number of approvals, the roles and the workflow's revision are frozen into a request when it is
//! made; who has the roles is asked when somebody decides, and again when the approval is used ([`granted`]).
//!
//! **Invariant:** whatever follows a decision ([`Followers`]) commits with it, in one entry. A crash leaves nothing to
//! catch up on.
//!
//! A request that nobody decided in time reads as expired from that moment on. The row follows when somebody next
//! touches it.
//!
//! ```
//! use approvals::{Decision, Followers, NewRequest, RequestType, Status, Verdict};
//! # use authz::{Permission, Role};
//! # use store::StoreError;
//! # #[derive(Debug)]
//! # struct Submit;
//! # impl authz::Action for Submit {
//! #     const NAME: &'static str = "example.submit";
//! #     const PERMISSION: Option<Permission> = Some(Permission::AgentUpdate);
//! # }
//! let t = testkit::Tester::sqlite();
//! let alice = t.user("acme-corp", "alice", [Role::AgentDesigner]);
//! let bob = t.user("acme-corp", "bob", [Role::Admin]);
//! let new = |alice: &authz::Caller| NewRequest {
//!     kind: RequestType::AgentPublish,
//!     resource_kind: "version",
//!     resource_id: "ver_1".into(),
//!     about: "agt_1".into(),
//!     digest: "9f86d081".into(),
//!     title: "Publish Customer Support Agent 1.1.0".into(),
//!     description: "Added ticket creation capability".into(),
//!     requester: alice.actor().id.clone(),
//!     authors: approvals::Authors::of(&alice.actor().id),
//! };
//! let request = t.db.write(alice.authorize::<Submit>()?, |tx| {
//!     let request = approvals::open(tx, new(&alice), &t.moment()).map_err(|error| match error {
//!         approvals::OpenError::Pending(_) => unreachable!("nothing is pending"),
//!         approvals::OpenError::Database(error) => error,
//!     })?;
//!     Ok::<_, StoreError>((store::Entry::new("example.submitted", store::Resource::new("version", "ver_1")), request))
//! })?;
//!
//! let yes = Decision { request: request.id, verdict: Verdict::Approve, comment: None };
//! let followers = Followers::new().on(RequestType::AgentPublish, |_, request| {
//!     assert_eq!(request.status, Status::Approved);
//!     Ok(())
//! });
//! assert!(approvals::decide(&t.db, &alice, yes.clone(), &followers, &t.moment()).is_err());
//! let request = approvals::decide(&t.db, &bob, yes, &followers, &t.moment())?;
//! assert_eq!(request.status, Status::Approved);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The proof of an approval cannot be made up:
//! ```compile_fail
//! let _ = approvals::Approval { request: todo!(), resource_id: todo!(), digest: todo!(), approvers: todo!() };
//! ```

mod entries;
mod leaving;
mod model;
mod rules;
mod store;

use ::store::{Database, Entry, ReadTx, StoreError, WriteTx};
use authz::{Action, Caller, Forbidden, Grant, Permission, Role};
use kernel::{Moment, Page, ReviewId, Timestamp};

pub use entries::ACTIONS;
pub use leaving::withdraw_all;
pub use model::{
    Approval, Authors, Decided, Decision, ExpireHours, Listed, Listing, NewRequest, Quorum, Request, RequestType,
    Status, UnknownName, Verdict, Workflow, WorkflowIn, WorkflowInvalid,
};
pub use rules::Refusal;

use rules::Person;

/// Seeing requests and workflows.
#[derive(Debug)]
pub struct ReadRequests;

impl Action for ReadRequests {
    const NAME: &'static str = "approvals.request.read";
    const PERMISSION: Option<Permission> = Some(Permission::ApprovalRead);
}

/// Deciding on requests. Whoever may, may also see them.
#[derive(Debug)]
pub struct Decide;

impl Action for Decide {
    const NAME: &'static str = "approvals.request.decide";
    const PERMISSION: Option<Permission> = Some(Permission::AgentApprove);
}

/// Deciding on requests to let other policies hold.
#[derive(Debug)]
pub struct DecideOnPolicies;

impl Action for DecideOnPolicies {
    const NAME: &'static str = "approvals.policy.decide";
    const PERMISSION: Option<Permission> = Some(RequestType::PolicyActivate.approver());
}

/// Taking a request back.
#[derive(Debug)]
pub struct Cancel;

impl Action for Cancel {
    const NAME: &'static str = "approvals.request.cancel";
    const PERMISSION: Option<Permission> = Some(Permission::AgentUpdate);
}

/// Taking a request to let other policies hold back.
#[derive(Debug)]
pub struct CancelOnPolicies;

impl Action for CancelOnPolicies {
    const NAME: &'static str = "approvals.policy.cancel";
    const PERMISSION: Option<Permission> = Some(RequestType::PolicyActivate.approver());
}

/// Setting the rule for a type of request.
#[derive(Debug)]
pub struct SetWorkflow;

impl Action for SetWorkflow {
    const NAME: &'static str = "approvals.workflow.set";
    const PERMISSION: Option<Permission> = Some(Permission::PolicyManage);
}

/// What follows the end of a request, in the transaction that ends it.
type Follower = fn(&mut WriteTx<'_>, &Request) -> Result<(), StoreError>;

/// What follows the end of a request: approved, rejected, cancelled or expired.
#[derive(Clone, Debug, Default)]
pub struct Followers(Vec<(RequestType, Follower)>);

impl Followers {
    /// Nothing follows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and `follower` after each request of `kind`. If it fails, nothing of the decision is kept.
    #[must_use]
    pub fn on(mut self, kind: RequestType, follower: Follower) -> Self {
        self.0.push((kind, follower));
        self
    }

    fn follow(&self, tx: &mut WriteTx<'_>, request: &Request) -> Result<(), StoreError> {
        let followers = self.0.iter().filter(|(kind, _)| *kind == request.kind);
        followers.map(|(_, follower)| follower).try_for_each(|follower| follower(tx, request))
    }
}

/// Why the rules or requests cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller may neither see requests nor decide on them.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such request in this tenant.
    #[error("there is no request for approval `{0}`")]
    NotFound(ReviewId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// The rule for requests of `kind`: the tenant's own, or the default.
pub fn workflow(db: &Database, caller: &Caller, kind: RequestType) -> Result<Workflow, ReadError> {
    read(db, caller, |tx| Ok(effective(tx, kind)?))
}

/// Whether the tenant itself has set the rule for requests of `kind`.
pub fn has_workflow(tx: &mut ReadTx<'_>, kind: RequestType) -> Result<bool, StoreError> {
    Ok(store::workflow(tx, kind)?.is_some())
}

/// Why a workflow was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetWorkflowError {
    /// The caller may not manage policies.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Somebody changed it in between.
    #[error("the workflow has changed since: its revision is {0}")]
    Stale(u64),
    /// Whom it names cannot decide on such requests.
    #[error(transparent)]
    Invalid(#[from] WorkflowInvalid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Sets the rule for requests of `kind` that are made from now on.
pub fn set_workflow(
    db: &Database,
    caller: &Caller,
    kind: RequestType,
    new: WorkflowIn,
    at: &Moment<'_>,
) -> Result<Workflow, SetWorkflowError> {
    let grant = caller.authorize::<SetWorkflow>()?;
    db.write(grant, |tx| {
        let WorkflowIn { name, quorum, expire_hours, expected_revision } = new;
        quorum.fits(kind.approver())?;
        let before = effective(tx, kind)?;
        if expected_revision.is_some_and(|expected| expected != before.revision) {
            return Err(SetWorkflowError::Stale(before.revision));
        }
        let id = Some(before.id.unwrap_or_else(|| at.id()));
        let name = name.as_str().to_owned();
        let workflow = Workflow { id, kind, name, quorum, expire_hours, revision: before.revision + 1 };
        store::save_workflow(tx, &workflow, at.now())?;
        Ok((entries::workflow_set(&workflow), workflow))
    })
}

/// Why a request was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The same thing waits for approval already.
    #[error("the request `{0}` for the same thing is pending")]
    Pending(ReviewId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Opens a request inside another domain's transaction, by the rule that holds now. The caller's entry records it.
pub fn open(tx: &mut WriteTx<'_>, new: NewRequest, at: &Moment<'_>) -> Result<Request, OpenError> {
    if let Some(id) = store::pending(tx, &new.resource_id)?
        && !lapse(tx, &id, at.now())?
    {
        return Err(OpenError::Pending(id));
    }
    let rule = effective(tx, new.kind)?;
    let NewRequest { kind, resource_kind, resource_id, about, digest, title, description, requester, authors } = new;
    let request = Request {
        id: at.id(),
        kind,
        resource_kind: resource_kind.to_owned(),
        resource_id,
        about,
        digest,
        title,
        description,
        requester,
        authors,
        workflow: rule.id,
        workflow_revision: rule.revision,
        quorum: rule.quorum,
        status: Status::Pending,
        created_at: at.now(),
        expires_at: rule.expire_hours.after(at.now()),
        decided_at: None,
        revision: 1,
        decisions: Vec::new(),
    };
    store::insert(tx, &request)?;
    Ok(request)
}

/// One page of the requests of this tenant, oldest first.
pub fn requests(db: &Database, caller: &Caller, listing: &Listing, at: &Moment<'_>) -> Result<Page<Listed>, ReadError> {
    read(db, caller, |tx| {
        let found = store::requests(tx, listing, at.now())?;
        let person = decider(tx, caller)?;
        let page = Page::of(found, listing.size, |request| request.id.to_string());
        Ok(page.map(|request| listed(request, caller, person.as_ref(), at.now())))
    })
}

/// One request with its decisions.
pub fn request(db: &Database, caller: &Caller, id: &ReviewId, at: &Moment<'_>) -> Result<Listed, ReadError> {
    read(db, caller, |tx| {
        let request = store::request(tx, id, at.now())?.ok_or_else(|| ReadError::NotFound(id.clone()))?;
        let person = decider(tx, caller)?;
        Ok(listed(request, caller, person.as_ref(), at.now()))
    })
}

/// Why a decision does not count.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The caller may not decide on requests.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such request in this tenant.
    #[error("there is no request for approval `{0}`")]
    NotFound(ReviewId),
    /// This person may not decide on this request, or not any more.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Decides on a request, once for each person. The last approval that it needs approves it, one rejection rejects it,
/// and `followers` act in the same transaction.
pub fn decide(
    db: &Database,
    caller: &Caller,
    decision: Decision,
    followers: &Followers,
    at: &Moment<'_>,
) -> Result<Request, DecideError> {
    match located::<DecideError>(db, caller, &decision.request)? {
        Some((RequestType::PolicyActivate, _)) => {
            decide_as(db, caller.authorize::<DecideOnPolicies>()?, decision, followers, at)
        }
        Some((RequestType::AgentPublish | RequestType::AgentCall, about)) => {
            decide_as(db, caller.authorize_on::<Decide>(&about)?, decision, followers, at)
        }
        None => decide_as(db, caller.authorize::<Decide>()?, decision, followers, at),
    }
}

fn decide_as<A: Action>(
    db: &Database,
    grant: Grant<A>,
    decision: Decision,
    followers: &Followers,
    at: &Moment<'_>,
) -> Result<Request, DecideError> {
    let caller = grant.caller().clone();
    let id = decision.request.clone();
    let decided = db.write(grant.clone(), |tx| {
        let Decision { request: id, verdict, comment } = decision;
        let request = store::request(tx, &id, at.now())?.ok_or(DecideError::NotFound(id))?;
        let person = person(tx, &caller)?.ok_or(Refusal::NotActive)?;
        rules::may_decide(&request, &person, at.now())?;
        let comment = comment.map_or_else(String::new, |comment| comment.as_str().to_owned());
        let decided = Decided { user: person.id, verdict, comment, at: at.now() };
        let before = request.revision;
        store::insert_decision(tx, &request, &decided)?;
        let request = rules::decide(request, decided);
        store::save(tx, &request, before)?;
        if request.status != Status::Pending {
            followers.follow(tx, &request)?;
        }
        Ok((entries::decided(&request), request))
    });
    if matches!(decided, Err(DecideError::Refused(Refusal::Expired(_)))) {
        db.write(grant, |tx| expire(tx, &id, followers, at.now()))?;
    }
    decided
}

/// Why a request was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The caller may not change agents.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such request in this tenant.
    #[error("there is no request for approval `{0}`")]
    NotFound(ReviewId),
    /// Neither requester nor admin.
    #[error("only who made the request, or an admin, takes it back")]
    NotYours,
    /// It came to its end before.
    #[error("the request is `{0}` and no longer pending")]
    NotPending(Status),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Takes a pending request back: who made it may, and an admin.
pub fn cancel(
    db: &Database,
    caller: &Caller,
    id: &ReviewId,
    followers: &Followers,
    at: &Moment<'_>,
) -> Result<Request, CancelError> {
    match located::<CancelError>(db, caller, id)? {
        Some((RequestType::PolicyActivate, _)) => {
            cancel_as(db, caller.authorize::<CancelOnPolicies>()?, id, followers, at)
        }
        Some((RequestType::AgentPublish | RequestType::AgentCall, about)) => {
            cancel_as(db, caller.authorize_on::<Cancel>(&about)?, id, followers, at)
        }
        None => cancel_as(db, caller.authorize::<Cancel>()?, id, followers, at),
    }
}

fn cancel_as<A: Action>(
    db: &Database,
    grant: Grant<A>,
    id: &ReviewId,
    followers: &Followers,
    at: &Moment<'_>,
) -> Result<Request, CancelError> {
    let caller = grant.caller().clone();
    db.write(grant, |tx| {
        let request = store::request(tx, id, at.now())?.ok_or_else(|| CancelError::NotFound(id.clone()))?;
        if request.requester != caller.actor().id && !caller.roles().contains(Role::Admin) {
            return Err(CancelError::NotYours);
        }
        if request.status != Status::Pending {
            return Err(CancelError::NotPending(request.status));
        }
        let request = finish(tx, request, Status::Cancelled, at.now())?;
        followers.follow(tx, &request)?;
        Ok((entries::cancelled(&request), request))
    })
}

/// Finding out what a request is about, for the policies that decide whether the caller may go on.
#[derive(Debug)]
struct Locate;

impl Action for Locate {
    const NAME: &'static str = "approvals.request.locate";
    const PERMISSION: Option<Permission> = None;
}

/// The type of a request, which says what deciding on it needs, and the id of what it is about, of which policies may
/// speak.
fn located<E: From<Forbidden> + From<StoreError>>(
    db: &Database,
    caller: &Caller,
    id: &ReviewId,
) -> Result<Option<(RequestType, String)>, E> {
    Ok(db.read::<_, _, StoreError>(&caller.authorize::<Locate>()?, |tx| store::about(tx, id))?)
}

/// The proof that exactly this content was approved by as many people as had to, who still may; `None` if it was not.
/// What those people are now is read in the same transaction.
pub fn granted(tx: &mut ReadTx<'_>, resource_id: &str, digest: &str) -> Result<Option<Approval>, StoreError> {
    match store::approved(tx, resource_id, digest)? {
        Some(id) => stands(tx, &id),
        None => Ok(None),
    }
}

/// The same for what an approval allows once, and only until the request's time is over: `None` also when it was
/// [consumed](consume), or `now` is too late.
pub fn usable(
    tx: &mut ReadTx<'_>,
    resource_id: &str,
    digest: &str,
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    match store::unused(tx, resource_id, digest, now)? {
        Some(id) => stands(tx, &id),
        None => Ok(None),
    }
}

/// Uses an approval up, in the transaction of what it allows; `None` if there is none, or somebody else was faster.
pub fn consume(
    tx: &mut WriteTx<'_>,
    resource_id: &str,
    digest: &str,
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let Some(approval) = usable(tx, resource_id, digest, now)? else {
        return Ok(None);
    };
    Ok(store::insert_use(tx, approval.request(), now)?.then_some(approval))
}

fn stands(tx: &mut ReadTx<'_>, id: &ReviewId) -> Result<Option<Approval>, StoreError> {
    // An approved request does not expire: any instant reads it alike.
    let Some(request) = store::request(tx, id, Timestamp::from_micros(0))? else {
        return Ok(None);
    };
    let mut people = Vec::new();
    for decided in &request.decisions {
        people.extend(store::person(tx, &decided.user)?);
    }
    Ok(rules::standing(&request, &people))
}

/// How far a request has come at `now`; `None` if there is no such request.
pub fn status(tx: &mut ReadTx<'_>, id: &ReviewId, now: Timestamp) -> Result<Option<Status>, StoreError> {
    Ok(store::request(tx, id, now)?.map(|request| request.status))
}

/// Whether the request has expired undecided; if so, the row says it from now on. For the domain whose thing it is
/// about, inside a transaction of its own.
pub fn lapse(tx: &mut WriteTx<'_>, id: &ReviewId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(request) = store::request(tx, id, now)? else {
        return Ok(false);
    };
    if request.status != Status::Expired {
        return Ok(false);
    }
    if request.decided_at.is_none() {
        finish(tx, request, Status::Expired, now)?;
    }
    Ok(true)
}

fn expire(
    tx: &mut WriteTx<'_>,
    id: &ReviewId,
    followers: &Followers,
    now: Timestamp,
) -> Result<(Entry, ()), DecideError> {
    let request = store::request(tx, id, now)?.ok_or_else(|| DecideError::NotFound(id.clone()))?;
    if request.decided_at.is_some() {
        return Err(Refusal::Expired(request.expires_at).into());
    }
    let request = finish(tx, request, Status::Expired, now)?;
    followers.follow(tx, &request)?;
    Ok((entries::expired(&request), ()))
}

fn finish(tx: &mut WriteTx<'_>, request: Request, status: Status, now: Timestamp) -> Result<Request, StoreError> {
    let before = request.revision;
    let request = Request { revision: before + 1, ..rules::end(request, status, now) };
    store::save(tx, &request, before)?;
    Ok(request)
}

fn effective(tx: &mut ReadTx<'_>, kind: RequestType) -> Result<Workflow, StoreError> {
    Ok(store::workflow(tx, kind)?.unwrap_or_else(|| Workflow::default_for(kind)))
}

/// The caller, as the tenant knows them now: what a token or a snapshot said before does not count. A service or
/// Taskforce itself stays what it is, whatever the row says.
fn person(tx: &mut ReadTx<'_>, caller: &Caller) -> Result<Option<Person>, StoreError> {
    let person = store::person(tx, &caller.actor().id)?;
    let hands = caller.standing().issued_by.iter().map(str::to_owned).collect();
    let person = person.map(|person| Person { hands, ..person });
    Ok(person.map(|person| match caller.actor().kind {
        authz::ActorKind::User if caller.actor().act.is_empty() => person,
        // Who acts for a person is not that person.
        authz::ActorKind::User => Person { kind: authz::ActorKind::Service, ..person },
        kind @ (authz::ActorKind::Service | authz::ActorKind::System | authz::ActorKind::Anonymous) => {
            Person { kind, ..person }
        }
    }))
}

/// The caller as somebody who may decide, if their credential lets them.
fn decider(tx: &mut ReadTx<'_>, caller: &Caller) -> Result<Option<Person>, StoreError> {
    let approves = |kind: &RequestType| caller.permissions().contains(kind.approver());
    if RequestType::ALL.iter().any(approves) { person(tx, caller) } else { Ok(None) }
}

fn listed(request: Request, caller: &Caller, person: Option<&Person>, now: Timestamp) -> Listed {
    let may_decide = caller.permissions().contains(request.kind.approver())
        && person.is_some_and(|person| rules::may_decide(&request, person, now).is_ok());
    Listed { request, may_decide }
}

fn read<T>(
    db: &Database,
    caller: &Caller,
    read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    match caller.authorize::<ReadRequests>() {
        Ok(grant) => db.read(&grant, read),
        Err(refusal) => match caller.authorize::<Decide>() {
            Ok(grant) => db.read(&grant, read),
            Err(_) => db.read(&caller.authorize::<DecideOnPolicies>().map_err(|_| refusal)?, read),
        },
    }
}
