//! Policies as code: versions, what they would change, and which of them holds.

mod problem;
mod wire;

use authz::Caller;
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use kernel::Moment;
use policy::Rules;
use store::Database;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::act::{Act, Expected, ExpectedIfAny, Nothing};
use crate::app::App;
use crate::extract::{Path, Query};
use crate::problem::Problem;
use crate::wire::PageOut;
use wire::{
    ActivationOut, BacktestIn, BacktestOut, ComparisonOut, DiffQuery, PlanOut, PoliciesQuery, PolicyDetailOut,
    PolicyIn, PolicyOut, PolicyPath, PolicyStateOut, Ran, ShadowIn, SourceIn, TestIn, TestedOut, ValidOut,
};

/// The operations about policies.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(create_policy, list_policies))
        .routes(routes!(get_policy))
        .routes(routes!(get_policy_schema))
        .routes(routes!(get_policy_state))
        .routes(routes!(validate_policy))
        .routes(routes!(plan_policy))
        .routes(routes!(test_policy))
        .routes(routes!(backtest_policy))
        .routes(routes!(get_policy_diff))
        .routes(routes!(activate_policy))
        .routes(routes!(deactivate_policies))
        .routes(routes!(roll_back_policies))
        .routes(routes!(set_shadow_policy))
}

/// Makes a version of the policies.
///
/// It is read and checked, and every test that comes with it passes. It decides nothing before it is activated.
#[utoipa::path(
    post, path = "/api/v1/admin/policies", tag = "Policies", request_body = PolicyIn,
    responses((status = 201, body = PolicyOut), Problem)
)]
async fn create_policy(State(app): State<App>, act: Act<PolicyIn>) -> Result<Response, Problem> {
    let new = act.body.into();
    let turn = app.turn().await?;
    let create = move |db: &Database, caller: &Caller, at: &Moment<'_>| {
        let made = policy::create_version(db, caller, new, at);
        drop(turn);
        made
    };
    app.create(act.by, create).await
}

/// Lists the versions of the policies, in the order of their making.
#[utoipa::path(
    get, path = "/api/v1/admin/policies", tag = "Policies", params(PoliciesQuery),
    responses((status = 200, body = PageOut<PolicyOut>), Problem)
)]
async fn list_policies(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PoliciesQuery>,
) -> Result<Response, Problem> {
    let listing = query.into();
    app.read(caller, move |db, caller, _| policy::versions(db, caller, &listing)).await
}

/// Shows a version of the policies, with what it says.
#[utoipa::path(
    get, path = "/api/v1/admin/policies/{number}", tag = "Policies", params(PolicyPath),
    responses((status = 200, body = PolicyDetailOut), Problem)
)]
async fn get_policy(
    State(app): State<App>,
    caller: Caller,
    Path(PolicyPath { number }): Path<PolicyPath>,
) -> Result<Response, Problem> {
    app.read(caller, move |db, caller, _| policy::version(db, caller, number.0)).await
}

/// Shows Cedar's schema of what policies may speak of.
#[utoipa::path(
    get, path = "/api/v1/admin/policies/schema", tag = "Policies",
    responses((status = 200, body = String, content_type = "text/plain"), Problem)
)]
async fn get_policy_schema() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], policy::SCHEMA)
}

/// Shows which version of the policies holds.
#[utoipa::path(
    get, path = "/api/v1/admin/policies/state", tag = "Policies",
    responses((status = 200, body = PolicyStateOut), Problem)
)]
async fn get_policy_state(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    app.read(caller, |db, caller, _| policy::state(db, caller)).await
}

/// Checks policies, and says what they would decide on. Nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/validate", tag = "Policies", request_body = SourceIn,
    responses((status = 200, body = ValidOut), Problem)
)]
async fn validate_policy(
    State(app): State<App>,
    Act { by: (caller, _), body: SourceIn { source } }: Act<SourceIn>,
) -> Result<Response, Problem> {
    app.study(caller, move |_, caller, _| {
        policy::test(caller, &source, "")?;
        Ok::<_, Problem>(Rules::read(&source)?)
    })
    .await
}

/// Says what would change if these policies held instead of those that do. Nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/plan", tag = "Policies", request_body = SourceIn,
    responses((status = 200, body = PlanOut), Problem)
)]
async fn plan_policy(
    State(app): State<App>,
    Act { by: (caller, _), body: SourceIn { source } }: Act<SourceIn>,
) -> Result<Response, Problem> {
    app.study(caller, move |db, caller, at| policy::plan(db, caller, &source, at)).await
}

/// Puts tests to policies. Nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/test", tag = "Policies", request_body = TestIn,
    responses((status = 200, body = TestedOut), Problem)
)]
async fn test_policy(
    State(app): State<App>,
    Act { by: (caller, _), body: TestIn { source, tests } }: Act<TestIn>,
) -> Result<Response, Problem> {
    app.study(caller, move |_, caller, _| policy::test(caller, &source, &tests).map(Ran)).await
}

/// Decides on every call since then again, as if these policies had held.
///
/// It looks into the ledger, and therefore stands in it.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/backtest", tag = "Policies", request_body = BacktestIn,
    responses((status = 200, body = BacktestOut), Problem)
)]
async fn backtest_policy(
    State(app): State<App>,
    Act { by: (caller, _), body: BacktestIn { source, since } }: Act<BacktestIn>,
) -> Result<Response, Problem> {
    app.study(caller, move |db, caller, at| policy::backtest(db, caller, source.as_deref(), since.0, at)).await
}

/// Says what changes from one version of the policies to another.
#[utoipa::path(
    get, path = "/api/v1/admin/policies/diff", tag = "Policies", params(DiffQuery),
    responses((status = 200, body = ComparisonOut), Problem)
)]
async fn get_policy_diff(
    State(app): State<App>,
    caller: Caller,
    Query(DiffQuery { from, to }): Query<DiffQuery>,
) -> Result<Response, Problem> {
    app.study(caller, move |db, caller, at| policy::diff(db, caller, from, to, at)).await
}

/// Lets a version decide: at once, or when it is approved, where the tenant has set a workflow for that.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/{number}/activate", tag = "Policies", params(PolicyPath),
    request_body = Option<Nothing>,
    responses((status = 200, body = ActivationOut), (status = 202, body = ActivationOut), Problem)
)]
async fn activate_policy(
    State(app): State<App>,
    Path(PolicyPath { number }): Path<PolicyPath>,
    ExpectedIfAny(expected): ExpectedIfAny,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| policy::activate(db, caller, number.0, expected, at)).await
}

/// Lets roles alone decide again: at once, or when it is approved.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/deactivate", tag = "Policies", request_body = Option<Nothing>,
    responses((status = 200, body = ActivationOut), (status = 202, body = ActivationOut), Problem)
)]
async fn deactivate_policies(
    State(app): State<App>,
    ExpectedIfAny(expected): ExpectedIfAny,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| policy::deactivate(db, caller, expected, at)).await
}

/// Lets the version decide that did before the present one: at once, or when it is approved.
#[utoipa::path(
    post, path = "/api/v1/admin/policies/rollback", tag = "Policies", request_body = Option<Nothing>,
    responses((status = 200, body = ActivationOut), (status = 202, body = ActivationOut), Problem)
)]
async fn roll_back_policies(
    State(app): State<App>,
    ExpectedIfAny(expected): ExpectedIfAny,
    act: Act<Nothing>,
) -> Result<Response, Problem> {
    app.act(act.by, move |db, caller, at| policy::rollback(db, caller, expected, at)).await
}

/// Tries a version beside the one that decides.
///
/// It is asked the same, and decides nothing; where it differs, the ledger says so.
#[utoipa::path(
    put, path = "/api/v1/admin/policies/shadow", tag = "Policies", request_body = ShadowIn,
    responses((status = 200, body = PolicyStateOut), Problem)
)]
async fn set_shadow_policy(
    State(app): State<App>,
    expected: Expected,
    act: Act<ShadowIn>,
) -> Result<Response, Problem> {
    let version = act.body.version;
    app.act(act.by, move |db, caller, _| policy::set_shadow(db, caller, version, Some(expected.0))).await
}
