//! What the tests start from.

use audit::{Order, Query, Signer};
use authz::{Action, Caller, Permission, Role};
use serde_json::json;
use store::{Entry, Resource, StoreError};
use testkit::Tester;
use tlog::note::VerifierKey;

/// An action that anybody may do.
pub(crate) struct Act;

impl Action for Act {
    const NAME: &'static str = "test.act";
    const PERMISSION: Option<Permission> = None;
}

pub(crate) const ORIGIN: &str = "test/taskforce/t/acme-corp";

pub(crate) fn signer(t: &Tester) -> Signer {
    Signer::parse(t.db.instance(), &Signer::generate(t.moment().entropy())).unwrap()
}

pub(crate) fn keys(signer: &Signer) -> [VerifierKey; 1] {
    [signer.verifier_key().to_string().parse().unwrap()]
}

/// Adam, who may read and export the ledger.
pub(crate) fn adam(t: &Tester) -> Caller {
    t.user("acme-corp", "adam", [Role::Auditor])
}

/// Appends an entry with a payload.
pub(crate) fn act(t: &Tester, caller: &Caller, action: &'static str, id: &str) {
    let entry = Entry::new(action, Resource::new("thing", id)).with_payload(&json!({ "name": id }));
    let grant = caller.authorize::<Act>().unwrap();
    t.db.write(grant, |_tx| Ok::<_, StoreError>((entry, ()))).unwrap();
}

/// Appends so many entries without payloads, in few transactions.
pub(crate) fn act_often(t: &Tester, caller: &Caller, count: u32) {
    let grant = caller.authorize::<Act>().unwrap();
    let entry = |number: u32| store::Attributed::new(&grant, Entry::new("test.acted", Resource::new("thing", number)));
    let entries: Vec<_> = (0..count).map(entry).collect();
    let share: store::Job<'_> = Box::new(move |_tx| Ok(entries));
    t.db.write_shares(vec![(caller.tenant().clone(), share)]).into_iter().for_each(|places| drop(places.unwrap()));
}

/// The actions of the last entries, newest first.
pub(crate) fn last_actions(t: &Tester, caller: &Caller, count: usize) -> Vec<String> {
    let page = audit::entries(&t.db, &t.again(caller), &Query { order: Order::NewestFirst, ..Query::default() });
    page.unwrap().items.into_iter().take(count).map(|entry| entry.action).collect()
}

/// Changes the database past every lock, as somebody with the operating system's rights can.
pub(crate) fn tamper(t: &Tester, statement: &str) {
    if t.engine == "postgres" {
        t.psql("postgres", statement);
    } else {
        let unlock = "DROP TRIGGER IF EXISTS ledger_entries_kept_update;
                      DROP TRIGGER IF EXISTS ledger_entries_kept_delete;";
        t.db.tamper(&format!("{unlock} {statement}")).unwrap();
    }
}
