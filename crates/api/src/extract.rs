//! Extractors that refuse with a [`Problem`], and read JSON in one way only.

use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::Segment;

use crate::limits::BodyError;
use crate::problem::{Kind, Problem};

/// A JSON body, strictly read: the right content type, no repeated names, no U+0000, bounded depth, and — as `T`
/// denies unknown fields — nothing that would be ignored.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// A JSON body as it was sent, for what is passed on untouched: valid and of bounded depth, not checked further.
#[derive(Debug, Clone)]
pub struct RawJson(pub Bytes);

/// What stands behind the question mark.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The variable parts of the path. One that cannot be what it stands for names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let bytes = read_body(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

impl<S: Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let bytes = read_body(request.into_body()).await?;
        check_raw(&bytes)?;
        Ok(Self(bytes))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if has_nul(parts.uri.query().unwrap_or_default()) {
            return Err(Problem::client(Kind::Invalid, &"the query must not contain U+0000"));
        }
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::client(Kind::Invalid, &format_args!("the query: {reason}")))
            }
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if has_nul(parts.uri.path()) {
            return Err(Problem::new(Kind::NotFound));
        }
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) if rejection.status().is_server_error() => {
                Err(Problem::server(Kind::Internal, rejection.body_text()))
            }
            Err(_) => Err(Problem::new(Kind::NotFound)),
        }
    }
}

/// Reads a body to its end, within the limits that the server put on it.
pub async fn read_body(mut body: Body) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(body_problem)?.into_data() else { continue };
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Reads a strict JSON object: 400 when it is no JSON, 422 with a pointer when it is not a `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    kernel::check_json(bytes).map_err(|error| Problem::client(Kind::Malformed, &error))?;
    // A struct could be read from an array of its fields' values, which nobody means.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::field("", &"expected an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::field(pointer, error.inner())
    })
}

/// Checks that `bytes` are one JSON value in UTF-8, nested no deeper than [`kernel::MAX_JSON_DEPTH`].
pub fn check_raw(bytes: &[u8]) -> Result<(), Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| Problem::client(Kind::Malformed, &error))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let checked = Nested(0).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    checked.map_err(|error| Problem::client(Kind::Malformed, &error))
}

/// Refuses a body that is not said to be JSON.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    let value = only.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_json(value) {
        return Ok(());
    }
    Err(Problem::client(Kind::UnsupportedMediaType, &"expected `content-type: application/json`"))
}

/// `application/json` or `application/…+json`, in UTF-8.
fn is_json(content_type: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let json = essence == "application/json"
        || essence.strip_prefix("application/").and_then(|name| name.strip_suffix("+json")).is_some_and(is_token);
    let charset = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut charset = charset.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    json && charset.all(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

fn has_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

fn body_problem(error: axum::Error) -> Problem {
    let error = error.into_inner();
    match error.downcast_ref::<BodyError>() {
        Some(limit @ BodyError::TooLarge(_)) => Problem::client(Kind::TooLarge, limit),
        Some(limit @ BodyError::TooSlow) => Problem::client(Kind::RequestTimeout, limit),
        Some(BodyError::Broken(_)) | None => Problem::client(Kind::Malformed, &"the body could not be read to its end"),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&["/", &index.to_string()].concat()),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// How many arrays and objects are open.
struct Nested(usize);

impl Nested {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.0 == kernel::MAX_JSON_DEPTH {
            return Err(E::custom(format!("nested more than {} deep", kernel::MAX_JSON_DEPTH)));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key::<IgnoredAny>()?.is_some() {
            fields.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Agent {
        name: String,
        #[serde(default)]
        tags: Vec<Tag>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Tag {
        #[serde(rename = "a/b~c")]
        odd: u8,
    }

    fn refusal(json: &str) -> String {
        let body = serde_json::to_value(parse::<Agent>(json.as_bytes()).unwrap_err().into_body()).unwrap();
        format!("{} {} {}", body["status"], body["detail"], body["errors"])
    }

    #[test]
    fn a_field_that_is_not_acceptable_is_pointed_at() {
        let refusals = [
            r#"{"name": 1}"#,
            r#"{"name": "x", "tags": [{"a/b~c": 1}, {"a/b~c": 300}]}"#,
            r#"{"name": "x", "is_admin": true}"#,
            "{}",
            r#"["x", []]"#,
        ]
        .map(refusal);
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        422 null [{"pointer":"/name","detail":"invalid type: integer `1`, expected a string at line 1 column 10"}]
        422 null [{"pointer":"/tags/1/a~1b~0c","detail":"invalid value: integer `300`, expected u8 at line 1 column 50"}]
        422 null [{"pointer":"/is_admin","detail":"unknown field `is_admin`, expected `name` or `tags` at line 1 column 24"}]
        422 null [{"pointer":"","detail":"missing field `name` at line 1 column 2"}]
        422 null [{"pointer":"","detail":"expected an object"}]
        "#);
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let refusals = [r#"{"name": "x","#, r#"{"name": "x", "name": "y"}"#, r#"{"name": "\u0000"}"#].map(refusal);
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        400 "EOF while parsing a value at line 1 column 13" null
        400 "duplicate field `name` at line 1 column 20" null
        400 "text must not contain U+0000 at line 1 column 17" null
        "#);
    }

    #[test]
    fn content_types_that_are_json_in_utf_8() {
        for good in
            ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json;charset=\"utf-8\""]
        {
            assert!(is_json(good), "{good}");
        }
        for bad in
            ["", "text/plain", "application/jsonx", "*/*", "application/+json", "application/json; charset=utf-16"]
        {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn raw_json_is_valid_and_shallow_and_nothing_more() {
        for good in [r#"{"a":1,"a":2}"#, r#""\u0000""#, "1"] {
            assert!(check_raw(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in
            ["", "{", "{}{}", "\u{feff}{}", &"[".repeat(100_000), &format!("{}{}", "[".repeat(65), "]".repeat(65))]
        {
            assert!(check_raw(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_raw(b"\"\xff\"").is_err());
    }
}
