//! Use cases of budgets.

use std::sync::Arc;

use authz::{Action, Caller, Forbidden, Permission};
use kernel::{BudgetId, Cursor, Moment, Money, Page, PageSize, Timestamp};

use ::store::{Database, ReadTx, StoreError, WriteTx};

use crate::model::{Budget, Limit, Name, Period, Scope, Status};
use crate::{entries, store};

/// Creating a budget.
#[derive(Debug)]
pub struct CreateBudget;

impl Action for CreateBudget {
    const NAME: &'static str = "usage.budget.create";
    const PERMISSION: Option<Permission> = Some(Permission::BudgetManage);
}

/// Changing a budget.
#[derive(Debug)]
pub struct UpdateBudget;

impl Action for UpdateBudget {
    const NAME: &'static str = "usage.budget.update";
    const PERMISSION: Option<Permission> = Some(Permission::BudgetManage);
}

/// Seeing budgets.
#[derive(Debug)]
pub struct ReadBudgets;

impl Action for ReadBudgets {
    const NAME: &'static str = "usage.budget.read";
    const PERMISSION: Option<Permission> = Some(Permission::UsageRead);
}

/// A budget to be.
#[derive(Clone, Debug)]
pub struct NewBudget {
    /// Its name, unique in the tenant.
    pub name: Name,
    /// Whose calls it limits.
    pub scope: Scope,
    /// After what time it starts anew.
    pub period: Period,
    /// The most that may be spent in one period.
    pub limit: Money,
}

/// What is to change of a budget.
#[derive(Clone, Debug, Default)]
pub struct BudgetChange {
    /// Another limit. What nodes have leased under the old one can still be spent.
    pub limit: Option<Money>,
    /// Closed, or in force again.
    pub status: Option<Status>,
    /// The revision that the change was made for; any, if it is not said.
    pub expected_revision: Option<u64>,
}

/// No limit is higher: a billion dollars.
pub const MAX_LIMIT: Money = Money::from_nanos(1_000_000_000_000_000_000);

/// The limit is negative or absurd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a limit is from 0.00 to {MAX_LIMIT} USD, not `{0}`")]
pub struct BadLimit(pub Money);

/// Why a budget was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateBudgetError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The limit is negative or absurd.
    #[error(transparent)]
    Limit(#[from] BadLimit),
    /// The tenant has no such agent or user.
    #[error("there is no {} `{}`", .0.kind(), .0.id())]
    NoSuchScope(Scope),
    /// Another budget has the name.
    #[error("a budget is named `{0}` already")]
    AlreadyExists(Name),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Why a budget was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateBudgetError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The limit is negative or absurd.
    #[error(transparent)]
    Limit(#[from] BadLimit),
    /// The tenant has no such budget.
    #[error("there is no budget `{0}`")]
    NotFound(BudgetId),
    /// Somebody changed it before.
    #[error("the budget has changed: it is at revision {0}")]
    Stale(u64),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Why a budget is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadBudgetError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has no such budget.
    #[error("there is no budget `{0}`")]
    NotFound(BudgetId),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Creates a budget. It counts what is spent from here on.
pub fn create_budget(
    db: &Database,
    caller: &Caller,
    new: NewBudget,
    at: &Moment<'_>,
) -> Result<Budget, CreateBudgetError> {
    let grant = caller.authorize::<CreateBudget>()?;
    let NewBudget { name, scope, period, limit } = new;
    check(limit)?;
    let budget = Budget {
        id: at.id(),
        name: name.to_string(),
        scope,
        period,
        limit,
        status: Status::Active,
        created_at: at.now(),
        revision: 1,
        spent: Money::ZERO,
        held: Money::ZERO,
        resets_at: period.end(at.now()),
    };
    db.write(grant, |tx| {
        if !store::budgets::has_scope(tx, &budget.scope)? {
            return Err(CreateBudgetError::NoSuchScope(budget.scope.clone()));
        }
        store::budgets::insert(tx, &budget).map_err(|error| {
            if let StoreError::Conflict(_) = error { CreateBudgetError::AlreadyExists(name) } else { error.into() }
        })?;
        Ok((entries::budget_created(&budget), budget))
    })
}

/// Opens the budget of a tenant that is being made and may spend `limit` in a month. Whoever makes the tenant leaves the
/// entry.
pub fn open_monthly(tx: &mut WriteTx<'_>, limit: Money, at: &Moment<'_>) -> Result<BudgetId, StoreError> {
    let period = Period::Month;
    let budget = Budget {
        id: at.id(),
        name: "Monthly budget".to_owned(),
        scope: Scope::Tenant,
        period,
        limit: limit.clamp(Money::ZERO, MAX_LIMIT),
        status: Status::Active,
        created_at: at.now(),
        revision: 1,
        spent: Money::ZERO,
        held: Money::ZERO,
        resets_at: period.end(at.now()),
    };
    store::budgets::insert(tx, &budget)?;
    Ok(budget.id)
}

/// Changes a budget's limit, closes it, or puts it in force again.
pub fn update_budget(
    db: &Database,
    caller: &Caller,
    id: &BudgetId,
    change: &BudgetChange,
    at: &Moment<'_>,
) -> Result<Budget, UpdateBudgetError> {
    let grant = caller.authorize_on::<UpdateBudget>(id.as_str())?;
    change.limit.map_or(Ok(()), check)?;
    db.write(grant, |tx| {
        let before =
            store::budgets::budget(tx, id, at.now())?.ok_or_else(|| UpdateBudgetError::NotFound(id.clone()))?;
        if change.expected_revision.is_some_and(|expected| expected != before.revision) {
            return Err(UpdateBudgetError::Stale(before.revision));
        }
        let after = Budget {
            limit: change.limit.unwrap_or(before.limit),
            status: change.status.unwrap_or(before.status),
            revision: before.revision + 1,
            ..before.clone()
        };
        if !store::budgets::save(tx, &after, before.revision)? {
            return Err(UpdateBudgetError::Stale(before.revision));
        }
        Ok((entries::budget_updated(&before, &after), after))
    })
}

/// The tenant's budgets by id, the oldest first, and where each stands at `now`.
pub fn budgets(
    db: &Database,
    caller: &Caller,
    after: Option<&Cursor>,
    size: PageSize,
    now: Timestamp,
) -> Result<Page<Budget>, ReadBudgetError> {
    let grant = caller.authorize::<ReadBudgets>()?;
    let rows = db.read(&grant, |tx| store::budgets::page(tx, after, size, now))?;
    Ok(Page::of(rows, size, |budget| budget.id.to_string()))
}

/// One budget and where it stands at `now`.
pub fn budget(db: &Database, caller: &Caller, id: &BudgetId, now: Timestamp) -> Result<Budget, ReadBudgetError> {
    let grant = caller.authorize_on::<ReadBudgets>(id.as_str())?;
    let found = db.read(&grant, |tx| store::budgets::budget(tx, id, now))?;
    found.ok_or_else(|| ReadBudgetError::NotFound(id.clone()))
}

/// The active budgets of the transaction's tenant, for calls to be checked against.
pub fn limits(tx: &mut ReadTx<'_>) -> Result<Vec<Arc<Limit>>, StoreError> {
    Ok(store::budgets::limits(tx)?.into_iter().map(Arc::new).collect())
}

fn check(limit: Money) -> Result<(), BadLimit> {
    if limit < Money::ZERO || limit > MAX_LIMIT { Err(BadLimit(limit)) } else { Ok(()) }
}
