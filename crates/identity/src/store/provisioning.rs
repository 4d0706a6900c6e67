//! People and groups, as a directory that provisions them sees them.

use kernel::{GroupId, Text, UserId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use super::groups::read_group;
use super::users::read_user;
use crate::listing::{PeopleFilter, Slice, TeamFilter};
use crate::{Email, Group, User, UserStatus, Username};

pub(crate) fn people(tx: &mut ReadTx<'_>, filter: &PeopleFilter, slice: Slice) -> Result<Vec<User>, StoreError> {
    let PeopleFilter { id, username, display_name, email, external_id, status } = filter;
    tx.all(
        sql!(
            "SELECT user_id, kind, username, display_name, email, external_id, attributes, own_roles, roles, status,
                    epoch, created_at, updated_at, revision
               FROM users
              WHERE tenant_id = $1 AND kind = 'user' AND username <> user_id AND ($2 = '' OR user_id = $2)
                AND ($3 = '' OR username = $3) AND ($4 = '' OR display_name = $4) AND ($5 = '' OR lower(email) = $5)
                AND ($6 = '' OR external_id = $6) AND ($7 = '' OR status = $7)
              ORDER BY user_id LIMIT $8 OFFSET $9"
        ),
        values![
            id.as_ref().map_or("", UserId::as_str),
            username.as_ref().map_or("", Username::as_str),
            display_name.as_deref().unwrap_or_default(),
            folded(email.as_ref()),
            external_id.as_ref().map_or("", Text::as_str),
            status.map_or("", UserStatus::as_str),
            i64::from(slice.limit),
            i64::from(slice.skip)
        ],
        read_user,
    )
}

pub(crate) fn count_people(tx: &mut ReadTx<'_>, filter: &PeopleFilter) -> Result<u64, StoreError> {
    let PeopleFilter { id, username, display_name, email, external_id, status } = filter;
    let counted = tx.optional(
        sql!(
            "SELECT COUNT(*) FROM users
              WHERE tenant_id = $1 AND kind = 'user' AND username <> user_id AND ($2 = '' OR user_id = $2)
                AND ($3 = '' OR username = $3) AND ($4 = '' OR display_name = $4) AND ($5 = '' OR lower(email) = $5)
                AND ($6 = '' OR external_id = $6) AND ($7 = '' OR status = $7)"
        ),
        values![
            id.as_ref().map_or("", UserId::as_str),
            username.as_ref().map_or("", Username::as_str),
            display_name.as_deref().unwrap_or_default(),
            folded(email.as_ref()),
            external_id.as_ref().map_or("", Text::as_str),
            status.map_or("", UserStatus::as_str)
        ],
        Row::get::<u64>,
    )?;
    Ok(counted.unwrap_or_default())
}

pub(crate) fn teams(tx: &mut ReadTx<'_>, filter: &TeamFilter, slice: Slice) -> Result<Vec<Group>, StoreError> {
    let TeamFilter { id, display_name, external_id, member } = filter;
    tx.all(
        sql!(
            "SELECT group_id, display_name, external_id, roles, created_at, updated_at, revision
               FROM user_groups
              WHERE tenant_id = $1 AND ($2 = '' OR group_id = $2) AND ($3 = '' OR display_name = $3)
                AND ($4 = '' OR external_id = $4)
                AND ($5 = '' OR group_id IN
                     (SELECT group_id FROM group_members WHERE tenant_id = $1 AND user_id = $5))
              ORDER BY group_id LIMIT $6 OFFSET $7"
        ),
        values![
            id.as_ref().map_or("", GroupId::as_str),
            display_name.as_deref().unwrap_or_default(),
            external_id.as_ref().map_or("", Text::as_str),
            member.as_ref().map_or("", UserId::as_str),
            i64::from(slice.limit),
            i64::from(slice.skip)
        ],
        read_group,
    )
}

pub(crate) fn count_teams(tx: &mut ReadTx<'_>, filter: &TeamFilter) -> Result<u64, StoreError> {
    let TeamFilter { id, display_name, external_id, member } = filter;
    let counted = tx.optional(
        sql!(
            "SELECT COUNT(*) FROM user_groups
              WHERE tenant_id = $1 AND ($2 = '' OR group_id = $2) AND ($3 = '' OR display_name = $3)
                AND ($4 = '' OR external_id = $4)
                AND ($5 = '' OR group_id IN
                     (SELECT group_id FROM group_members WHERE tenant_id = $1 AND user_id = $5))"
        ),
        values![
            id.as_ref().map_or("", GroupId::as_str),
            display_name.as_deref().unwrap_or_default(),
            external_id.as_ref().map_or("", Text::as_str),
            member.as_ref().map_or("", UserId::as_str)
        ],
        Row::get::<u64>,
    )?;
    Ok(counted.unwrap_or_default())
}

/// The people in a group, without the service accounts.
pub(crate) fn people_in(tx: &mut ReadTx<'_>, group: &GroupId) -> Result<Vec<UserId>, StoreError> {
    tx.all(
        sql!(
            "SELECT user_id FROM users
              WHERE tenant_id = $1 AND kind = 'user'
                AND user_id IN (SELECT user_id FROM group_members WHERE tenant_id = $1 AND group_id = $2)
              ORDER BY user_id"
        ),
        values![group],
        Row::get::<UserId>,
    )
}

/// Forgets how a person signed in.
pub(crate) fn forget(tx: &mut WriteTx<'_>, user: &UserId) -> Result<(), StoreError> {
    tx.execute(sql!("DELETE FROM provider_links WHERE tenant_id = $1 AND user_id = $2"), values![user])?;
    tx.execute(sql!("DELETE FROM passwords WHERE tenant_id = $1 AND user_id = $2"), values![user])?;
    Ok(())
}

fn folded(email: Option<&Email>) -> String {
    email.map_or(String::new(), |email| email.as_str().to_ascii_lowercase())
}
