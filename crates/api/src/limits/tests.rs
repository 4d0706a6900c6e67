use super::*;
use axum::routing::{get, post};
use http_body_util::{BodyExt, StreamBody};

use crate::extract::Json;
use crate::problem;

async fn echo(Json(value): Json<serde_json::Value>) -> axum::Json<serde_json::Value> {
    axum::Json(value)
}

async fn broken() -> &'static str {
    panic!("on purpose")
}

fn front() -> Front {
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/echo", post(echo))
        .route("/v1/echo", post(echo))
        .route("/panic", get(broken))
        .route("/v1/panic", get(broken))
        .route("/never", get(std::future::pending::<()>))
        .route("/page", get(async || [(header::CONTENT_SECURITY_POLICY, "default-src 'self'")]))
        .fallback(problem::fallback)
        .method_not_allowed_fallback(problem::method_fallback);
    let router = SLOW.iter().fold(router, |router, path| router.route(path, post(std::future::pending::<()>)));
    let clock = Arc::new(kernel::FixedMoment::new(1_800_000_000_000_000));
    Front::new(router, Limits::default(), RequestIds::new(clock, Arc::new(kernel::SeededEntropy::new(1))))
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn get_with(headers: &[(&str, &str)]) -> u16 {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    front().answer(request.body(Body::empty()).unwrap()).await.status().as_u16()
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "localhost").header("content-type", "application/json")
}

async fn answer(method: &str, path: &str) -> Response {
    front().answer(request(method, path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_request_names_one_valid_host() {
    for good in ["localhost", "a.example:8070", "127.0.0.1:1", "[::1]", "[::1]:8070", "xn--bcher-kva.example"] {
        assert_eq!(get_with(&[("host", good)]).await, 200, "{good}");
    }
    for bad in ["", "a/b", "a b", "user@a", "a:b", "a:123456", "[::1", "[]", "[::1]x", "[zz]:1", "a,b/c", ":80"] {
        assert_eq!(get_with(&[("host", bad)]).await, 400, "{bad}");
    }
    assert_eq!(get_with(&[]).await, 400);
    assert_eq!(get_with(&[("host", "a"), ("host", "a")]).await, 400);
}

#[tokio::test]
async fn names_of_the_host_must_agree() {
    for (uri, status) in [("http://LOCALHOST/", 200), ("http://evil.test/", 400)] {
        let response = answer("GET", uri).await;
        assert_eq!(response.status(), status, "{uri}");
    }
    let request = Request::get("http://a/").version(http::Version::HTTP_2).body(Body::empty()).unwrap();
    assert_eq!(front().answer(request).await.status(), 200);
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    for coding in ["gzip", "br", "gzip, gzip", "x", "identity, gzip", ""] {
        assert_eq!(get_with(&[("host", "a"), ("content-encoding", coding)]).await, 415, "{coding}");
    }
    assert_eq!(get_with(&[("host", "a"), ("content-encoding", "identity")]).await, 200);
}

#[tokio::test]
async fn too_much_of_a_head_is_refused() {
    let fields: Vec<(String, String)> = (0..64).map(|n| (format!("x-{n}"), "a".to_owned())).collect();
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("host", "a"));
    assert_eq!(get_with(&fields[1..]).await, 200);
    assert_eq!(get_with(&fields).await, 431);
    assert_eq!(get_with(&[("host", "a"), ("x", &"a".repeat(16 * 1024))]).await, 431);
    assert_eq!(answer("GET", &format!("/?{}", "a".repeat(8 * 1024))).await.status(), 414);
}

#[tokio::test]
async fn methods_that_nothing_answers_to_are_refused_with_those_that_are_known() {
    for method in ["TRACE", "CONNECT", "TRACK", "get", "PROPFIND"] {
        let response = answer(method, "/").await;
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()[header::ALLOW], METHODS);
    }
    let response = answer("DELETE", "/").await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn a_panic_is_a_problem_that_names_its_request() {
    let response = answer("GET", "/panic").await;
    assert_eq!(response.status(), 500);
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "it was that of a body without the id");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: problem::ProblemBody = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((body.kind.as_str(), body.instance, body.detail), ("/problems/internal", Some(id), None));
}

#[tokio::test]
async fn the_gateway_speaks_the_protocol_of_its_callers() {
    for (method, path, code) in [("GET", "/v1/panic", "internal"), ("GET", "/v1/none", "not_found")] {
        let body: serde_json::Value = serde_json::from_str(&text(answer(method, path).await).await).unwrap();
        assert_eq!(body["error"]["code"], code);
    }
}

#[tokio::test]
async fn every_response_has_the_headers_that_protect_browsers() {
    let response = answer("GET", "/").await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-security-policy"], CSP);
    assert_eq!(answer("GET", "/page").await.headers()["content-security-policy"], "default-src 'self'");
}

#[tokio::test]
async fn a_body_may_be_as_large_as_its_address_allows() {
    let json = |length: usize| format!("{{\"a\":\"{}\"}}", "a".repeat(length - 8));
    let mib = 1024 * 1024;
    for (path, length, status) in
        [("/echo", mib, 200), ("/echo", mib + 1, 413), ("/v1/echo", 16 * mib, 200), ("/v1/echo", 16 * mib + 1, 413)]
    {
        let announced = request("POST", path).body(Body::from(json(length))).unwrap();
        assert_eq!(front().answer(announced).await.status(), status, "{path} {length}");
        let chunks = json(length).into_bytes().chunks(1 << 16).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let chunks: Vec<Result<Bytes, Infallible>> = chunks;
        let unannounced = request("POST", path).body(Body::from_stream(futures_util::stream::iter(chunks))).unwrap();
        assert_eq!(front().answer(unannounced).await.status(), status, "{path} {length} in chunks");
    }
}

/// A body that sends a byte each second and never ends.
fn trickle() -> Body {
    let start = tokio::time::Instant::now();
    let frames = futures_util::stream::unfold(1, move |second| async move {
        let tick = tokio::time::timeout_at(start + Duration::from_secs(second), std::future::pending::<()>()).await;
        assert!(tick.is_err(), "nothing else ends the wait");
        Some((Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b" "))), second + 1))
    });
    Body::new(StreamBody::new(Box::pin(frames)))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    for path in ["/echo", "/v1/echo"] {
        let start = tokio::time::Instant::now();
        let response = front().answer(request("POST", path).body(trickle()).unwrap()).await;
        assert_eq!(response.status(), 408, "{path}");
        assert_eq!(start.elapsed().as_secs(), 30, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_answers_is_given_up() {
    let start = tokio::time::Instant::now();
    let response = answer("GET", "/never").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn what_costs_much_may_take_as_long_as_a_stream() {
    for path in SLOW {
        let start = tokio::time::Instant::now();
        assert_eq!(answer("POST", path).await.status(), 503);
        assert_eq!(start.elapsed().as_secs(), 600, "{path}");
    }
}
