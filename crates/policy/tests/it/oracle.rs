//! The engine against an independent one: a few lines of our own that know nothing of Cedar.
//!
//! Each run decides 50,000 random cases both ways; `TASKFORCE_CASES` asks for more.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use authz::{ActorKind, Attribute, DecisionInput, Permission, RoleName, Verdict};
use policy::Word;

use crate::given::{everything, input, line, rules};

/// How many questions are put to each set of rules.
const QUESTIONS: usize = 250;

/// `SplitMix64`.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

const USERS: [&str; 4] = ["usr_a", "usr_b", "svc_c", "svc_d"];
const ROLES: [&str; 3] = ["operator", "viewer", "night-shift"];
const NAMES: [&str; 3] = ["level", "amount", "x/y"];
const WORDS: [&str; 3] = ["red", "green", "re*d"];
const THINGS: [&str; 3] = ["one", "two", "three"];
const ACTIONS: [Permission; 5] = [
    Permission::AgentExecute,
    Permission::AgentRead,
    Permission::ToolExecute,
    Permission::SessionCreate,
    Permission::PolicyManage,
];

/// Cedar's name for what an action is about.
fn kind_of(permission: Permission) -> &'static str {
    match permission.resource() {
        "agent" => "Agent",
        "tool" => "Tool",
        _ => "Session",
    }
}

/// One rule, in terms of our own.
#[derive(Clone)]
pub(crate) struct Naive {
    id: String,
    forbid: bool,
    who: Option<Who>,
    /// `None` for any.
    actions: Option<Vec<Permission>>,
    thing: Option<Thing>,
    when: Vec<Test>,
    unless: Vec<Test>,
    pub(crate) approval: bool,
    pub(crate) limit: Option<u64>,
}

#[derive(Clone)]
enum Who {
    Kind(ActorKind),
    Id(ActorKind, &'static str),
}

#[derive(Clone)]
enum Thing {
    Kind(&'static str),
    Id(&'static str, &'static str),
}

#[derive(Clone)]
enum Test {
    Role(&'static str),
    Level(&'static str, i64),
    Argument(&'static str, i64),
    Color(&'static str),
    Agent(&'static str),
    Before(i64),
    Offered(&'static str),
    Cheap(i64),
    /// Fails for whoever has a positive number of that name.
    Overflows(&'static str),
    Not(Box<Test>),
    Either(Box<Test>, Box<Test>),
}

/// A condition that cannot be evaluated.
struct Failed;

impl Test {
    fn random(dice: &mut Dice, depth: usize) -> Self {
        match dice.below(if depth == 0 { 9 } else { 12 }) {
            1 => Self::Level(dice.pick(&NAMES), i64::try_from(dice.below(4)).unwrap()),
            2 => Self::Argument(dice.pick(&NAMES), i64::try_from(dice.below(4)).unwrap()),
            3 => Self::Color(dice.pick(&WORDS)),
            4 => Self::Agent(dice.pick(&THINGS)),
            5 => Self::Before(i64::try_from(dice.below(25)).unwrap()),
            6 => Self::Offered(dice.pick(&THINGS)),
            7 => Self::Cheap(i64::try_from(dice.below(3)).unwrap()),
            8 if dice.one_in(3) => Self::Overflows(dice.pick(&NAMES)),
            0 | 8 => Self::Role(dice.pick(&ROLES)),
            9 | 10 => Self::Not(Box::new(Self::random(dice, depth - 1))),
            _ => Self::Either(Box::new(Self::random(dice, depth - 1)), Box::new(Self::random(dice, depth - 1))),
        }
    }

    fn cedar(&self) -> String {
        let number = |values: &str, name: &str, rest: &str| {
            format!("({values}.number.hasTag(\"{name}\") && {values}.number.getTag(\"{name}\") {rest})")
        };
        match self {
            Self::Role(role) => format!("principal.roles.contains(\"{role}\")"),
            Self::Level(name, least) => number("principal.attributes", name, &format!(">= {least}")),
            Self::Argument(name, least) => number("context.arguments", name, &format!(">= {least}")),
            Self::Color(color) => format!(
                "(principal.attributes.text.hasTag(\"color\") && principal.attributes.text.getTag(\"color\") == \"{color}\")"
            ),
            Self::Agent(agent) => format!("(context has agent && context.agent == \"{agent}\")"),
            Self::Before(hour) => format!("context.hour < {hour}"),
            Self::Offered(tool) => format!("context.tools.contains(\"{tool}\")"),
            Self::Cheap(most) => {
                format!("(context has cost && context.cost.lessThanOrEqual(decimal(\"{most}.0\")))")
            }
            Self::Overflows(name) => number("principal.attributes", name, "+ 9223372036854775807 > 0"),
            Self::Not(test) => format!("!({})", test.cedar()),
            Self::Either(left, right) => format!("({} || {})", left.cedar(), right.cedar()),
        }
    }

    fn holds(&self, case: &DecisionInput) -> Result<bool, Failed> {
        let level = |name: &str| match case.attributes.get(name) {
            Some(Attribute::Number(number)) => Some(*number),
            _ => None,
        };
        Ok(match self {
            Self::Role(role) => case.roles.iter().any(|held| held.as_str() == *role),
            Self::Level(name, least) => level(name).is_some_and(|number| number >= *least),
            Self::Argument(name, least) => argument(case, name).is_some_and(|number| number >= *least),
            Self::Color(color) => case.attributes.get("color") == Some(&Attribute::Text((*color).to_owned())),
            Self::Agent(agent) => case.facts.agent.as_deref() == Some(agent),
            Self::Before(hour) => case.at.micros() / 3_600_000_000 % 24 < *hour,
            Self::Offered(tool) => case.facts.tools.iter().any(|offered| offered == tool),
            Self::Cheap(most) => case.facts.cost_nanos.is_some_and(|nanos| nanos <= most * 1_000_000_000),
            Self::Overflows(name) => match level(name) {
                Some(1..) => return Err(Failed),
                number => number.is_some_and(|number| number + i64::MAX > 0),
            },
            Self::Not(test) => !test.holds(case)?,
            Self::Either(left, right) => left.holds(case)? || right.holds(case)?,
        })
    }
}

fn argument(case: &DecisionInput, name: &str) -> Option<i64> {
    let arguments: serde_json::Value = serde_json::from_str(case.facts.arguments.as_deref()?).unwrap();
    name.split('/').try_fold(&arguments, |value, part| value.get(part))?.as_i64()
}

impl Naive {
    fn random(dice: &mut Dice, number: usize) -> Self {
        let actions = match dice.below(4) {
            0 => None,
            1 => Some(vec![Permission::AgentExecute]),
            _ => {
                let some: BTreeSet<Permission> = (0..=dice.below(3)).map(|_| dice.pick(&ACTIONS[..4])).collect();
                Some(some.into_iter().collect())
            }
        };
        let kind = kind_of(actions.as_ref().map_or(Permission::AgentRead, |actions| actions[0]));
        let forbid = dice.one_in(4);
        let only = |allowed: &[Permission]| {
            !forbid && actions.as_ref().is_some_and(|actions| actions.iter().all(|action| allowed.contains(action)))
        };
        let (waits, obliges) =
            (only(&[Permission::AgentExecute, Permission::ToolExecute]), only(&[Permission::AgentExecute]));
        let user = dice.pick(&USERS);
        let of = if user.starts_with("usr") { ActorKind::User } else { ActorKind::Service };
        Self {
            // Shuffled, so that the order of names is not that of the text.
            id: format!("r{}", number * 7 % 11),
            forbid,
            who: match dice.below(5) {
                0 => Some(Who::Kind(of)),
                1 => Some(Who::Id(of, user)),
                _ => None,
            },
            thing: match dice.below(5) {
                0 => Some(Thing::Kind(kind)),
                1 => Some(Thing::Id(kind, dice.pick(&THINGS))),
                _ => None,
            },
            actions,
            when: (0..dice.below(3)).map(|_| Test::random(dice, 2)).collect(),
            unless: if dice.one_in(4) { vec![Test::random(dice, 1)] } else { Vec::new() },
            approval: waits && dice.one_in(4),
            limit: if obliges && dice.one_in(3) { Some(u64::try_from(dice.below(5)).unwrap() + 1) } else { None },
        }
    }

    pub(crate) fn cedar(&self) -> String {
        let mut text = format!("@id(\"{}\")\n", self.id);
        if self.approval {
            text.push_str("@outcome(\"require_approval\")\n");
        }
        if let Some(limit) = self.limit {
            let _ = writeln!(text, "@obligation(\"max_output_tokens={limit}\")");
        }
        let named = |kind: &ActorKind| if *kind == ActorKind::User { "User" } else { "Service" };
        let who = match &self.who {
            None => String::new(),
            Some(Who::Kind(kind)) => format!(" is {}", named(kind)),
            Some(Who::Id(kind, id)) => format!(" == {}::\"{id}\"", named(kind)),
        };
        let actions = self.actions.as_ref().map_or_else(String::new, |actions| {
            let all: Vec<String> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
            format!(" in [{}]", all.join(", "))
        });
        let thing = match &self.thing {
            None => String::new(),
            Some(Thing::Kind(kind)) => format!(" is {kind}"),
            Some(Thing::Id(kind, id)) => format!(" == {kind}::\"{id}\""),
        };
        let effect = if self.forbid { "forbid" } else { "permit" };
        let _ = write!(text, "{effect} (principal{who}, action{actions}, resource{thing})");
        for test in &self.when {
            let _ = write!(text, "\nwhen {{ {} }}", test.cedar());
        }
        for test in &self.unless {
            let _ = write!(text, "\nunless {{ {} }}", test.cedar());
        }
        text + ";\n"
    }

    fn speaks_of(&self, permission: Permission) -> bool {
        permission != Permission::PolicyManage
            && self.actions.as_ref().is_none_or(|actions| actions.contains(&permission))
    }

    fn matches(&self, case: &DecisionInput) -> Result<bool, Failed> {
        let who = match &self.who {
            None => true,
            Some(Who::Kind(kind)) => *kind == case.kind,
            Some(Who::Id(kind, id)) => *kind == case.kind && case.id == *id,
        };
        let thing = match &self.thing {
            None => true,
            Some(Thing::Kind(kind)) => *kind == kind_of(case.permission),
            Some(Thing::Id(kind, id)) => *kind == kind_of(case.permission) && case.resource.as_deref() == Some(id),
        };
        if !who || !thing || !self.speaks_of(case.permission) {
            return Ok(false);
        }
        for test in &self.when {
            if !test.holds(case)? {
                return Ok(false);
            }
        }
        for test in &self.unless {
            if test.holds(case)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The oracle: the rules of `docs/policies.md`, word by word.
pub(crate) fn naive(rules: &[Naive], case: &DecisionInput) -> String {
    if !case.permissions.contains(case.permission) {
        return "deny by roles".to_owned();
    }
    if !rules.iter().any(|rule| rule.speaks_of(case.permission)) {
        return "allow by none".to_owned();
    }
    let mut rules: Vec<&Naive> = rules.iter().collect();
    rules.sort_by_key(|rule| &rule.id);
    let matched: Vec<&Naive> = rules.iter().filter(|rule| matches!(rule.matches(case), Ok(true))).copied().collect();
    if let Some(rule) = matched.iter().find(|rule| rule.forbid) {
        return format!("deny by {}", rule.id);
    }
    if let Some(rule) = rules.iter().find(|rule| rule.matches(case).is_err()) {
        return format!("deny by {}", rule.id);
    }
    let Some(first) = matched.first() else {
        return "deny by default".to_owned();
    };
    let waits = matched.iter().find(|rule| rule.approval);
    let (word, rule) = waits.map_or(("allow", first), |rule| ("require_approval", rule));
    match matched.iter().filter_map(|rule| rule.limit).min() {
        Some(limit) => format!("{word} with max_output_tokens={limit} by {}", rule.id),
        None => format!("{word} by {}", rule.id),
    }
}

pub(crate) fn case(dice: &mut Dice) -> DecisionInput {
    let permission = dice.pick(&ACTIONS);
    let thing = if dice.one_in(3) { None } else { Some(dice.pick(&THINGS)) };
    let mut case = input(permission, thing);
    dice.pick(&USERS).clone_into(&mut case.id);
    case.kind = if case.id.starts_with("usr") { ActorKind::User } else { ActorKind::Service };
    let roles = ROLES.iter().filter(|_| dice.one_in(2)).map(|role| role.parse::<RoleName>().unwrap());
    case.roles = roles.collect();
    case.permissions = if dice.one_in(20) { case.roles.system_permissions() } else { everything() };
    case.attributes.clear();
    for name in NAMES {
        if dice.one_in(2) {
            let number = i64::try_from(dice.below(6)).unwrap() - 1;
            let text = Attribute::Text(number.to_string());
            let value = if dice.one_in(5) { text } else { Attribute::Number(number) };
            case.attributes.insert(name.to_owned(), value);
        }
    }
    if dice.one_in(2) {
        case.attributes.insert("color".to_owned(), Attribute::Text(dice.pick(&WORDS).to_owned()));
    }
    let hour = i64::try_from(dice.below(24)).unwrap();
    case.at = case.at.day_start().plus_seconds(hour * 3_600 + 59);
    let facts = &mut case.facts;
    facts.agent = if dice.one_in(2) { Some(dice.pick(&THINGS).to_owned()) } else { None };
    facts.tools = THINGS.iter().filter(|_| dice.one_in(3)).map(|tool| (*tool).to_owned()).collect();
    facts.cost_nanos = if dice.one_in(2) { Some(i64::try_from(dice.below(5)).unwrap() * 500_000_000) } else { None };
    if dice.one_in(2) {
        let (amount, nested) = (dice.below(5), dice.below(5));
        facts.arguments = Some(match dice.below(4) {
            0 => format!(r#"{{"amount":{amount}}}"#),
            1 => format!(r#"{{"amount":"{amount}","x":{{"y":{nested}}}}}"#),
            2 => format!(r#"{{"x/y":{amount},"level":{nested}}}"#),
            _ => "[]".to_owned(),
        });
    }
    case
}

pub(crate) fn set(dice: &mut Dice) -> Vec<Naive> {
    (0..=dice.below(6)).map(|number| Naive::random(dice, number)).collect()
}

pub(crate) fn text(rules: &[Naive]) -> String {
    rules.iter().map(Naive::cedar).collect()
}

fn cases() -> usize {
    let asked = std::env::var_os("TASKFORCE_CASES").and_then(|text| text.to_str()?.parse().ok());
    asked.unwrap_or(50_000)
}

/// Decides `count` cases both ways, and returns which outcomes there were.
fn compare(seed: u64, count: usize) -> BTreeSet<String> {
    let (mut dice, mut seen) = (Dice(seed), BTreeSet::new());
    for _ in 0..count.div_ceil(QUESTIONS) {
        let naive_rules = set(&mut dice);
        let source = text(&naive_rules);
        let rules = rules(&source);
        for _ in 0..QUESTIONS {
            let case = case(&mut dice);
            let expected = naive(&naive_rules, &case);
            assert_eq!(line(&rules.replay(&case)), expected, "\n{source}\n{case:#?}");
            seen.insert(expected.split(" by ").next().unwrap().split('=').next().unwrap().to_owned());
        }
    }
    seen
}

#[test]
fn the_engine_and_the_oracle_never_differ() {
    let halves = [20_270_115, 20_270_116];
    let seen = std::thread::scope(|scope| {
        let running = halves.map(|seed| scope.spawn(move || compare(seed, cases() / halves.len())));
        running.into_iter().flat_map(|half| half.join().unwrap()).collect::<BTreeSet<String>>()
    });
    let all = [
        "allow",
        "allow with max_output_tokens",
        "deny",
        "require_approval",
        "require_approval with max_output_tokens",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all, "the cases do not reach every outcome");
}

/// How much a verdict allows.
fn looseness(word: &Word) -> u8 {
    match &word.verdict {
        Verdict::Deny => 0,
        Verdict::RequireApproval(_) => 1,
        Verdict::Allow(obligations) if !obligations.is_empty() => 2,
        Verdict::Allow(_) => 3,
    }
}

#[test]
fn the_order_of_policies_never_matters() {
    let mut dice = Dice(1);
    for _ in 0..60 {
        let mut naive_rules = set(&mut dice);
        let one = rules(&text(&naive_rules));
        naive_rules.reverse();
        let middle = dice.below(naive_rules.len());
        naive_rules.rotate_left(middle);
        let other = rules(&text(&naive_rules));
        for _ in 0..20 {
            let case = case(&mut dice);
            assert_eq!(one.replay(&case), other.replay(&case), "{}\n{case:#?}", text(&naive_rules));
        }
    }
}

#[test]
fn a_forbid_that_is_added_never_loosens() {
    let mut dice = Dice(2);
    for _ in 0..60 {
        let mut naive_rules = set(&mut dice);
        let before = rules(&text(&naive_rules));
        let plain = Naive { approval: false, limit: None, forbid: true, ..Naive::random(&mut dice, 0) };
        naive_rules.push(Naive { id: "added".to_owned(), ..plain });
        let after = rules(&text(&naive_rules));
        for _ in 0..20 {
            let case = case(&mut dice);
            let (was, is) = (before.replay(&case), after.replay(&case));
            assert!(looseness(&is) <= looseness(&was), "{}\n{case:#?}", text(&naive_rules));
        }
    }
}

#[test]
fn a_plain_permit_that_is_removed_never_loosens_what_stays_governed() {
    let mut dice = Dice(3);
    let mut looked_at = 0;
    for _ in 0..120 {
        let naive_rules = set(&mut dice);
        let plain = |rule: &&Naive| !rule.forbid && !rule.approval && rule.limit.is_none();
        let Some(removed) = naive_rules.iter().find(plain).cloned() else { continue };
        let rest: Vec<Naive> = naive_rules.iter().filter(|rule| rule.id != removed.id).cloned().collect();
        if rest.is_empty() {
            continue;
        }
        let (before, after) = (rules(&text(&naive_rules)), rules(&text(&rest)));
        for _ in 0..20 {
            let case = case(&mut dice);
            // A policy that fails refuses; without it, the others decide.
            if !after.governs().contains(case.permission) || removed.matches(&case).is_err() {
                continue;
            }
            looked_at += 1;
            let (was, is) = (before.replay(&case), after.replay(&case));
            assert!(looseness(&is) <= looseness(&was), "{}\n{case:#?}", text(&naive_rules));
        }
    }
    assert!(looked_at > 500, "{looked_at}");
}
