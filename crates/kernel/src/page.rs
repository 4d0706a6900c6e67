//! Keyset pages: a page ends with the key after which the next one starts.

use std::fmt;
use std::str::FromStr;

/// Where the next page starts: the last key of the page before, opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// A text that no page ended with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: pass the `next` of the page before, unchanged")]
pub struct CursorError;

impl Cursor {
    /// The cursor after `key`.
    pub fn after(key: impl fmt::Display) -> Self {
        Self(key.to_string())
    }

    /// The key it stands for.
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if plain && (1..=512).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(CursorError) }
    }
}

/// How many items a page may hold: 1 to 1,000, 50 unless asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The size asked for, or `None` when it is out of range.
    pub const fn new(size: u16) -> Option<Self> {
        if matches!(size, 1..=1_000) { Some(Self(size)) } else { None }
    }

    /// One row more than the page holds, which tells whether there is a next page.
    pub const fn limit(self) -> i64 {
        self.0 as i64 + 1
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(50)
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of rows read with [`PageSize::limit`]; `key` names the last item that is kept.
    pub fn of(mut rows: Vec<T>, size: PageSize, key: impl Fn(&T) -> String) -> Self {
        let full = usize::from(size.0);
        let more = rows.len() > full;
        rows.truncate(full);
        let next = if more { rows.last().map(|last| Cursor::after(key(last))) } else { None };
        Self { items: rows, next }
    }

    /// The same page of something else.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let size = PageSize::new(2).unwrap();
        let page = Page::of(vec![1, 2, 3], size, ToString::to_string);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(Cursor::after(2))));
        assert_eq!(Page::of(vec![1, 2], size, ToString::to_string).next, None);
    }
}
