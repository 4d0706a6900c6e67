//! Prices, budgets, usage and cost.

mod budgets;
mod prices;
mod reports;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The operations about money.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(prices::set_price, prices::list_prices))
        .routes(routes!(budgets::create_budget, budgets::list_budgets))
        .routes(routes!(budgets::get_budget, budgets::update_budget))
        .routes(routes!(reports::get_usage))
        .routes(routes!(reports::list_usage_records))
        .routes(routes!(reports::get_costs))
}
