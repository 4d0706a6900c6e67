//! Groups: users who have roles in common.

use authz::{Caller, RoleName};
use axum::extract::State;
use axum::response::Response;
use identity::{
    CreateGroupError, ExternalId, Group, GroupChange, GroupError, GroupFilter, GroupRefused, Members, MembersChange,
    NewGroup, UpdateGroupError,
};
use kernel::{Cursor, GroupId, Text, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::{all, edit, names};
use crate::act::{Act, Expected};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Change, Limit, PageOut, Show, Written, present};

/// The group that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct GroupPath {
    /// The group's id.
    #[param(value_type = String, example = "grp_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    group_id: Written<GroupId>,
}

/// Which groups, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GroupsQuery {
    /// Only the one of that name.
    #[param(value_type = Option<String>)]
    display_name: Option<Written<Text<200>>>,
    /// Only those that their directory calls so.
    #[param(value_type = Option<String>)]
    external_id: Option<Written<ExternalId>>,
    /// Only those whose name starts with this.
    #[param(value_type = Option<String>, max_length = 100)]
    q: Option<Written<Text<100>>>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// A group to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupIn {
    /// What people will call it: no two groups are called alike.
    #[schema(value_type = String, max_length = 200, example = "Engineers")]
    display_name: Written<Text<200>>,
    /// What a directory calls it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    external_id: Option<Written<ExternalId>>,
    /// What its members may do besides what they may do on their own.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["operator"]))]
    roles: Vec<Written<RoleName>>,
    /// Who will be in it, by id.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    members: Vec<Written<UserId>>,
}

impl From<GroupIn> for NewGroup {
    fn from(GroupIn { display_name, external_id, roles, members }: GroupIn) -> Self {
        Self {
            display_name: display_name.0,
            external_id: external_id.map(|id| id.0),
            roles: all(roles),
            members: ids(members),
        }
    }
}

fn ids(users: Vec<Written<UserId>>) -> Vec<UserId> {
    users.into_iter().map(|user| user.0).collect()
}

/// A change of a group; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 200)]
    display_name: Option<Written<Text<200>>>,
    /// What a directory calls it; null for nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 255)]
    external_id: Change<Written<ExternalId>>,
    /// What its members may do, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    roles: Option<Vec<Written<RoleName>>>,
    /// Who is in it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = MembersPatch, required = false)]
    members: Option<MembersPatch>,
}

/// Who comes and who goes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MembersPatch {
    /// Those who come, by id.
    #[schema(value_type = Vec<String>)]
    add: Vec<Written<UserId>>,
    /// Those who go.
    #[schema(value_type = Vec<String>)]
    remove: Vec<Written<UserId>>,
}

impl GroupPatch {
    fn made_for(self, expected: Expected) -> GroupChange {
        let Self { display_name, external_id, roles, members } = self;
        GroupChange {
            expected_revision: expected.0,
            display_name: display_name.map(|name| name.0),
            external_id: edit(external_id),
            roles: roles.map(all),
            members: members.map_or(MembersChange::Keep, |MembersPatch { add, remove }| MembersChange::Move {
                add: ids(add),
                remove: ids(remove),
            }),
        }
    }
}

/// Users who have roles in common.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupOut {
    /// Its id.
    #[schema(example = "grp_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// What people call it.
    display_name: String,
    /// What a directory calls it.
    external_id: Option<String>,
    /// What its members may do besides what they may do on their own.
    roles: Vec<String>,
    /// When it was created.
    created_at: String,
    /// When it, or who is in it, was last changed.
    updated_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

/// A group and who is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembersOut {
    /// The group.
    #[serde(flatten)]
    group: GroupOut,
    /// Who is in it, by id.
    members: Vec<String>,
}

impl Show for Group {
    type Out = GroupOut;

    fn show(&self) -> GroupOut {
        let Self { id, display_name, external_id, roles, created_at, updated_at, revision } = self;
        GroupOut {
            id: id.to_string(),
            display_name: display_name.to_string(),
            external_id: external_id.as_ref().map(ToString::to_string),
            roles: names(roles),
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            revision: *revision,
        }
    }
}

impl Show for Members {
    type Out = MembersOut;

    fn show(&self) -> MembersOut {
        let Self { group, members } = self;
        MembersOut { group: group.show(), members: members.iter().map(ToString::to_string).collect() }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.group.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/groups/{}", self.group.id))
    }
}

/// Lists groups by name.
#[utoipa::path(
    get, path = "/api/v1/admin/groups", tag = "Groups", params(GroupsQuery),
    responses((status = 200, body = PageOut<GroupOut>), Problem)
)]
pub(crate) async fn list_groups(
    State(app): State<App>,
    caller: Caller,
    Query(GroupsQuery { display_name, external_id, q, cursor, limit }): Query<GroupsQuery>,
) -> Result<Response, Problem> {
    let (display_name, external_id, q) = (display_name.map(|n| n.0), external_id.map(|id| id.0), q.map(|q| q.0));
    let (filter, after) = (GroupFilter { display_name, external_id, q }, cursor.map(|cursor| cursor.0));
    app.read(caller, move |db, caller, _| identity::groups(db, caller, &filter, after.as_ref(), limit.0)).await
}

/// Creates a group.
///
/// Nobody gives a role that allows more than they may do themselves.
#[utoipa::path(
    post, path = "/api/v1/admin/groups", tag = "Groups", request_body = GroupIn,
    responses((status = 201, body = MembersOut), Problem)
)]
pub(crate) async fn create_group(State(app): State<App>, act: Act<GroupIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    app.create(act.by, move |db, caller, at| identity::create_group(db, caller, new, at)).await
}

/// Shows a group and who is in it.
#[utoipa::path(
    get, path = "/api/v1/admin/groups/{group_id}", tag = "Groups", params(GroupPath),
    responses((status = 200, body = MembersOut), Problem)
)]
pub(crate) async fn get_group(
    State(app): State<App>,
    caller: Caller,
    Path(GroupPath { group_id }): Path<GroupPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::group(db, caller, &group_id.0)).await
}

/// Changes a group, what it gives and who is in it.
///
/// Who comes into a group gets its roles: nobody gives what they do not have.
#[utoipa::path(
    patch, path = "/api/v1/admin/groups/{group_id}", tag = "Groups", params(GroupPath), request_body = GroupPatch,
    responses((status = 200, body = MembersOut), Problem)
)]
pub(crate) async fn update_group(
    State(app): State<App>,
    Path(GroupPath { group_id }): Path<GroupPath>,
    expected: Expected,
    act: Act<GroupPatch>,
) -> Result<Response, Problem> {
    let change = act.body.made_for(expected);
    app.act(act.by, move |db, caller, at| identity::update_group(db, caller, &group_id.0, change, at)).await
}

/// Deletes a group.
///
/// Its members lose what they had by it.
#[utoipa::path(
    delete, path = "/api/v1/admin/groups/{group_id}", tag = "Groups", params(GroupPath),
    responses((status = 204), Problem)
)]
pub(crate) async fn delete_group(
    State(app): State<App>,
    caller: Caller,
    Path(GroupPath { group_id }): Path<GroupPath>,
    expected: Expected,
) -> Result<Response, Problem> {
    app.delete(caller, move |db, caller, at| identity::delete_group(db, caller, &group_id.0, expected.0, at)).await
}

impl From<GroupRefused> for Problem {
    fn from(error: GroupRefused) -> Self {
        match error {
            GroupRefused::Roles(refusal) => refusal.into(),
            GroupRefused::NameTaken(_) => Self::client(Kind::AlreadyExists, &error),
            GroupRefused::UnknownMember(_) => Self::field("/members", &error),
            GroupRefused::LastAdmin(_) => Self::client(Kind::WrongState, &error),
        }
    }
}

impl From<CreateGroupError> for Problem {
    fn from(error: CreateGroupError) -> Self {
        match error {
            CreateGroupError::Forbidden(refusal) => refusal.into(),
            CreateGroupError::Refused(refusal) => refusal.into(),
            CreateGroupError::Database(error) => error.into(),
        }
    }
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Forbidden(refusal) => refusal.into(),
            GroupError::NotFound(_) => Self::client(Kind::NotFound, &error),
            GroupError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateGroupError> for Problem {
    fn from(error: UpdateGroupError) -> Self {
        match error {
            UpdateGroupError::Forbidden(refusal) => refusal.into(),
            UpdateGroupError::Refused(refusal) => refusal.into(),
            UpdateGroupError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateGroupError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateGroupError::Database(error) => error.into(),
        }
    }
}
