//! Groups of people, as a directory provisions them.

use authz::{Caller, Roles};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use identity::{GroupChange, Members, MembersChange, NewGroup};
use kernel::{GroupId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::list::{Asked, ListQuery, ScimListOut, teams};
use super::patch::ScimPatchIn;
use super::refusal::{ScimType, edit, parsed};
use super::revision::Wanted;
use super::schema::{Resource, Schema, expect_schemas};
use super::team::Team;
use super::view::{Provisioned, ScimMeta, Shown, View, ViewQuery};
use crate::act::Act;
use crate::app::App;
use crate::extract::Path;
use crate::once::Once;
use crate::problem::{Problem, ScimErrorBody};
use crate::wire::Written;

/// The group that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TeamPath {
    /// The group's id.
    #[param(value_type = String, example = "grp_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    group_id: Written<GroupId>,
}

/// A group (RFC 7643, 4.2).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimGroup {
    /// `urn:ietf:params:scim:schemas:core:2.0:Group`.
    schemas: [&'static str; 1],
    /// The group's id.
    #[schema(read_only)]
    id: String,
    /// What the directory calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// What is known about it besides.
    #[schema(read_only)]
    meta: ScimMeta,
    /// What people call it: no two groups are called alike.
    display_name: String,
    /// Who is in it.
    members: Vec<ScimMember>,
}

/// Somebody in a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScimMember {
    /// The user's id.
    value: String,
    /// The user's address.
    #[serde(rename = "$ref")]
    address: String,
    /// `User`.
    r#type: &'static str,
}

impl Provisioned for Members {
    const RESOURCE: Resource = Resource::Group;

    fn id(&self) -> &str {
        self.group.id.as_str()
    }

    fn revision(&self) -> u64 {
        self.group.revision
    }

    fn out(&self, view: &View) -> Value {
        let Self { group, members } = self;
        let identity::Group { id, display_name, external_id, roles: _, created_at, updated_at, revision } = group;
        let member = |user: &UserId| ScimMember {
            value: user.to_string(),
            address: view.location(Resource::User, user.as_str()),
            r#type: Resource::User.name(),
        };
        view.of(&ScimGroup {
            schemas: [Schema::Group.urn()],
            id: id.to_string(),
            external_id: external_id.as_ref().map(ToString::to_string),
            meta: view.meta(Resource::Group, id.as_str(), [*created_at, *updated_at], *revision),
            display_name: display_name.to_string(),
            members: members.iter().map(member).collect(),
        })
    }
}

/// A group as SCIM sees one.
fn team_of(Members { group, members }: &Members) -> Team {
    Team {
        display_name: group.display_name.to_string(),
        external_id: group.external_id.as_ref().map(ToString::to_string),
        members: members.iter().map(ToString::to_string).collect(),
    }
}

/// Users by their ids. What cannot be an id is nobody's: the same answer as for somebody who is not there.
fn users<'a>(ids: impl Iterator<Item = &'a String>) -> Result<Vec<UserId>, Problem> {
    let user = |id: &String| id.parse().map_err(|_| ScimType::InvalidValue.because(&format_args!("no user `{id}`")));
    ids.map(user).collect()
}

fn display_name(team: &Team) -> Result<kernel::Text<200>, Problem> {
    let name = Some(team.display_name.as_str()).filter(|name| !name.is_empty());
    parsed("displayName", name)?.ok_or_else(|| ScimType::InvalidValue.because(&"`displayName` is required"))
}

fn new_group(team: &Team) -> Result<NewGroup, Problem> {
    Ok(NewGroup {
        display_name: display_name(team)?,
        external_id: parsed("externalId", team.external_id.as_deref())?,
        roles: Roles::default(),
        members: users(team.members.iter())?,
    })
}

/// What makes `before` what `team` says. Members that SCIM does not see stay.
fn change_to(before: &Members, revision: u64, team: &Team) -> Result<GroupChange, Problem> {
    let present = team_of(before).members;
    Ok(GroupChange {
        expected_revision: revision,
        display_name: Some(display_name(team)?),
        external_id: edit(parsed("externalId", team.external_id.as_deref())?),
        roles: None,
        members: MembersChange::Move {
            add: users(team.members.difference(&present))?,
            remove: users(present.difference(&team.members))?,
        },
    })
}

/// Lists groups, the oldest first.
#[utoipa::path(
    get, path = "/scim/v2/Groups", tag = "SCIM", operation_id = "scim_list_groups", params(ListQuery),
    responses((status = 200, body = ScimListOut<ScimGroup>, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn list(State(app): State<App>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let filter = teams(&asked.filter)?;
    app.read(caller, move |db, caller, _| {
        identity::teams(db, caller, filter.as_ref(), asked.slice).map(|found| asked.listed(found))
    })
    .await
}

/// Creates a group.
///
/// It gives no roles until an administrator says which.
#[utoipa::path(
    post, path = "/scim/v2/Groups", tag = "SCIM", operation_id = "scim_create_group", params(ViewQuery),
    request_body(content = ScimGroup, content_type = "application/scim+json"),
    responses((status = 201, body = ScimGroup, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn create(
    State(app): State<App>,
    view: View,
    act: Act<Map<String, Value>>,
) -> Result<Response, Problem> {
    expect_schemas(Resource::Group, &act.body)?;
    let new = new_group(&Team::read(&act.body)?)?;
    let by = (act.by, StatusCode::CREATED);
    app.act_as(by, Shown::with(view), move |db, caller, at| identity::create_group(db, caller, new, at)).await
}

/// Shows a group.
#[utoipa::path(
    get, path = "/scim/v2/Groups/{group_id}", tag = "SCIM", operation_id = "scim_get_group",
    params(TeamPath, ViewQuery),
    responses((status = 200, body = ScimGroup, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(TeamPath { group_id }): Path<TeamPath>,
    view: View,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::team(db, caller, &group_id.0).map(|of| Shown { view, of })).await
}

/// Replaces a group's name and members.
///
/// Who comes into a group gets its roles: nobody gives what they do not have.
#[utoipa::path(
    put, path = "/scim/v2/Groups/{group_id}", tag = "SCIM", operation_id = "scim_replace_group",
    params(TeamPath, ViewQuery), request_body(content = ScimGroup, content_type = "application/scim+json"),
    responses((status = 200, body = ScimGroup, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn replace(
    State(app): State<App>,
    Path(TeamPath { group_id }): Path<TeamPath>,
    (wanted, view): (Wanted, View),
    act: Act<Map<String, Value>>,
) -> Result<Response, Problem> {
    expect_schemas(Resource::Group, &act.body)?;
    let team = Team::read(&act.body)?;
    update(app, (group_id.0, wanted, view), act.by, move |_| Ok(team.clone())).await
}

/// Changes a group's name and members.
///
/// Who comes into a group gets its roles: nobody gives what they do not have.
#[utoipa::path(
    patch, path = "/scim/v2/Groups/{group_id}", tag = "SCIM", operation_id = "scim_patch_group",
    params(TeamPath, ViewQuery), request_body(content = ScimPatchIn, content_type = "application/scim+json"),
    responses((status = 200, body = ScimGroup, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn change(
    State(app): State<App>,
    Path(TeamPath { group_id }): Path<TeamPath>,
    (wanted, view): (Wanted, View),
    act: Act<ScimPatchIn>,
) -> Result<Response, Problem> {
    let steps = act.body.steps()?;
    update(app, (group_id.0, wanted, view), act.by, move |team| team.patched(&steps)).await
}

async fn update(
    app: App,
    (id, wanted, view): (GroupId, Wanted, View),
    by: (Caller, Option<Once>),
    team: impl Fn(Team) -> Result<Team, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    app.act(by, move |db, caller, at| {
        let load = || identity::team(db, caller, &id).map(|team| (team.group.revision, team)).map_err(Problem::from);
        let changed = wanted.change(load, |before, revision| {
            let change = change_to(&before, revision, &team(team_of(&before))?)?;
            Ok(identity::update_group(db, caller, &id, change, at)?)
        });
        changed.map(|of| Shown { view, of })
    })
    .await
}

/// Deletes a group.
///
/// Its members lose what they had by it.
#[utoipa::path(
    delete, path = "/scim/v2/Groups/{group_id}", tag = "SCIM", operation_id = "scim_delete_group", params(TeamPath),
    responses((status = 204), ScimErrorBody)
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Path(TeamPath { group_id: Written(id) }): Path<TeamPath>,
    wanted: Wanted,
    caller: Caller,
) -> Result<Response, Problem> {
    app.delete(caller, move |db, caller, at| {
        let load = || identity::team(db, caller, &id).map(|team| (team.group.revision, ())).map_err(Problem::from);
        wanted.change(load, |(), revision| Ok(identity::delete_group(db, caller, &id, revision, at)?))
    })
    .await
}
