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
        assert!(names_tenant(sqlite) && names_tenant(postgres), "{}", RULE);
        Self { sqlite, postgres }
    }
}

const RULE: &str = "a tenant statement must read `tenant_id = $1`, or insert `(tenant_id, ...) VALUES ($1, ...)`";

const fn names_tenant(text: &str) -> bool {
    let insert = contains(text, "INSERT INTO") && contains(text, "(tenant_id,") && contains(text, "(?1,");
    insert || contains(text, "tenant_id = ?1") || contains(text, "tenant_id = $1") || insert_postgres(text)
}

const fn insert_postgres(text: &str) -> bool {
    contains(text, "INSERT INTO") && contains(text, "(tenant_id,") && contains(text, "($1,")
}

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
const fn contains(haystack: &str, needle: &str) -> bool {
    let (text, part) = (haystack.as_bytes(), needle.as_bytes());
    let mut start = 0;
    while start + part.len() <= text.len() {
        let mut matched = 0;
        while matched < part.len() && text[start + matched] == part[matched] {
            matched += 1;
        }
        if matched == part.len() {
            return true;
        }
        start += 1;
    }
    false
}

/// Writes `$n` as SQLite's `?n`, which is numbered by what it says and not by where it first appears.
#[doc(hidden)]
#[must_use]
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where an index out of bounds is an error")]
pub const fn question_marks<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let mut at = 0;
    while at < N {
        let placeholder = bytes[at] == b'$' && at + 1 < N && bytes[at + 1].is_ascii_digit();
        out[at] = if placeholder { b'?' } else { bytes[at] };
        at += 1;
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
#[macro_export]
macro_rules! sql {
    ($text:literal) => {
        $crate::sql! { sqlite: $text, postgres: $text }
    };
    (sqlite: $sqlite:literal, postgres: $postgres:literal $(,)?) => {{
        const LENGTH: usize = $sqlite.len();
        const BYTES: [u8; LENGTH] = $crate::question_marks::<LENGTH>($sqlite);
        const SQLITE: &str = match ::core::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        };
        const CHECKED: $crate::TenantSql = $crate::TenantSql::checked(SQLITE, $postgres);
        CHECKED
    }};
}
