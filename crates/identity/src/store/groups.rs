//! Groups and who is in them.

use kernel::{GroupId, PageSize, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::{optional_text, text};
use crate::{Group, GroupFilter};

pub(crate) fn group(tx: &mut ReadTx<'_>, id: &GroupId) -> Result<Option<Group>, StoreError> {
    tx.optional(
        sql!(
            "SELECT group_id, display_name, external_id, roles, created_at, updated_at, revision
               FROM user_groups WHERE tenant_id = $1 AND group_id = $2"
        ),
        values![id],
        read_group,
    )
}

pub(crate) fn group_named(tx: &mut ReadTx<'_>, name: &str) -> Result<Option<Group>, StoreError> {
    tx.optional(
        sql!(
            "SELECT group_id, display_name, external_id, roles, created_at, updated_at, revision
               FROM user_groups WHERE tenant_id = $1 AND display_name = $2"
        ),
        values![name],
        read_group,
    )
}

pub(crate) fn groups(
    tx: &mut ReadTx<'_>,
    filter: &GroupFilter,
    after: &str,
    size: PageSize,
) -> Result<Vec<Group>, StoreError> {
    let GroupFilter { display_name, external_id, q } = filter;
    tx.all(
        sql!(
            "SELECT group_id, display_name, external_id, roles, created_at, updated_at, revision
               FROM user_groups
              WHERE tenant_id = $1 AND display_name > $2 AND ($3 = '' OR display_name = $3)
                AND ($4 = '' OR external_id = $4) AND substr(display_name, 1, length(CAST($5 AS TEXT))) = $5
              ORDER BY display_name LIMIT $6"
        ),
        values![
            after,
            display_name.as_ref().map_or("", kernel::Text::as_str),
            external_id.as_ref().map_or("", kernel::Text::as_str),
            q.as_ref().map_or("", kernel::Text::as_str),
            size.limit()
        ],
        read_group,
    )
}

/// The groups that a user is in, by name.
pub(crate) fn groups_of(tx: &mut ReadTx<'_>, user: &UserId) -> Result<Vec<Group>, StoreError> {
    tx.all(
        sql!(
            "SELECT group_id, display_name, external_id, roles, created_at, updated_at, revision
               FROM user_groups
              WHERE tenant_id = $1
                AND group_id IN (SELECT group_id FROM group_members WHERE tenant_id = $1 AND user_id = $2)
              ORDER BY display_name"
        ),
        values![user],
        read_group,
    )
}

pub(crate) fn members(tx: &mut ReadTx<'_>, group: &GroupId) -> Result<Vec<UserId>, StoreError> {
    tx.all(
        sql!("SELECT user_id FROM group_members WHERE tenant_id = $1 AND group_id = $2 ORDER BY user_id"),
        values![group],
        Row::get::<UserId>,
    )
}

pub(crate) fn insert_group(tx: &mut WriteTx<'_>, group: &Group) -> Result<(), StoreError> {
    let Group { id, display_name, external_id, roles, created_at, updated_at, revision } = group;
    tx.execute(
        sql!(
            "INSERT INTO user_groups (tenant_id, group_id, display_name, external_id, roles, created_at, updated_at,
                                      revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        ),
        values![
            id,
            display_name.as_str(),
            external_id.as_ref().map(kernel::Text::as_str),
            roles,
            *created_at,
            *updated_at,
            *revision
        ],
    )?;
    Ok(())
}

pub(crate) fn save_group(tx: &mut WriteTx<'_>, group: &Group) -> Result<(), StoreError> {
    let Group { id, display_name, external_id, roles, created_at: _, updated_at, revision } = group;
    tx.execute(
        sql!(
            "UPDATE user_groups SET display_name = $3, external_id = $4, roles = $5, updated_at = $6, revision = $7
              WHERE tenant_id = $1 AND group_id = $2"
        ),
        values![
            id,
            display_name.as_str(),
            external_id.as_ref().map(kernel::Text::as_str),
            roles,
            *updated_at,
            *revision
        ],
    )?;
    Ok(())
}

/// Takes away a group that has no members.
pub(crate) fn delete_group(tx: &mut WriteTx<'_>, id: &GroupId) -> Result<(), StoreError> {
    tx.execute(sql!("DELETE FROM user_groups WHERE tenant_id = $1 AND group_id = $2"), values![id])?;
    Ok(())
}

pub(crate) fn insert_member(tx: &mut WriteTx<'_>, group: &GroupId, user: &UserId) -> Result<(), StoreError> {
    tx.execute(
        sql!("INSERT INTO group_members (tenant_id, group_id, user_id) VALUES ($1, $2, $3)"),
        values![group, user],
    )?;
    Ok(())
}

pub(crate) fn delete_member(tx: &mut WriteTx<'_>, group: &GroupId, user: &UserId) -> Result<(), StoreError> {
    tx.execute(
        sql!("DELETE FROM group_members WHERE tenant_id = $1 AND group_id = $2 AND user_id = $3"),
        values![group, user],
    )?;
    Ok(())
}

pub(super) fn read_group(row: &mut Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.get()?,
        display_name: text(row)?,
        external_id: optional_text(row)?,
        roles: row.get()?,
        created_at: row.get()?,
        updated_at: row.get()?,
        revision: row.get()?,
    })
}
