//! What these tests begin with.

use authz::{Action, Caller, Permission, PlatformAction, Role};
use store::{Attributed, Database, Entry, Job, Resource, StoreError, WriteTx, sql, values};
use testkit::Tester;
use tlog::{Frontier, Hash};

/// What everybody may do here.
#[derive(Debug)]
pub(crate) struct Touch;

impl Action for Touch {
    const NAME: &'static str = "test.touch";
    const PERMISSION: Option<Permission> = None;
}

impl PlatformAction for Touch {}

pub(crate) fn entry(id: &str) -> Entry {
    Entry::new("test.touched", Resource::new("thing", id))
}

/// A write that changes nothing and leaves its entry.
pub(crate) fn touch(db: &Database, caller: &Caller, id: &str) -> Result<(), StoreError> {
    db.write(caller.authorize::<Touch>().unwrap(), |_| Ok::<_, StoreError>((entry(id), ())))
}

/// A write of one statement.
pub(crate) fn write(
    t: &Tester,
    caller: &Caller,
    change: impl FnOnce(&mut WriteTx<'_>) -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    t.db.write(caller.authorize::<Touch>().unwrap(), |tx| {
        let changed = change(tx)?;
        Ok((entry("thg_1"), changed))
    })
}

/// A share of so many entries.
pub(crate) fn share<'a>(caller: &Caller, count: usize) -> (kernel::TenantId, Job<'a>) {
    let grant = caller.authorize::<Touch>().unwrap();
    let job: Job<'a> =
        Box::new(move |_| Ok((0..count).map(|at| Attributed::new(&grant, entry(&format!("thg_{at}")))).collect()));
    (caller.tenant().clone(), job)
}

/// The email address in a user's row.
pub(crate) fn email(t: &Tester, caller: &Caller) -> Option<String> {
    let found = t.db.read(&caller.authorize::<Touch>().unwrap(), |tx| {
        tx.optional(
            sql!("SELECT email FROM users WHERE tenant_id = $1 AND user_id = $2"),
            values![caller.actor().id.as_str()],
            store::Row::get::<Option<String>>,
        )
    });
    found.unwrap().expect("the user's row")
}

/// Writes the caller's own email address.
pub(crate) fn set_email(tx: &mut WriteTx<'_>, caller: &Caller, email: &str) -> Result<u64, StoreError> {
    tx.execute(
        sql!("UPDATE users SET email = $3 WHERE tenant_id = $1 AND user_id = $2"),
        values![caller.actor().id.as_str(), email],
    )
}

/// Alice of acme-corp and Gina of globex.
pub(crate) fn two_tenants(t: &Tester) -> (Caller, Caller) {
    (t.user("acme-corp", "alice", [Role::Admin]), t.user("globex", "gina", [Role::Admin]))
}

/// How many entries the caller's log holds.
pub(crate) fn size(db: &Database, caller: &Caller) -> u64 {
    let size = db.read(&caller.authorize::<Touch>().unwrap(), |tx| {
        tx.optional(sql!("SELECT size FROM ledger_heads WHERE tenant_id = $1"), values![], store::Row::get::<u64>)
    });
    size.unwrap().expect("a log")
}

/// The leaves of the caller's log.
pub(crate) fn leaves(db: &Database, caller: &Caller) -> Vec<Vec<u8>> {
    let leaves = db.read(&caller.authorize::<Touch>().unwrap(), |tx| {
        tx.all(sql!("SELECT leaf FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq"), values![], store::Row::get)
    });
    leaves.unwrap()
}

/// Goes on verifying the caller's log where `known` ends: no number is left out, every hash is its leaf's, and the head
/// is what they amount to. Returns the hashes of the entries after `known`.
pub(crate) fn verify(db: &Database, caller: &Caller, known: &mut Frontier) -> Vec<Hash> {
    let (entries, (size, root, frontier)) = db
        .read(&caller.authorize::<Touch>().unwrap(), |tx| {
            let entries = tx.all(
                sql!("SELECT seq, hash, leaf FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 ORDER BY seq"),
                values![known.size()],
                |row| Ok((row.get::<u64>()?, row.get::<Vec<u8>>()?, row.get::<Vec<u8>>()?)),
            )?;
            let head = tx.optional(
                sql!("SELECT size, root, frontier FROM ledger_heads WHERE tenant_id = $1"),
                values![],
                |row| Ok((row.get::<u64>()?, row.get::<Vec<u8>>()?, row.get::<Vec<u8>>()?)),
            )?;
            Ok::<_, StoreError>((entries, head.expect("a log")))
        })
        .unwrap();
    let mut hashes = Vec::with_capacity(entries.len());
    for (seq, hash, leaf) in entries {
        assert_eq!(seq, known.size(), "no number is left out");
        let expected = tlog::leaf_hash(&leaf);
        assert_eq!(hash, expected.as_bytes(), "the hash of entry {seq} is its leaf's");
        known.append(expected);
        hashes.push(expected);
    }
    assert_eq!(size, known.size());
    assert_eq!(root, known.root().as_bytes());
    assert_eq!(frontier, known.to_bytes());
    hashes
}

/// Verifies the caller's whole log and says how many entries it holds.
pub(crate) fn verified(db: &Database, caller: &Caller) -> usize {
    verify(db, caller, &mut Frontier::empty()).len()
}
