//! What the tests start from.

use authz::{ActorKind, Attribute, DecisionInput, Known, Permission, Permissions, Roles, Verdict};
use kernel::Timestamp;
use policy::{Rules, Word};

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

pub(crate) fn allows(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow(_))
}
