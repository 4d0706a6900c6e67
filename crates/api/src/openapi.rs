//! What the description of the interface says once for all operations.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr, Required, Response,
    SecurityRequirement,
};

use crate::problem::{FieldError, ProblemBody, ScimErrorBody};

const DESCRIPTION: &str = "The governance control plane for AI agents: who may run them, what they did, what it cost, \
    who approved it, and proof of all of it.\n\nErrors are problems (RFC 9457) of a closed list of kinds, each explained \
    at the path that is its `type`; on `/v1/…` they are error objects of OpenAI's. Lists come in pages: pass `next` as \
    `cursor`. A change names what it replaces by `If-Match`; a creating or acting `POST` may carry an `Idempotency-Key`, \
    and then has its effect once. `taskforce-entry` names the ledger entry that a request left.";

/// The empty description of what only callers with credentials reach.
pub(crate) fn guarded() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let info = InfoBuilder::new()
        .title("Taskforce")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license));
    let tags = [
        ("Tenants", "Organizations, apart from every other."),
        ("Users", "Who may act in a tenant."),
        ("Sign-in", "How people come in, and how others find that out."),
        ("Sessions", "Who is signed in."),
        ("Identity providers", "Who else may say who somebody is."),
        ("Tokens", "What programs show for a while, for themselves or for others."),
        ("Groups", "Users who have roles in common."),
        ("Roles", "What users may do."),
        ("Keys", "What programs show."),
        ("Policies", "What stands behind the roles, as code."),
        ("Agents", "What is governed."),
        ("Versions", "What an agent does, and its way to running."),
        ("Approvals", "N of M people say yes to exactly this content."),
        ("Money", "Prices, budgets, usage and cost."),
        ("Ledger", "What happened, and proof of it."),
        ("Gateway", "Model calls of governed agents."),
        ("SCIM", "People and groups, as directories provision them (RFC 7644)."),
        ("AuthZEN", "Decisions for others who enforce them."),
        ("System", "The server itself."),
    ];
    let tags = tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    let mut components = Components::new();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(BEARER)).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let key = ApiKeyValue::with_description("x-api-key", "An API key.");
    components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    let requirements: [&str; 2] = ["bearer", "key"];
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .components(Some(components))
        .security(Some(requirements.map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []))))
        .build()
}

const BEARER: &str = "An API key or a bearer token. A token of an identity provider that more than one tenant has \
    registered needs `taskforce-tenant: <tenant id>` beside it: then the providers of that tenant alone are asked.";

/// The description of everything: `open` needs no credentials.
pub(crate) fn complete(mut guarded: OpenApi, mut open: OpenApi) -> OpenApi {
    for (path, item) in &mut guarded.paths.paths {
        for (method, operation) in operations_mut(item) {
            say_what_holds_for_all(path, &method, operation);
        }
    }
    for item in open.paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            operation.security = Some(Vec::new());
            describe_responses(operation, false);
        }
    }
    guarded.merge(open);
    add_schema::<ProblemBody>(&mut guarded);
    add_schema::<FieldError>(&mut guarded);
    add_schema::<ScimErrorBody>(&mut guarded);
    guarded
}

fn add_schema<T: utoipa::ToSchema>(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(T::name().into_owned(), T::schema());
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (HttpMethod::Get, get),
        (HttpMethod::Post, post),
        (HttpMethod::Put, put),
        (HttpMethod::Patch, patch),
        (HttpMethod::Delete, delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The operations whose repetition is harmless, so that no idempotency key is read.
const REPEATABLE: [&str; 15] = [
    "/v1/chat/completions",
    "/api/v1/audit/exports",
    "/api/v1/admin/policies/validate",
    "/api/v1/admin/policies/plan",
    "/api/v1/admin/policies/test",
    "/api/v1/admin/policies/backtest",
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/scim/v2/.search",
    "/oauth/token",
    "/auth/logout",
    "/auth/reauthenticate",
    "/api/v1/me/password",
    "/api/v1/admin/users/{user_id}/password",
    "/api/v1/admin/identity-providers/{provider_id}/check",
];

fn say_what_holds_for_all(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let scim = path.starts_with("/scim/");
    if matches!(method, HttpMethod::Patch | HttpMethod::Put | HttpMethod::Delete) {
        let required = if scim { Required::False } else { Required::True };
        add_header(operation, "If-Match", required, "The `ETag` that was read: the change is made to that state.");
    }
    if *method == HttpMethod::Post && !REPEATABLE.contains(&path) {
        let text = "1 to 255 visible characters: with the same key, the same request has its effect once.";
        add_header(operation, "Idempotency-Key", Required::False, text);
    }
    describe_responses(operation, *method != HttpMethod::Get);
}

fn add_header(operation: &mut Operation, name: &str, required: Required, text: &str) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(text))
        .schema(Some(text_schema()));
    operation.parameters.get_or_insert_default().push(parameter.build().into());
}

fn text_schema() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

fn describe_responses(operation: &mut Operation, changes: bool) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let words = match (status.as_str(), changes) {
                ("201", _) => "It was created.",
                (_, true) => "It was done.",
                (_, false) => "What was asked for.",
            };
            words.clone_into(&mut response.description);
        }
        if changes && status.starts_with('2') {
            let text = "The place of the request's entry in the tenant's log.";
            let header = HeaderBuilder::new().schema(Some(number_schema())).description(Some(text)).build();
            add_response_header(response, header);
        }
    }
}

fn number_schema() -> Schema {
    ObjectBuilder::new().schema_type(Type::Integer).build().into()
}

fn add_response_header(response: &mut Response, header: Header) {
    response.headers.insert("taskforce-entry".to_owned(), header.into());
}
