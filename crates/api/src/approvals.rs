//! Requests for approval and the rules that they are decided by.

use approvals::{
    CancelError, DecideError, Decided, Decision, ExpireHours, Listed, Listing, Quorum, ReadError, Refusal, Request,
    RequestType, SetWorkflowError, Status, Verdict, Workflow, WorkflowIn as NewWorkflow, WorkflowInvalid,
};
use authz::{Caller, RoleName};
use axum::extract::State;
use axum::response::Response;
use kernel::{Cursor, ReviewId, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::act::{Act, Expected, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Limit, PageOut, Show, Written};

/// The operations about approval.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(get_workflow, set_workflow))
        .routes(routes!(list_approvals))
        .routes(routes!(get_approval))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(cancel_approval))
}

/// The type of request that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct WorkflowPath {
    /// The type of request: `agent_publish`.
    #[param(value_type = String, example = "agent_publish")]
    request_type: Written<RequestType>,
}

/// The request that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ApprovalPath {
    /// The request's id.
    #[param(value_type = String, example = "apr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    approval_id: Written<ReviewId>,
}

/// Which requests, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ApprovalsQuery {
    /// Only requests that have come this far: `pending`, `approved`, `rejected`, `cancelled` or `expired`.
    #[param(value_type = Option<String>, example = "pending")]
    status: Option<Written<Status>>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

impl From<ApprovalsQuery> for Listing {
    fn from(ApprovalsQuery { status, cursor, limit }: ApprovalsQuery) -> Self {
        Self { status: status.map(|status| status.0), after: cursor.map(|cursor| cursor.0), size: limit.0 }
    }
}

/// A rule to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WorkflowIn {
    /// What people call it.
    #[schema(value_type = String, max_length = 128, example = "Two administrators")]
    name: Written<Text<128>>,
    /// How many must approve, from 1 to 20.
    #[schema(minimum = 1, maximum = 20, example = 2)]
    required_approvers: u32,
    /// Who may: whoever has one of these roles.
    #[schema(value_type = Vec<String>, example = json!(["admin"]))]
    approver_roles: Vec<Written<RoleName>>,
    /// How long a request waits before it expires, from 1 hour to a year.
    #[schema(minimum = 1, maximum = 8760, example = 48)]
    expire_hours: u32,
}

impl WorkflowIn {
    fn parse(self, expected: Expected) -> Result<NewWorkflow, Problem> {
        let Self { name, required_approvers, approver_roles, expire_hours } = self;
        let roles = approver_roles.into_iter().map(|role| role.0).collect();
        let quorum = Quorum::new(required_approvers, roles)?;
        let expire_hours = ExpireHours::new(expire_hours)?;
        Ok(NewWorkflow { name: name.0, quorum, expire_hours, expected_revision: Some(expected.0) })
    }
}

/// The rule for one type of request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowOut {
    /// Its id; null for the rule that holds where a tenant has set none.
    id: Option<String>,
    /// Which requests it is for.
    #[schema(example = "agent_publish")]
    request_type: &'static str,
    /// What people call it.
    name: String,
    /// How many must approve.
    required_approvers: u32,
    /// Who may.
    approver_roles: Vec<String>,
    /// How long a request waits.
    expire_hours: u32,
    /// Raised with each change; the `ETag`. 0 where a tenant has set none.
    revision: u64,
}

impl Show for Workflow {
    type Out = WorkflowOut;

    fn show(&self) -> WorkflowOut {
        let Self { id, kind, name, quorum, expire_hours, revision } = self;
        WorkflowOut {
            id: id.as_ref().map(ToString::to_string),
            request_type: kind.as_str(),
            name: name.clone(),
            required_approvers: quorum.required(),
            approver_roles: quorum.roles().iter().map(ToString::to_string).collect(),
            expire_hours: expire_hours.get(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

/// What somebody says to their decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionIn {
    /// Why.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000, example = "Reviewed and tested")]
    comment: Option<Written<Text<2_000>>>,
}

impl DecisionIn {
    fn on(self, request: ReviewId, verdict: Verdict) -> Decision {
        let Self { comment } = self;
        Decision { request, verdict, comment: comment.map(|comment| comment.0) }
    }
}

/// A request for approval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalOut {
    /// Its id.
    #[schema(example = "apr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// What is asked for.
    #[schema(example = "agent_publish")]
    request_type: &'static str,
    /// The kind of thing that it is about.
    #[schema(example = "version")]
    resource_type: String,
    /// That thing's id.
    resource_id: String,
    /// The digest of its content: an approval is an approval of exactly this.
    digest: String,
    /// One line for the approver.
    title: String,
    /// What the approver should know.
    description: String,
    /// Who asks, and may not decide.
    requester_id: String,
    /// Whose work it is: none of them may decide.
    author_ids: Vec<String>,
    /// The rule that it follows; null for the default.
    workflow_id: Option<String>,
    /// The rule's revision when the request was made.
    workflow_revision: u64,
    /// How many must approve.
    required_approvers: u32,
    /// Who may.
    approver_roles: Vec<String>,
    /// How many have approved.
    approvals: usize,
    /// `pending`, `approved`, `rejected`, `cancelled` or `expired`.
    #[schema(example = "pending")]
    status: &'static str,
    /// Whether the caller may decide on it now.
    may_decide: bool,
    /// What was decided, in order.
    decisions: Vec<DecidedOut>,
    /// When it was made.
    created_at: String,
    /// When it expires unless decided.
    expires_at: String,
    /// When it came to its end.
    decided_at: Option<String>,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// What one person decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedOut {
    /// Who.
    user_id: String,
    /// `approve` or `reject`.
    #[schema(example = "approve")]
    verdict: &'static str,
    /// Why, in their words; may be empty.
    comment: String,
    /// When.
    at: String,
}

impl From<&Decided> for DecidedOut {
    fn from(Decided { user, verdict, comment, at }: &Decided) -> Self {
        Self { user_id: user.clone(), verdict: verdict.as_str(), comment: comment.clone(), at: at.to_string() }
    }
}

fn request_out(request: &Request, may_decide: bool) -> ApprovalOut {
    let Request {
        id,
        kind,
        resource_kind,
        resource_id,
        about: _,
        digest,
        title,
        description,
        requester,
        authors,
        workflow,
        workflow_revision,
        quorum,
        status,
        created_at,
        expires_at,
        decided_at,
        revision,
        decisions,
    } = request;
    ApprovalOut {
        id: id.to_string(),
        request_type: kind.as_str(),
        resource_type: resource_kind.clone(),
        resource_id: resource_id.clone(),
        digest: digest.clone(),
        title: title.clone(),
        description: description.clone(),
        requester_id: requester.clone(),
        author_ids: authors.iter().map(str::to_owned).collect(),
        workflow_id: workflow.as_ref().map(ToString::to_string),
        workflow_revision: *workflow_revision,
        required_approvers: quorum.required(),
        approver_roles: quorum.roles().iter().map(ToString::to_string).collect(),
        approvals: request.approvals(),
        status: status.as_str(),
        may_decide,
        decisions: decisions.iter().map(DecidedOut::from).collect(),
        created_at: created_at.to_string(),
        expires_at: expires_at.to_string(),
        decided_at: decided_at.as_ref().map(ToString::to_string),
        revision: *revision,
    }
}

impl Show for Listed {
    type Out = ApprovalOut;

    fn show(&self) -> ApprovalOut {
        let Self { request, may_decide } = self;
        request_out(request, *may_decide)
    }

    fn revision(&self) -> Option<u64> {
        Some(self.request.revision)
    }
}

/// Whoever decided on a request, or took it back, does not decide on it again.
impl Show for Request {
    type Out = ApprovalOut;

    fn show(&self) -> ApprovalOut {
        request_out(self, false)
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }
}

/// Shows the rule for one type of request.
#[utoipa::path(
    get, path = "/api/v1/admin/workflows/{request_type}", tag = "Approvals", params(WorkflowPath),
    responses((status = 200, body = WorkflowOut), Problem)
)]
async fn get_workflow(
    State(app): State<App>,
    caller: Caller,
    Path(WorkflowPath { request_type }): Path<WorkflowPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| approvals::workflow(db, caller, request_type.0)).await
}

/// Sets the rule for requests of one type that are made from now on.
#[utoipa::path(
    put, path = "/api/v1/admin/workflows/{request_type}", tag = "Approvals", params(WorkflowPath),
    request_body = WorkflowIn, responses((status = 200, body = WorkflowOut), Problem)
)]
async fn set_workflow(
    State(app): State<App>,
    Path(WorkflowPath { request_type }): Path<WorkflowPath>,
    expected: Expected,
    act: Act<WorkflowIn>,
) -> Result<Response, Problem> {
    let new = act.body.parse(expected)?;
    app.act(act.by, move |db, caller, at| approvals::set_workflow(db, caller, request_type.0, new, at)).await
}

/// Lists requests for approval, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "Approvals", params(ApprovalsQuery),
    responses((status = 200, body = PageOut<ApprovalOut>), Problem)
)]
async fn list_approvals(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ApprovalsQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| approvals::requests(db, caller, &query.into(), at)).await
}

/// Shows a request for approval with its decisions.
#[utoipa::path(
    get, path = "/api/v1/approvals/{approval_id}", tag = "Approvals", params(ApprovalPath),
    responses((status = 200, body = ApprovalOut), Problem)
)]
async fn get_approval(
    State(app): State<App>,
    caller: Caller,
    Path(ApprovalPath { approval_id }): Path<ApprovalPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| approvals::request(db, caller, &approval_id.0, at)).await
}

/// Approves a request. The last approval that it needs approves what it is about.
///
/// Nobody approves their own request or their own work, nor twice.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval_id}/approve", tag = "Approvals", params(ApprovalPath),
    request_body = Option<DecisionIn>, responses((status = 200, body = ApprovalOut), Problem)
)]
async fn approve(
    State(app): State<App>,
    Path(ApprovalPath { approval_id }): Path<ApprovalPath>,
    act: Act<DecisionIn>,
) -> Result<Response, Problem> {
    let (yes, followers) = (act.body.on(approval_id.0, Verdict::Approve), app.0.followers.clone());
    app.act(act.by, move |db, caller, at| approvals::decide(db, caller, yes, &followers, at)).await
}

/// Rejects a request, which ends it.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval_id}/reject", tag = "Approvals", params(ApprovalPath),
    request_body = Option<DecisionIn>, responses((status = 200, body = ApprovalOut), Problem)
)]
async fn reject(
    State(app): State<App>,
    Path(ApprovalPath { approval_id }): Path<ApprovalPath>,
    act: Act<DecisionIn>,
) -> Result<Response, Problem> {
    let (no, followers) = (act.body.on(approval_id.0, Verdict::Reject), app.0.followers.clone());
    app.act(act.by, move |db, caller, at| approvals::decide(db, caller, no, &followers, at)).await
}

/// Takes a pending request back.
///
/// Who made it may, and an administrator.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval_id}/cancel", tag = "Approvals", params(ApprovalPath),
    request_body = Option<Nothing>, responses((status = 200, body = ApprovalOut), Problem)
)]
async fn cancel_approval(
    State(app): State<App>,
    Path(ApprovalPath { approval_id }): Path<ApprovalPath>,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    let followers = app.0.followers.clone();
    app.act(act.by, move |db, caller, at| approvals::cancel(db, caller, &approval_id.0, &followers, at)).await
}

impl From<WorkflowInvalid> for Problem {
    fn from(error: WorkflowInvalid) -> Self {
        match error {
            WorkflowInvalid::Required => Self::field("/required_approvers", &error),
            WorkflowInvalid::NoRoles | WorkflowInvalid::CannotApprove(..) => Self::field("/approver_roles", &error),
            WorkflowInvalid::ExpireHours => Self::field("/expire_hours", &error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(refusal) => refusal.into(),
            ReadError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl From<SetWorkflowError> for Problem {
    fn from(error: SetWorkflowError) -> Self {
        match error {
            SetWorkflowError::Forbidden(refusal) => refusal.into(),
            SetWorkflowError::Stale(_) => Self::client(Kind::Stale, &error),
            SetWorkflowError::Invalid(invalid) => invalid.into(),
            SetWorkflowError::Database(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotPending(_) | Refusal::Expired(_) | Refusal::AlreadyDecided => {
                Self::client(Kind::AlreadyDecided, &refusal)
            }
            Refusal::OwnRequest | Refusal::OwnWork => Self::client(Kind::OwnRequest, &refusal),
            Refusal::NotAPerson | Refusal::NotActive | Refusal::WrongRole(_) => Self::client(Kind::Forbidden, &refusal),
        }
    }
}

impl From<DecideError> for Problem {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Forbidden(refusal) => refusal.into(),
            DecideError::NotFound(_) => Self::client(Kind::NotFound, &error),
            DecideError::Refused(refusal) => refusal.into(),
            DecideError::Database(error) => error.into(),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::Forbidden(refusal) => refusal.into(),
            CancelError::NotFound(_) => Self::client(Kind::NotFound, &error),
            CancelError::NotYours => Self::client(Kind::Forbidden, &error),
            CancelError::NotPending(_) => Self::client(Kind::AlreadyDecided, &error),
            CancelError::Database(error) => error.into(),
        }
    }
}
