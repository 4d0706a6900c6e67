//! The complete input of one decision, as the ledger keeps it: enough to decide again under other policies.

use std::borrow::Cow;

use kernel::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::caller::{ActorKind, Cause, Forbidden, Grant};
use crate::guard::{Attribute, Attributes, Basis, Facts, Question, Shadow, Verdict};
use crate::{Permission, Permissions, Roles};

/// Everything that one decision depends on, besides the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionInput {
    /// Who wanted to act, by id.
    pub id: String,
    /// What kind of principal it was.
    pub kind: ActorKind,
    /// Its roles.
    pub roles: Roles,
    /// What its roles and its credential's scopes allowed together; the permission that policies were asked about is
    /// among them, unless the roles had refused already.
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
#[serde(default)]
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
    /// Written by hand: this is done for every call.
    fn write(question: &Question<'_>, permissions: Permissions, json: &mut Vec<u8>) {
        let Question { caller, permission, resource, at, facts } = *question;
        let standing = caller.standing();
        json.extend_from_slice(b"{\"id\":");
        push_text(json, &standing.actor.id);
        json.extend_from_slice(b",\"kind\":");
        push_text(json, standing.actor.kind.as_str());
        json.extend_from_slice(b",\"roles\":");
        push_texts(json, standing.roles.iter().map(crate::RoleName::as_str));
        json.extend_from_slice(b",\"permissions\":");
        push_texts(json, permissions.iter().map(Permission::as_str));
        json.extend_from_slice(b",\"attributes\":");
        push_attributes(json, &standing.attributes);
        json.extend_from_slice(b",\"permission\":");
        push_text(json, permission.as_str());
        if let Some(resource) = resource {
            json.extend_from_slice(b",\"resource\":");
            push_text(json, resource);
        }
        json.extend_from_slice(b",\"at\":");
        push_number(json, at.micros());
        json.extend_from_slice(b",\"facts\":");
        push_facts(json, facts);
        json.push(b'}');
    }

    /// Reads the `input` that [`Evidence`] wrote.
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
            permission: permission.parse().map_err(|error| no(&error))?,
            at: Timestamp::from_micros(at),
            attributes,
            id,
            resource,
            facts,
        })
    }
}

/// What the ledger keeps of a decision under the key `decision`, so that it can be understood and replayed: the
/// verdict, what it followed, what a shadow would have said, and the input.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    verdict: Cow<'static, str>,
    basis: Option<&'a Basis>,
    shadow: Option<&'a Shadow>,
    /// What was asked, and what the roles allowed.
    asked: Option<(&'a Question<'a>, Permissions)>,
}

impl<'a> Evidence<'a> {
    /// What is kept of `decided`, the answer to `question`.
    pub fn new<A>(question: &'a Question<'a>, decided: Result<&'a Grant<A>, &'a Forbidden>) -> Self {
        let given = question.caller.permissions();
        let asked = Some((question, given.with(question.permission)));
        let kept = |verdict, basis, shadow| Self { verdict, basis, shadow, asked };
        match decided {
            Ok(grant) if grant.obligations().is_empty() => kept("allow".into(), grant.basis(), grant.shadow()),
            Ok(grant) => {
                let verdict = Verdict::Allow(grant.obligations().to_vec());
                kept(verdict.label().into(), grant.basis(), grant.shadow())
            }
            Err(Forbidden { cause, action: _ }) => match cause {
                Cause::Missing { .. } => Self { asked: Some((question, given)), ..kept("deny".into(), None, None) },
                // Not decided by roles or policies: there is nothing to replay.
                Cause::NotFresh => Self { asked: None, ..kept("deny".into(), None, None) },
                Cause::Policy { basis, shadow, reason: _ } => kept("deny".into(), basis.as_ref(), shadow.as_deref()),
                Cause::NeedsApproval { obligations, basis, shadow, reason: _ } => {
                    let verdict = Verdict::RequireApproval(obligations.to_vec());
                    kept(verdict.label().into(), basis.as_ref(), shadow.as_deref())
                }
            },
        }
    }

    /// Appends it as a JSON object.
    pub fn write(&self, json: &mut Vec<u8>) {
        let Self { verdict, basis, shadow, asked } = self;
        push_decided(json, verdict, *basis);
        if let Some(Shadow { verdict, basis }) = shadow {
            json.extend_from_slice(b",\"shadow\":");
            push_decided(json, &verdict.label(), basis.as_ref());
            json.push(b'}');
        }
        if let Some((question, permissions)) = asked {
            json.extend_from_slice(b",\"input\":");
            DecisionInput::write(question, *permissions, json);
        }
        json.push(b'}');
    }
}

/// Begins an object: it is left open.
fn push_decided(json: &mut Vec<u8>, verdict: &str, basis: Option<&Basis>) {
    json.extend_from_slice(b"{\"verdict\":");
    push_text(json, verdict);
    if let Some(Basis { version, digest, rule }) = basis {
        json.extend_from_slice(b",\"policy\":{\"version\":");
        push_number(json, version);
        json.extend_from_slice(b",\"digest\":");
        push_text(json, digest);
        json.extend_from_slice(b",\"rule\":");
        push_text(json, rule);
        json.push(b'}');
    }
}

fn push_facts(json: &mut Vec<u8>, facts: &Facts<'_>) {
    let Facts { agent, version, model, tool, arguments, tools, cost_nanos, data_class } = *facts;
    json.extend_from_slice(b"{\"tools\":");
    push_texts(json, tools.iter().map(String::as_str));
    let texts = [
        ("agent", agent),
        ("version", version),
        ("model", model),
        ("tool", tool),
        ("arguments", arguments),
        ("data_class", data_class),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            json.push(b',');
            push_text(json, name);
            json.push(b':');
            push_text(json, value);
        }
    }
    if let Some(nanos) = cost_nanos {
        json.extend_from_slice(b",\"cost_nanos\":");
        push_number(json, nanos);
    }
    json.push(b'}');
}

fn push_attributes(json: &mut Vec<u8>, attributes: &Attributes) {
    json.push(b'{');
    for (at, (name, value)) in attributes.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        push_text(json, name);
        json.push(b':');
        match value {
            Attribute::Text(text) => push_text(json, text),
            Attribute::Number(number) => push_number(json, number),
            Attribute::Flag(flag) => json.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Attribute::Texts(texts) => push_texts(json, texts.iter().map(String::as_str)),
        }
    }
    json.push(b'}');
}

fn push_texts<'t>(json: &mut Vec<u8>, texts: impl Iterator<Item = &'t str>) {
    json.push(b'[');
    for (at, text) in texts.enumerate() {
        if at > 0 {
            json.push(b',');
        }
        push_text(json, text);
    }
    json.push(b']');
}

fn push_number(json: &mut Vec<u8>, number: impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing into memory does not fail.
    let _written = write!(json, "{number}");
}

/// A text in JSON's spelling (RFC 8259, 7): only what must be escaped is.
fn push_text(json: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    json.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        json.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', *byte]),
            low => {
                let digit = HEX.get(usize::from(low & 15)).copied().unwrap_or_default();
                json.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (low >> 4), digit]);
            }
        }
        rest = after;
    }
    json.extend_from_slice(rest);
    json.push(b'"');
}

/// [`DecisionInput`], as it is kept.
#[derive(Deserialize)]
struct Stored {
    id: String,
    kind: String,
    roles: Vec<String>,
    permissions: Vec<String>,
    attributes: Attributes,
    permission: String,
    resource: Option<String>,
    at: i64,
    facts: Known,
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these tests stand in for the identity crate")]
mod tests {
    use super::*;
    use crate::{Action, Actor, Caller, Guard, Judgment, Obligation, Request, Role, Standing};
    use kernel::FixedMoment;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Execute;
    impl Action for Execute {
        const NAME: &'static str = "gateway.call";
        const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
    }

    #[derive(Debug)]
    struct Says(Judgment);
    impl Guard for Says {
        fn judge(&self, _: &Question<'_>) -> Judgment {
            self.0.clone()
        }
    }

    fn caller(attributes: Attributes, guard: Option<Judgment>) -> Caller {
        let standing = Standing::new("acme-corp".parse().unwrap(), Actor::user("usr_1"), [Role::Operator].into());
        let guard = guard.map(|judgment| Arc::new(Says(judgment)) as Arc<dyn Guard>);
        let standing = Standing { attributes: Arc::new(attributes), guard, ..standing };
        Caller::authenticated(standing, Request::made(&FixedMoment::new(7).moment()))
    }

    fn kept(caller: &Caller, facts: &Facts<'_>) -> Value {
        let question = Question {
            caller,
            permission: Permission::AgentExecute,
            resource: Some("agt_1"),
            at: caller.request().at,
            facts,
        };
        let decided = caller.authorize_with::<Execute>("agt_1", facts);
        let mut json = Vec::new();
        Evidence::new(&question, decided.as_ref()).write(&mut json);
        serde_json::from_slice(&json).unwrap()
    }

    fn judgment(verdict: Verdict, shadow: Option<Verdict>) -> Judgment {
        let basis = Basis { version: 3, digest: "d1".to_owned(), rule: "cheap \"calls\"".to_owned() };
        let shadow = shadow.map(|verdict| Box::new(Shadow { verdict, basis: None }));
        Judgment { verdict, reason: "it says so".to_owned(), basis: Some(basis), shadow }
    }

    #[test]
    fn a_decision_without_policies_keeps_its_input() {
        let kept = kept(&caller(Attributes::new(), None), &Facts::default());
        assert_eq!((&kept["verdict"], kept.get("policy")), (&json!("allow"), None));
        let input = DecisionInput::parse(&kept["input"]).unwrap();
        assert_eq!((&*input.id, input.kind, input.at.micros()), ("usr_1", ActorKind::User, 7));
        assert_eq!(input.permissions, Role::Operator.permissions());
        assert_eq!((input.permission, input.resource.as_deref()), (Permission::AgentExecute, Some("agt_1")));
        assert_eq!(input.facts, Known::default());
    }

    #[test]
    fn a_decision_names_what_it_followed_and_what_a_shadow_would_have_said() {
        let allow = Verdict::Allow(vec![Obligation::MaxOutputTokens(9), Obligation::WithoutTools]);
        let policy = json!({ "version": 3, "digest": "d1", "rule": "cheap \"calls\"" });
        for (verdict, shadow, expected) in [
            (allow, Some(Verdict::Deny), json!("allow with max_output_tokens=9, without_tools")),
            (Verdict::Deny, None, json!("deny")),
            (Verdict::RequireApproval(Vec::new()), None, json!("require_approval")),
            (
                Verdict::RequireApproval(vec![Obligation::WithoutTools]),
                None,
                json!("require_approval with without_tools"),
            ),
        ] {
            let guarded = caller(Attributes::new(), Some(judgment(verdict, shadow.clone())));
            let kept = kept(&guarded, &Facts::default());
            assert_eq!((&kept["verdict"], &kept["policy"]), (&expected, &policy));
            assert_eq!(kept.get("shadow"), shadow.map(|_| json!({ "verdict": "deny" })).as_ref());
            assert!(DecisionInput::parse(&kept["input"]).is_ok());
        }
    }

    #[test]
    fn what_is_no_input_is_refused() {
        let good = kept(&caller(Attributes::new(), None), &Facts::default())["input"].clone();
        assert!(DecisionInput::parse(&good).is_ok());
        for (field, value) in [
            ("kind", json!("robot")),
            ("roles", json!(["no such role!"])),
            ("permissions", json!(["agent:fly"])),
            ("permission", json!("agent:fly")),
            ("at", json!("now")),
            ("attributes", json!({ "x": 1.5 })),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(DecisionInput::parse(&bad).is_err(), "{field}");
        }
        assert!(DecisionInput::parse(&json!(null)).is_err());
    }

    fn attribute() -> impl Strategy<Value = Attribute> {
        prop_oneof![
            any::<String>().prop_map(Attribute::Text),
            any::<i64>().prop_map(Attribute::Number),
            any::<bool>().prop_map(Attribute::Flag),
            prop::collection::vec(any::<String>(), 0..3).prop_map(Attribute::Texts),
        ]
    }

    proptest! {
        #[test]
        fn every_input_is_read_as_it_was_written(
            attributes in prop::collection::btree_map(any::<String>(), attribute(), 0..4),
            texts in prop::collection::vec(prop::option::of(any::<String>()), 6),
            tools in prop::collection::vec(any::<String>(), 0..3),
            cost_nanos in prop::option::of(any::<i64>()),
        ) {
            let text = |at: usize| texts[at].as_deref();
            let facts = Facts {
                agent: text(0), version: text(1), model: text(2), tool: text(3), arguments: text(4),
                data_class: text(5), tools: &tools, cost_nanos,
            };
            let kept = kept(&caller(attributes.clone(), None), &facts);
            let input = DecisionInput::parse(&kept["input"]).unwrap();
            prop_assert_eq!(input.attributes, attributes);
            let owned = |at: usize| texts[at].clone();
            let known = Known {
                agent: owned(0), version: owned(1), model: owned(2), tool: owned(3), arguments: owned(4),
                data_class: owned(5), tools, cost_nanos,
            };
            prop_assert_eq!(input.facts, known);
        }
    }
}
