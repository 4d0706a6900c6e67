//! How resources are shown: under which address, and what of them.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::schema::Resource;
use super::select::Selection;
use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;
use crate::wire::Show;

/// The media type of everything here.
pub(super) const MEDIA_TYPE: &str = "application/scim+json";

/// The address of the whole, as clients reached it.
#[derive(Debug, Clone)]
pub(super) struct Base(pub(super) Arc<str>);

impl FromRequestParts<App> for Base {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(format!("{}/scim/v2", app.0.place.public_url).into()))
    }
}

/// What of a resource is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ViewQuery {
    /// Only these attributes, by name, with commas between them; the id is always shown.
    attributes: Option<String>,
    /// All attributes but these.
    excluded_attributes: Option<String>,
}

/// How resources are shown.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The address of the whole.
    pub(super) base: Base,
    /// What of them.
    pub(super) selection: Selection,
}

impl FromRequestParts<App> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let base = Base::from_request_parts(parts, app).await?;
        let Query(ViewQuery { attributes, excluded_attributes }) = Query::from_request_parts(parts, app).await?;
        let selection = Selection::read(&names(attributes), &names(excluded_attributes))?;
        Ok(Self { base, selection })
    }
}

/// Names with commas between them.
pub(super) fn names(text: Option<String>) -> Vec<String> {
    text.map_or(Vec::new(), |text| text.split(',').map(str::to_owned).collect())
}

impl View {
    /// The address of a resource.
    pub(super) fn location(&self, resource: Resource, id: &str) -> String {
        format!("{}{}/{id}", self.base.0, resource.endpoint())
    }

    /// What is known about a resource besides itself.
    pub(super) fn meta(&self, resource: Resource, id: &str, times: [kernel::Timestamp; 2], revision: u64) -> ScimMeta {
        let [created, last_modified] = times.map(|at| at.to_string());
        let (location, version) = (self.location(resource, id), format!("\"{revision}\""));
        ScimMeta { resource_type: resource.name(), created, last_modified, location, version }
    }

    /// What of `resource` is shown.
    pub(super) fn of(&self, resource: &impl Serialize) -> Value {
        self.selection.of(serde_json::to_value(resource).unwrap_or_default())
    }
}

/// What is known about a resource besides itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScimMeta {
    /// `User` or `Group`.
    resource_type: &'static str,
    /// When it was created.
    created: String,
    /// When it was last changed.
    last_modified: String,
    /// Its address.
    location: String,
    /// Its `ETag`.
    version: String,
}

/// A resource on its way to a client.
#[derive(Debug)]
pub(super) struct Shown<T> {
    /// How.
    pub(super) view: View,
    /// What.
    pub(super) of: T,
}

impl<T: Clone> Shown<T> {
    /// Shows resources so.
    pub(super) fn with(view: View) -> impl Fn(&T) -> Self + Clone + Send + Sync + 'static {
        move |of| Self { view: view.clone(), of: of.clone() }
    }
}

/// What SCIM knows as a resource.
pub(super) trait Provisioned: Send + 'static {
    /// Which kind.
    const RESOURCE: Resource;

    /// Its id.
    fn id(&self) -> &str;

    /// Counts its changes.
    fn revision(&self) -> u64;

    /// Its wire form.
    fn out(&self, view: &View) -> Value;
}

impl<T: Provisioned> Show for Shown<T> {
    type Out = Value;

    const MEDIA_TYPE: &'static str = MEDIA_TYPE;

    fn show(&self) -> Value {
        self.of.out(&self.view)
    }

    fn revision(&self) -> Option<u64> {
        Some(self.of.revision())
    }

    fn address(&self) -> Option<String> {
        Some(self.view.location(T::RESOURCE, self.of.id()))
    }
}

/// A document that stands for itself.
#[derive(Debug)]
pub(super) struct Document(pub(super) Value);

impl Show for Document {
    type Out = Value;

    const MEDIA_TYPE: &'static str = MEDIA_TYPE;

    fn show(&self) -> Value {
        self.0.clone()
    }
}
