//! One question in Cedar's terms.

use authz::{ActorKind, Attributes, Facts, Permission, Question, Roles};
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use kernel::Timestamp;

use crate::values::{Values, texts};
use crate::vocabulary::{NOTHING, Named, Vocabulary};

/// Who asks what, and when; what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) permission: Permission,
    pub(crate) resource: Option<&'a str>,
    pub(crate) at: Timestamp,
    pub(crate) facts: Facts<'a>,
}

/// Somebody, as policies see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: ActorKind,
    pub(crate) roles: &'a Roles,
    pub(crate) attributes: &'a Attributes,
}

impl<'a> From<&Question<'a>> for Asked<'a> {
    fn from(question: &Question<'a>) -> Self {
        let Question { caller, permission, resource, at, facts } = *question;
        let standing = caller.standing();
        let who = Who {
            id: &standing.actor.id,
            kind: standing.actor.kind,
            roles: &standing.roles,
            attributes: &standing.attributes,
        };
        Self { who, permission, resource, at, facts: *facts }
    }
}

/// Why a question cannot be put. Nobody is told: what cannot be asked is refused.
pub(crate) type Unaskable = Box<dyn std::error::Error + Send + Sync>;

/// Somebody, ready to be asked about as often as they act, by policies with the same needs.
#[derive(Debug)]
pub(crate) struct Principal {
    uid: EntityUid,
    entities: Entities,
}

/// What the tags of a user's attributes hang on.
const PRINCIPAL: &str = "principal";

/// What the tags of a tool's arguments hang on.
const ARGUMENTS: &str = "arguments";

impl Principal {
    pub(crate) fn new(who: &Who<'_>, needs: Needs) -> Result<Self, Unaskable> {
        let uid = Vocabulary::get().principal(who.kind, who.id);
        let values = Values::of_attributes(who.attributes);
        let attributes = [
            ("id".to_owned(), text(who.id)),
            ("roles".to_owned(), texts(who.roles.iter().map(ToString::to_string).collect())),
            ("attributes".to_owned(), values.record(PRINCIPAL)),
        ];
        let mut entities = values.entities(PRINCIPAL, needs.decimals())?;
        entities.push(Entity::new_with_tags(uid.clone(), attributes, [], [])?);
        Ok(Self { uid, entities: Entities::from_entities(entities, None)? })
    }
}

/// Which facts policies ask for: what none of them names need not be put together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs(u16);

impl Needs {
    /// Everything that takes time to put together. Decimals are read by a pattern, which takes the most.
    const NAMES: [&str; 12] = [
        "time",
        "hour",
        "weekday",
        "agent",
        "version",
        "model",
        "tool",
        "arguments",
        "tools",
        "cost",
        "data_class",
        "decimal",
    ];

    /// What a policy with that text may ask for: a fact that it reads, it names.
    pub(crate) fn of(text: &str) -> Self {
        let named = Self::NAMES.iter().enumerate().filter(|(_, name)| text.contains(**name));
        Self(named.fold(0, |all, (at, _)| all | 1 << at))
    }

    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, name: &str) -> bool {
        Self::NAMES.iter().position(|known| *known == name).is_some_and(|at| self.0 & 1 << at != 0)
    }

    /// Whether numbers are read as decimals.
    pub(crate) fn decimals(self) -> bool {
        self.has("decimal")
    }
}

/// What is known to all policies of one action.
#[derive(Debug)]
pub(crate) struct Put<'a> {
    pub(crate) request: Request,
    pub(crate) entities: std::borrow::Cow<'a, Entities>,
}

/// Puts a question, with the facts that are needed.
pub(crate) fn put<'a>(
    asked: &Asked<'_>,
    named: &Named,
    needs: Needs,
    principal: &'a Principal,
) -> Result<Put<'a>, Unaskable> {
    let mut pairs = facts(asked, needs);
    let mut entities = std::borrow::Cow::Borrowed(&principal.entities);
    if needs.has("arguments") {
        let values = asked.facts.arguments.map(Values::of_arguments).transpose()?.unwrap_or_default();
        pairs.push(("arguments".to_owned(), values.record(ARGUMENTS)));
        let more = values.entities(ARGUMENTS, needs.decimals())?;
        if !more.is_empty() {
            entities = std::borrow::Cow::Owned(principal.entities.clone().add_entities(more, None)?);
        }
    }
    let context = if pairs.is_empty() { Context::empty() } else { Context::from_pairs(pairs)? };
    let resource = match asked.resource {
        None | Some(NOTHING) => named.nothing.clone(),
        Some(id) => named.thing(id),
    };
    let request = Request::new(principal.uid.clone(), named.action.clone(), resource, context, None)?;
    Ok(Put { request, entities })
}

fn facts(asked: &Asked<'_>, needs: Needs) -> Vec<(String, RestrictedExpression)> {
    let Facts { agent, version, model, tool, arguments: _, tools, cost_nanos, data_class } = asked.facts;
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: &dyn Fn() -> RestrictedExpression| {
        if needs.has(name) {
            pairs.push((name.to_owned(), value()));
        }
    };
    add("time", &|| RestrictedExpression::new_datetime(asked.at.to_string()));
    add("hour", &|| RestrictedExpression::new_long(hour(asked.at)));
    add("weekday", &|| RestrictedExpression::new_long(weekday(asked.at)));
    add("tools", &|| texts(tools.to_vec()));
    let named = [("agent", agent), ("version", version), ("model", model), ("tool", tool), ("data_class", data_class)];
    for (name, value) in named {
        if let Some(value) = value {
            add(name, &|| text(value));
        }
    }
    if let Some(nanos) = cost_nanos {
        add("cost", &|| RestrictedExpression::new_decimal(cost(nanos)));
    }
    pairs
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// The hour of the day in UTC, 0 to 23.
fn hour(at: Timestamp) -> i64 {
    at.micros().rem_euclid(DAY) / HOUR
}

/// The day of the week in UTC: 1 is Monday, 7 is Sunday. The first day of 1970 was a Thursday.
fn weekday(at: Timestamp) -> i64 {
    (at.micros().div_euclid(DAY) + 3).rem_euclid(7) + 1
}

/// Money with four places, rounded up: a cost is never shown as less than it is.
fn cost(nanos: i64) -> String {
    const UNIT: i64 = 100_000;
    let units = nanos.div_euclid(UNIT) + i64::from(nanos.rem_euclid(UNIT) > 0);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", units.unsigned_abs() / 10_000, units.unsigned_abs() % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_weekdays_are_those_of_utc() {
        for (at, expected) in [
            ("1970-01-01T00:00:00Z", (0, 4)),
            ("1969-12-31T23:59:59Z", (23, 3)),
            ("2027-01-15T08:00:00Z", (8, 5)),
            ("2027-01-17T23:59:59.999Z", (23, 7)),
            ("2027-01-18T00:00:00+01:00", (23, 7)),
            ("2027-01-18T00:00:00Z", (0, 1)),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!((hour(at), weekday(at)), expected, "{at}");
        }
    }

    #[test]
    fn a_cost_is_never_shown_as_less_than_it_is() {
        for (nanos, expected) in
            [(0, "0.0000"), (1, "0.0001"), (100_000, "0.0001"), (1_500_000_001, "1.5001"), (-150_000, "-0.0001")]
        {
            assert_eq!(cost(nanos), expected);
        }
        assert_eq!(cost(i64::MAX), "9223372036.8548");
    }
}
