//! What changes when other policies hold. Pure.

use std::collections::BTreeMap;

use authz::{ActorKind, DecisionInput, Known, Permission, Permissions, Role, RoleName, Roles, Verdict};
use kernel::Timestamp;

use crate::rules::{Rules, Word};

/// How many names of each kind a summary lists.
const TOLD: usize = 20;

/// What other policies change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The policies that are new, by `@id`.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that say something else.
    pub changed: Vec<String>,
    /// What only roles decided on, and policies do from now on.
    pub newly_governed: Permissions,
    /// What policies decided on, and only roles do from now on.
    pub no_longer_governed: Permissions,
    /// The decisions that change for somebody with one role, no attributes and nothing else known, about no single
    /// thing. Conditions can change more: a backtest says.
    pub shifts: Vec<Shift>,
}

/// A decision that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// For whom.
    pub role: RoleName,
    /// On what.
    pub permission: Permission,
    /// The verdict until now, in a word.
    pub from: String,
    /// The verdict from now on.
    pub to: String,
    /// Whether more is allowed then.
    pub direction: Direction,
}

/// Whether a change allows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It does.
    Widening,
    /// It allows less.
    Narrowing,
    /// It asks for something else.
    Sideways,
}

impl Direction {
    /// The direction in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Widening => "widening",
            Self::Narrowing => "narrowing",
            Self::Sideways => "sideways",
        }
    }

    fn of(from: &Verdict, to: &Verdict) -> Self {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Deny => 0,
            Verdict::RequireApproval(_) => 1,
            Verdict::Allow(obligations) => {
                if obligations.is_empty() {
                    3
                } else {
                    2
                }
            }
        };
        match rank(to).cmp(&rank(from)) {
            std::cmp::Ordering::Greater => Self::Widening,
            std::cmp::Ordering::Less => Self::Narrowing,
            std::cmp::Ordering::Equal => Self::Sideways,
        }
    }
}

impl Comparison {
    /// Whether somebody may do more afterwards, as far as this shows.
    pub fn widens(&self) -> bool {
        self.shifts.iter().any(|shift| shift.direction == Direction::Widening)
    }

    /// The comparison in a few sentences, for whoever approves it.
    pub(crate) fn summary(&self) -> String {
        let Self { added, removed, changed, newly_governed, no_longer_governed, shifts } = self;
        let mut said = Vec::new();
        let mut list = |what: &str, names: Vec<String>| match names.split_at_checked(TOLD) {
            Some((first, rest)) if !rest.is_empty() => {
                said.push(format!("{what}: {} and {} more.", first.join(", "), rest.len()));
            }
            _ if names.is_empty() => {}
            _ => said.push(format!("{what}: {}.", names.join(", "))),
        };
        let actions = |permissions: &Permissions| permissions.iter().map(|one| one.to_string()).collect();
        list("New policies", added.clone());
        list("Removed policies", removed.clone());
        list("Changed policies", changed.clone());
        list("Policies now decide on", actions(newly_governed));
        list("Only roles now decide on", actions(no_longer_governed));
        let of = |direction| {
            let those = shifts.iter().filter(move |shift| shift.direction == direction);
            those.map(|shift| format!("{} {}: {} to {}", shift.role, shift.permission, shift.from, shift.to)).collect()
        };
        list("Wider", of(Direction::Widening));
        list("Narrower", of(Direction::Narrowing));
        list("Otherwise", of(Direction::Sideways));
        said.join("\n")
    }
}

/// The roles of one tenant, with what each allows.
pub(crate) type RolesOfTenant = Vec<(RoleName, Permissions)>;

/// The system's roles, with what each allows.
pub(crate) fn system_roles() -> RolesOfTenant {
    Role::TENANT.into_iter().map(|role| (role.into(), role.permissions())).collect()
}

/// What changes when `to` holds instead of `from`; `None` stands for no policies.
pub(crate) fn compare(from: Option<&Rules>, to: Option<&Rules>, roles: &RolesOfTenant, at: Timestamp) -> Comparison {
    let meanings = |rules: Option<&Rules>| rules.map(Rules::meanings).unwrap_or_default();
    let (old, new) = (meanings(from), meanings(to));
    let missing = |from: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        from.keys().filter(|id| !other.contains_key(*id)).cloned().collect()
    };
    let governed = |rules: Option<&Rules>| rules.map(Rules::governs).unwrap_or_default();
    let changed = new.iter().filter(|(id, meaning)| old.get(*id).is_some_and(|before| before != *meaning));
    Comparison {
        added: missing(&new, &old),
        removed: missing(&old, &new),
        changed: changed.map(|(id, _)| id.clone()).collect(),
        newly_governed: governed(to).without(governed(from)),
        no_longer_governed: governed(from).without(governed(to)),
        shifts: roles.iter().flat_map(|role| shifts(from, to, role, at)).collect(),
    }
}

fn shifts(
    from: Option<&Rules>,
    to: Option<&Rules>,
    (role, permissions): &(RoleName, Permissions),
    at: Timestamp,
) -> Vec<Shift> {
    let mut input = DecisionInput {
        id: "anybody".to_owned(),
        kind: ActorKind::User,
        roles: [role.clone()].into_iter().collect::<Roles>(),
        permissions: *permissions,
        attributes: authz::Attributes::new(),
        permission: Permission::AgentRead,
        resource: None,
        at,
        facts: Known::default(),
    };
    let say = |rules: Option<&Rules>, input: &DecisionInput| {
        rules.map_or_else(Word::ungoverned, |rules| rules.replay(input)).verdict
    };
    let mut shifts = Vec::new();
    for permission in permissions.iter() {
        input.permission = permission;
        let (old, new) = (say(from, &input), say(to, &input));
        if old != new {
            let (direction, role) = (Direction::of(&old, &new), role.clone());
            shifts.push(Shift { role, permission, from: old.label(), to: new.label(), direction });
        }
    }
    shifts
}
