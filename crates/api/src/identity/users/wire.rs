//! Users on the wire.

use authz::{RoleName, Roles};
use identity::{
    Edit, Email, ExternalId, FirstRoles, NewUser, User, UserAttributes, UserChange, UserFilter, UserKind, UserSort,
    UserStatus, Username,
};
use kernel::{Cursor, PageSize, Text, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::act::Expected;
use crate::problem::Problem;
use crate::wire::{Change, Limit, Show, Sort, Written, present};

/// The user that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user's id.
    #[param(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    pub(crate) user_id: Written<UserId>,
}

/// Which users, in which order, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    /// Only those who are `active`, or `deactivated`.
    #[param(value_type = Option<String>)]
    status: Option<Written<UserStatus>>,
    /// Only people (`user`), or only programs (`service`).
    #[param(value_type = Option<String>)]
    kind: Option<Written<UserKind>>,
    /// Only those who have this role, themselves or by a group.
    #[param(value_type = Option<String>)]
    role: Option<Written<RoleName>>,
    /// Only the one of that name.
    #[param(value_type = Option<String>)]
    username: Option<Written<Username>>,
    /// Only those with that address.
    #[param(value_type = Option<String>)]
    email: Option<Written<Email>>,
    /// Only those whom their directory calls so.
    #[param(value_type = Option<String>)]
    external_id: Option<Written<ExternalId>>,
    /// Only those whose username or address starts with this.
    #[param(value_type = Option<String>, max_length = 100)]
    q: Option<Written<Text<100>>>,
    /// `created_at`, unless given, or `username`; with a minus in front from the last.
    #[param(value_type = Option<String>, example = "-created_at")]
    #[serde(default)]
    sort: Sort<SortedBy>,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SortedBy {
    #[default]
    CreatedAt,
    Username,
}

impl UsersQuery {
    /// Which users, where the page starts, and how long it is.
    pub(super) fn into_filter(self) -> (UserFilter, Option<Cursor>, PageSize) {
        let Self { status, kind, role, username, email, external_id, q, sort, cursor, limit } = self;
        let filter = UserFilter {
            status: status.map(|status| status.0),
            kind: kind.map(|kind| kind.0),
            role: role.map(|role| role.0),
            username: username.map(|username| username.0),
            email: email.map(|email| email.0),
            external_id: external_id.map(|id| id.0),
            q: q.map(|q| q.0),
            sort: match sort.by {
                SortedBy::CreatedAt => UserSort::CreatedAt,
                SortedBy::Username => UserSort::Username,
            },
            direction: sort.direction,
        };
        (filter, cursor.map(|cursor| cursor.0), limit.0)
    }
}

/// A user to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserIn {
    /// `user` for a person, `service` for a program.
    #[serde(default = "person")]
    #[schema(value_type = String, required = false, default = "user")]
    kind: Written<UserKind>,
    /// What it is known by within its tenant: lower-case letters, digits and `.`, `_`, `-`, `+`, `@`.
    #[schema(value_type = String, max_length = 64, example = "alice")]
    username: Written<Username>,
    /// What people call it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100, example = "Alice")]
    display_name: Option<Written<Text<100>>>,
    /// Where a person is reached.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "alice@example.com")]
    email: Option<Written<Email>>,
    /// What a directory calls it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    external_id: Option<Written<ExternalId>>,
    /// What policies may ask about it: texts, whole numbers, truth values and lists of texts, by name.
    #[serde(default)]
    #[schema(example = json!({ "department": "support" }))]
    attributes: Map<String, Value>,
    /// What it may do; the tenant's default role unless given.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["agent_designer"]))]
    roles: Option<Vec<Written<RoleName>>>,
}

const fn person() -> Written<UserKind> {
    Written(UserKind::User)
}

impl UserIn {
    pub(super) fn parse(self) -> Result<NewUser, Problem> {
        let Self { kind, username, display_name, email, external_id, attributes, roles } = self;
        Ok(NewUser {
            kind: kind.0,
            username: username.0,
            display_name: display_name.map(|name| name.0),
            email: email.map(|email| email.0),
            external_id: external_id.map(|id| id.0),
            attributes: read_attributes(attributes)?,
            roles: roles.map_or(FirstRoles::Default(None), |roles| all(roles).into()),
            status: UserStatus::Active,
        })
    }
}

/// Roles, without repeats.
pub(crate) fn all(roles: Vec<Written<RoleName>>) -> Roles {
    roles.into_iter().map(|role| role.0).collect()
}

/// Roles by name.
pub(crate) fn names(roles: &Roles) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

fn read_attributes(attributes: Map<String, Value>) -> Result<UserAttributes, Problem> {
    UserAttributes::from_json(&Value::Object(attributes))
        .map_err(|error| Problem::field(format!("/attributes{}", error.pointer()), &error))
}

/// A change of a user; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// What it is known by within its tenant.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 64)]
    username: Option<Written<Username>>,
    /// What people call it; null for nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 100)]
    display_name: Change<Written<Text<100>>>,
    /// Where a person is reached; null for nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    email: Change<Written<Email>>,
    /// What a directory calls it; null for nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 255)]
    external_id: Change<Written<ExternalId>>,
    /// What policies may ask about it, in whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(required = false)]
    attributes: Option<Map<String, Value>>,
    /// The roles that are its own, in whole; those of its groups stay.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Vec<String>, required = false)]
    roles: Option<Vec<Written<RoleName>>>,
}

impl UserPatch {
    pub(super) fn made_for(self, expected: Expected) -> Result<UserChange, Problem> {
        let Self { username, display_name, email, external_id, attributes, roles } = self;
        Ok(UserChange {
            expected_revision: expected.0,
            username: username.map(|username| username.0),
            display_name: edit(display_name),
            email: edit(email),
            external_id: edit(external_id),
            attributes: attributes.map(read_attributes).transpose()?,
            roles: roles.map(all),
            status: None,
        })
    }
}

/// What becomes of something that may be absent.
pub(crate) fn edit<T>(change: Change<Written<T>>) -> Edit<T> {
    match change {
        Change::Keep => Edit::Keep,
        Change::Remove => Edit::Remove,
        Change::Set(Written(value)) => Edit::Set(value),
    }
}

/// A person or service account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserOut {
    /// Its id.
    #[schema(example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    id: String,
    /// `user` or `service`.
    kind: &'static str,
    /// What it is known by.
    username: String,
    /// What people call it.
    display_name: Option<String>,
    /// Where a person is reached.
    email: Option<String>,
    /// What a directory calls it.
    external_id: Option<String>,
    /// What policies may ask about it.
    attributes: Value,
    /// The roles that are its own.
    own_roles: Vec<String>,
    /// What it may do: by its own roles and those of its groups.
    roles: Vec<String>,
    /// `active` or `deactivated`.
    status: &'static str,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
    /// Raised with each change; the `ETag`.
    revision: u64,
}

impl Show for User {
    type Out = UserOut;

    fn show(&self) -> UserOut {
        let Self {
            id,
            kind,
            username,
            display_name,
            email,
            external_id,
            attributes,
            own_roles,
            roles,
            status,
            epoch: _,
            created_at,
            updated_at,
            revision,
        } = self;
        UserOut {
            id: id.to_string(),
            kind: kind.as_str(),
            username: username.to_string(),
            display_name: display_name.as_ref().map(ToString::to_string),
            email: email.as_ref().map(ToString::to_string),
            external_id: external_id.as_ref().map(ToString::to_string),
            attributes: attributes.to_json(),
            own_roles: names(own_roles),
            roles: names(roles),
            status: status.as_str(),
            created_at: created_at.to_string(),
            updated_at: updated_at.to_string(),
            revision: *revision,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(self.revision)
    }

    fn address(&self) -> Option<String> {
        Some(format!("/api/v1/admin/users/{}", self.id))
    }
}

/// How many sessions of a user have ended.
#[derive(Debug)]
pub(super) struct SignedOut(pub(super) u64);

/// What became of a user's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedOutOut {
    /// How many have ended.
    sessions: u64,
}

impl Show for SignedOut {
    type Out = SignedOutOut;

    fn show(&self) -> SignedOutOut {
        SignedOutOut { sessions: self.0 }
    }
}
