//! A tenant that spends: what the tests of this crate share.

use std::sync::Arc;

use authz::{Action, Caller, Permission, Role};
use kernel::{AgentId, BudgetId, Money, NodeId, TenantId, Timestamp, UserId, VersionId};
use store::{Database, Row, StoreError, WriteTx, sql, values};
use testkit::Tester;
use usage::{
    Budget, Call, Charge, LeaseError, Limit, Measure, Name, NewBudget, OpenCall, Period, Price, Purse, Reservation,
    Scope, Tokens, Usage,
};

/// Acme, its admin, and the ids that its calls name.
pub(crate) struct World<'t> {
    pub(crate) tester: &'t Tester,
    pub(crate) tenant: TenantId,
    pub(crate) admin: Caller,
    pub(crate) agent: AgentId,
    pub(crate) version: VersionId,
    pub(crate) user: UserId,
}

struct Look;

impl Action for Look {
    const NAME: &'static str = "test.look";
    const PERMISSION: Option<Permission> = None;
}

pub(crate) fn usd(amount: &str) -> Money {
    amount.parse().unwrap()
}

/// A charge of exactly `amount`: a token of the prompt costs a tenth of a dollar, one of the answer a nano-dollar.
pub(crate) fn charge(amount: Money) -> Charge {
    let nanos = u64::try_from(amount.nanos()).unwrap();
    let price = Price {
        id: "prc_nano".to_owned(),
        model: "nano".to_owned(),
        input: usd("100000.00"),
        cached_input: Money::ZERO,
        output: usd("0.001"),
        max_output_tokens: 1_000_000,
        effective_from: Timestamp::from_micros(0),
    };
    price.charge(&Tokens { input: nanos / 100_000_000, cached: 0, output: nanos % 100_000_000 })
}

/// Writes a share of `tenant` without entries.
pub(crate) fn share(
    db: &Database,
    tenant: &TenantId,
    write: impl FnOnce(&mut WriteTx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let job: store::Job<'_> = Box::new(|tx| write(tx).map(|()| Vec::new()));
    db.write_shares(vec![(tenant.clone(), job)]).into_iter().try_for_each(|end| end.map(|_| ()))
}

impl<'t> World<'t> {
    pub(crate) fn new(tester: &'t Tester) -> Self {
        let admin = tester.user("acme-corp", "bob", [Role::Admin]);
        let at = tester.moment();
        let (agent, version, user) = (at.id(), at.id(), at.id());
        Self { tester, tenant: admin.tenant().clone(), admin, agent, version, user }
    }

    pub(crate) fn db(&self) -> &Database {
        &self.tester.db
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.tester.moment().now()
    }

    pub(crate) fn purse(&self) -> Purse {
        Purse::new(self.tester.moment().id())
    }

    pub(crate) fn new_budget(&self, name: &str, period: Period, limit: &str) -> Budget {
        let new = NewBudget { name: Name::new(name).unwrap(), scope: Scope::Tenant, period, limit: usd(limit) };
        usage::create_budget(self.db(), &self.admin, new, &self.tester.moment()).unwrap()
    }

    pub(crate) fn budget(&self, id: &BudgetId) -> Budget {
        usage::budget(self.db(), &self.admin, id, self.now()).unwrap()
    }

    pub(crate) fn limits(&self) -> Vec<Arc<Limit>> {
        let grant = self.admin.authorize::<Look>().unwrap();
        self.db().read(&grant, usage::limits).unwrap()
    }

    pub(crate) fn reserve(&self, purse: &Purse, amount: Money) -> Result<Reservation, LeaseError> {
        match purse.reserve(&self.tenant, &self.limits(), amount, self.now()) {
            Ok(reservation) => Ok(reservation),
            Err(short) => purse.lease(self.db(), short),
        }
    }

    pub(crate) fn call(&self) -> Call {
        Call {
            id: self.tester.moment().id(),
            agent: self.agent.clone(),
            version: self.version.clone(),
            user: self.user.clone(),
            model: "nano".to_owned(),
            price_id: "prc_nano".to_owned(),
        }
    }

    /// Reserves `amount` and begins a call with it, durably.
    pub(crate) fn begin(&self, purse: &Purse, amount: Money) -> (Reservation, OpenCall) {
        let mut reservation = self.reserve(purse, amount).unwrap();
        let open = reservation.open(self.call());
        share(self.db(), &self.tenant, |tx| usage::open_calls(tx, &[&open])).unwrap();
        (reservation, open)
    }

    pub(crate) fn record(&self, usage: &Usage) -> Result<(), StoreError> {
        share(self.db(), &self.tenant, |tx| usage::record(tx, &[usage]))
    }

    /// Ends a call that cost `cost`.
    pub(crate) fn end(&self, (reservation, open): (Reservation, OpenCall), cost: Money) {
        let usage = Usage { call: open.call, measure: Measure::Reported, settled: reservation.settle(charge(cost)) };
        self.record(&usage).unwrap();
        usage.committed();
    }

    /// A call from beginning to end.
    pub(crate) fn spend(&self, purse: &Purse, held: Money, cost: Money) {
        let begun = self.begin(purse, held);
        self.end(begun, cost);
    }

    /// Puts right what a crashed node left, as the gateway does. Returns the calls that were open.
    pub(crate) fn recover(&self, node: &NodeId) -> Vec<OpenCall> {
        let mut all = Vec::new();
        for (tenant, calls) in usage::abandoned(self.db(), node).unwrap() {
            share(self.db(), &tenant, |tx| {
                for call in &calls {
                    assert!(usage::settle_abandoned(tx, call)?);
                }
                usage::release_leases(tx, node)
            })
            .unwrap();
            all.extend(calls);
        }
        assert_eq!(usage::abandoned(self.db(), node).unwrap(), []);
        all
    }

    /// Every period of every budget: limit, settled, leased, and the sum of the nodes' leases.
    pub(crate) fn periods(&self) -> Vec<(BudgetId, [Money; 4])> {
        let grant = self.admin.authorize::<Look>().unwrap();
        let read = |row: &mut Row| Ok((row.get()?, [row.get()?, row.get()?, row.get()?, row.get()?]));
        let all = self.db().read(&grant, |tx| {
            tx.all(
                sql!(
                    "SELECT b.budget_id, b.limit_nanos, p.settled_nanos, p.leased_nanos,
                            CAST(COALESCE((SELECT SUM(l.amount_nanos) FROM budget_leases l
                                 WHERE l.tenant_id = p.tenant_id AND l.budget_id = p.budget_id
                                       AND l.period_start = p.period_start), 0) AS BIGINT)
                     FROM budget_periods p JOIN budgets b ON b.tenant_id = p.tenant_id AND b.budget_id = p.budget_id
                     WHERE p.tenant_id = $1"
                ),
                values![],
                read,
            )
        });
        all.unwrap_or_else(|error: StoreError| panic!("{error}"))
    }

    /// The sum of all records.
    pub(crate) fn recorded(&self) -> Money {
        let grant = self.admin.authorize::<Look>().unwrap();
        let sum = self.db().read(&grant, |tx| {
            tx.optional(
                sql!("SELECT CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) FROM usage_records WHERE tenant_id = $1"),
                values![],
                Row::get::<Money>,
            )
        });
        sum.unwrap_or_else(|error: StoreError| panic!("{error}")).unwrap()
    }

    /// What must hold at every instant while limits are not lowered and upstreams keep within bounds.
    pub(crate) fn assert_within_limits(&self) {
        for (budget, [limit, settled, leased, leases]) in self.periods() {
            assert!(settled + leased <= limit, "{budget}: {settled} + {leased} > {limit}");
            assert_eq!(leased, leases, "{budget}: the leases are not what is leased");
        }
    }
}
