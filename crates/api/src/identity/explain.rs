//! Who the caller is, what users may do, and why or why not.

use authz::{Basis, Caller, Facts, Judgment, Permission, Shadow, Via};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use identity::{AccessQuestion, Effective, Explanation, HeldRole, Obstacle};
use kernel::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::roles::by_name;
use super::users::{UserPath, names};
use crate::app::App;
use crate::caller::Held;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Show, Written};

/// Who a request comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeOut {
    /// The tenant.
    #[schema(example = "acme-corp")]
    tenant_id: String,
    /// The user or service account.
    user_id: String,
    /// Which of the two.
    kind: &'static str,
    /// What it is.
    roles: Vec<String>,
    /// What it may do with this credential: what the roles allow within its scopes.
    permissions: Vec<&'static str>,
    /// What was sent.
    credential: Option<CredentialOut>,
    /// The agent that the credential is for.
    agent_id: Option<String>,
    /// Who acts for it, the present one first.
    acting: Vec<ActingOut>,
}

/// A credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialOut {
    /// `key`, `token` or `session`.
    #[schema(example = "key")]
    kind: &'static str,
    /// Its public part.
    id: String,
    /// What it is narrowed to; null for all that the roles allow.
    scopes: Option<Vec<&'static str>>,
}

/// Somebody who acts for somebody else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActingOut {
    /// `user` or `service`.
    kind: &'static str,
    /// Who.
    id: String,
}

impl From<Held> for MeOut {
    fn from(Held { caller, agent }: Held) -> Self {
        let (actor, standing) = (caller.actor(), caller.standing());
        let credential = |via: &Via| CredentialOut {
            kind: match via {
                Via::Key(_) => "key",
                Via::Token(_) => "token",
                Via::Session(_) => "session",
            },
            id: via.as_str().to_owned(),
            scopes: standing.scopes.map(by_name),
        };
        let acting = |acting: &authz::Acting| ActingOut { kind: acting.kind.as_str(), id: acting.id.clone() };
        Self {
            tenant_id: caller.tenant().to_string(),
            user_id: actor.id.clone(),
            kind: actor.kind.as_str(),
            roles: names(caller.roles()),
            permissions: by_name(caller.permissions()),
            credential: actor.via.as_ref().map(credential),
            agent_id: agent.as_ref().map(ToString::to_string),
            acting: actor.act.iter().map(acting).collect(),
        }
    }
}

/// Says who the request comes from, and what it may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "System", responses((status = 200, body = MeOut), Problem))]
pub(crate) async fn get_me(held: Held) -> Json<MeOut> {
    Json(held.into())
}

/// What a user may do, and by what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectiveOut {
    /// Who.
    user_id: String,
    /// By which roles.
    roles: Vec<HeldRoleOut>,
    /// All that the roles allow together. Policies can take away from it, and credentials can be narrowed to less.
    permissions: Vec<&'static str>,
}

/// A role that a user has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldRoleOut {
    /// The role.
    role: String,
    /// What it allows.
    permissions: Vec<&'static str>,
    /// Whether it was given to the user itself.
    is_own: bool,
    /// The groups by which the user has it.
    groups: Vec<GroupRefOut>,
}

/// A group by id and name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupRefOut {
    /// Its id.
    id: String,
    /// What people call it.
    display_name: String,
}

impl Show for Effective {
    type Out = EffectiveOut;

    fn show(&self) -> EffectiveOut {
        let Self { user, roles, permissions } = self;
        let group = |group: &identity::Group| GroupRefOut {
            id: group.id.to_string(),
            display_name: group.display_name.to_string(),
        };
        let held = |HeldRole { role, permissions, is_own, groups }: &HeldRole| HeldRoleOut {
            role: role.to_string(),
            permissions: by_name(*permissions),
            is_own: *is_own,
            groups: groups.iter().map(group).collect(),
        };
        let roles = roles.iter().map(held).collect();
        EffectiveOut { user_id: user.to_string(), roles, permissions: by_name(*permissions) }
    }
}

/// Shows what the caller's roles allow, and by what it has them.
#[utoipa::path(
    get, path = "/api/v1/me/permissions", tag = "System", responses((status = 200, body = EffectiveOut), Problem)
)]
pub(crate) async fn get_my_permissions(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    app.read(caller, |db, caller, _| {
        let oneself: UserId = caller.actor().id.parse().map_err(|_| Problem::new(Kind::NotFound))?;
        Ok::<_, Problem>(identity::effective(db, caller, &oneself)?)
    })
    .await
}

/// Shows what a user's roles allow, and by what it has them.
///
/// For whoever manages users, or reads the ledger; everybody may ask about themselves.
#[utoipa::path(
    get, path = "/api/v1/admin/users/{user_id}/permissions", tag = "Users", params(UserPath),
    responses((status = 200, body = EffectiveOut), Problem)
)]
pub(crate) async fn get_user_permissions(
    State(app): State<App>,
    caller: Caller,
    Path(UserPath { user_id }): Path<UserPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::effective(db, caller, &user_id.0)).await
}

/// What is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// What the user would do.
    #[param(value_type = String, example = "agent:execute")]
    permission: Written<Permission>,
    /// To which thing, by id.
    resource: Option<String>,
    /// By which agent.
    agent: Option<String>,
    /// With which model.
    model: Option<String>,
    /// With which tool.
    tool: Option<String>,
}

/// Why somebody may do something, or may not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationOut {
    /// Whether they may.
    is_allowed: bool,
    /// The roles of theirs that allow it.
    given_by: Vec<String>,
    /// The roles that would, if none of theirs does.
    would_be_given_by: Vec<String>,
    /// What stands in the way: `tenant_suspended`, `user_deactivated`, `no_role`, `credential_narrowed`, `policy`,
    /// `approval_required`.
    obstacles: Vec<&'static str>,
    /// What the tenant's policies say; null where it has none, or a role is missing.
    policy: Option<JudgmentOut>,
}

/// What policies say.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JudgmentOut {
    /// `allow`, `require_approval` or `deny`.
    outcome: &'static str,
    /// Why.
    reason: String,
    /// The rule that decided; null where no policy speaks of it.
    rule: Option<RuleOut>,
    /// What must be done along with it.
    #[schema(example = json!(["max_output_tokens=100"]))]
    obligations: Vec<String>,
    /// What the version that is only tried would say, where that differs.
    shadow: Option<ShadowOut>,
}

/// A rule of a version of the policies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleOut {
    /// The version's number.
    version: u64,
    /// The SHA-256 digest of its text, in hexadecimal.
    digest: String,
    /// The rule's `@id`, or `default`.
    rule: String,
}

/// The word of a version that is only tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShadowOut {
    /// Its word.
    verdict: String,
    /// The rule.
    rule: Option<RuleOut>,
}

impl From<&Basis> for RuleOut {
    fn from(Basis { version, digest, rule }: &Basis) -> Self {
        Self { version: *version, digest: digest.clone(), rule: rule.clone() }
    }
}

impl From<&Shadow> for ShadowOut {
    fn from(Shadow { verdict, basis }: &Shadow) -> Self {
        Self { verdict: verdict.label(), rule: basis.as_ref().map(RuleOut::from) }
    }
}

impl From<&Judgment> for JudgmentOut {
    fn from(Judgment { verdict, reason, basis, shadow }: &Judgment) -> Self {
        let (outcome, obligations) = verdict.parts();
        Self {
            outcome,
            reason: reason.clone(),
            rule: basis.as_ref().map(RuleOut::from),
            obligations: obligations.iter().map(ToString::to_string).collect(),
            shadow: shadow.as_deref().map(ShadowOut::from),
        }
    }
}

impl Show for Explanation {
    type Out = ExplanationOut;

    fn show(&self) -> ExplanationOut {
        let Self { is_allowed, given_by, would_be_given_by, obstacles, judgment } = self;
        ExplanationOut {
            is_allowed: *is_allowed,
            given_by: given_by.iter().map(ToString::to_string).collect(),
            would_be_given_by: would_be_given_by.iter().map(ToString::to_string).collect(),
            obstacles: obstacles.iter().copied().map(Obstacle::as_str).collect(),
            policy: judgment.as_ref().map(JudgmentOut::from),
        }
    }
}

/// Explains why a user may do something at this moment, or may not.
///
/// For whoever manages users, or reads the ledger; everybody may ask about themselves.
#[utoipa::path(
    get, path = "/api/v1/admin/users/{user_id}/explain", tag = "Users", params(UserPath, ExplainQuery),
    responses((status = 200, body = ExplanationOut), Problem)
)]
pub(crate) async fn explain_user(
    State(app): State<App>,
    caller: Caller,
    Path(UserPath { user_id }): Path<UserPath>,
    Query(ExplainQuery { permission, resource, agent, model, tool }): Query<ExplainQuery>,
) -> Result<Response, Problem> {
    let guard = app.0.policies.guard_for(caller.tenant());
    app.read(caller, move |db, caller, at| {
        let (agent, model, tool) = (agent.as_deref(), model.as_deref(), tool.as_deref());
        let facts = Facts { agent, model, tool, ..Facts::default() };
        let (user, permission, resource) = (&user_id.0, permission.0, resource.as_deref());
        identity::explain(db, caller, &AccessQuestion { user, permission, resource, facts, guard }, at)
    })
    .await
}
