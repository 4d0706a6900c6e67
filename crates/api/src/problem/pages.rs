//! The pages that explain the kinds, at the addresses that problems give as their type.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, header};

use super::{Kind, Problem};

/// `/problems`, the list of kinds, and `/problems/<slug>`, a page for each.
pub fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/problems", get(index)).route("/problems/{slug}", get(page))
}

async fn index() -> Response {
    let mut list = String::new();
    for kind in Kind::ALL {
        let (slug, title, status) = (kind.slug(), kind.title(), kind.status().as_u16());
        let _ = writeln!(list, "<li>{status} <a href=\"/problems/{slug}\">{slug}</a>: {title}</li>");
    }
    html("Problems", &format!("<p>What can go wrong, and what to do about it.</p>\n<ul>\n{list}</ul>\n"))
}

async fn page(Path(slug): Path<String>) -> Result<Response, Problem> {
    let kind = Kind::ALL.iter().find(|kind| kind.slug() == slug).ok_or_else(|| Problem::new(Kind::NotFound))?;
    let text = format!(
        "<p>HTTP status {}, kind <code>{}</code>.</p>\n<p>{}</p>\n<p><a href=\"/problems\">All problems</a></p>\n",
        kind.status().as_u16(),
        kind.slug(),
        in_code(kind.meaning())
    );
    Ok(html(kind.title(), &text))
}

/// Sets what stands in `backticks` as code.
fn in_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |html, (index, part)| match index % 2 {
        0 => html + part,
        _ => html + "<code>" + part + "</code>",
    })
}

fn html(title: &str, content: &str) -> Response {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Taskforce</title>\n<h1>{title}</h1>\n{content}</html>\n"
    );
    let mut response = Html(page).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn read(path: &str) -> (u16, String) {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = pages::<()>().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_kind_has_its_page_and_stands_in_the_index() {
        let (_, index) = read("/problems").await;
        for kind in Kind::ALL {
            let path = format!("/problems/{}", kind.slug());
            assert!(index.contains(&format!("href=\"{path}\"")), "{path}");
            let (status, page) = read(&path).await;
            assert_eq!(status, 200, "{path}");
            assert!(page.contains(kind.title()) && !page.contains('`'), "{page}");
        }
        assert_eq!(read("/problems/none").await.0, 404);
    }
}
