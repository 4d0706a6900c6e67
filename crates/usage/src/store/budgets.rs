//! Budgets, their periods, and the nodes' leases.

use kernel::{BudgetId, Cursor, Money, NodeId, PageSize, Timestamp};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::lease::{BudgetExhausted, Leased, Need, Renewal};
use crate::model::{Budget, Limit, Period, Scope, Status};

pub(crate) fn insert(tx: &mut WriteTx<'_>, budget: &Budget) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO budgets (tenant_id, budget_id, name, scope, scope_id, period, limit_nanos, status, created_at,
                                  revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        values![
            &budget.id,
            budget.name.as_str(),
            budget.scope.kind(),
            budget.scope.id(),
            budget.period,
            budget.limit,
            budget.status,
            budget.created_at,
            budget.revision
        ],
    )?;
    Ok(())
}

/// Saves limit and status, if the row is still as it was read.
pub(crate) fn save(tx: &mut WriteTx<'_>, budget: &Budget, read: u64) -> Result<bool, StoreError> {
    let saved = tx.execute(
        sql!(
            "UPDATE budgets SET limit_nanos = $3, status = $4, revision = $5
             WHERE tenant_id = $1 AND budget_id = $2 AND revision = $6"
        ),
        values![&budget.id, budget.limit, budget.status, budget.revision, read],
    )?;
    Ok(saved == 1)
}

/// Whether the agent or user is one of the tenant's.
pub(crate) fn has_scope(tx: &mut ReadTx<'_>, scope: &Scope) -> Result<bool, StoreError> {
    let found = match scope {
        Scope::Tenant => return Ok(true),
        Scope::Agent(agent) => tx.optional(
            sql!("SELECT 1 + 0 * created_at FROM agents WHERE tenant_id = $1 AND agent_id = $2"),
            values![agent],
            Row::get::<i64>,
        )?,
        Scope::User(user) => tx.optional(
            sql!("SELECT 1 + 0 * created_at FROM users WHERE tenant_id = $1 AND user_id = $2"),
            values![user],
            Row::get::<i64>,
        )?,
    };
    Ok(found.is_some())
}

pub(crate) fn budget(tx: &mut ReadTx<'_>, id: &BudgetId, now: Timestamp) -> Result<Option<Budget>, StoreError> {
    tx.optional(
        sql!(
            "SELECT b.budget_id, b.name, b.scope, b.scope_id, b.period, b.limit_nanos, b.status, b.created_at,
                    b.revision, COALESCE(p.settled_nanos, 0), COALESCE(p.leased_nanos, 0)
             FROM budgets b LEFT JOIN budget_periods p
                  ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id AND p.period_start =
                     CASE b.period WHEN 'day' THEN CAST($3 AS BIGINT) WHEN 'month' THEN CAST($4 AS BIGINT)
                                   ELSE CAST($5 AS BIGINT) END
             WHERE b.tenant_id = $1 AND b.budget_id = $2"
        ),
        values![id, Period::Day.start(now), Period::Month.start(now), Period::Total.start(now)],
        |row| read_budget(row, now),
    )
}

pub(crate) fn page(
    tx: &mut ReadTx<'_>,
    after: Option<&Cursor>,
    size: PageSize,
    now: Timestamp,
) -> Result<Vec<Budget>, StoreError> {
    tx.all(
        sql!(
            "SELECT b.budget_id, b.name, b.scope, b.scope_id, b.period, b.limit_nanos, b.status, b.created_at,
                    b.revision, COALESCE(p.settled_nanos, 0), COALESCE(p.leased_nanos, 0)
             FROM budgets b LEFT JOIN budget_periods p
                  ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id AND p.period_start =
                     CASE b.period WHEN 'day' THEN CAST($3 AS BIGINT) WHEN 'month' THEN CAST($4 AS BIGINT)
                                   ELSE CAST($5 AS BIGINT) END
             WHERE b.tenant_id = $1 AND b.budget_id > $2 ORDER BY b.budget_id LIMIT $6"
        ),
        values![
            after.map_or("", Cursor::key),
            Period::Day.start(now),
            Period::Month.start(now),
            Period::Total.start(now),
            size.limit()
        ],
        |row| read_budget(row, now),
    )
}

fn read_budget(row: &mut Row, now: Timestamp) -> Result<Budget, StoreError> {
    let (id, name, scope) = (row.get()?, row.get()?, read_scope(row)?);
    let period: Period = row.get()?;
    Ok(Budget {
        id,
        name,
        scope,
        period,
        limit: row.get()?,
        status: row.get()?,
        created_at: row.get()?,
        revision: row.get()?,
        spent: row.get()?,
        held: row.get()?,
        resets_at: period.end(now),
    })
}

fn read_scope(row: &mut Row) -> Result<Scope, StoreError> {
    let (kind, id) = (row.get::<String>()?, row.get::<String>()?);
    Scope::parse(&kind, &id).ok_or(StoreError::Decode("a budget's scope"))
}

pub(crate) fn limits(tx: &mut ReadTx<'_>) -> Result<Vec<Limit>, StoreError> {
    tx.all(
        sql!(
            "SELECT budget_id, name, scope, scope_id, period, limit_nanos FROM budgets
             WHERE tenant_id = $1 AND status = $2 ORDER BY budget_id"
        ),
        values![Status::Active],
        |row| {
            Ok(Limit {
                budget: row.get()?,
                name: row.get()?,
                scope: read_scope(row)?,
                period: row.get()?,
                limit: row.get()?,
            })
        },
    )
}

/// One period of a budget, with the limit as it stands in the database now.
struct Standing {
    limit: Money,
    spent: Money,
    held: Money,
}

impl Standing {
    fn remaining(&self) -> Money {
        self.limit - self.spent - self.held
    }
}

fn standing(tx: &mut WriteTx<'_>, budget: &BudgetId, start: Timestamp) -> Result<Standing, StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO budget_periods (tenant_id, budget_id, period_start, settled_nanos, leased_nanos)
             VALUES ($1, $2, $3, 0, 0) ON CONFLICT (tenant_id, budget_id, period_start) DO NOTHING"
        ),
        values![budget, start],
    )?;
    let found = tx.optional(
        sql!(
            "SELECT b.limit_nanos, p.settled_nanos, p.leased_nanos
             FROM budget_periods p JOIN budgets b ON b.tenant_id = p.tenant_id AND b.budget_id = p.budget_id
             WHERE p.tenant_id = $1 AND p.budget_id = $2 AND p.period_start = $3"
        ),
        values![budget, start],
        |row| Ok(Standing { limit: row.get()?, spent: row.get()?, held: row.get()? }),
    )?;
    found.ok_or(StoreError::Decode("a known budget"))
}

/// Leases what each of `needs` lacks, and more where there is plenty; or nothing at all, when one of them cannot be
/// met.
pub(crate) fn lease(
    tx: &mut WriteTx<'_>,
    node: &NodeId,
    needs: &[Need],
) -> Result<Result<Vec<Leased>, BudgetExhausted>, StoreError> {
    let mut leased = Vec::with_capacity(needs.len());
    for Need { limit, start, resets_at, missing } in needs {
        let standing = standing(tx, &limit.budget, *start)?;
        if standing.remaining() < *missing && *missing > Money::ZERO {
            return Ok(Err(BudgetExhausted {
                budget: limit.budget.clone(),
                name: limit.name.clone(),
                limit: standing.limit,
                spent: standing.spent,
                held: standing.held,
                resets_at: *resets_at,
            }));
        }
        let stock = stock(standing.limit);
        let affordable = stock.min(standing.remaining());
        let amount = if affordable < *missing { *missing } else { affordable };
        leased.push(Leased { limit: std::sync::Arc::clone(limit), start: *start, amount, stock });
    }
    for Leased { limit, start, amount, stock: _ } in &leased {
        grow(tx, node, (&limit.budget, *start), *amount)?;
    }
    Ok(Ok(leased))
}

/// How much of a budget a node likes to have at hand.
fn stock(limit: Money) -> Money {
    Money::from_nanos(limit.nanos() / 20)
}

/// Tops a lease up as far as the budget allows, or gives a part of it back. Returns by how much it grew.
pub(crate) fn renew(tx: &mut WriteTx<'_>, node: &NodeId, renewal: &Renewal) -> Result<Money, StoreError> {
    let lease = (&renewal.budget, renewal.start);
    if renewal.change < Money::ZERO {
        settle(tx, node, lease, (Money::ZERO, Money::ZERO - renewal.change))?;
        return Ok(Money::ZERO);
    }
    let amount = renewal.change.min(standing(tx, &renewal.budget, renewal.start)?.remaining());
    if amount <= Money::ZERO {
        return Ok(Money::ZERO);
    }
    grow(tx, node, lease, amount)?;
    Ok(amount)
}

/// INVARIANT: the only statement that raises `leased_nanos`, and it never lifts the sum over the limit.
fn grow(tx: &mut WriteTx<'_>, node: &NodeId, lease: (&BudgetId, Timestamp), amount: Money) -> Result<(), StoreError> {
    let (budget, start) = lease;
    if amount <= Money::ZERO {
        return Ok(());
    }
    let grown = tx.execute(
        sql!(
            "UPDATE budget_periods SET leased_nanos = leased_nanos + $4
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start = $3 AND settled_nanos + leased_nanos + $4 <=
                   (SELECT limit_nanos FROM budgets WHERE tenant_id = $1 AND budget_id = $2)"
        ),
        values![budget, start, amount],
    )?;
    if grown != 1 {
        return Err(StoreError::Conflict("the budget does not cover the lease".to_owned()));
    }
    tx.execute(
        sql!(
            "INSERT INTO budget_leases (tenant_id, budget_id, period_start, node_id, amount_nanos)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, budget_id, period_start, node_id)
             DO UPDATE SET amount_nanos = budget_leases.amount_nanos + excluded.amount_nanos"
        ),
        values![budget, start, node, amount],
    )?;
    Ok(())
}

/// Adds `(spent, drawn)` to what is spent and takes it out of the node's lease.
pub(crate) fn settle(
    tx: &mut WriteTx<'_>,
    node: &NodeId,
    lease: (&BudgetId, Timestamp),
    change: (Money, Money),
) -> Result<(), StoreError> {
    let ((budget, start), (spent, drawn)) = (lease, change);
    let period = tx.execute(
        sql!(
            "UPDATE budget_periods SET settled_nanos = settled_nanos + $4, leased_nanos = leased_nanos - $5
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start = $3"
        ),
        values![budget, start, spent, drawn],
    )?;
    let lease = tx.execute(
        sql!(
            "UPDATE budget_leases SET amount_nanos = amount_nanos - $5
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start = $3 AND node_id = $4"
        ),
        values![budget, start, node, drawn],
    )?;
    if (period, lease) == (1, 1) {
        return Ok(());
    }
    Err(StoreError::Conflict("the node has no lease of the budget: was it recovered while it ran?".to_owned()))
}

/// Gives back all that the node has leased.
pub(crate) fn release(tx: &mut WriteTx<'_>, node: &NodeId) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "UPDATE budget_periods SET leased_nanos = leased_nanos -
                    (SELECT l.amount_nanos FROM budget_leases l
                     WHERE l.tenant_id = budget_periods.tenant_id AND l.budget_id = budget_periods.budget_id
                           AND l.period_start = budget_periods.period_start AND l.node_id = $2)
             WHERE tenant_id = $1 AND EXISTS
                   (SELECT 1 FROM budget_leases l
                    WHERE l.tenant_id = budget_periods.tenant_id AND l.budget_id = budget_periods.budget_id
                          AND l.period_start = budget_periods.period_start AND l.node_id = $2)"
        ),
        values![node],
    )?;
    tx.execute(sql!("DELETE FROM budget_leases WHERE tenant_id = $1 AND node_id = $2"), values![node])?;
    Ok(())
}

/// Whether the node has a lease.
pub(crate) fn has_lease(tx: &mut ReadTx<'_>, node: &NodeId) -> Result<bool, StoreError> {
    let found = tx.optional(
        sql!("SELECT amount_nanos FROM budget_leases WHERE tenant_id = $1 AND node_id = $2 LIMIT 1"),
        values![node],
        Row::get::<i64>,
    )?;
    Ok(found.is_some())
}
