//! Users and service accounts.

use kernel::{Cursor, PageSize, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::{User, Username};

pub(crate) fn user(tx: &mut ReadTx<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![id],
        read_user,
    )
}

pub(crate) fn user_named(tx: &mut ReadTx<'_>, name: &Username) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND username = $2"
        ),
        values![name],
        read_user,
    )
}

pub(crate) fn users(tx: &mut ReadTx<'_>, after: Option<&Cursor>, size: PageSize) -> Result<Vec<User>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users WHERE tenant_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"
        ),
        values![after.map_or("", Cursor::key), size.limit()],
        read_user,
    )
}

/// The users whose keys may be presented.
pub(crate) fn key_holders(tx: &mut ReadTx<'_>) -> Result<Vec<User>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id, kind, username, email, roles, status, created_at, revision
               FROM users
              WHERE tenant_id = $1
                AND user_id IN (SELECT user_id FROM api_keys WHERE tenant_id = $1)"
        ),
        values![],
        read_user,
    )
}

pub(crate) fn any_user(tx: &mut ReadTx<'_>) -> Result<bool, StoreError> {
    let found = tx.optional(sql!("SELECT user_id FROM users WHERE tenant_id = $1 LIMIT 1"), values![], |row| {
        row.get::<UserId>()
    })?;
    Ok(found.is_some())
}

pub(crate) fn other_active_admins(tx: &mut ReadTx<'_>, id: &UserId) -> Result<i64, StoreError> {
    let count = tx.optional(
        sql!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM users
              WHERE tenant_id = $1 AND user_id <> $2 AND status = 'active'
                AND ',' || roles || ',' LIKE '%,admin,%'"
        ),
        values![id],
        Row::get::<i64>,
    )?;
    Ok(count.unwrap_or_default())
}

pub(crate) fn insert_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User { id, kind, username, email, roles, status, created_at, revision } = user;
    tx.execute(
        sql!(
            "INSERT INTO users (tenant_id, user_id, kind, username, email, roles, status, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        values![id, kind, username, email.as_ref(), roles, status, *created_at, *revision],
    )?;
    Ok(())
}

pub(crate) fn save_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User { id, kind: _, username: _, email, roles, status, created_at: _, revision } = user;
    tx.execute(
        sql!(
            "UPDATE users SET email = $3, roles = $4, status = $5, revision = $6
              WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![id, email.as_ref(), roles, status, *revision],
    )?;
    Ok(())
}

fn read_user(row: &mut Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.get()?,
        kind: row.get()?,
        username: row.get()?,
        email: row.get()?,
        roles: row.get()?,
        status: row.get()?,
        created_at: row.get()?,
        revision: row.get()?,
    })
}
