//! The closed registry of problem kinds.

use http::StatusCode;

macro_rules! kinds {
    ($($name:ident = $status:ident, $slug:literal, $title:literal, $meaning:literal;)+) => {
        /// A kind of problem. The list is closed: a caller that knows it knows all that can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $title] $name,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in addresses.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// The HTTP status it is told with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it is called.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What it means and what to do about it, in a paragraph.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

kinds! {
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "Credentials are missing or not valid",
        "The request carried no credentials, or ones that are unknown, malformed, expired or revoked. Send a valid API key or token as `Authorization: Bearer …`. For safety the answer does not say which of these it was.";
    SignInFailed = UNAUTHORIZED, "sign-in-failed", "Signing in failed",
        "Nobody was signed in. For safety the answer does not say why; an auditor of the tenant finds the reason in its ledger. Check what was typed, or begin again.";
    Forbidden = FORBIDDEN, "forbidden", "The caller may not do this",
        "The credentials are valid, but none of the caller's roles, or a policy, allows this action. An administrator of the tenant can grant the permission that the detail names.";
    OwnRequest = FORBIDDEN, "own-request", "Nobody decides on their own request",
        "The caller made this request, or wrote what it is about, and therefore cannot approve or reject it. Someone else with the right role has to decide.";
    PolicyDenied = FORBIDDEN, "policy-denied", "A policy refuses this",
        "The caller's roles allow the action, but a policy of the tenant refuses it. `rule` names the rule, `policy` the version of the policies that it stands in, and the detail says why.";
    ApprovalRequired = FORBIDDEN, "approval-required", "A policy wants somebody's approval",
        "The caller's roles allow the action, but a policy of the tenant wants somebody else to approve it first, and this action cannot wait for that. `rule` names the rule and `policy` the version of the policies that it stands in.";
    ReauthenticationRequired = FORBIDDEN, "reauthentication-required", "Sign in again for this",
        "The action outlives the session, and the session was signed in to too long ago. Sign in again with the same account (`POST /auth/reauthenticate`, or through the identity provider) and repeat the request.";
    CsrfRefused = FORBIDDEN, "csrf-refused", "The request may come from another site",
        "A change with a session's cookie must come from this server's own pages: with its own `Origin`, and with the session's token in `x-csrf-token` (`GET /auth/session` shows it). Programs use an API key instead.";
    NotFound = NOT_FOUND, "not-found", "There is no such thing",
        "Nothing is at this address, or the caller may not know whether something is. Check the address and the tenant of the credentials.";
    UnknownModel = NOT_FOUND, "unknown-model", "The model is not known",
        "The request names a model for which no upstream is configured in this tenant. The list of models shows which may be used.";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here",
        "Something is at this address, but it does not answer to this HTTP method. The `Allow` header lists the methods that it answers to.";
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time",
        "The body of the request arrived too slowly. Send it again over a better connection; nothing was changed.";
    WrongState = CONFLICT, "wrong-state", "The state does not allow this",
        "What the request is about is in a state in which this action is not possible, for example a version that is not approved and is to be published. Read its present state and decide anew.";
    AlreadyExists = CONFLICT, "already-exists", "It exists already",
        "Something with the same name, or the same version number, exists already. Choose another, or change the existing one.";
    AlreadyDecided = CONFLICT, "already-decided", "This has been decided already",
        "The caller has already decided on this request, or it has been approved, rejected, cancelled or has expired. Nobody decides twice.";
    NoPublishedVersion = CONFLICT, "no-published-version", "The agent has no published version",
        "Only the published version of an agent may run, and this agent has none. Publish an approved version first.";
    QuotaExceeded = CONFLICT, "quota-exceeded", "The tenant's quota is used up",
        "The tenant already has as many of these as its settings allow. Remove some, or ask the platform's administrator for more.";
    IdempotencyInFlight = CONFLICT, "idempotency-in-flight", "The same request is being worked on",
        "A request with the same `Idempotency-Key` has not been answered yet. Wait a moment and send it again to get its answer.";
    Stale = PRECONDITION_FAILED, "stale", "It has changed in the meantime",
        "The `If-Match` header does not name the present state: someone else changed it first. Read it again, and repeat the change if it still makes sense.";
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The body is too large",
        "The body of the request is larger than this address accepts. Nothing of it was kept.";
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The address is too long",
        "The path and query of the request are longer than the server accepts (8 KB unless configured otherwise).";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The form of the body is not supported",
        "The body must be JSON in UTF-8, sent as `Content-Type: application/json`, and not compressed.";
    Malformed = BAD_REQUEST, "malformed", "The request is malformed",
        "The request is not valid HTTP, or its body is not JSON that every reader understands alike: names must not repeat within an object, text must not contain U+0000, and nesting is limited to 64 levels. The detail names the line and column.";
    Invalid = UNPROCESSABLE_ENTITY, "invalid", "A field is not acceptable",
        "The request is well formed, but a field has a value that is not acceptable, is missing, or is unknown here. `errors` names each such field by JSON pointer.";
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency-mismatch", "The idempotency key belongs to another request",
        "The same `Idempotency-Key` was sent before with a different request. Use a new key for a new request.";
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", "The change must name what it replaces",
        "An update needs an `If-Match` header with the `ETag` that was read, so that nobody's change is lost.";
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The headers are too many or too large",
        "The request has more header fields, or larger ones, than the server accepts (64 fields and 16 KB unless configured otherwise).";
    BudgetExhausted = TOO_MANY_REQUESTS, "budget-exhausted", "The budget is spent",
        "The call could cost more than is left of a budget. `budget` names it and `reset` says when it starts anew; an administrator can raise it.";
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests",
        "The caller has sent more requests than its limit allows. `Retry-After` says after how many seconds the next one is accepted.";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong here",
        "The server failed in a way it should not. The cause is in its log under the request's id, which `instance` repeats.";
    UpstreamFailed = BAD_GATEWAY, "upstream-failed", "The upstream failed",
        "The model provider or tool server could not be reached, or answered in a way that cannot be passed on.";
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The service cannot do this now",
        "The server, or something it depends on, is overloaded, stopping or not reachable. Try again after the time in `Retry-After`.";
    AuditUnavailable = SERVICE_UNAVAILABLE, "audit-unavailable", "The ledger cannot be written",
        "Nothing happens without its entry in the ledger, and the ledger cannot be written now. Nothing was changed; try again later.";
    UpstreamTimeout = GATEWAY_TIMEOUT, "upstream-timeout", "The upstream did not answer in time",
        "The model provider or tool server accepted the call but did not answer within the configured time.";
}

impl Kind {
    /// The `type` of an OpenAI error object.
    pub(super) const fn openai_type(self) -> &'static str {
        match self {
            Self::Unauthenticated | Self::SignInFailed => "authentication_error",
            Self::Forbidden
            | Self::OwnRequest
            | Self::PolicyDenied
            | Self::ApprovalRequired
            | Self::ReauthenticationRequired
            | Self::CsrfRefused => "permission_error",
            Self::BudgetExhausted => "insufficient_quota",
            Self::RateLimited => "rate_limit_error",
            Self::Internal
            | Self::UpstreamFailed
            | Self::Unavailable
            | Self::AuditUnavailable
            | Self::UpstreamTimeout => "server_error",
            Self::NotFound
            | Self::UnknownModel
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::WrongState
            | Self::AlreadyExists
            | Self::AlreadyDecided
            | Self::NoPublishedVersion
            | Self::QuotaExceeded
            | Self::IdempotencyInFlight
            | Self::Stale
            | Self::TooLarge
            | Self::UriTooLong
            | Self::UnsupportedMediaType
            | Self::Malformed
            | Self::Invalid
            | Self::IdempotencyMismatch
            | Self::PreconditionRequired
            | Self::HeadersTooLarge => "invalid_request_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_what_callers_were_told() {
        let lines: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| format!("{} {}: {}", kind.status().as_u16(), kind.slug(), kind.title()))
            .collect();
        insta::assert_snapshot!("problems", lines.join("\n"));
    }

    #[test]
    fn every_slug_is_its_own() {
        let slugs: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }

    #[test]
    fn a_server_error_is_an_openai_server_error() {
        for kind in Kind::ALL {
            assert_eq!(kind.openai_type() == "server_error", kind.status().is_server_error(), "{}", kind.slug());
        }
    }
}
