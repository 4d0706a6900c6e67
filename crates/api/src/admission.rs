//! Before and after a handler: credentials become a caller, limits are kept, and a refusal leaves its entry.

use audit::Refusal;
use authz::Caller;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HeaderName, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::app::App;
use crate::arrival::Arrival;
use crate::authentication::{self, Admitted};
use crate::credential::Credential;
use crate::features;
use crate::problem::{self, Kind, Problem, Report};
use crate::rate::{Agreed, Limited};

/// Names the ledger entry that a request left, by its place in the caller's log.
pub(crate) const ENTRY: HeaderName = HeaderName::from_static("taskforce-entry");

/// Lets requests with valid credentials through, and records those that are refused.
pub(crate) async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let arrival = match Arrival::of(&app, &request) {
        Ok(arrival) => arrival,
        Err(problem) => return problem::respond(problem, request.uri().path()),
    };
    let (parts, body) = request.into_parts();
    let admitted = authentication::authenticate(&app, &parts, &arrival).await;
    let Admitted { authenticated, entrance, cookie } = match admitted {
        Ok(admitted) => admitted,
        Err(problem) => {
            let presented = !matches!(Credential::of(&parts.headers), Ok(None));
            return turn_away(&app, &arrival, problem, presented).await;
        }
    };
    request = Request::from_parts(parts, body);
    let caller = authenticated.caller.clone();
    let limited = app.0.rates.admit(&caller, agreed(&app, &caller), &arrival.operation, arrival.now());
    let allowed = features::allow(&app, &caller, arrival.path(), entrance.is_some());
    let response = if let Some(problem) = limited.refusal().or(allowed.err()) {
        arrival.answer(problem)
    } else {
        request.extensions_mut().insert(arrival.client);
        request.extensions_mut().insert(authenticated);
        if let Some(entrance) = entrance {
            request.extensions_mut().insert(entrance);
        }
        problem::in_dialect(next.run(request).await, arrival.path())
    };
    let mut response = finish(&app, &arrival, &caller, (response, limited)).await;
    if let Some(cookie) = cookie.filter(|_| !response.headers().contains_key(SET_COOKIE)) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Lets requests through that need no credentials, so many from each network.
pub(crate) async fn enter(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let arrival = match Arrival::of(&app, &request) {
        Ok(arrival) => arrival,
        Err(problem) => return problem::respond(problem, request.uri().path()),
    };
    let limited = app.0.rates.enter(arrival.client, &arrival.operation, arrival.now());
    let mut response = if let Some(problem) = limited.refusal() {
        arrival.answer(problem)
    } else {
        let path = arrival.path().to_owned();
        request.extensions_mut().insert(arrival);
        problem::in_dialect(next.run(request).await, &path)
    };
    limited.tell(response.headers_mut());
    response
}

/// Refused credentials leave an entry, as long as a network does not try too often. Past that it is only told so.
async fn turn_away(app: &App, arrival: &Arrival, problem: Problem, presented: bool) -> Response {
    if problem.kind() == Kind::Unavailable {
        // Nobody was judged. A database that is not heard from would keep whoever asks waiting for an entry.
        return arrival.answer(problem);
    }
    let mut limited = Limited::default();
    if problem.kind() == Kind::Unauthenticated {
        limited = app.0.rates.failure(arrival.client, arrival.now());
        if let Some(problem) = limited.refusal() {
            let mut response = arrival.answer(problem);
            limited.tell(response.headers_mut());
            return response;
        }
    }
    let (asked, refusal) = (arrival.asked.clone(), arrival.refusal(problem.kind().slug()));
    let recorded = app.run(move |inner| {
        let at = inner.db.moment();
        Ok(audit::refused_anonymous(&inner.db, &inner.refusals, &asked, &refusal, &at)?)
    });
    let mut response = arrival.answer(recorded.await.map_or_else(unrecorded, |()| problem));
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = app.challenge(presented);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        limited.tell(response.headers_mut());
    }
    response
}

async fn finish(app: &App, arrival: &Arrival, caller: &Caller, (response, limited): (Response, Limited)) -> Response {
    let refusal = refusal(arrival, caller, &response);
    let mut response = match record(app, caller, refusal).await {
        Ok(()) => response,
        Err(problem) => arrival.answer(problem),
    };
    limited.tell(response.headers_mut());
    if let Some(seq) = caller.request().recorded() {
        response.headers_mut().insert(ENTRY, HeaderValue::from(seq));
    }
    response
}

/// A change that was refused leaves an entry, and so does anything that the caller was not permitted.
fn refusal(arrival: &Arrival, caller: &Caller, response: &Response) -> Option<Refusal> {
    let status = response.status();
    let refused = status == StatusCode::FORBIDDEN || (arrival.is_mutating() && status.is_client_error());
    if !refused || caller.request().recorded().is_some() {
        return None;
    }
    let problem = response.extensions().get::<Report>().map_or("refused", |report| report.problem().kind().slug());
    Some(arrival.refusal(problem))
}

async fn record(app: &App, caller: &Caller, refusal: Option<Refusal>) -> Result<(), Problem> {
    let Some(refusal) = refusal else { return Ok(()) };
    let caller = caller.clone();
    let recorded =
        app.run(move |inner| Ok(audit::refused(&inner.db, &inner.refusals, &caller, &refusal, &inner.db.moment())?));
    recorded.await.map_err(unrecorded)
}

/// What cannot be recorded does not happen, not even a refusal.
fn unrecorded(problem: Problem) -> Problem {
    problem.turned_into(Kind::AuditUnavailable)
}

/// The limits that the caller's tenant has agreed on.
fn agreed(app: &App, caller: &Caller) -> Agreed {
    let settings = app.0.directory.tenant_settings(caller.tenant());
    settings.map_or(Agreed::default(), |settings| Agreed {
        tenant: settings.rate_limit_per_minute,
        credential: settings.key_rate_limit_per_minute,
    })
}
