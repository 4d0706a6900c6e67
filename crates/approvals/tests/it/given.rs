//! What the tests start from.

use approvals::{
    Authors, Decision, ExpireHours, Followers, Listing, NewRequest, OpenError, Quorum, Request, RequestType, Status,
    Verdict, WorkflowIn,
};
use authz::{Action, Caller, Permission, Role};
use kernel::Text;
use store::{Entry, Resource, Row, StoreError, sql, values};
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

/// Sets how many admins and designers must approve.
pub(crate) fn required(t: &Tester, admin: &Caller, number: u32) {
    let quorum = Quorum::new(number, [Role::Admin, Role::AgentDesigner].into()).unwrap();
    let new = WorkflowIn {
        name: Text::new("Strict Agent Publishing").unwrap(),
        quorum,
        expire_hours: ExpireHours::new(48).unwrap(),
        expected_revision: None,
    };
    approvals::set_workflow(&t.db, &t.again(admin), RequestType::AgentPublish, new, &t.moment()).unwrap();
}

/// Alice asks for the approval of `resource`, which she and Dora wrote.
pub(crate) fn asked(t: &Tester, requester: &Caller, resource: &str) -> Request {
    open(t, requester, resource).unwrap()
}

pub(crate) fn open(t: &Tester, requester: &Caller, resource: &str) -> Result<Request, String> {
    let new = NewRequest {
        kind: RequestType::AgentPublish,
        resource_kind: "version",
        resource_id: resource.to_owned(),
        about: "agt_1".to_owned(),
        digest: format!("digest of {resource}"),
        title: "Publish Customer Support Agent 1.1.0".to_owned(),
        description: "Added ticket creation capability".to_owned(),
        requester: requester.actor().id.clone(),
        authors: Authors::of("usr_alice").and("usr_dora").unwrap(),
    };
    let grant = requester.authorize::<Act>().unwrap();
    let mut pending = None;
    let opened = t.db.write(grant, |tx| {
        let request = approvals::open(tx, new, &t.moment()).map_err(|error| match error {
            OpenError::Pending(id) => {
                pending = Some(id);
                StoreError::Decode("a free resource")
            }
            OpenError::Database(error) => error,
        })?;
        Ok::<_, StoreError>((Entry::new("test.submitted", Resource::new("version", resource)), request))
    });
    opened.map_err(|error| pending.map_or(error.to_string(), |id| format!("pending: {id}")))
}

pub(crate) fn decision(request: &Request, verdict: Verdict) -> Decision {
    Decision { request: request.id.clone(), verdict, comment: Some(Text::new("after review").unwrap()) }
}

pub(crate) fn decide(
    t: &Tester,
    caller: &Caller,
    request: &Request,
    verdict: Verdict,
) -> Result<Request, approvals::DecideError> {
    approvals::decide(&t.db, &t.again(caller), decision(request, verdict), &noting(), &t.moment())
}

pub(crate) fn approve(t: &Tester, caller: &Caller, request: &Request) -> Result<Request, approvals::DecideError> {
    decide(t, caller, request, Verdict::Approve)
}

/// What follows a decision here: the resource becomes an agent named after the request's status, so that a test can
/// see how often and in which transaction it happened.
pub(crate) fn noting() -> Followers {
    Followers::new().on(RequestType::AgentPublish, |tx, request| {
        tx.execute(
            sql!(
                "INSERT INTO agents (tenant_id, agent_id, name, description, category, tags, search, owner_id,
                                     created_at, updated_at, revision)
                 VALUES ($1, $2, $3, '', '', '', '', '', 0, 0, 1)"
            ),
            values![request.id.as_str(), request.status.as_str()],
        )
        .map(|_| ())
    })
}

/// What the follower noted, in order.
pub(crate) fn noted(t: &Tester, caller: &Caller) -> Vec<String> {
    let grant = caller.authorize::<Act>().unwrap();
    t.db.read(&grant, |tx| {
        tx.all(sql!("SELECT name FROM agents WHERE tenant_id = $1 ORDER BY agent_id"), values![], Row::get::<String>)
    })
    .unwrap()
}

/// The actions in the tenant's ledger, in order, without those of the tests themselves.
pub(crate) fn recorded(t: &Tester, caller: &Caller) -> Vec<String> {
    let grant = caller.authorize::<Act>().unwrap();
    let all = t.db.read(&grant, |tx| {
        tx.all(
            sql!("SELECT action FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq"),
            values![],
            Row::get::<String>,
        )
    });
    all.map_err(|error: StoreError| error)
        .unwrap()
        .into_iter()
        .filter(|action: &String| !action.starts_with("test."))
        .collect()
}

/// The stored status, whatever the time.
pub(crate) fn stored_status(t: &Tester, caller: &Caller, request: &Request) -> String {
    let grant = caller.authorize::<Act>().unwrap();
    t.db.read(&grant, |tx| {
        tx.optional(
            sql!("SELECT status FROM approval_requests WHERE tenant_id = $1 AND review_id = $2"),
            values![&request.id],
            Row::get::<String>,
        )
    })
    .map_err(|error: StoreError| error)
    .unwrap()
    .unwrap()
}

pub(crate) fn granted(t: &Tester, caller: &Caller, resource: &str, digest: &str) -> Option<approvals::Approval> {
    let grant = caller.authorize::<Act>().unwrap();
    t.db.read(&grant, |tx| approvals::granted(tx, resource, digest)).unwrap()
}

pub(crate) fn listed(t: &Tester, caller: &Caller, status: Option<Status>) -> Vec<(String, bool)> {
    let listing = Listing { status, ..Listing::default() };
    let page = approvals::requests(&t.db, caller, &listing, &t.moment()).unwrap();
    page.items.into_iter().map(|listed| (listed.request.resource_id, listed.may_decide)).collect()
}

pub(crate) fn hours(t: &Tester, hours: i64) {
    t.clock.advance_micros(hours * 3_600_000_000);
}
