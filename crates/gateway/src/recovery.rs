//! After a crash: every call that was begun gets its end.

use authz::{Action, Actor, Caller, Permission, Request, Standing};
use kernel::TenantId;
use store::{Attributed, Database, Job, StoreError, WriteTx};
use usage::{OpenCall, Purse};

use crate::entries;

/// Closing what a crash left open.
#[derive(Debug)]
struct Close;

impl Action for Close {
    const NAME: &'static str = "gateway.recovery";
    const PERMISSION: Option<Permission> = None;
}

/// Closes the calls that this node had open when it stopped, each at the cost that was held for it, and gives the
/// node's leases back. Says how many calls there were. To be called before the node takes calls.
pub fn recover(db: &Database, purse: &Purse) -> Result<usize, StoreError> {
    let abandoned = usage::abandoned(db, purse.node())?;
    let count = abandoned.iter().map(|(_, calls)| calls.len()).sum();
    let shares = abandoned
        .into_iter()
        .map(|(tenant, calls)| {
            let caller = recoverer(db, tenant.clone());
            let node = purse.node();
            let job: Job<'_> = Box::new(move |tx: &mut WriteTx<'_>| {
                let ends = calls.iter().map(|call| close(tx, &caller, call)).collect::<Result<Vec<_>, _>>()?;
                usage::release_leases(tx, node)?;
                Ok(ends.into_iter().flatten().collect())
            });
            (tenant, job)
        })
        .collect();
    db.write_shares(shares).into_iter().collect::<Result<Vec<_>, StoreError>>()?;
    Ok(count)
}

/// Settles one call; `None` when it has its end already.
fn close(tx: &mut WriteTx<'_>, caller: &Caller, call: &OpenCall) -> Result<Option<Attributed>, StoreError> {
    if !usage::settle_abandoned(tx, call)? {
        return Ok(None);
    }
    let grant = caller.authorize::<Close>().map_err(|_| StoreError::Decode("an action that everybody may do"))?;
    Ok(Some(Attributed::new(&grant, entries::unknown(call))))
}

#[expect(clippy::disallowed_methods, reason = "Taskforce itself closes what it left open")]
fn recoverer(db: &Database, tenant: TenantId) -> Caller {
    Caller::authenticated(
        Standing::new(tenant, Actor::system("recovery"), authz::Roles::default()),
        Request::made(&db.moment()),
    )
}
