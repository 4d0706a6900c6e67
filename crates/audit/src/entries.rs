//! What reading, exporting and refusing leave in the ledger.

use serde_json::json;
use store::{Entry, Outcome, Resource};

use crate::model::{Order, Query, Refusal};

/// Every action that this crate records.
pub const ACTIONS: &[&str] =
    &["audit.entries.read", "audit.package.exported", "audit.receipt.issued", "request.refused"];

/// A page of entries was listed. Payload: what was asked for.
pub(crate) fn entries_read(tenant: &kernel::TenantId, query: &Query) -> Entry {
    let Query { action, actor, resource, outcome, from_seq, order, size: _, after } = query;
    Entry::new("audit.entries.read", Resource::new("log", tenant)).with_payload(&json!({
        "action": action,
        "actor": actor,
        "resource": resource,
        "outcome": outcome.map(Outcome::as_str),
        "from_seq": from_seq,
        "order": match order { Order::NewestFirst => "newest_first", Order::OldestFirst => "oldest_first" },
        "after": after.as_ref().map(kernel::Cursor::key),
    }))
}

/// One entry was read, its payload opened.
pub(crate) fn entry_read(seq: u64) -> Entry {
    Entry::new("audit.entries.read", Resource::new("entry", seq))
}

/// A receipt was made for one entry.
pub(crate) fn receipt_issued(seq: u64) -> Entry {
    Entry::new("audit.receipt.issued", Resource::new("entry", seq))
}

/// A package of the whole log was asked for. The package holds this entry too.
pub(crate) fn package_exported(tenant: &kernel::TenantId) -> Entry {
    Entry::new("audit.package.exported", Resource::new("log", tenant))
}

/// A request was refused. Payload: what was tried and why it was refused.
pub(crate) fn refused(refusal: &Refusal) -> Entry {
    let Refusal { action, resource, problem } = refusal;
    let resource = resource.clone().unwrap_or_else(|| Resource::new("request", action));
    let payload = json!({ "action": action, "problem": problem });
    Entry::new("request.refused", resource).with_outcome(Outcome::Refused).with_payload(&payload)
}

/// Further requests were refused within one minute. Payload: how many.
pub(crate) fn refusals_suppressed(count: u64) -> Entry {
    let payload = json!({ "suppressed": count });
    Entry::new("request.refused", Resource::new("request", "suppressed"))
        .with_outcome(Outcome::Refused)
        .with_payload(&payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_listed() {
        let tenant = kernel::TenantId::system();
        let refusal = Refusal { action: "x".to_owned(), resource: None, problem: "forbidden" };
        let entries = [
            entries_read(&tenant, &Query::default()),
            entry_read(0),
            receipt_issued(0),
            package_exported(&tenant),
            refused(&refusal),
            refusals_suppressed(1),
        ];
        let written: std::collections::BTreeSet<_> = entries.iter().map(Entry::action).collect();
        assert_eq!(written.into_iter().collect::<Vec<_>>(), ACTIONS);
    }
}
