//! Use cases of the price book.

use authz::{Action, Caller, Forbidden, Permission};
use kernel::{Cursor, Moment, Money, Page, PageSize, PriceId, Text, Timestamp};

use ::store::{Database, ReadTx, StoreError};

use crate::book::{PriceBook, built_in};
use crate::model::Price;
use crate::{entries, store};

/// Setting a price.
#[derive(Debug)]
pub struct SetPrice;

impl Action for SetPrice {
    const NAME: &'static str = "usage.price.set";
    const PERMISSION: Option<Permission> = Some(Permission::BudgetManage);
}

/// Seeing prices.
#[derive(Debug)]
pub struct ListPrices;

impl Action for ListPrices {
    const NAME: &'static str = "usage.price.list";
    const PERMISSION: Option<Permission> = Some(Permission::UsageRead);
}

/// A price to be.
#[derive(Clone, Debug)]
pub struct NewPrice {
    /// The model, as calls name it.
    pub model: Text<200>,
    /// For a million tokens of the prompt.
    pub input: Money,
    /// For a million tokens of the prompt that the provider had cached.
    pub cached_input: Money,
    /// For a million tokens of the answer.
    pub output: Money,
    /// The most that one answer can have.
    pub max_output_tokens: u64,
    /// From when on; at once, if it is not said.
    pub effective_from: Option<Timestamp>,
}

/// No price is higher: a hundred thousand dollars for a million tokens.
pub const MAX_PRICE: Money = Money::from_nanos(100_000_000_000_000);

/// No answer has more tokens.
pub const MAX_OUTPUT_TOKENS: u64 = 10_000_000;

/// Why a price was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetPriceError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// An amount is negative or absurd.
    #[error(
        "a price is from 0.00 to {MAX_PRICE} {} for a million tokens, but `{field}` is `{amount}`",
        Money::CURRENCY
    )]
    Amount {
        /// Which of the three.
        field: &'static str,
        /// What it is.
        amount: Money,
    },
    /// The number of tokens is zero or absurd.
    #[error("an answer has from 1 to {MAX_OUTPUT_TOKENS} tokens, not `{0}`")]
    MaxOutputTokens(u64),
    /// What was charged is not charged anew.
    #[error("a price cannot take effect in the past, at `{0}`")]
    InThePast(Timestamp),
    /// The model has a price from that instant on.
    #[error("the model `{model}` has a price that takes effect at `{at}` already")]
    AlreadySet {
        /// The model.
        model: String,
        /// When.
        at: Timestamp,
    },
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Why prices are not shown.
#[derive(Debug, thiserror::Error)]
pub enum ListPricesError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor is not one of this listing.
    #[error("`{0}` is no cursor of this listing")]
    Cursor(Cursor),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Sets a model's price from an instant on. What was charged before stays as it is.
pub fn set_price(db: &Database, caller: &Caller, new: NewPrice, at: &Moment<'_>) -> Result<Price, SetPriceError> {
    let grant = caller.authorize::<SetPrice>()?;
    let price = new_price(new, at)?;
    db.write(grant, |tx| {
        store::prices::insert(tx, &price, at.now()).map_err(|error| {
            let StoreError::Conflict(_) = error else {
                return error.into();
            };
            SetPriceError::AlreadySet { model: price.model.clone(), at: price.effective_from }
        })?;
        Ok((entries::price_set(&price), price))
    })
}

fn new_price(new: NewPrice, at: &Moment<'_>) -> Result<Price, SetPriceError> {
    let NewPrice { model, input, cached_input, output, max_output_tokens, effective_from } = new;
    for (field, amount) in [("input", input), ("cached_input", cached_input), ("output", output)] {
        if amount < Money::ZERO || amount > MAX_PRICE {
            return Err(SetPriceError::Amount { field, amount });
        }
    }
    if !(1..=MAX_OUTPUT_TOKENS).contains(&max_output_tokens) {
        return Err(SetPriceError::MaxOutputTokens(max_output_tokens));
    }
    let effective_from = effective_from.unwrap_or_else(|| at.now());
    if effective_from < at.now() {
        return Err(SetPriceError::InThePast(effective_from));
    }
    let (id, model) = (at.id::<PriceId>().to_string(), model.to_string());
    Ok(Price { id, model, input, cached_input, output, max_output_tokens, effective_from })
}

/// The tenant's own prices by id, then the built-in list.
pub fn prices(
    db: &Database,
    caller: &Caller,
    after: Option<&Cursor>,
    size: PageSize,
) -> Result<Page<Price>, ListPricesError> {
    let grant = caller.authorize::<ListPrices>()?;
    let listed = after.map(listed_after).transpose()?.flatten();
    let mut rows = Vec::new();
    if listed.is_none() {
        rows = db.read(&grant, |tx| store::prices::page(tx, after, size))?;
    }
    let most = usize::try_from(size.limit()).unwrap_or(usize::MAX);
    let rest = built_in().iter().skip(listed.unwrap_or(0)).take(most - rows.len().min(most));
    rows.extend(rest.cloned());
    Ok(Page::of(rows, size, cursor_of))
}

/// A place in the built-in list is written `list.` and the number of prices before it; in the tenant's own prices, it
/// is the last one's id.
fn cursor_of(price: &Price) -> String {
    let listed = built_in().iter().position(|listed| listed.id == price.id);
    listed.map_or_else(|| price.id.clone(), |at| format!("list.{}", at + 1))
}

fn listed_after(cursor: &Cursor) -> Result<Option<usize>, ListPricesError> {
    let wrong = || ListPricesError::Cursor(cursor.clone());
    match cursor.key().strip_prefix("list.") {
        Some(number) => number.parse().map(Some).map_err(|_| wrong()),
        None => cursor.key().parse::<PriceId>().map(|_| None).map_err(|_| wrong()),
    }
}

impl PriceBook {
    /// Reads the prices of the transaction's tenant.
    pub fn load(tx: &mut ReadTx<'_>) -> Result<Self, StoreError> {
        store::prices::all(tx).map(Self::new)
    }
}
