//! Sessions of people who signed in.

use authz::{Makers, Roles};
use kernel::{PageSize, SessionId, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::session::Session;

/// A session with what its secret is compared with, and what it was begun under.
pub(crate) struct Held {
    pub(crate) session: Session,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) issued_by: Makers,
    pub(crate) epoch: u64,
    pub(crate) roles: Roles,
}

pub(crate) fn by_handle(tx: &mut ReadTx<'_>, handle: &str) -> Result<Option<Held>, StoreError> {
    tx.optional(
        sql!(
            "SELECT session_id, user_id, method, provider_id, network, agent, created_at, authenticated_at, seen_at,
                    expires_at, ended_at, secret_hash, issued_by, epoch, roles
               FROM sessions WHERE tenant_id = $1 AND handle = $2"
        ),
        values![handle],
        read_held,
    )
}

pub(crate) fn held(tx: &mut ReadTx<'_>, id: &SessionId) -> Result<Option<Held>, StoreError> {
    tx.optional(
        sql!(
            "SELECT session_id, user_id, method, provider_id, network, agent, created_at, authenticated_at, seen_at,
                    expires_at, ended_at, secret_hash, issued_by, epoch, roles
               FROM sessions WHERE tenant_id = $1 AND session_id = $2"
        ),
        values![id],
        read_held,
    )
}

/// The sessions of a user, or of everybody, that are not over, by id: those that were begun first come first.
pub(crate) fn sessions(
    tx: &mut ReadTx<'_>,
    user: Option<&UserId>,
    (after, now, idle_since): (&str, Timestamp, Timestamp),
    size: PageSize,
) -> Result<Vec<Session>, StoreError> {
    tx.all(
        sql!(
            "SELECT session_id, user_id, method, provider_id, network, agent, created_at, authenticated_at, seen_at,
                    expires_at, ended_at
               FROM sessions
              WHERE tenant_id = $1 AND session_id > $2 AND ended_at IS NULL AND expires_at > $3 AND seen_at > $4
                AND ($5 = '' OR user_id = $5)
                AND epoch = (SELECT epoch FROM users
                              WHERE tenant_id = $1 AND users.user_id = sessions.user_id)
              ORDER BY session_id LIMIT $6"
        ),
        values![after, now, idle_since, user.map_or("", UserId::as_str), size.limit()],
        read_session,
    )
}

pub(crate) fn insert_session(tx: &mut WriteTx<'_>, handle: &str, held: &Held) -> Result<(), StoreError> {
    let Held { session, secret_hash, issued_by, epoch, roles } = held;
    let Session { id, user, method, provider, network, agent, created_at, .. } = session;
    let Session { authenticated_at, seen_at, expires_at, ended_at: _, .. } = session;
    tx.execute(
        sql!(
            "INSERT INTO sessions (tenant_id, session_id, handle, user_id, secret_hash, method, provider_id, issued_by,
                                   epoch, roles, network, agent, created_at, authenticated_at, seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        ),
        values![
            id,
            handle,
            user,
            secret_hash.as_slice(),
            *method,
            provider.as_ref(),
            issued_by,
            *epoch,
            roles,
            network.as_str(),
            agent.as_str(),
            *created_at,
            *authenticated_at,
            *seen_at,
            *expires_at
        ],
    )?;
    Ok(())
}

pub(crate) fn end_session(tx: &mut WriteTx<'_>, id: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        sql!("UPDATE sessions SET ended_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND ended_at IS NULL"),
        values![id, now],
    )?;
    Ok(())
}

pub(crate) fn touch(tx: &mut WriteTx<'_>, id: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        sql!("UPDATE sessions SET seen_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND seen_at < $3"),
        values![id, now],
    )?;
    Ok(())
}

/// Forgets sessions whose time was over before `then`.
pub(crate) fn forget(tx: &mut WriteTx<'_>, then: Timestamp) -> Result<(), StoreError> {
    tx.execute(sql!("DELETE FROM sessions WHERE tenant_id = $1 AND expires_at < $2"), values![then])?;
    Ok(())
}

fn read_session(row: &mut Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.get()?,
        user: row.get()?,
        method: row.get()?,
        provider: row.get()?,
        network: row.get()?,
        agent: row.get()?,
        created_at: row.get()?,
        authenticated_at: row.get()?,
        seen_at: row.get()?,
        expires_at: row.get()?,
        ended_at: row.get()?,
    })
}

fn read_held(row: &mut Row) -> Result<Held, StoreError> {
    Ok(Held {
        session: read_session(row)?,
        secret_hash: super::digest(row)?,
        issued_by: row.get()?,
        epoch: row.get()?,
        roles: row.get()?,
    })
}
