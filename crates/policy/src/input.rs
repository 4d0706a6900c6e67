//! The complete input of one decision, as the ledger keeps it: enough to decide again under other policies.

use std::collections::BTreeMap;

use authz::{
    ActorKind, Attribute, Attributes, Basis, Cause, Facts, Forbidden, Grant, Permission, Permissions, Question, Roles,
    Shadow, Verdict,
};
use kernel::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::annotations::ROLES;
use crate::asked::{Asked, Principal, Who};
use crate::rules::{Rules, Word};

/// Everything that one decision depends on, besides the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionInput {
    /// Who wanted to act, by id.
    pub id: String,
    /// What kind of principal it was.
    pub kind: ActorKind,
    /// Its roles.
    pub roles: Roles,
    /// What its roles and its credential's scopes allowed together.
    pub permissions: Permissions,
    /// What its tenant kept about it.
    pub attributes: Attributes,
    /// What it wanted to do.
    pub permission: Permission,
    /// To which thing.
    pub resource: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What else was known.
    pub facts: Known,
}

/// What was known besides who, what and when: [`Facts`] that stand alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Known {
    /// The agent that acted.
    pub agent: Option<String>,
    /// The number of its version.
    pub version: Option<String>,
    /// The model that was called.
    pub model: Option<String>,
    /// The tool that was called.
    pub tool: Option<String>,
    /// The tool's arguments, as JSON text.
    pub arguments: Option<String>,
    /// The tools that the model might ask for.
    pub tools: Vec<String>,
    /// The most that it could cost, in nano-units of money.
    pub cost_nanos: Option<i64>,
    /// How sensitive the data was.
    pub data_class: Option<String>,
}

/// What was kept is no input of a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the input of a decision: {0}")]
pub struct NoInput(String);

impl DecisionInput {
    /// What `question` depends on, as JSON, to be sealed beside an entry.
    pub fn capture(question: &Question<'_>) -> Value {
        let Question { caller, permission, resource, at, facts } = *question;
        let standing = caller.standing();
        let Facts { agent, version, model, tool, arguments, tools, cost_nanos, data_class } = *facts;
        json!({
            "id": standing.actor.id,
            "kind": standing.actor.kind.as_str(),
            "roles": standing.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "permissions": caller.permissions().iter().map(Permission::as_str).collect::<Vec<_>>(),
            "attributes": standing.attributes.iter().map(|(name, value)| (name.clone(), plain(value)))
                .collect::<Map<_, _>>(),
            "permission": permission.as_str(),
            "resource": resource,
            "at": at.micros(),
            "facts": {
                "agent": agent,
                "version": version,
                "model": model,
                "tool": tool,
                "arguments": arguments,
                "tools": tools,
                "cost_nanos": cost_nanos,
                "data_class": data_class,
            },
        })
    }

    /// Reads what [`capture`](Self::capture) wrote.
    pub fn parse(value: &Value) -> Result<Self, NoInput> {
        let no = |error: &dyn std::fmt::Display| NoInput(error.to_string());
        let stored = Stored::deserialize(value).map_err(|error| no(&error))?;
        let Stored { id, kind, roles, permissions, attributes, permission, resource, at, facts } = stored;
        let kinds = [ActorKind::User, ActorKind::Service, ActorKind::System, ActorKind::Anonymous];
        let permissions = permissions.iter().map(|name| name.parse::<Permission>());
        Ok(Self {
            kind: kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| no(&kind))?,
            roles: roles.join(",").parse().map_err(|error| no(&error))?,
            permissions: permissions.collect::<Result<_, _>>().map_err(|error| no(&error))?,
            attributes: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
            permission: permission.parse().map_err(|error| no(&error))?,
            at: Timestamp::from_micros(at),
            id,
            resource,
            facts,
        })
    }

    /// Decides again, under `rules`. Roles come first.
    pub fn replay(&self, rules: &Rules) -> Word {
        if !self.permissions.contains(self.permission) {
            let reason = format!("the roles do not give the permission `{}`", self.permission);
            return Word::new(Verdict::Deny, ROLES, &reason);
        }
        let asked = self.asked();
        match Principal::new(&asked.who) {
            Ok(principal) => rules.decide(&asked, &principal),
            Err(error) => Word::unasked(error.as_ref()),
        }
    }

    pub(crate) fn asked(&self) -> Asked<'_> {
        let Known { agent, version, model, tool, arguments, tools, cost_nanos, data_class } = &self.facts;
        Asked {
            who: Who { id: &self.id, kind: self.kind, roles: &self.roles, attributes: &self.attributes },
            permission: self.permission,
            resource: self.resource.as_deref(),
            at: self.at,
            facts: Facts {
                agent: agent.as_deref(),
                version: version.as_deref(),
                model: model.as_deref(),
                tool: tool.as_deref(),
                arguments: arguments.as_deref(),
                tools,
                cost_nanos: *cost_nanos,
                data_class: data_class.as_deref(),
            },
        }
    }
}

/// What the ledger keeps of a decision under the key `decision`, so that it can be understood and replayed: the
/// verdict, what it followed, what a shadow would have said, and the input.
pub fn evidence<A>(question: &Question<'_>, decided: &Result<Grant<A>, Forbidden>) -> Value {
    let (verdict, basis, shadow) = match decided {
        Ok(grant) => (Verdict::Allow(grant.obligations().to_vec()), grant.basis(), grant.shadow()),
        Err(Forbidden { cause, action: _ }) => match cause {
            Cause::Missing { .. } => (Verdict::Deny, None, None),
            // Not decided by roles or policies: there is nothing to replay.
            Cause::NotFresh => return json!({ "verdict": Verdict::Deny.label() }),
            Cause::Policy { basis, shadow, reason: _ } => (Verdict::Deny, basis.as_ref(), shadow.as_deref()),
            Cause::NeedsApproval { basis, shadow, reason: _ } => {
                (Verdict::RequireApproval, basis.as_ref(), shadow.as_deref())
            }
        },
    };
    let shadow =
        shadow.map(|Shadow { verdict, basis }| json!({ "verdict": verdict.label(), "policy": of(basis.as_ref()) }));
    json!({
        "verdict": verdict.label(),
        "policy": of(basis),
        "shadow": shadow,
        "input": DecisionInput::capture(question),
    })
}

/// A rule, as JSON.
fn of(basis: Option<&Basis>) -> Option<Value> {
    basis.map(|Basis { version, digest, rule }| json!({ "version": version, "digest": digest, "rule": rule }))
}

/// What the ledger kept of a decision.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) verdict: String,
    #[serde(default)]
    pub(crate) input: Option<Value>,
}

/// [`DecisionInput`], as it is kept.
#[derive(Deserialize)]
struct Stored {
    id: String,
    kind: String,
    roles: Vec<String>,
    permissions: Vec<String>,
    attributes: BTreeMap<String, Plain>,
    permission: String,
    resource: Option<String>,
    at: i64,
    facts: Known,
}

/// The value of an attribute, as JSON and YAML write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Plain {
    Flag(bool),
    Number(i64),
    Text(String),
    Texts(Vec<String>),
}

impl From<Plain> for Attribute {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Flag(flag) => Self::Flag(flag),
            Plain::Number(number) => Self::Number(number),
            Plain::Text(text) => Self::Text(text),
            Plain::Texts(texts) => Self::Texts(texts),
        }
    }
}

fn plain(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Text(text) => json!(text),
        Attribute::Number(number) => json!(number),
        Attribute::Flag(flag) => json!(flag),
        Attribute::Texts(texts) => json!(texts),
    }
}
