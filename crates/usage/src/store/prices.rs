//! The price book.

use kernel::{Cursor, PageSize, Timestamp};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::model::Price;

pub(crate) fn insert(tx: &mut WriteTx<'_>, price: &Price, at: Timestamp) -> Result<(), StoreError> {
    let Price { id, model, input, cached_input, output, max_output_tokens, effective_from } = price;
    tx.execute(
        sql!(
            "INSERT INTO prices (tenant_id, price_id, model, input_nanos, cached_nanos, output_nanos,
                                 max_output_tokens, effective_from, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        values![id.as_str(), model.as_str(), *input, *cached_input, *output, *max_output_tokens, *effective_from, at],
    )?;
    Ok(())
}

pub(crate) fn all(tx: &mut ReadTx<'_>) -> Result<Vec<Price>, StoreError> {
    tx.all(
        sql!(
            "SELECT price_id, model, input_nanos, cached_nanos, output_nanos, max_output_tokens, effective_from
             FROM prices WHERE tenant_id = $1"
        ),
        values![],
        price,
    )
}

pub(crate) fn page(tx: &mut ReadTx<'_>, after: Option<&Cursor>, size: PageSize) -> Result<Vec<Price>, StoreError> {
    tx.all(
        sql!(
            "SELECT price_id, model, input_nanos, cached_nanos, output_nanos, max_output_tokens, effective_from
             FROM prices WHERE tenant_id = $1 AND price_id > $2 ORDER BY price_id LIMIT $3"
        ),
        values![after.map_or("", Cursor::key), size.limit()],
        price,
    )
}

fn price(row: &mut Row) -> Result<Price, StoreError> {
    Ok(Price {
        id: row.get()?,
        model: row.get()?,
        input: row.get()?,
        cached_input: row.get()?,
        output: row.get()?,
        max_output_tokens: row.get()?,
        effective_from: row.get()?,
    })
}
