//! What every list of this crate is made of: pages that only their own cursors continue.

use authz::Forbidden;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{Cursor, GroupId, Page, PageSize, UserId};
use store::StoreError;

use crate::{Email, ExternalId, UserStatus, Username};

/// Why a list was not given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The caller may not see it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It continues another list, or this one in another order or with other filters.
    #[error("the cursor belongs to another list: pass the `next` of the page before, with the same filters and order")]
    ForeignCursor,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One list in one order with one set of filters.
#[derive(Debug)]
pub(crate) struct Listing(String);

impl Listing {
    /// The list that `asked` is all that was asked of.
    pub(crate) fn of(asked: &impl std::fmt::Debug) -> Self {
        let digest = digest(&SHA256, format!("{asked:?}").as_bytes());
        Self(kernel::hex(digest.as_ref().get(..4).unwrap_or_default()))
    }

    /// The key that the page begins after: empty for the first.
    pub(crate) fn begin(&self, after: Option<&Cursor>) -> Result<String, ListError> {
        let Some(cursor) = after else {
            return Ok(String::new());
        };
        let (list, key) = cursor.key().split_once('.').ok_or(ListError::ForeignCursor)?;
        if list != self.0 {
            return Err(ListError::ForeignCursor);
        }
        let key = BASE64.decode(key).map_err(|_| ListError::ForeignCursor)?;
        String::from_utf8(key).ok().filter(|key| !key.contains('\0')).ok_or(ListError::ForeignCursor)
    }

    /// A page of rows read with [`PageSize::limit`]; `key` is what they are sorted by.
    pub(crate) fn page<T>(&self, rows: Vec<T>, size: PageSize, key: impl Fn(&T) -> String) -> Page<T> {
        Page::of(rows, size, |last| format!("{}.{}", self.0, BASE64.encode(key(last))))
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the first to the last.
    #[default]
    Ascending,
    /// From the last to the first.
    Descending,
}

/// A pattern for `LIKE .. ESCAPE '!'` that matches texts starting with `start`; empty if `start` is.
pub(crate) fn starting_with(start: &str) -> String {
    if start.is_empty() { String::new() } else { format!("{}%", literally(start)) }
}

/// A pattern for `LIKE .. ESCAPE '!'` that matches names separated by commas, and between commas, of which `name` is
/// one; empty if `name` is.
pub(crate) fn naming(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("%,{},%", literally(name)) }
}

fn literally(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Which people. What is not named does not matter.
#[derive(Clone, Debug, Default)]
pub struct PeopleFilter {
    /// The one with that id.
    pub id: Option<UserId>,
    /// The one of that name.
    pub username: Option<Username>,
    /// Those called so.
    pub display_name: Option<String>,
    /// Those with that address, in whatever case.
    pub email: Option<Email>,
    /// Those known elsewhere by that.
    pub external_id: Option<ExternalId>,
    /// Those who may act, or who may not.
    pub status: Option<UserStatus>,
}

/// Which groups. What is not named does not matter.
#[derive(Clone, Debug, Default)]
pub struct TeamFilter {
    /// The one with that id.
    pub id: Option<GroupId>,
    /// The one of that name.
    pub display_name: Option<String>,
    /// Those known elsewhere by that.
    pub external_id: Option<ExternalId>,
    /// Those that this person is in.
    pub member: Option<UserId>,
}

/// Which part of a list, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// How many are left out at the beginning.
    pub skip: u32,
    /// How many are shown after those.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_continues_its_own_list_only() {
        let by_name = Listing::of(&("users", "username"));
        let page = by_name.page(vec!["äpfel", "birnen"], PageSize::new(1).unwrap(), ToString::to_string);
        let cursor: Cursor = page.next.unwrap().to_string().parse().unwrap();
        assert_eq!(by_name.begin(Some(&cursor)).unwrap(), "äpfel");
        assert_eq!(by_name.begin(None).unwrap(), "");
        let other = Listing::of(&("users", "created_at"));
        assert!(matches!(other.begin(Some(&cursor)), Err(ListError::ForeignCursor)));
        for bad in ["zzz", "a.b", &format!("{}.!", by_name.0), &format!("{}._w", by_name.0)] {
            let cursor = Cursor::after(bad);
            assert!(matches!(by_name.begin(Some(&cursor)), Err(ListError::ForeignCursor)), "{bad}");
        }
    }
}
