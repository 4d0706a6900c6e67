//! The SQL of this domain.

pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod passwords;
pub(crate) mod principals;
pub(crate) mod providers;
pub(crate) mod provisioning;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod users;

use kernel::Text;
use store::{Row, StoreError};

fn text<const MAX: usize>(row: &mut Row) -> Result<Text<MAX>, StoreError> {
    Text::new(&row.get::<String>()?).map_err(|_| StoreError::Decode("a text"))
}

fn optional_text<const MAX: usize>(row: &mut Row) -> Result<Option<Text<MAX>>, StoreError> {
    let text = row.get::<Option<String>>()?;
    text.map(|text| Text::new(&text).map_err(|_| StoreError::Decode("a text"))).transpose()
}

/// A SHA-256 digest.
fn digest(row: &mut Row) -> Result<[u8; 32], StoreError> {
    row.get::<Vec<u8>>()?.try_into().map_err(|_| StoreError::Decode("a hash of 32 bytes"))
}
