//! People, as a directory provisions them.

use authz::{Attribute, Caller};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use identity::{Leavers, NewUser, Removal, StatusChange, User, UserAttributes, UserChange, UserKind, UserStatus};
use kernel::UserId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::fields::{Field, Fields};
use super::list::{Asked, ListQuery, ScimListOut, people};
use super::patch::{ScimPatchIn, patched};
use super::refusal::{ScimType, edit, parsed};
use super::revision::Wanted;
use super::schema::{Resource, Schema, expect_schemas};
use super::view::{Provisioned, ScimMeta, Shown, View, ViewQuery};
use crate::act::Act;
use crate::app::App;
use crate::extract::Path;
use crate::once::Once;
use crate::problem::{Problem, ScimErrorBody};
use crate::wire::Written;

/// The person that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PersonPath {
    /// The user's id.
    #[param(value_type = String, example = "usr_0192f0c1e1d07e3c8f6f3d9b1a2c4e5f")]
    user_id: Written<UserId>,
}

/// A person (RFC 7643, 4.1). What else the schema has may be sent, and is not kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimUser {
    /// `urn:ietf:params:scim:schemas:core:2.0:User`, and the enterprise extension where it is used.
    schemas: Vec<&'static str>,
    /// The user's id.
    #[schema(read_only)]
    id: String,
    /// What the directory calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// What is known about it besides.
    #[schema(read_only)]
    meta: ScimMeta,
    /// The username: lower case.
    user_name: String,
    /// What people call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Whether they may act. False ends sessions, keys and pending requests at once.
    active: bool,
    /// Where they are reached: one address is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emails: Vec<ScimEmail>,
    /// What policies may ask about them. Setting it needs `policy:manage` too.
    #[serde(
        rename = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        skip_serializing_if = "Option::is_none"
    )]
    enterprise: Option<ScimEnterprise>,
}

/// An address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScimEmail {
    /// The address.
    value: String,
    /// `work`.
    r#type: &'static str,
}

/// What organizations add about people (RFC 7643, 4.3), kept as attributes of the user.
#[derive(Debug, Serialize, PartialEq, Eq, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimEnterprise {
    /// `employee_number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    employee_number: Option<String>,
    /// `cost_center`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_center: Option<String>,
    /// `organization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// `division`.
    #[serde(skip_serializing_if = "Option::is_none")]
    division: Option<String>,
    /// `department`.
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<String>,
    /// `manager`.
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<ScimManager>,
}

/// Somebody's manager.
#[derive(Debug, Serialize, PartialEq, Eq, ToSchema)]
pub(crate) struct ScimManager {
    /// The manager's id.
    value: String,
}

impl Provisioned for User {
    const RESOURCE: Resource = Resource::User;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn out(&self, view: &View) -> Value {
        let fields = fields_of(self);
        let text = |field| fields.get(field).map(str::to_owned);
        let enterprise = ScimEnterprise {
            employee_number: text(Field::EmployeeNumber),
            cost_center: text(Field::CostCenter),
            organization: text(Field::Organization),
            division: text(Field::Division),
            department: text(Field::Department),
            manager: text(Field::Manager).map(|value| ScimManager { value }),
        };
        let extended = enterprise != ScimEnterprise::default();
        let schemas = if extended { vec![Schema::User, Schema::Enterprise] } else { vec![Schema::User] };
        view.of(&ScimUser {
            schemas: schemas.into_iter().map(Schema::urn).collect(),
            id: self.id.to_string(),
            external_id: text(Field::ExternalId),
            meta: view.meta(Resource::User, self.id.as_str(), [self.created_at, self.updated_at], self.revision),
            user_name: self.username.to_string(),
            display_name: text(Field::DisplayName),
            active: self.status == UserStatus::Active,
            emails: text(Field::Email).map(|value| ScimEmail { value, r#type: "work" }).into_iter().collect(),
            enterprise: Some(enterprise).filter(|_| extended),
        })
    }
}

/// A user as SCIM sees one.
fn fields_of(user: &User) -> Fields {
    let mut fields = Fields::of(user.status == UserStatus::Active);
    let mut set = |field, text: Option<&str>| fields.set(field, text.unwrap_or_default());
    set(Field::UserName, Some(user.username.as_str()));
    set(Field::DisplayName, user.display_name.as_ref().map(kernel::Text::as_str));
    set(Field::ExternalId, user.external_id.as_ref().map(kernel::Text::as_str));
    set(Field::Email, user.email.as_ref().map(identity::Email::as_str));
    for field in Field::ATTRIBUTES {
        let kept = field.kept_as().and_then(|name| user.attributes.as_map().get(name));
        set(field, kept.and_then(|kept| if let Attribute::Text(text) = kept { Some(text.as_str()) } else { None }));
    }
    fields
}

fn user_name(fields: &Fields) -> Result<identity::Username, Problem> {
    let name = fields.get(Field::UserName).map(str::to_lowercase);
    parsed("userName", name.as_deref())?.ok_or_else(|| ScimType::InvalidValue.because(&"`userName` is required"))
}

/// The attributes of somebody who had `before`.
fn attributes(before: &UserAttributes, fields: &Fields) -> Result<UserAttributes, Problem> {
    let mut all = before.to_json();
    for field in Field::ATTRIBUTES {
        let (Some(name), Some(all)) = (field.kept_as(), all.as_object_mut()) else { continue };
        match fields.get(field) {
            Some(text) => all.insert(name.to_owned(), text.into()),
            // What is kept there in another form, SCIM never saw.
            None if all.get(name).is_some_and(Value::is_string) => all.remove(name),
            None => None,
        };
    }
    UserAttributes::from_json(&all).map_err(|error| ScimType::InvalidValue.because(&error))
}

fn new_user(fields: &Fields) -> Result<NewUser, Problem> {
    Ok(NewUser {
        display_name: parsed("displayName", fields.get(Field::DisplayName))?,
        email: parsed("emails", fields.get(Field::Email))?,
        external_id: parsed("externalId", fields.get(Field::ExternalId))?,
        attributes: attributes(&UserAttributes::default(), fields)?,
        status: if fields.active == Some(false) { UserStatus::Deactivated } else { UserStatus::Active },
        ..NewUser::named(UserKind::User, user_name(fields)?)
    })
}

/// What makes `before` what `fields` say.
fn change_to(before: &User, revision: u64, fields: &Fields, leavers: Leavers) -> Result<UserChange, Problem> {
    let attributes = attributes(&before.attributes, fields)?;
    Ok(UserChange {
        expected_revision: revision,
        username: Some(user_name(fields)?),
        display_name: edit(parsed("displayName", fields.get(Field::DisplayName))?),
        email: edit(parsed("emails", fields.get(Field::Email))?),
        external_id: edit(parsed("externalId", fields.get(Field::ExternalId))?),
        attributes: Some(attributes),
        roles: None,
        status: fields.active.map(
            |active| {
                if active { StatusChange::Activate } else { StatusChange::Deactivate(leavers) }
            },
        ),
    })
}

/// Lists people, the oldest first.
///
/// Whoever was removed is not among them, and neither are service accounts.
#[utoipa::path(
    get, path = "/scim/v2/Users", tag = "SCIM", operation_id = "scim_list_users", params(ListQuery),
    responses((status = 200, body = ScimListOut<ScimUser>, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn list(State(app): State<App>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let filter = people(&asked.filter)?;
    app.read(caller, move |db, caller, _| {
        identity::people(db, caller, filter.as_ref(), asked.slice).map(|found| asked.listed(found))
    })
    .await
}

/// Creates a person.
///
/// Without roles: those come from groups, and what a group gives an administrator says.
#[utoipa::path(
    post, path = "/scim/v2/Users", tag = "SCIM", operation_id = "scim_create_user", params(ViewQuery),
    request_body(content = ScimUser, content_type = "application/scim+json"),
    responses((status = 201, body = ScimUser, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn create(
    State(app): State<App>,
    view: View,
    act: Act<Map<String, Value>>,
) -> Result<Response, Problem> {
    expect_schemas(Resource::User, &act.body)?;
    let new = new_user(&Fields::read(&act.body)?)?;
    let by = (act.by, StatusCode::CREATED);
    app.act_as(by, Shown::with(view), move |db, caller, at| identity::create_user(db, caller, new, at)).await
}

/// Shows a person.
#[utoipa::path(
    get, path = "/scim/v2/Users/{user_id}", tag = "SCIM", operation_id = "scim_get_user",
    params(PersonPath, ViewQuery),
    responses((status = 200, body = ScimUser, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(PersonPath { user_id }): Path<PersonPath>,
    view: View,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| identity::person(db, caller, &user_id.0).map(|of| Shown { view, of })).await
}

/// Replaces a person.
///
/// What is left out goes, but for `active` and the enterprise extension, which stay as they are.
#[utoipa::path(
    put, path = "/scim/v2/Users/{user_id}", tag = "SCIM", operation_id = "scim_replace_user",
    params(PersonPath, ViewQuery), request_body(content = ScimUser, content_type = "application/scim+json"),
    responses((status = 200, body = ScimUser, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn replace(
    State(app): State<App>,
    Path(PersonPath { user_id }): Path<PersonPath>,
    (wanted, view): (Wanted, View),
    act: Act<Map<String, Value>>,
) -> Result<Response, Problem> {
    expect_schemas(Resource::User, &act.body)?;
    let (fields, extended) = (Fields::read(&act.body)?, Schema::Enterprise.is_in(&act.body));
    let replaced =
        move |before: Fields| Ok(if extended { fields.clone() } else { fields.clone().extended_as(&before) });
    update(app, (user_id.0, wanted, view), act.by, replaced).await
}

/// Changes a person.
#[utoipa::path(
    patch, path = "/scim/v2/Users/{user_id}", tag = "SCIM", operation_id = "scim_patch_user",
    params(PersonPath, ViewQuery), request_body(content = ScimPatchIn, content_type = "application/scim+json"),
    responses((status = 200, body = ScimUser, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn change(
    State(app): State<App>,
    Path(PersonPath { user_id }): Path<PersonPath>,
    (wanted, view): (Wanted, View),
    act: Act<ScimPatchIn>,
) -> Result<Response, Problem> {
    let steps = act.body.steps()?;
    update(app, (user_id.0, wanted, view), act.by, move |before| patched(before, &steps)).await
}

async fn update(
    app: App,
    (id, wanted, view): (UserId, Wanted, View),
    by: (Caller, Option<Once>),
    fields: impl Fn(Fields) -> Result<Fields, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let leavers = app.leavers();
    app.act(by, move |db, caller, at| {
        let load = || identity::person(db, caller, &id).map(|user| (user.revision, user)).map_err(Problem::from);
        let changed = wanted.change(load, |user, revision| {
            let change = change_to(&user, revision, &fields(fields_of(&user))?, leavers.clone())?;
            Ok(identity::update_user(db, caller, &id, change, at)?)
        });
        changed.map(|of| Shown { view, of })
    })
    .await
}

/// Removes a person for good.
///
/// Deactivated, without roles and groups, and not seen here again; what the ledger says about them stays. The username
/// is free.
#[utoipa::path(
    delete, path = "/scim/v2/Users/{user_id}", tag = "SCIM", operation_id = "scim_delete_user", params(PersonPath),
    responses((status = 204), ScimErrorBody)
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Path(PersonPath { user_id: Written(id) }): Path<PersonPath>,
    wanted: Wanted,
    caller: Caller,
) -> Result<Response, Problem> {
    let leavers = app.leavers();
    app.delete(caller, move |db, caller, at| {
        let load = || identity::person(db, caller, &id).map(|user| (user.revision, user)).map_err(Problem::from);
        wanted.change(load, |_, expected_revision| {
            let removal = Removal { expected_revision, leavers: leavers.clone() };
            Ok(identity::remove_person(db, caller, &id, &removal, at)?)
        })
    })
    .await
}
