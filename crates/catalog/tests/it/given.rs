//! What the tests start from.

use approvals::{DecideError, Decision, ExpireHours, Followers, Quorum, Request, RequestType, Verdict, WorkflowIn};
use authz::{Action, Caller, Permission, Role};
use catalog::{Agent, Definition, Detail, NewAgent, NewVersion, Prose, Published, Tags, Version};
use kernel::{AgentId, ReviewId, Text, VersionId};
use serde_json::json;
use store::{Row, StoreError, sql, values};
use testkit::Tester;

pub(crate) const ACME: &str = "acme-corp";

/// What the tests themselves do.
pub(crate) struct Act;

impl Action for Act {
    const NAME: &'static str = "test.act";
    const PERMISSION: Option<Permission> = None;
}

pub(crate) struct People {
    pub(crate) alice: Caller,
    pub(crate) bob: Caller,
    pub(crate) carol: Caller,
    pub(crate) vera: Caller,
}

pub(crate) fn people(t: &Tester) -> People {
    People {
        alice: t.user(ACME, "alice", [Role::AgentDesigner]),
        bob: t.user(ACME, "bob", [Role::Admin]),
        carol: t.user(ACME, "carol", [Role::Admin]),
        vera: t.user(ACME, "vera", [Role::Viewer]),
    }
}

pub(crate) fn followers() -> Followers {
    Followers::new().on(RequestType::AgentPublish, catalog::follow_decision)
}

/// Sets how many must approve.
pub(crate) fn required(t: &Tester, admin: &Caller, number: u32) {
    let new = WorkflowIn {
        name: Text::new("Strict Agent Publishing").unwrap(),
        quorum: Quorum::new(number, [Role::Admin, Role::AgentDesigner].into()).unwrap(),
        expire_hours: ExpireHours::new(48).unwrap(),
        expected_revision: None,
    };
    approvals::set_workflow(&t.db, &t.again(admin), RequestType::AgentPublish, new, &t.moment()).unwrap();
}

pub(crate) fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: Text::new(name).unwrap(),
        description: Prose::new("Answers customers").unwrap(),
        category: Some(Text::new("support").unwrap()),
        tags: Tags::new(["production", "nlp"]).unwrap(),
    }
}

pub(crate) fn agent(t: &Tester, caller: &Caller) -> Agent {
    let new = new_agent("Customer Support Agent");
    catalog::create_agent(&t.db, &t.again(caller), new, &t.moment()).unwrap()
}

pub(crate) fn with_tools(tools: &[&str]) -> Definition {
    Definition::new(&json!({ "model": "gpt-4o-mini", "tools": tools })).unwrap()
}

pub(crate) fn new_version(number: &str, tools: &[&str]) -> NewVersion {
    NewVersion {
        number: number.parse().unwrap(),
        definition: with_tools(tools),
        changelog: Prose::new("Added ticket creation capability").unwrap(),
    }
}

pub(crate) fn draft(t: &Tester, caller: &Caller, agent: &AgentId, number: &str) -> Version {
    let new = new_version(number, &["semantic_search", "send_email"]);
    catalog::create_version(&t.db, &t.again(caller), agent, new, &t.moment()).unwrap()
}

pub(crate) fn submit(t: &Tester, caller: &Caller, id: &VersionId) -> Result<Version, catalog::SubmitError> {
    catalog::submit(&t.db, &t.again(caller), id, &t.moment())
}

pub(crate) fn submitted(t: &Tester, caller: &Caller, agent: &AgentId, number: &str) -> Version {
    submit(t, caller, &draft(t, caller, agent, number).id).unwrap()
}

pub(crate) fn decide(t: &Tester, caller: &Caller, review: &ReviewId, verdict: Verdict) -> Result<Request, DecideError> {
    let decision = Decision { request: review.clone(), verdict, comment: None };
    approvals::decide(&t.db, &t.again(caller), decision, &followers(), &t.moment())
}

pub(crate) fn approve(t: &Tester, caller: &Caller, version: &Version) -> Result<Request, DecideError> {
    decide(t, caller, version.review.as_ref().unwrap(), Verdict::Approve)
}

/// A version by alice that bob approved.
pub(crate) fn approved(t: &Tester, who: &People, agent: &AgentId, number: &str) -> Version {
    let version = submitted(t, &who.alice, agent, number);
    approve(t, &who.bob, &version).unwrap();
    version
}

pub(crate) fn publish(t: &Tester, caller: &Caller, id: &VersionId) -> Result<Version, catalog::PublishError> {
    catalog::publish(&t.db, &t.again(caller), id, &t.moment())
}

pub(crate) fn detail(t: &Tester, caller: &Caller, id: &VersionId) -> Detail {
    catalog::version(&t.db, caller, id, &t.moment()).unwrap()
}

pub(crate) fn status(t: &Tester, caller: &Caller, id: &VersionId) -> catalog::Status {
    detail(t, caller, id).version.status
}

pub(crate) fn running(t: &Tester, caller: &Caller) -> Result<Vec<Published>, StoreError> {
    let grant = caller.authorize::<Act>().unwrap();
    t.db.read(&grant, catalog::published)
}

/// The actions in the tenant's ledger, in order.
pub(crate) fn recorded(t: &Tester, caller: &Caller) -> Vec<String> {
    let grant = caller.authorize::<Act>().unwrap();
    t.db.read(&grant, |tx| {
        tx.all(
            sql!("SELECT action FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq"),
            values![],
            Row::get::<String>,
        )
    })
    .map_err(|error: StoreError| error)
    .unwrap()
}

/// The leaves of the tenant's ledger, as stored.
pub(crate) fn leaves(t: &Tester, caller: &Caller) -> Vec<String> {
    let grant = caller.authorize::<Act>().unwrap();
    let leaves = t.db.read(&grant, |tx| {
        tx.all(
            sql!("SELECT leaf FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq"),
            values![],
            Row::get::<Vec<u8>>,
        )
    });
    let leaves: Vec<Vec<u8>> = leaves.map_err(|error: StoreError| error).unwrap();
    leaves.into_iter().map(|leaf| String::from_utf8(leaf).unwrap()).collect()
}

/// What was sealed beside the last entry with that action: 32 bytes of salt, then JSON.
pub(crate) fn payload(t: &Tester, caller: &Caller, action: &str) -> serde_json::Value {
    let grant = caller.authorize::<Act>().unwrap();
    let opened: Result<Vec<u8>, StoreError> = t.db.read(&grant, |tx| {
        let found = tx.optional(
            sql!(
                "SELECT p.seq, p.sealed FROM ledger_payloads p
                   JOIN ledger_entries e ON e.tenant_id = p.tenant_id AND e.seq = p.seq
                  WHERE p.tenant_id = $1 AND e.action = $2 ORDER BY p.seq DESC LIMIT 1"
            ),
            values![action],
            |row| Ok((row.get::<i64>()?, row.get::<Vec<u8>>()?)),
        )?;
        let (seq, sealed) = found.unwrap();
        tx.open(("ledger_payloads", "sealed", &seq.to_string()), &sealed)
    });
    serde_json::from_slice(&opened.unwrap()[32..]).unwrap()
}

pub(crate) fn hours(t: &Tester, hours: i64) {
    t.clock.advance_micros(hours * 3_600_000_000);
}
