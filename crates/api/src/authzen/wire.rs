//! Questions and decisions on the wire.

use authz::{Facts, Permission};
use identity::{Explanation, Obstacle};
use kernel::UserId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::problem::{Kind, Problem};
use crate::wire::Amount;

/// How many questions one request may hold.
const MOST: usize = 100;

/// Whom a question is about.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct SubjectIn {
    /// `user`, or `service`.
    #[schema(example = "user")]
    r#type: String,
    /// The id.
    #[schema(example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
}

/// What would be done.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct ActionIn {
    /// A permission.
    #[schema(example = "tool:execute")]
    name: String,
}

/// What it would be done to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct ResourceIn {
    /// What the permission is about: what stands before its colon.
    #[schema(example = "tool")]
    r#type: String,
    /// The id; `*` for no single thing.
    #[schema(example = "refund")]
    id: String,
}

/// What else is known. What the tenant keeps about the subject is known here, and is not asked of the caller.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct ContextIn {
    /// The agent that acts, by id.
    agent: Option<String>,
    /// The number of its version.
    version: Option<String>,
    /// The model that is called.
    model: Option<String>,
    /// The tool that is called.
    tool: Option<String>,
    /// The tool's arguments.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
    /// The tools that the model may ask for.
    tools: Vec<String>,
    /// The most that it can cost.
    cost: Option<Amount>,
    /// How sensitive the data is.
    data_class: Option<String>,
}

/// One question.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct EvaluationIn {
    /// Who.
    subject: Option<SubjectIn>,
    /// What.
    action: Option<ActionIn>,
    /// To what.
    resource: Option<ResourceIn>,
    /// What else is known.
    #[serde(default)]
    context: Option<ContextIn>,
}

/// Many questions.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EvaluationsIn {
    /// What holds for each question that does not say otherwise.
    #[serde(flatten)]
    usual: EvaluationIn,
    /// The questions, at most 100.
    #[serde(default)]
    evaluations: Vec<EvaluationIn>,
    /// How to go on.
    #[serde(default)]
    options: OptionsIn,
}

/// How to go on.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct OptionsIn {
    /// When the answer ends.
    evaluations_semantic: Semantic,
}

/// When an answer ends.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Semantic {
    /// With the last question.
    #[default]
    ExecuteAll,
    /// With the first that is refused.
    DenyOnFirstDeny,
    /// With the first that is allowed.
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether the answer ends with such a decision.
    pub(super) const fn ends_with(self, decision: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !decision,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

impl EvaluationsIn {
    /// The questions, if it has any of its own, and when the answer ends.
    pub(super) fn questions(&self) -> Result<(Option<Vec<EvaluationIn>>, Semantic), Problem> {
        let Self { usual, evaluations, options } = self;
        if evaluations.len() > MOST {
            return Err(Problem::client(Kind::Malformed, &format_args!("more than {MOST} `evaluations`")));
        }
        let question = |own: &EvaluationIn| EvaluationIn {
            subject: own.subject.clone().or_else(|| usual.subject.clone()),
            action: own.action.clone().or_else(|| usual.action.clone()),
            resource: own.resource.clone().or_else(|| usual.resource.clone()),
            context: own.context.clone().or_else(|| usual.context.clone()),
        };
        let questions = evaluations.iter().map(question).collect::<Vec<_>>();
        Ok((Some(questions).filter(|questions| !questions.is_empty()), options.evaluations_semantic))
    }

    /// What is said at the top, as a question.
    pub(super) fn alone(self) -> EvaluationIn {
        self.usual
    }
}

/// A question that can be decided.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) user: UserId,
    pub(super) permission: Permission,
    pub(super) resource: Option<&'a str>,
    pub(super) facts: Known<'a>,
}

/// What else is known, ready to be asked with.
#[derive(Debug)]
pub(super) struct Known<'a> {
    context: Option<&'a ContextIn>,
    arguments: Option<String>,
}

impl Known<'_> {
    pub(super) fn facts(&self) -> Facts<'_> {
        let Some(context) = self.context else {
            return Facts::default();
        };
        let ContextIn { agent, version, model, tool, arguments: _, tools, cost, data_class } = context;
        Facts {
            agent: agent.as_deref(),
            version: version.as_deref(),
            model: model.as_deref(),
            tool: tool.as_deref(),
            arguments: self.arguments.as_deref(),
            tools,
            cost_nanos: cost.clone().map(|cost| kernel::Money::from(cost).nanos()),
            data_class: data_class.as_deref(),
        }
    }
}

/// What nobody here knows, and what is therefore refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The subject.
    Subject,
    /// The action.
    Action(String),
    /// What the action would be done to is of another kind.
    Resource(Permission, String),
}

impl EvaluationIn {
    /// The question, if everything that it names is known.
    pub(super) fn asked(&self) -> Result<Result<Question<'_>, Unknown>, Problem> {
        let Self { subject, action, resource, context } = self;
        let missing = |name: &str| Problem::client(Kind::Malformed, &format_args!("`{name}` is missing"));
        let subject = subject.as_ref().ok_or_else(|| missing("subject"))?;
        let action = action.as_ref().ok_or_else(|| missing("action"))?;
        let resource = resource.as_ref().ok_or_else(|| missing("resource"))?;
        let Ok(permission) = action.name.parse::<Permission>() else {
            return Ok(Err(Unknown::Action(action.name.clone())));
        };
        if resource.r#type != permission.resource() {
            return Ok(Err(Unknown::Resource(permission, resource.r#type.clone())));
        }
        let Some(user) = subject.id.parse().ok().filter(|_| ["user", "service"].contains(&subject.r#type.as_str()))
        else {
            return Ok(Err(Unknown::Subject));
        };
        let arguments = context.as_ref().and_then(|context| context.arguments.as_ref());
        let arguments = arguments.map(|arguments| Value::Object(arguments.clone()).to_string());
        let (context, id) = (context.as_ref(), resource.id.as_str());
        let facts = Known { context, arguments };
        Ok(Ok(Question { user, permission, resource: Some(id).filter(|id| *id != "*"), facts }))
    }
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionOut {
    /// Whether the subject may.
    pub(super) decision: bool,
    /// Why.
    context: DecisionContextOut,
}

/// Why something was decided so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionContextOut {
    /// `allow`, `require_approval` or `deny`.
    #[schema(example = "allow")]
    outcome: &'static str,
    /// Why, in a sentence.
    reason: String,
    /// The rule of the policies that decided; null where none did.
    rule: Option<String>,
    /// The SHA-256 digest of the policies, in hexadecimal.
    policy_digest: Option<String>,
    /// What must be done along with it: whoever cannot must refuse.
    #[schema(example = json!(["max_output_tokens=100"]))]
    obligations: Vec<String>,
}

/// Decisions, in the order of the questions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionsOut {
    /// The decisions.
    pub(super) evaluations: Vec<DecisionOut>,
}

impl DecisionOut {
    fn refused(reason: String) -> Self {
        let context =
            DecisionContextOut { outcome: "deny", reason, rule: None, policy_digest: None, obligations: Vec::new() };
        Self { decision: false, context }
    }
}

impl From<Unknown> for DecisionOut {
    fn from(unknown: Unknown) -> Self {
        Self::refused(match unknown {
            Unknown::Subject => "no such subject is known".to_owned(),
            Unknown::Action(name) => format!("no permission is named `{name}`"),
            Unknown::Resource(permission, kind) => {
                format!("`{permission}` is about things of the type `{}`, not `{kind}`", permission.resource())
            }
        })
    }
}

impl From<(&Explanation, Permission)> for DecisionOut {
    fn from((explanation, permission): (&Explanation, Permission)) -> Self {
        let Explanation { is_allowed, given_by: _, would_be_given_by: _, obstacles, judgment } = explanation;
        let (verdict, obligations) = judgment.as_ref().map_or(("allow", &[][..]), |said| said.verdict.parts());
        // Whatever stands in the way besides the policies refuses, whatever those say.
        let other = obstacles.iter().find(|obstacle| !matches!(obstacle, Obstacle::Policy | Obstacle::Approval));
        let said = judgment.as_ref().map_or_else(|| "the roles allow it".to_owned(), |said| said.reason.clone());
        let basis = judgment.as_ref().filter(|_| other.is_none()).and_then(|said| said.basis.as_ref());
        let context = DecisionContextOut {
            outcome: other.map_or(verdict, |_| "deny"),
            reason: other.map_or(said, |obstacle| in_the_way(*obstacle, permission)),
            rule: basis.map(|basis| basis.rule.clone()),
            policy_digest: basis.map(|basis| basis.digest.clone()),
            obligations: obligations.iter().filter(|_| *is_allowed).map(ToString::to_string).collect(),
        };
        Self { decision: *is_allowed, context }
    }
}

fn in_the_way(obstacle: Obstacle, permission: Permission) -> String {
    match obstacle {
        Obstacle::Suspended => "the tenant is suspended".to_owned(),
        Obstacle::Deactivated => "the subject is deactivated".to_owned(),
        Obstacle::NoRole => format!("no role of the subject gives `{permission}`"),
        Obstacle::Credential => format!("the credential is narrowed to less than `{permission}`"),
        Obstacle::Policy | Obstacle::Approval => "a policy is in the way".to_owned(),
    }
}
