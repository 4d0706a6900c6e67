//! Statements that name their tenant, checked while compiling.

/// A statement that is bound to its transaction's tenant as `$1`. Made by [`sql!`](crate::sql) alone.
#[derive(Clone, Copy, Debug)]
pub struct TenantSql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl TenantSql {
    /// Checks a statement. Called by [`sql!`](crate::sql) in a constant, so that a wrong statement does not compile.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(sqlite: &'static str, postgres: &'static str) -> Self {
        assert!(names_tenant(sqlite, b'?') && names_tenant(postgres, b'$'), "{}", RULE);
        Self { sqlite, postgres }
    }
}

const RULE: &str = "a tenant statement must read `tenant_id = $1`, or insert `(tenant_id, ...) VALUES ($1, ...)`";

const fn names_tenant(text: &str, mark: u8) -> bool {
    let text = text.as_bytes();
    let insert = contains(text, b"INSERT INTO ") && contains(text, b"(tenant_id,");
    insert && contains(text, &[b'(', mark, b'1', b',']) || contains(text, &equals_tenant(mark))
}

const fn equals_tenant(mark: u8) -> [u8; 14] {
    let mut needle = *b"tenant_id = $1";
    needle[12] = mark;
    needle
}

/// Whether `needle` stands in `text` as words of its own: `tenant_id = $1` is neither in `tenant_id = $12` nor in
/// `other_tenant_id = $1`.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
const fn contains(text: &[u8], needle: &[u8]) -> bool {
    let mut start = 0;
    while start + needle.len() <= text.len() {
        let end = start + needle.len();
        let before = start > 0 && is_word(text[start - 1]) && is_word(needle[0]);
        let after = end < text.len() && is_word(text[end]) && is_word(needle[needle.len() - 1]);
        if !before && !after && starts_with(text, start, needle) {
            return true;
        }
        start += 1;
    }
    false
}

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
const fn starts_with(text: &[u8], start: usize, needle: &[u8]) -> bool {
    let mut matched = 0;
    while matched < needle.len() && start + matched < text.len() && text[start + matched] == needle[matched] {
        matched += 1;
    }
    matched == needle.len()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The schema of the tables, which stand behind views of the same names.
const MAIN: &[u8] = b"main.";

/// Where the name of the table that a statement changes begins; `None` for a statement that only reads.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
const fn target(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() && text[at].is_ascii_whitespace() {
        at += 1;
    }
    if starts_with(text, at, b"INSERT INTO ") || starts_with(text, at, b"DELETE FROM ") {
        Some(at + b"INSERT INTO ".len())
    } else if starts_with(text, at, b"UPDATE ") {
        Some(at + b"UPDATE ".len())
    } else {
        None
    }
}

/// How long the statement is as SQLite is given it.
#[doc(hidden)]
#[must_use]
pub const fn sqlite_length(text: &str) -> usize {
    text.len() + if target(text.as_bytes()).is_some() { MAIN.len() } else { 0 }
}

/// The statement as SQLite is given it: `$n` as `?n`, which is numbered by what it says and not by where it first
/// appears, and the table that it changes by its full name, past the view that stands before it.
#[doc(hidden)]
#[must_use]
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
pub const fn sqlite_text<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let target = match target(bytes) {
        Some(target) => target,
        None => N,
    };
    let mut out = [0; N];
    let mut to = 0;
    while to < N {
        out[to] = if to >= target && to < target + MAIN.len() {
            MAIN[to - target]
        } else {
            let from = if to < target { to } else { to - MAIN.len() };
            let placeholder = bytes[from] == b'$' && from + 1 < bytes.len() && bytes[from + 1].is_ascii_digit();
            if placeholder { b'?' } else { bytes[from] }
        };
        to += 1;
    }
    out
}

/// A tenant statement: one text for both engines, or, where they differ, one each.
///
/// ```
/// let _ = store::sql!("SELECT name FROM agents WHERE tenant_id = $1 AND agent_id = $2");
/// ```
/// A statement that does not name its tenant does not compile:
/// ```compile_fail
/// let _ = store::sql!("SELECT name FROM agents WHERE agent_id = $2");
/// ```
/// Nor does one that names another value:
/// ```compile_fail
/// let _ = store::sql!("SELECT name FROM agents WHERE tenant_id = $10");
/// ```
#[macro_export]
macro_rules! sql {
    ($text:literal) => {
        $crate::sql! { sqlite: $text, postgres: $text }
    };
    (sqlite: $sqlite:literal, postgres: $postgres:literal $(,)?) => {{
        const LENGTH: usize = $crate::sqlite_length($sqlite);
        const BYTES: [u8; LENGTH] = $crate::sqlite_text::<LENGTH>($sqlite);
        const SQLITE: &str = match ::core::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        };
        const CHECKED: $crate::TenantSql = $crate::TenantSql::checked(SQLITE, $postgres);
        CHECKED
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn sqlite_is_given_its_own_placeholders_and_the_full_name_of_what_changes() {
        let checks = [
            (crate::sql!("SELECT a FROM t WHERE tenant_id = $1"), "SELECT a FROM t WHERE tenant_id = ?1"),
            (
                crate::sql!("INSERT INTO t (tenant_id, a) VALUES ($1, $2)"),
                "INSERT INTO main.t (tenant_id, a) VALUES (?1, ?2)",
            ),
            (
                crate::sql!("UPDATE t SET a = $12 WHERE tenant_id = $1"),
                "UPDATE main.t SET a = ?12 WHERE tenant_id = ?1",
            ),
            (crate::sql!("\n  DELETE FROM t WHERE tenant_id = $1"), "\n  DELETE FROM main.t WHERE tenant_id = ?1"),
        ];
        for (sql, sqlite) in checks {
            assert_eq!(sql.sqlite, sqlite);
        }
    }

    #[test]
    fn a_statement_must_name_the_tenant_and_nothing_that_looks_like_it() {
        for text in ["tenant_id = $1", "a.tenant_id = $1)", "INSERT INTO t (tenant_id, a) VALUES ($1, $2)"] {
            assert!(super::names_tenant(text, b'$'), "{text}");
        }
        for text in [
            "tenant_id = $10",
            "other_tenant_id = $1",
            "tenant_id = ?1",
            "INSERT INTO t (tenant_id, a) VALUES ($2, $1)",
            "",
        ] {
            assert!(!super::names_tenant(text, b'$'), "{text}");
        }
    }
}
