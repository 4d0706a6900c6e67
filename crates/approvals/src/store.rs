//! All SQL of approvals. `users` and `custom_roles` are identity's tables: what a person may is read here, in the
//! transaction that decides, and nothing of them is ever written.

use std::collections::BTreeSet;

use authz::{ActorKind, CustomRole, Permissions, Roles};
use kernel::{ReviewId, Timestamp};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::model::{Decided, ExpireHours, Listing, Quorum, Request, RequestType, Status, Workflow};
use crate::rules::{Person, status_at};

pub(crate) fn workflow(tx: &mut ReadTx<'_>, kind: RequestType) -> Result<Option<Workflow>, StoreError> {
    tx.optional(
        sql!(
            "SELECT workflow_id, name, required_approvers, approver_roles, expire_hours, revision
               FROM approval_workflows WHERE tenant_id = $1 AND request_type = $2"
        ),
        values![kind],
        |row| {
            Ok(Workflow {
                id: Some(row.get()?),
                kind,
                name: row.get()?,
                quorum: quorum(row)?,
                expire_hours: ExpireHours::new(row.get()?).map_err(|_| StoreError::Decode("an expiry in hours"))?,
                revision: row.get()?,
            })
        },
    )
}

pub(crate) fn save_workflow(tx: &mut WriteTx<'_>, workflow: &Workflow, at: Timestamp) -> Result<(), StoreError> {
    let Workflow { id, kind, name, quorum, expire_hours, revision } = workflow;
    tx.execute(
        sql!(
            "INSERT INTO approval_workflows (tenant_id, workflow_id, request_type, name, required_approvers,
                                             approver_roles, expire_hours, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (tenant_id, request_type) DO UPDATE
                SET name = excluded.name, required_approvers = excluded.required_approvers,
                    approver_roles = excluded.approver_roles, expire_hours = excluded.expire_hours,
                    revision = excluded.revision"
        ),
        values![id.clone(), *kind, name.as_str(), quorum.required(), quorum.roles(), expire_hours.get(), at, *revision],
    )?;
    Ok(())
}

pub(crate) fn insert(tx: &mut WriteTx<'_>, request: &Request) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO approval_requests (tenant_id, review_id, request_type, resource_type, resource_id, about,
                                            digest, title, description, requester_id, author_ids, workflow_id,
                                            workflow_revision, required_approvers, approver_roles, status, created_at,
                                            expires_at, decided_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, NULL, $19)"
        ),
        values![
            &request.id,
            request.kind,
            request.resource_kind.as_str(),
            request.resource_id.as_str(),
            request.about.as_str(),
            request.digest.as_str(),
            request.title.as_str(),
            request.description.as_str(),
            request.requester.as_str(),
            &request.authors,
            request.workflow.clone(),
            request.workflow_revision,
            request.quorum.required(),
            request.quorum.roles(),
            request.status,
            request.created_at,
            request.expires_at,
            request.revision,
        ],
    )?;
    Ok(())
}

/// Saves how far a pending request has come. `before` is the revision it was read at; whoever changed it in between
/// has the request decided twice, which the statement refuses.
pub(crate) fn save(tx: &mut WriteTx<'_>, request: &Request, before: u64) -> Result<(), StoreError> {
    let changed = tx.execute(
        sql!(
            "UPDATE approval_requests SET status = $4, decided_at = $5, revision = $6
              WHERE tenant_id = $1 AND review_id = $2 AND revision = $3 AND status = 'pending'"
        ),
        values![&request.id, before, request.status, request.decided_at, request.revision],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict("the request was decided meanwhile".to_owned())) }
}

/// Saves one decision. The row repeats requester and authors, so that the schema itself refuses theirs.
pub(crate) fn insert_decision(tx: &mut WriteTx<'_>, request: &Request, decided: &Decided) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO approval_decisions (tenant_id, review_id, user_id, requester_id, author_ids, decision,
                                             comment, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        ),
        values![
            &request.id,
            decided.user.as_str(),
            request.requester.as_str(),
            &request.authors,
            decided.verdict,
            decided.comment.as_str(),
            decided.at,
        ],
    )?;
    Ok(())
}

pub(crate) fn request(tx: &mut ReadTx<'_>, id: &ReviewId, now: Timestamp) -> Result<Option<Request>, StoreError> {
    let found = tx.optional(
        sql!(
            "SELECT review_id, request_type, resource_type, resource_id, about, digest, title, description, requester_id,
                    author_ids, workflow_id, workflow_revision, required_approvers, approver_roles, status, created_at,
                    expires_at, decided_at, revision
               FROM approval_requests WHERE tenant_id = $1 AND review_id = $2"
        ),
        values![id],
        |row| read(row, now),
    )?;
    found.map(|request| with_decisions(tx, request)).transpose()
}

/// The type of a request, and the id that policies know the thing by which it is about.
pub(crate) fn about(tx: &mut ReadTx<'_>, id: &ReviewId) -> Result<Option<(RequestType, String)>, StoreError> {
    tx.optional(
        sql!("SELECT request_type, about FROM approval_requests WHERE tenant_id = $1 AND review_id = $2"),
        values![id],
        |row| Ok((row.get()?, row.get()?)),
    )
}

/// The request for `resource` that is stored as pending, expired or not.
pub(crate) fn pending(tx: &mut ReadTx<'_>, resource: &str) -> Result<Option<ReviewId>, StoreError> {
    tx.optional(
        sql!(
            "SELECT review_id FROM approval_requests
              WHERE tenant_id = $1 AND resource_id = $2 AND status = 'pending'"
        ),
        values![resource],
        Row::get,
    )
}

/// The requests of `requester` that are stored as pending, expired or not.
pub(crate) fn pending_of(tx: &mut ReadTx<'_>, requester: &str) -> Result<Vec<ReviewId>, StoreError> {
    tx.all(
        sql!(
            "SELECT review_id FROM approval_requests
              WHERE tenant_id = $1 AND requester_id = $2 AND status = 'pending' ORDER BY review_id"
        ),
        values![requester],
        Row::get,
    )
}

/// The newest approved request for exactly `digest` of `resource`.
pub(crate) fn approved(tx: &mut ReadTx<'_>, resource: &str, digest: &str) -> Result<Option<ReviewId>, StoreError> {
    tx.optional(
        sql!(
            "SELECT review_id FROM approval_requests
              WHERE tenant_id = $1 AND resource_id = $2 AND digest = $3 AND status = 'approved'
              ORDER BY created_at DESC, review_id DESC LIMIT 1"
        ),
        values![resource, digest],
        Row::get,
    )
}

/// The newest approved request for exactly `digest` of `resource` that nobody has used, and whose time is not over.
pub(crate) fn unused(
    tx: &mut ReadTx<'_>,
    resource: &str,
    digest: &str,
    now: Timestamp,
) -> Result<Option<ReviewId>, StoreError> {
    tx.optional(
        sql!(
            "SELECT r.review_id FROM approval_requests r
               LEFT JOIN approval_uses u ON u.tenant_id = r.tenant_id AND u.review_id = r.review_id
              WHERE r.tenant_id = $1 AND r.resource_id = $2 AND r.digest = $3 AND r.status = 'approved'
                AND r.expires_at > $4 AND u.review_id IS NULL
              ORDER BY r.created_at DESC, r.review_id DESC LIMIT 1"
        ),
        values![resource, digest, now],
        Row::get,
    )
}

/// Notes that the approval was used; `false` if it was before.
pub(crate) fn insert_use(tx: &mut WriteTx<'_>, id: &ReviewId, now: Timestamp) -> Result<bool, StoreError> {
    let added = tx.execute(
        sql!(
            "INSERT INTO approval_uses (tenant_id, review_id, at) VALUES ($1, $2, $3)
             ON CONFLICT (tenant_id, review_id) DO NOTHING"
        ),
        values![id, now],
    )?;
    Ok(added == 1)
}

pub(crate) fn requests(tx: &mut ReadTx<'_>, listing: &Listing, now: Timestamp) -> Result<Vec<Request>, StoreError> {
    let after = listing.after.as_ref().map_or("", |cursor| cursor.key());
    let status = listing.status.map_or("", Status::as_str);
    let found = tx.all(
        sql!(
            "SELECT review_id, request_type, resource_type, resource_id, about, digest, title, description, requester_id,
                    author_ids, workflow_id, workflow_revision, required_approvers, approver_roles, status, created_at,
                    expires_at, decided_at, revision
               FROM approval_requests
              WHERE tenant_id = $1 AND review_id > $2
                AND ($3 = '' OR $3 = CASE WHEN status = 'pending' AND expires_at <= $4 THEN 'expired' ELSE status END)
              ORDER BY review_id LIMIT $5"
        ),
        values![after, status, now, listing.size.limit()],
        |row| read(row, now),
    )?;
    found.into_iter().map(|request| with_decisions(tx, request)).collect()
}

fn with_decisions(tx: &mut ReadTx<'_>, request: Request) -> Result<Request, StoreError> {
    let decisions = tx.all(
        sql!(
            "SELECT user_id, decision, comment, at FROM approval_decisions
              WHERE tenant_id = $1 AND review_id = $2 ORDER BY at, user_id"
        ),
        values![&request.id],
        |row| Ok(Decided { user: row.get()?, verdict: row.get()?, comment: row.get()?, at: row.get()? }),
    )?;
    Ok(Request { decisions, ..request })
}

/// Somebody of this tenant, as they are now.
pub(crate) fn person(tx: &mut ReadTx<'_>, id: &str) -> Result<Option<Person>, StoreError> {
    let found = tx.optional(
        sql!("SELECT kind, status, roles FROM users WHERE tenant_id = $1 AND user_id = $2"),
        values![id],
        |row| {
            let kind = match row.get::<String>()?.as_str() {
                "user" => ActorKind::User,
                "service" => ActorKind::Service,
                _ => return Err(StoreError::Decode("a kind of user")),
            };
            let active = row.get::<String>()? == "active";
            Ok((kind, active, row.get::<Roles>()?))
        },
    )?;
    let Some((kind, active, roles)) = found else {
        return Ok(None);
    };
    let mut allowed = roles.system_permissions();
    for role in roles.custom() {
        allowed = allowed.union(permissions_of(tx, role)?);
    }
    Ok(Some(Person { id: id.to_owned(), kind, active, roles, allowed, hands: BTreeSet::new() }))
}

/// What a role of the tenant's own allows; a role that is no more allows nothing.
fn permissions_of(tx: &mut ReadTx<'_>, role: &CustomRole) -> Result<Permissions, StoreError> {
    let found = tx.optional(
        sql!("SELECT permissions FROM custom_roles WHERE tenant_id = $1 AND name = $2"),
        values![role.as_str()],
        Row::get::<Permissions>,
    )?;
    Ok(found.unwrap_or_default())
}

fn read(row: &mut Row, now: Timestamp) -> Result<Request, StoreError> {
    let mut request = Request {
        id: row.get()?,
        kind: row.get()?,
        resource_kind: row.get()?,
        resource_id: row.get()?,
        about: row.get()?,
        digest: row.get()?,
        title: row.get()?,
        description: row.get()?,
        requester: row.get()?,
        authors: row.get()?,
        workflow: row.get()?,
        workflow_revision: row.get()?,
        quorum: quorum(row)?,
        status: row.get()?,
        created_at: row.get()?,
        expires_at: row.get()?,
        decided_at: row.get()?,
        revision: row.get()?,
        decisions: Vec::new(),
    };
    request.status = status_at(request.status, request.expires_at, now);
    Ok(request)
}

fn quorum(row: &mut Row) -> Result<Quorum, StoreError> {
    Quorum::new(row.get()?, row.get()?).map_err(|_| StoreError::Decode("a number of approvers and their roles"))
}
