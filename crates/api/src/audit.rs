//! The ledger: entries, receipts, checkpoints, packages.

use audit::{
    CheckpointError, EntryDetail, EntryView, ExportError, Order, Payload, ProofError, Query as Asked, ReadError,
};
use authz::Caller;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use kernel::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::Outcome;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::act::{Act, Nothing};
use crate::app::{App, Inner};
use crate::extract::{Path, Query};
use crate::problem::{Kind, Problem};
use crate::wire::{Limit, PageOut, Show, Written};

/// The operations about the ledger.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_entries))
        .routes(routes!(get_entry))
        .routes(routes!(get_proof))
        .routes(routes!(get_checkpoint))
        .routes(routes!(export_package))
}

/// The entry that an address names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct EntryPath {
    /// The entry's place in the log, from 0.
    seq: u64,
}

/// Which entries, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EntriesQuery {
    /// Only actions that begin so: `catalog.` or `catalog.version.published`.
    action: Option<String>,
    /// Only what this actor did.
    actor_id: Option<String>,
    /// Only what was done to this thing.
    resource_id: Option<String>,
    /// Only what ended so.
    #[param(inline)]
    outcome: Option<OutcomeIn>,
    /// Starts at this entry, itself included.
    from_seq: Option<u64>,
    /// `newest_first` or `oldest_first`; the newest first unless given.
    #[serde(default)]
    #[param(inline)]
    order: OrderIn,
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// How a recorded action ended.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OutcomeIn {
    /// It was done, or begun.
    Ok,
    /// It was refused.
    Refused,
    /// It was begun and failed.
    Failed,
    /// The client went away before the end.
    Aborted,
    /// A crash came between.
    Unknown,
}

impl From<OutcomeIn> for Outcome {
    fn from(outcome: OutcomeIn) -> Self {
        match outcome {
            OutcomeIn::Ok => Self::Ok,
            OutcomeIn::Refused => Self::Refused,
            OutcomeIn::Failed => Self::Failed,
            OutcomeIn::Aborted => Self::Aborted,
            OutcomeIn::Unknown => Self::Unknown,
        }
    }
}

/// In which order entries are listed.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderIn {
    /// The latest entry comes first.
    #[default]
    NewestFirst,
    /// The log from its beginning.
    OldestFirst,
}

impl From<OrderIn> for Order {
    fn from(order: OrderIn) -> Self {
        match order {
            OrderIn::NewestFirst => Self::NewestFirst,
            OrderIn::OldestFirst => Self::OldestFirst,
        }
    }
}

impl From<EntriesQuery> for Asked {
    fn from(query: EntriesQuery) -> Self {
        let EntriesQuery { action, actor_id, resource_id, outcome, from_seq, order, cursor, limit } = query;
        Self {
            action,
            actor: actor_id,
            resource: resource_id,
            outcome: outcome.map(Outcome::from),
            from_seq,
            order: order.into(),
            size: limit.0,
            after: cursor.map(|cursor| cursor.0),
        }
    }
}

/// One entry of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryOut {
    /// Its place in the log, from 0.
    seq: u64,
    /// When it was appended.
    at: String,
    /// What happened, in the past tense.
    #[schema(example = "catalog.version.published")]
    action: String,
    /// Who did it.
    actor_id: String,
    /// The kind of thing that it was done to.
    resource_type: String,
    /// That thing's id.
    resource_id: String,
    /// How it ended: `ok`, `refused`, `failed`, `aborted` or `unknown`.
    outcome: String,
    /// The request that it belongs to.
    request_id: String,
    /// The exact bytes that are hashed: one line of JSON.
    leaf: String,
    /// The hash of the leaf in the tree (RFC 6962), as base64.
    hash: String,
}

/// One entry with the details that are sealed beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryDetailOut {
    /// The entry.
    #[serde(flatten)]
    entry: EntryOut,
    /// The details; null where there are none.
    payload: Option<PayloadOut>,
}

/// The details of an entry, and what checks them against the commitment in its leaf.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayloadOut {
    /// What the committed bytes begin with, in hexadecimal.
    salt: String,
    /// The details, byte for byte as they were committed to.
    #[schema(value_type = Object)]
    content: Box<RawValue>,
}

impl Show for EntryView {
    type Out = EntryOut;

    fn show(&self) -> EntryOut {
        let Self { seq, at, action, actor, resource_kind, resource, outcome, request_id, leaf, hash } = self;
        EntryOut {
            seq: *seq,
            at: at.to_string(),
            action: action.clone(),
            actor_id: actor.clone(),
            resource_type: resource_kind.clone(),
            resource_id: resource.clone(),
            outcome: outcome.clone(),
            request_id: request_id.clone(),
            leaf: String::from_utf8_lossy(leaf).into_owned(),
            hash: hash.to_base64(),
        }
    }
}

impl Show for EntryDetail {
    type Out = EntryDetailOut;

    fn show(&self) -> EntryDetailOut {
        let Self { view, payload } = self;
        EntryDetailOut { entry: view.show(), payload: payload.as_ref().and_then(payload_out) }
    }
}

fn payload_out(Payload { salt, bytes }: &Payload) -> Option<PayloadOut> {
    let content = RawValue::from_string(String::from_utf8(bytes.clone()).ok()?).ok()?;
    Some(PayloadOut { salt: kernel::hex(salt), content })
}

/// Lists entries of the tenant's log.
///
/// Reading the log is recorded in it.
#[utoipa::path(
    get, path = "/api/v1/audit/entries", tag = "Ledger", params(EntriesQuery),
    responses((status = 200, body = PageOut<EntryOut>), Problem)
)]
async fn list_entries(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<EntriesQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| audit::entries(db, caller, &query.into())).await
}

/// Shows an entry with its details.
///
/// Reading the log is recorded in it.
#[utoipa::path(
    get, path = "/api/v1/audit/entries/{seq}", tag = "Ledger", params(EntryPath),
    responses((status = 200, body = EntryDetailOut), Problem)
)]
async fn get_entry(
    State(app): State<App>,
    caller: Caller,
    Path(EntryPath { seq }): Path<EntryPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| audit::entry(db, caller, seq)).await
}

/// Gives a receipt for an entry (C2SP tlog-proof), which proves offline that the signed log holds it.
#[utoipa::path(
    get, path = "/api/v1/audit/entries/{seq}/proof", tag = "Ledger", params(EntryPath),
    responses((status = 200, body = String, content_type = "text/plain"), Problem)
)]
async fn get_proof(
    State(app): State<App>,
    caller: Caller,
    Path(EntryPath { seq }): Path<EntryPath>,
) -> Result<Response, Problem> {
    let proof = app.run(move |inner| proof(inner, &caller, seq)).await?;
    Ok(note(proof))
}

/// A receipt against a head that covers the entry: the newest one, signed now if need be.
fn proof(inner: &Inner, caller: &Caller, seq: u64) -> Result<String, Problem> {
    match audit::proof(&inner.db, caller, seq) {
        Err(ProofError::NotYetSigned(_)) => {
            audit::checkpoint(&inner.db, &inner.signer, caller.tenant(), &inner.db.moment())?;
            Ok(audit::proof(&inner.db, caller, seq)?)
        }
        proof => Ok(proof?),
    }
}

/// Gives the signed head of the tenant's log as it stands (C2SP tlog-checkpoint).
#[utoipa::path(
    get, path = "/api/v1/audit/checkpoint", tag = "Ledger",
    responses((status = 200, body = String, content_type = "text/plain"), Problem)
)]
async fn get_checkpoint(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let signed = app.run(move |inner| {
        // Whether the caller may see it at all.
        audit::latest_checkpoint(&inner.db, &caller)?;
        Ok(audit::checkpoint(&inner.db, &inner.signer, caller.tenant(), &inner.db.moment())?)
    });
    Ok(note(signed.await?.note))
}

/// Exports the tenant's log as a package that `taskforce verify` checks without a server.
#[utoipa::path(
    post, path = "/api/v1/audit/exports", tag = "Ledger", request_body = Option<Nothing>,
    responses((status = 200, body = Vec<u8>, content_type = "application/zip"), Problem)
)]
async fn export_package(State(app): State<App>, act: Act<Nothing>) -> Result<Response, Problem> {
    let (caller, _) = act.by;
    let package = app.run(move |inner| Ok(audit::export(&inner.db, &caller, &inner.signer, &inner.db.moment())?));
    let audit::Package { bytes, origin: _, head: _, sha256 } = package.await?;
    let disposition = "attachment; filename=\"log.tfpack\"".to_owned();
    let headers =
        [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, disposition), (PACKAGE_DIGEST, sha256)];
    Ok((headers, bytes).into_response())
}

/// The SHA-256 of a package, in hexadecimal.
const PACKAGE_DIGEST: HeaderName = HeaderName::from_static("taskforce-package-sha256");

/// A C2SP document.
fn note(text: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(refusal) => refusal.into(),
            ReadError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Forbidden(refusal) => refusal.into(),
            ProofError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ProofError::NotYetSigned(_) => Self::client(Kind::Unavailable, &error).retry_after(1),
            ProofError::Broken(_) => Self::server(Kind::Internal, error),
            ProofError::Database(error) => error.into(),
        }
    }
}

impl From<CheckpointError> for Problem {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Refused(_) => Self::server(Kind::Internal, error),
            CheckpointError::NotFound(_) => Self::client(Kind::NotFound, &error),
            CheckpointError::Database(error) => error.into(),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Forbidden(refusal) => refusal.into(),
            ExportError::Checkpoint(error) => error.into(),
            ExportError::TooLarge => Self::client(Kind::QuotaExceeded, &error),
            ExportError::Database(error) => error.into(),
        }
    }
}
