//! How a transaction can fail.

/// Why a transaction did not happen. Nothing of it was kept, with the one exception that `Unavailable` names.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full, or failed. Trying again later may help. When the connection broke while
    /// a commit was under way, the change may have been kept all the same: an idempotency key tells.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The row exists already, or its state forbids the change: a constraint of the schema refused it.
    #[error("the database refused the row: {0}")]
    Conflict(String),
    /// The request's idempotency key has been answered already, by a request that came at the same time:
    /// [`Database::answered`](crate::Database::answered) now says what. This one had no effect.
    #[error("the request was answered already")]
    Repeated,
    /// A row of another tenant was touched. This is a defect of Taskforce; the database stopped it.
    #[error("the database refused a row of another tenant")]
    OtherTenant,
    /// A column does not hold what it must.
    #[error("a stored value is not {0}")]
    Decode(&'static str),
    /// A sealed value does not open: the key is wrong or the value was altered.
    #[error("a sealed value does not open")]
    Sealed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The root key at hand is not the one that wrapped the keys in the database.
    #[error("the root key is the wrong one: this database belongs to the root key `{expected}`, and this is `{given}`")]
    WrongKey {
        /// The public name of the key that the database belongs to.
        expected: String,
        /// The public name of the key that was given.
        given: String,
    },
    /// The entry is larger than a ledger leaf may be (65,535 bytes).
    #[error("a ledger entry of {0} bytes is larger than 65,535")]
    EntryTooLarge(usize),
    /// The database belongs to a newer version, or its migrations were altered.
    #[error("the database's schema does not fit this version: {0}")]
    Schema(String),
    /// The role that Taskforce connects as could pass the isolation of tenants.
    #[error(
        "the database role `{role}` {reason}; connect as a role that is neither owner nor superuser and has no BYPASSRLS"
    )]
    UnsafeRole {
        /// The role.
        role: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl StoreError {
    pub(crate) fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Box::new(source))
    }

    /// The message with what caused it.
    pub(crate) fn with_causes(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}

/// What the schema's guards say when a row of another tenant is touched.
pub(crate) const OTHER_TENANT: &str = "row of another tenant";

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        if text.contains(OTHER_TENANT) {
            return Self::OtherTenant;
        }
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::AuthorizationForStatementDenied) => {
                Self::Conflict(text)
            }
            Some(_) | None => Self::unavailable(error),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let Some(cause) = error.as_db_error() else {
            return Self::unavailable(error);
        };
        let state = cause.code();
        if *state == SqlState::INSUFFICIENT_PRIVILEGE && cause.message().contains("row-level security") {
            return Self::OtherTenant;
        }
        // Class 23: integrity constraint violation. A missing privilege is how decisions and entries are kept as they are.
        let refused = [SqlState::RAISE_EXCEPTION, SqlState::INSUFFICIENT_PRIVILEGE].contains(state);
        if refused || state.code().starts_with("23") {
            return Self::Conflict(cause.message().to_owned());
        }
        Self::unavailable(error)
    }
}
