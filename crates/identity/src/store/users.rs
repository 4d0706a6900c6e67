//! Users and service accounts.

use kernel::{PageSize, Timestamp, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::optional_text;
use crate::listing::{Direction, naming, starting_with};
use crate::{User, UserFilter, UserSort, Username};

pub(crate) fn user(tx: &mut ReadTx<'_>, id: &UserId) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![id],
        read_user,
    )
}

pub(crate) fn user_named(tx: &mut ReadTx<'_>, name: &Username) -> Result<Option<User>, StoreError> {
    tx.optional(
        sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users WHERE tenant_id = $1 AND username = $2"
        ),
        values![name],
        read_user,
    )
}

/// The users that `filter` lets through, after `after` in the order of `filter`.
pub(crate) fn users(
    tx: &mut ReadTx<'_>,
    filter: &UserFilter,
    after: &str,
    size: PageSize,
) -> Result<Vec<User>, StoreError> {
    let statement = match (filter.sort, filter.direction) {
        (UserSort::CreatedAt, Direction::Ascending) => sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users
              WHERE tenant_id = $1 AND ($2 = '' OR user_id > $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4)
                AND ($5 = '' OR ',' || roles || ',' LIKE $5 ESCAPE '!') AND ($6 = '' OR username = $6)
                AND ($7 = '' OR lower(email) = $7) AND ($8 = '' OR external_id = $8)
                AND ($9 = '' OR username LIKE $9 ESCAPE '!' OR lower(email) LIKE $9 ESCAPE '!')
              ORDER BY user_id LIMIT $10"
        ),
        (UserSort::CreatedAt, Direction::Descending) => sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users
              WHERE tenant_id = $1 AND ($2 = '' OR user_id < $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4)
                AND ($5 = '' OR ',' || roles || ',' LIKE $5 ESCAPE '!') AND ($6 = '' OR username = $6)
                AND ($7 = '' OR lower(email) = $7) AND ($8 = '' OR external_id = $8)
                AND ($9 = '' OR username LIKE $9 ESCAPE '!' OR lower(email) LIKE $9 ESCAPE '!')
              ORDER BY user_id DESC LIMIT $10"
        ),
        (UserSort::Username, Direction::Ascending) => sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users
              WHERE tenant_id = $1 AND ($2 = '' OR username > $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4)
                AND ($5 = '' OR ',' || roles || ',' LIKE $5 ESCAPE '!') AND ($6 = '' OR username = $6)
                AND ($7 = '' OR lower(email) = $7) AND ($8 = '' OR external_id = $8)
                AND ($9 = '' OR username LIKE $9 ESCAPE '!' OR lower(email) LIKE $9 ESCAPE '!')
              ORDER BY username LIMIT $10"
        ),
        (UserSort::Username, Direction::Descending) => sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users
              WHERE tenant_id = $1 AND ($2 = '' OR username < $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR kind = $4)
                AND ($5 = '' OR ',' || roles || ',' LIKE $5 ESCAPE '!') AND ($6 = '' OR username = $6)
                AND ($7 = '' OR lower(email) = $7) AND ($8 = '' OR external_id = $8)
                AND ($9 = '' OR username LIKE $9 ESCAPE '!' OR lower(email) LIKE $9 ESCAPE '!')
              ORDER BY username DESC LIMIT $10"
        ),
    };
    let UserFilter { status, kind, role, username, email, external_id, q, sort: _, direction: _ } = filter;
    tx.all(
        statement,
        values![
            after,
            status.map_or("", crate::UserStatus::as_str),
            kind.map_or("", crate::UserKind::as_str),
            naming(role.as_ref().map_or("", authz::RoleName::as_str)),
            username.as_ref().map_or("", Username::as_str),
            email.as_ref().map_or(String::new(), |email| email.as_str().to_ascii_lowercase()),
            external_id.as_ref().map_or("", kernel::Text::as_str),
            starting_with(&q.as_ref().map_or(String::new(), |q| q.as_str().to_ascii_lowercase())),
            size.limit()
        ],
        read_user,
    )
}

pub(crate) fn any_user(tx: &mut ReadTx<'_>) -> Result<bool, StoreError> {
    let found = tx.optional(sql!("SELECT user_id FROM users WHERE tenant_id = $1 LIMIT 1"), values![], |row| {
        row.get::<UserId>()
    })?;
    Ok(found.is_some())
}

pub(crate) fn any_active_admin(tx: &mut ReadTx<'_>) -> Result<bool, StoreError> {
    let found = tx.optional(
        sql!(
            "SELECT user_id FROM users
              WHERE tenant_id = $1 AND status = 'active' AND ',' || roles || ',' LIKE '%,admin,%' LIMIT 1"
        ),
        values![],
        Row::get::<UserId>,
    )?;
    Ok(found.is_some())
}

pub(crate) fn insert_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User {
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
        epoch,
        created_at,
        updated_at,
        revision,
    } = user;
    tx.execute(
        sql!(
            "INSERT INTO users (tenant_id, user_id, kind, username, display_name, email, external_id, attributes,
                                own_roles, roles, status, epoch, created_at, updated_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        ),
        values![
            id,
            kind,
            username,
            display_name.as_ref().map(kernel::Text::as_str),
            email.as_ref(),
            external_id.as_ref().map(kernel::Text::as_str),
            attributes,
            own_roles,
            roles,
            status,
            *epoch,
            *created_at,
            *updated_at,
            *revision
        ],
    )?;
    Ok(())
}

pub(crate) fn save_user(tx: &mut WriteTx<'_>, user: &User) -> Result<(), StoreError> {
    let User {
        id,
        kind: _,
        username,
        display_name,
        email,
        external_id,
        attributes,
        own_roles,
        roles,
        status,
        epoch,
        created_at: _,
        updated_at,
        revision,
    } = user;
    tx.execute(
        sql!(
            "UPDATE users
                SET username = $3, display_name = $4, email = $5, external_id = $6, attributes = $7, own_roles = $8,
                    roles = $9, status = $10, epoch = $11, updated_at = $12, revision = $13
              WHERE tenant_id = $1 AND user_id = $2"
        ),
        values![
            id,
            username,
            display_name.as_ref().map(kernel::Text::as_str),
            email.as_ref(),
            external_id.as_ref().map(kernel::Text::as_str),
            attributes,
            own_roles,
            roles,
            status,
            *epoch,
            *updated_at,
            *revision
        ],
    )?;
    Ok(())
}

/// Ends every session of a user and says how many there were.
pub(crate) fn end_sessions_of(tx: &mut WriteTx<'_>, user: &UserId, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        sql!(
            "UPDATE sessions SET ended_at = $3
              WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3"
        ),
        values![user, now],
    )
}

pub(super) fn read_user(row: &mut Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.get()?,
        kind: row.get()?,
        username: row.get()?,
        display_name: optional_text(row)?,
        email: row.get()?,
        external_id: optional_text(row)?,
        attributes: row.get()?,
        own_roles: row.get()?,
        roles: row.get()?,
        status: row.get()?,
        epoch: row.get()?,
        created_at: row.get()?,
        updated_at: row.get()?,
        revision: row.get()?,
    })
}
