//! The roles that tenants define for themselves.

use authz::{CustomRole, Permissions, RoleName};
use kernel::{GroupId, PageSize, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::text;
use crate::TenantRole;
use crate::listing::{naming, starting_with};
use crate::rules::RoleBook;

pub(crate) fn role(tx: &mut ReadTx<'_>, name: &CustomRole) -> Result<Option<TenantRole>, StoreError> {
    tx.optional(
        sql!(
            "SELECT name, description, permissions, created_at, revision
               FROM custom_roles WHERE tenant_id = $1 AND name = $2"
        ),
        values![name],
        read_role,
    )
}

pub(crate) fn roles(
    tx: &mut ReadTx<'_>,
    start: &str,
    after: &str,
    size: PageSize,
) -> Result<Vec<TenantRole>, StoreError> {
    tx.all(
        sql!(
            "SELECT name, description, permissions, created_at, revision
               FROM custom_roles
              WHERE tenant_id = $1 AND name > $2 AND ($3 = '' OR name LIKE $3 ESCAPE '!') ORDER BY name LIMIT $4"
        ),
        values![after, starting_with(start), size.limit()],
        read_role,
    )
}

/// What each of the tenant's own roles allows.
pub(crate) fn book(tx: &mut ReadTx<'_>) -> Result<RoleBook, StoreError> {
    let roles = tx.all(sql!("SELECT name, permissions FROM custom_roles WHERE tenant_id = $1"), values![], |row| {
        Ok((row.get::<CustomRole>()?, row.get::<Permissions>()?))
    })?;
    Ok(roles.into_iter().collect())
}

pub(crate) fn insert_role(tx: &mut WriteTx<'_>, role: &TenantRole) -> Result<(), StoreError> {
    let TenantRole { name, description, permissions, created_at, revision } = role;
    tx.execute(
        sql!(
            "INSERT INTO custom_roles (tenant_id, name, description, permissions, created_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6)"
        ),
        values![name, description.as_str(), *permissions, *created_at, *revision],
    )?;
    Ok(())
}

pub(crate) fn save_role(tx: &mut WriteTx<'_>, role: &TenantRole) -> Result<(), StoreError> {
    let TenantRole { name, description, permissions, created_at: _, revision } = role;
    tx.execute(
        sql!(
            "UPDATE custom_roles SET description = $3, permissions = $4, revision = $5
              WHERE tenant_id = $1 AND name = $2"
        ),
        values![name, description.as_str(), *permissions, *revision],
    )?;
    Ok(())
}

pub(crate) fn delete_role(tx: &mut WriteTx<'_>, name: &CustomRole) -> Result<(), StoreError> {
    tx.execute(sql!("DELETE FROM custom_roles WHERE tenant_id = $1 AND name = $2"), values![name])?;
    Ok(())
}

/// Up to ten users to whom the role was given, themselves or by their groups.
pub(crate) fn holders(tx: &mut ReadTx<'_>, name: &RoleName) -> Result<Vec<UserId>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id FROM users
              WHERE tenant_id = $1
                AND (',' || own_roles || ',' LIKE $2 ESCAPE '!' OR ',' || roles || ',' LIKE $2 ESCAPE '!')
              ORDER BY user_id LIMIT 10"
        ),
        values![naming(name.as_str())],
        Row::get::<UserId>,
    )
}

/// Up to ten groups that give the role.
pub(crate) fn givers(tx: &mut ReadTx<'_>, name: &RoleName) -> Result<Vec<GroupId>, StoreError> {
    tx.all(
        sql!(
            "SELECT group_id FROM user_groups
              WHERE tenant_id = $1 AND ',' || roles || ',' LIKE $2 ESCAPE '!' ORDER BY group_id LIMIT 10"
        ),
        values![naming(name.as_str())],
        Row::get::<GroupId>,
    )
}

fn read_role(row: &mut Row) -> Result<TenantRole, StoreError> {
    Ok(TenantRole {
        name: row.get()?,
        description: text(row)?,
        permissions: row.get()?,
        created_at: row.get()?,
        revision: row.get()?,
    })
}
