//! The SQL of this domain.

pub(crate) mod keys;
pub(crate) mod tenants;
pub(crate) mod users;

use kernel::Text;
use store::{Row, StoreError};

fn text<const MAX: usize>(row: &mut Row) -> Result<Text<MAX>, StoreError> {
    Text::new(&row.get::<String>()?).map_err(|_| StoreError::Decode("a text"))
}
