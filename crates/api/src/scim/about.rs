//! What of SCIM is supported (RFC 7644, 4), and searching all resources at once.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use identity::ListError;
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::{Asked, ScimListOut, ScimSearchIn};
use super::schema::{self, provider, resource_types, schemas};
use super::view::{Base, Document};
use crate::act::Act;
use crate::answer::Answer;
use crate::app::App;
use crate::extract::Path;
use crate::problem::{Kind, Problem, ScimErrorBody};

/// The schema that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SchemaPath {
    /// Its URN.
    #[param(example = "urn:ietf:params:scim:schemas:core:2.0:User")]
    schema: String,
}

/// The kind of resource that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ResourceTypePath {
    /// `User` or `Group`.
    #[param(example = "User")]
    resource_type: String,
}

/// Says what of SCIM is supported.
#[utoipa::path(
    get, path = "/scim/v2/ServiceProviderConfig", tag = "SCIM", operation_id = "scim_provider",
    responses((status = 200, body = serde_json::Value, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn service_provider(base: Base) -> Result<Response, Problem> {
    document(Some(provider(&base.0)))
}

/// Lists the kinds of resources.
#[utoipa::path(
    get, path = "/scim/v2/ResourceTypes", tag = "SCIM", operation_id = "scim_list_resource_types",
    responses((status = 200, body = ScimListOut<serde_json::Value>, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn list_resource_types(base: Base) -> Result<Response, Problem> {
    document(Some(ScimListOut::whole(resource_types(&base.0))))
}

/// Shows a kind of resource.
#[utoipa::path(
    get, path = "/scim/v2/ResourceTypes/{resource_type}", tag = "SCIM", operation_id = "scim_get_resource_type",
    params(ResourceTypePath),
    responses((status = 200, body = serde_json::Value, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn get_resource_type(
    base: Base,
    Path(ResourceTypePath { resource_type }): Path<ResourceTypePath>,
) -> Result<Response, Problem> {
    document(schema::resource_type(&base.0, &resource_type))
}

/// Lists the schemas.
#[utoipa::path(
    get, path = "/scim/v2/Schemas", tag = "SCIM", operation_id = "scim_list_schemas",
    responses((status = 200, body = ScimListOut<serde_json::Value>, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn list_schemas(base: Base) -> Result<Response, Problem> {
    document(Some(ScimListOut::whole(schemas(&base.0))))
}

/// Shows a schema: what of it is kept.
#[utoipa::path(
    get, path = "/scim/v2/Schemas/{schema}", tag = "SCIM", operation_id = "scim_get_schema", params(SchemaPath),
    responses((status = 200, body = serde_json::Value, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn get_schema(base: Base, Path(SchemaPath { schema }): Path<SchemaPath>) -> Result<Response, Problem> {
    document(schema::schema(&base.0, &schema))
}

fn document(document: Option<serde_json::Value>) -> Result<Response, Problem> {
    let document = document.map(Document).ok_or_else(|| Problem::new(Kind::NotFound))?;
    Ok(Answer::of(StatusCode::OK, &document)?.into_response())
}

/// Lists people and groups: people first, each the oldest first.
#[utoipa::path(
    post, path = "/scim/v2/.search", tag = "SCIM", operation_id = "scim_search",
    request_body(content = ScimSearchIn, content_type = "application/scim+json"),
    responses((status = 200, body = ScimListOut<serde_json::Value>, content_type = "application/scim+json"), ScimErrorBody)
)]
pub(crate) async fn search(
    State(app): State<App>,
    base: Base,
    Act { by: (caller, _), body }: Act<ScimSearchIn>,
) -> Result<Response, Problem> {
    let asked = Asked::searched(body, base)?;
    let (wanted_people, wanted_teams) = asked.filters()?;
    app.read(caller, move |db, caller, _| {
        let people = identity::people(db, caller, wanted_people.as_ref(), asked.slice)?;
        let teams = identity::teams(db, caller, wanted_teams.as_ref(), asked.after(&people))?;
        Ok::<_, ListError>(asked.both(people, &teams))
    })
    .await
}
