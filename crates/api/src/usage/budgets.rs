//! Budgets.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use kernel::BudgetId;
use serde::{Deserialize, Serialize};
use usage::{
    Budget, BudgetChange, CreateBudgetError, Name, NewBudget, Period, ReadBudgetError, Scope, Status, UpdateBudgetError,
};
use utoipa::{IntoParams, ToSchema};

use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Amount, PageOut, PageQuery, Show, Written, present};

/// The budget that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct BudgetPath {
    /// The budget's id.
    #[param(value_type = String, example = "bud_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    budget_id: Written<BudgetId>,
}

/// Whose calls a budget limits.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `type` and `id`")]
pub(crate) struct ScopeIo {
    /// `tenant`, `agent` or `user`.
    #[serde(rename = "type")]
    #[schema(example = "agent")]
    kind: String,
    /// The agent or user; absent for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl ScopeIo {
    fn parse(self) -> Result<Scope, Problem> {
        let Self { kind, id } = self;
        let wrong = "expected the `type` `tenant` without `id`, or `agent` or `user` with the `id` of one";
        Scope::parse(&kind, id.as_deref().unwrap_or_default()).ok_or_else(|| Problem::field("/scope", &wrong))
    }
}

impl From<&Scope> for ScopeIo {
    fn from(scope: &Scope) -> Self {
        let id = Some(scope.id()).filter(|id| !id.is_empty()).map(str::to_owned);
        Self { kind: scope.kind().to_owned(), id }
    }
}

/// A budget to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetIn {
    /// Its name, unique in the tenant.
    #[schema(value_type = String, max_length = 120, example = "Support desk")]
    name: Written<Name>,
    /// Whose calls it limits.
    scope: ScopeIo,
    /// After what time it starts anew, in UTC: `day`, `month`, or `total` for never.
    #[schema(value_type = String, example = "month")]
    period: Written<Period>,
    /// The most that may be spent in one period.
    limit: Amount,
}

impl BudgetIn {
    fn parse(self) -> Result<NewBudget, Problem> {
        let Self { name, scope, period, limit } = self;
        Ok(NewBudget { name: name.0, scope: scope.parse()?, period: period.0, limit: limit.into() })
    }
}

/// A change of a budget; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetPatch {
    /// The most that may be spent in one period.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Amount, required = false)]
    limit: Option<Amount>,
    /// `active`, or `closed`: it limits nothing any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, example = "closed")]
    status: Option<Written<Status>>,
}

impl BudgetPatch {
    fn made_for(self, expected: Expected) -> BudgetChange {
        let Self { limit, status } = self;
        BudgetChange {
            limit: limit.map(Amount::into),
            status: status.map(|status| status.0),
            expected_revision: Some(expected.0),
        }
    }
}

/// A budget and where it stands in the present period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetOut {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Whose calls it limits.
    scope: ScopeIo,
    /// `day`, `month` or `total`.
    #[schema(example = "month")]
    period: &'static str,
    /// The most that may be spent in one period.
    limit: Amount,
    /// What the finished calls of this period cost.
    spent: Amount,
    /// What is set aside for calls that run, and by servers for the next ones.
    held: Amount,
    /// What can still be set aside.
    remaining: Amount,
    /// By how much the limit is passed: it was lowered, or an upstream used more than it was asked to.
    overrun: Amount,
    /// When it starts anew.
    resets_at: Option<String>,
    /// `active` or `closed`.
    status: &'static str,
    /// When it was created.
    created_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

impl Show for Budget {
    type Out = BudgetOut;

    fn show(&self) -> BudgetOut {
        let Self { id, name, scope, period, limit, status, created_at, revision, spent, held, resets_at } = self;
        BudgetOut {
            id: id.to_string(),
            name: name.clone(),
            scope: scope.into(),
            period: period.as_str(),
            limit: (*limit).into(),
            spent: (*spent).into(),
            held: (*held).into(),
            remaining: self.remaining().into(),
            overrun: self.overrun().into(),
            resets_at: resets_at.as_ref().map(ToString::to_string),
            status: status.as_str(),
            created_at: created_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/budgets/{}", self.id))
    }
}

/// Creates a budget. It counts what is spent from here on.
#[utoipa::path(
    post, path = "/api/v1/admin/budgets", tag = "Money", request_body = BudgetIn,
    responses((status = 201, body = BudgetOut), Problem)
)]
pub(crate) async fn create_budget(State(app): State<App>, act: Act<BudgetIn>) -> Result<Response, Problem> {
    let new = act.body.parse()?;
    app.create(act.by, move |db, caller, at| usage::create_budget(db, caller, new, at)).await
}

/// Lists budgets and where they stand, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/admin/budgets", tag = "Money", params(PageQuery),
    responses((status = 200, body = PageOut<BudgetOut>), Problem)
)]
pub(crate) async fn list_budgets(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| usage::budgets(db, caller, page.after(), page.size(), at.now())).await
}

/// Shows a budget and where it stands.
#[utoipa::path(
    get, path = "/api/v1/admin/budgets/{budget_id}", tag = "Money", params(BudgetPath),
    responses((status = 200, body = BudgetOut), Problem)
)]
pub(crate) async fn get_budget(
    State(app): State<App>,
    caller: Caller,
    Path(BudgetPath { budget_id }): Path<BudgetPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, at| usage::budget(db, caller, &budget_id.0, at.now())).await
}

/// Changes the limit of a budget, closes it, or puts it in force again.
#[utoipa::path(
    patch, path = "/api/v1/admin/budgets/{budget_id}", tag = "Money", params(BudgetPath), request_body = BudgetPatch,
    responses((status = 200, body = BudgetOut), Problem)
)]
pub(crate) async fn update_budget(
    State(app): State<App>,
    Path(BudgetPath { budget_id }): Path<BudgetPath>,
    expected: Expected,
    act: Act<BudgetPatch>,
) -> Result<Response, Problem> {
    let change = act.body.made_for(expected);
    app.act(act.by, move |db, caller, at| usage::update_budget(db, caller, &budget_id.0, &change, at)).await
}

impl From<CreateBudgetError> for Problem {
    fn from(error: CreateBudgetError) -> Self {
        match error {
            CreateBudgetError::Forbidden(refusal) => refusal.into(),
            CreateBudgetError::Limit(_) => Self::field("/limit/amount", &error),
            CreateBudgetError::NoSuchScope(_) => Self::field("/scope/id", &error),
            CreateBudgetError::AlreadyExists(_) => Self::client(Kind::AlreadyExists, &error),
            CreateBudgetError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateBudgetError> for Problem {
    fn from(error: UpdateBudgetError) -> Self {
        match error {
            UpdateBudgetError::Forbidden(refusal) => refusal.into(),
            UpdateBudgetError::Limit(_) => Self::field("/limit/amount", &error),
            UpdateBudgetError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateBudgetError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateBudgetError::Database(error) => error.into(),
        }
    }
}

impl From<ReadBudgetError> for Problem {
    fn from(error: ReadBudgetError) -> Self {
        match error {
            ReadBudgetError::Forbidden(refusal) => refusal.into(),
            ReadBudgetError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ReadBudgetError::Database(error) => error.into(),
        }
    }
}
