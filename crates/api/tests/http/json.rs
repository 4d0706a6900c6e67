//! Every JSON text through the extractor.

use std::sync::Arc;

use api::extract::{Json, RawJson};
use api::server::{Limits, RequestIds};
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use base64::Engine as _;
use http::Request;
use serde::Deserialize;

/// Valid JSON that is refused all the same: two readers could understand it differently, or a database could not
/// hold it.
const STRICTER: [&str; 4] = [
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_object_escaped_null_in_key.json",
    "y_string_null_escape.json",
];

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    expect: String,
    b64: String,
}

async fn strict(Json(_): Json<serde_json::Value>) {}

async fn raw(RawJson(_): RawJson) {}

#[tokio::test]
async fn every_json_text_is_accepted_or_refused_as_it_should_be() {
    let Some(path) = testkit::shared("vectors/jsontestsuite") else { return };
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path.join("cases.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 318);
    let ids = RequestIds::new(Arc::new(kernel::FixedMoment::new(0)), Arc::new(kernel::SeededEntropy::new(1)));
    let router = Router::new().route("/strict", post(strict)).route("/raw", post(raw));
    let front = api::limits::Front::new(router, Limits::default(), ids);
    let mut wrong = Vec::new();
    for case in cases {
        let body = base64::prelude::BASE64_STANDARD.decode(&case.b64).unwrap();
        for path in ["/strict", "/raw"] {
            let request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
            let response = front.answer(request.body(Body::from(body.clone())).unwrap()).await;
            let status = response.status().as_u16();
            let stricter = path == "/strict" && STRICTER.contains(&case.name.as_str());
            // 422 says that it is JSON, but no object.
            let right = match case.expect.as_str() {
                "accept" if stricter => status == 400,
                "accept" => matches!(status, 200 | 422),
                "reject" => status == 400,
                _ => matches!(status, 200 | 400 | 422),
            };
            if !right {
                wrong.push(format!("{} on {path}: {status}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
