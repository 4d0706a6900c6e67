//! Tests of policies, written beside them as `*.test.yaml`.

use std::fmt::Display;
use std::str::FromStr;

use authz::{ActorKind, Attributes, DecisionInput, Known, Obligation, Permission, RoleName, Verdict};
use kernel::{Money, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::annotations::together;
use crate::rules::{Rules, Word};

/// How many bytes the tests of one version may have.
pub const MAX_TESTS: usize = 1024 * 1024;

/// When a case happens that does not say: a Monday at noon in UTC, in microseconds since 1970.
const NOON: Timestamp = Timestamp::from_micros(1_767_614_400_000_000);

/// Tests that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tests cannot be read: line {line}, column {column}: {message}")]
pub struct UnreadableCases {
    /// The line, from 1.
    pub line: u64,
    /// The character within the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
}

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The case's name.
    pub name: String,
    /// What the policies said.
    pub word: Word,
    /// What is not as expected; empty for a case that passed.
    pub wrong: Vec<String>,
}

impl Tested {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Tests of policies, read.
#[derive(Clone, Debug, Default)]
pub struct Cases(Vec<Case>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    principal: Somebody,
    action: Read<Permission>,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    context: Context,
    #[serde(default)]
    at: Option<Read<Timestamp>>,
    expect: Expected,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    obligations: Option<Vec<Read<Obligation>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Somebody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    roles: Vec<Read<RoleName>>,
    /// What the tenant's own roles allow: the policies alone do not know.
    #[serde(default)]
    permissions: Vec<Read<Permission>>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    User,
    Service,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    tool: Option<String>,
    #[serde(default)]
    arguments: Option<serde_json::Value>,
    #[serde(default)]
    tools: Vec<String>,
    #[serde(default)]
    cost: Option<Read<Money>>,
    #[serde(default)]
    data_class: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Allow,
    Deny,
    RequireApproval,
}

/// Something that is read from its text, so that a mistake is told with its line.
#[derive(Clone, Debug)]
struct Read<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Cases {
    /// Reads a list of cases. A field that there is not is refused: a test that is misspelt tests nothing.
    pub fn read(text: &str) -> Result<Self, UnreadableCases> {
        let unreadable = |line, column, message| UnreadableCases { line, column, message };
        if text.len() > MAX_TESTS {
            return Err(unreadable(1, 1, format!("tests have at most {MAX_TESTS} bytes")));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map(Self).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = error.without_snippet().to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            unreadable(line, column, message.to_owned())
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts each case to `rules`.
    pub fn run(&self, rules: &Rules) -> Vec<Tested> {
        self.0.iter().map(|case| case.run(rules)).collect()
    }
}

impl Case {
    fn run(&self, rules: &Rules) -> Tested {
        let word = rules.replay(&self.input());
        let mut wrong = Vec::new();
        let mut expect = |what: &str, expected: &str, got: &str| {
            if expected != got {
                wrong.push(format!("{what}: expected `{expected}`, got `{got}`"));
            }
        };
        expect("verdict", self.expect.as_str(), Expected::from(&word.verdict).as_str());
        if let Some(rule) = &self.rule {
            expect("rule", rule, word.rule.as_deref().unwrap_or("none"));
        }
        if let (Some(expected), Verdict::Allow(got) | Verdict::RequireApproval(got)) =
            (&self.obligations, &word.verdict)
        {
            let expected = together(expected.iter().map(|Read(obligation)| obligation));
            expect("obligations", &Verdict::Allow(expected).label(), &Verdict::Allow(got.clone()).label());
        }
        Tested { name: self.name.clone(), word, wrong }
    }

    fn input(&self) -> DecisionInput {
        let Somebody { id, kind, roles, permissions, attributes } = self.principal.clone();
        let Context { agent, version, model, tool, arguments, tools, cost, data_class } = self.context.clone();
        let roles: authz::Roles = roles.into_iter().map(|Read(role)| role).collect();
        let given = permissions.into_iter().map(|Read(permission)| permission);
        DecisionInput {
            id: id.unwrap_or_else(|| "usr_test".to_owned()),
            kind: match kind {
                Kind::User => ActorKind::User,
                Kind::Service => ActorKind::Service,
            },
            permissions: given.fold(roles.system_permissions(), authz::Permissions::with),
            roles,
            attributes,
            permission: self.action.0,
            resource: self.resource.clone(),
            at: self.at.as_ref().map_or(NOON, |Read(at)| *at),
            facts: Known {
                agent,
                version,
                model,
                tool,
                arguments: arguments.map(|arguments| arguments.to_string()),
                tools,
                cost_nanos: cost.map(|Read(cost)| cost.nanos()),
                data_class,
            },
        }
    }
}

impl Expected {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval => "require_approval",
        }
    }
}

impl From<&Verdict> for Expected {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow(_) => Self::Allow,
            Verdict::RequireApproval(_) => Self::RequireApproval,
            Verdict::Deny => Self::Deny,
        }
    }
}
