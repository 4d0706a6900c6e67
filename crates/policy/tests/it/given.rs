//! What the tests start from.

use authz::{
    Action, ActorKind, Attribute, Caller, DecisionInput, Known, Permission, Permissions, Request, Role, Roles, Standing,
};
use kernel::Timestamp;
use policy::{Activation, NewVersion, Policies, Rules, Version, Word};
use store::{Row, StoreError, sql, values};
use testkit::Tester;

/// Every permission.
pub(crate) fn everything() -> Permissions {
    Permission::ALL.iter().copied().collect()
}

/// Somebody whom the roles let do everything, executing an agent on a Friday at 8:00 in UTC.
pub(crate) fn input(permission: Permission, resource: Option<&str>) -> DecisionInput {
    DecisionInput {
        id: "usr_olivia".to_owned(),
        kind: ActorKind::User,
        roles: "operator,night-shift".parse::<Roles>().unwrap(),
        permissions: everything(),
        attributes: [
            ("department".to_owned(), Attribute::Text("finance".to_owned())),
            ("level".to_owned(), Attribute::Number(3)),
            ("trained".to_owned(), Attribute::Flag(true)),
            ("regions".to_owned(), Attribute::Texts(vec!["eu".to_owned(), "us".to_owned()])),
        ]
        .into(),
        permission,
        resource: resource.map(str::to_owned),
        at: "2027-01-15T08:00:00Z".parse::<Timestamp>().unwrap(),
        facts: Known::default(),
    }
}

pub(crate) fn rules(source: &str) -> Rules {
    Rules::read(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

/// What `source` says to somebody who executes the agent `agt_1`.
pub(crate) fn executing(source: &str, change: impl FnOnce(&mut DecisionInput)) -> Word {
    let mut input = input(Permission::AgentExecute, Some("agt_1"));
    change(&mut input);
    rules(source).replay(&input)
}

/// A verdict and the rule behind it, in a line.
pub(crate) fn line(word: &Word) -> String {
    format!("{} by {}", word.verdict.label(), word.rule.as_deref().unwrap_or("none"))
}

pub(crate) const ACME: &str = "acme-corp";

/// People of one tenant.
pub(crate) struct People {
    pub(crate) bob: Caller,
    pub(crate) carol: Caller,
    pub(crate) audra: Caller,
    pub(crate) olivia: Caller,
}

pub(crate) fn people(t: &Tester) -> People {
    People {
        bob: t.user(ACME, "bob", [Role::Admin]),
        carol: t.user(ACME, "carol", [Role::Admin]),
        audra: t.user(ACME, "audra", [Role::Auditor]),
        olivia: t.user(ACME, "olivia", [Role::Operator]),
    }
}

/// Running an agent.
#[derive(Debug)]
pub(crate) struct Execute;

impl Action for Execute {
    const NAME: &'static str = "gateway.call";
    const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
}

/// The same caller in a new request, with its tenant's policies behind its roles.
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
pub(crate) fn guarded(t: &Tester, policies: &Policies, caller: &Caller) -> Caller {
    let standing = Standing { guard: policies.guard_for(caller.tenant()), ..caller.standing().clone() };
    Caller::authenticated(standing, Request::made(&t.moment()))
}

/// A version with that source, no tests and no note.
pub(crate) fn made(t: &Tester, caller: &Caller, source: &str) -> Version {
    policy::create_version(&t.db, &t.again(caller), new(source), &t.moment()).unwrap()
}

pub(crate) fn new(source: &str) -> NewVersion {
    NewVersion { source: source.to_owned(), tests: String::new(), note: None }
}

/// Makes a version and lets it hold.
pub(crate) fn held(t: &Tester, caller: &Caller, source: &str) -> Version {
    let version = made(t, caller, source);
    let done = policy::activate(&t.db, &t.again(caller), version.number, None, &t.moment()).unwrap();
    assert!(matches!(done, Activation::Done(_)), "{done:?}");
    version
}

/// The actions in the ledger of the caller's tenant, newest last, without what the tests arranged.
pub(crate) fn ledger(t: &Tester, caller: &Caller) -> Vec<String> {
    let grant = caller.authorize::<Anything>().unwrap();
    let all = t.db.read(&grant, |tx| {
        tx.all(
            sql!("SELECT action FROM ledger_entries WHERE tenant_id = $1 ORDER BY seq"),
            values![],
            Row::get::<String>,
        )
    });
    all.map_err(|error: StoreError| error).unwrap()
}

/// What the tests themselves do.
#[derive(Debug)]
pub(crate) struct Anything;

impl Action for Anything {
    const NAME: &'static str = "test.act";
    const PERMISSION: Option<Permission> = None;
}

/// Policies by which operators run agents before noon.
pub(crate) const MORNINGS: &str = r#"
    @id("mornings")
    permit (principal, action == Action::"agent:execute", resource)
    when { principal.roles.contains("operator") && context.hour < 12 };
"#;

/// Policies by which whoever runs an agent waits for an approval.
pub(crate) const ASKING: &str = r#"
    @id("ask") @outcome("require_approval")
    permit (principal, action == Action::"agent:execute", resource);
"#;

/// Policies that refuse everything.
pub(crate) const NOTHING: &str = r#"@id("never") forbid (principal, action, resource);"#;
