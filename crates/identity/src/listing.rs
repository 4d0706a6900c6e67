//! What every list of this crate can answer instead of a page.

use authz::Forbidden;
use store::StoreError;

/// Why a list was not given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The caller may not see it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}
