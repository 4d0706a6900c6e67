//! The price book.

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use kernel::{Text, Timestamp};
use serde::{Deserialize, Serialize};
use usage::{ListPricesError, NewPrice, Price, SetPriceError};
use utoipa::ToSchema;

use crate::act::Act;
use crate::app::App;
use crate::extract::Query;
use crate::problem::{Kind, Problem};
use crate::wire::{Amount, PageOut, PageQuery, Show, Written};

/// A price to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceIn {
    /// The model, as calls name it.
    #[schema(value_type = String, max_length = 200, example = "gpt-4o-mini")]
    model: Written<Text<200>>,
    /// For a million tokens of the prompt.
    input: Amount,
    /// For a million tokens of the prompt that the provider had cached; as `input` unless given.
    #[serde(default)]
    cached_input: Option<Amount>,
    /// For a million tokens of the answer.
    output: Amount,
    /// The most tokens that one answer can have.
    #[schema(minimum = 1, example = 16384)]
    max_output_tokens: u64,
    /// From when on; at once unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<Written<Timestamp>>,
}

impl From<PriceIn> for NewPrice {
    fn from(price: PriceIn) -> Self {
        let PriceIn { model, input, cached_input, output, max_output_tokens, effective_from } = price;
        Self {
            model: model.0,
            cached_input: cached_input.unwrap_or_else(|| input.clone()).into(),
            input: input.into(),
            output: output.into(),
            max_output_tokens,
            effective_from: effective_from.map(|at| at.0),
        }
    }
}

/// One price of a model. Prices are never changed: a new one takes effect at its date.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceOut {
    /// Its id, or the name of the built-in price.
    id: String,
    /// The model.
    model: String,
    /// For a million tokens of the prompt.
    input: Amount,
    /// For a million tokens of the prompt that the provider had cached.
    cached_input: Amount,
    /// For a million tokens of the answer.
    output: Amount,
    /// The most tokens that one answer can have.
    max_output_tokens: u64,
    /// From when on.
    effective_from: String,
}

impl Show for Price {
    type Out = PriceOut;

    fn show(&self) -> PriceOut {
        let Self { id, model, input, cached_input, output, max_output_tokens, effective_from } = self;
        PriceOut {
            id: id.clone(),
            model: model.clone(),
            input: (*input).into(),
            cached_input: (*cached_input).into(),
            output: (*output).into(),
            max_output_tokens: *max_output_tokens,
            effective_from: effective_from.to_string(),
        }
    }
}

/// Sets the price of a model from a date on.
///
/// What was charged before stays as it is.
#[utoipa::path(
    post, path = "/api/v1/admin/prices", tag = "Money", request_body = PriceIn,
    responses((status = 201, body = PriceOut), Problem)
)]
pub(crate) async fn set_price(State(app): State<App>, act: Act<PriceIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    app.create(act.by, move |db, caller, at| usage::set_price(db, caller, new, at)).await
}

/// Lists prices: the tenant's own, then the built-in ones.
#[utoipa::path(
    get, path = "/api/v1/admin/prices", tag = "Money", params(PageQuery),
    responses((status = 200, body = PageOut<PriceOut>), Problem)
)]
pub(crate) async fn list_prices(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| usage::prices(db, caller, page.after(), page.size())).await
}

impl From<SetPriceError> for Problem {
    fn from(error: SetPriceError) -> Self {
        match error {
            SetPriceError::Forbidden(refusal) => refusal.into(),
            SetPriceError::Amount { field, .. } => Self::field(format!("/{field}/amount"), &error),
            SetPriceError::MaxOutputTokens(_) => Self::field("/max_output_tokens", &error),
            SetPriceError::InThePast(_) => Self::field("/effective_from", &error),
            SetPriceError::AlreadySet { .. } => Self::client(Kind::AlreadyExists, &error),
            SetPriceError::Database(error) => error.into(),
        }
    }
}

impl From<ListPricesError> for Problem {
    fn from(error: ListPricesError) -> Self {
        match error {
            ListPricesError::Forbidden(refusal) => refusal.into(),
            ListPricesError::Cursor(_) => Self::client(Kind::Invalid, &error),
            ListPricesError::Database(error) => error.into(),
        }
    }
}
