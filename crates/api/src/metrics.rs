//! What the server counts, and the operations that it counts by.
//!
//! The series are made when the application starts, one for each operation of the document, so that nothing that a
//! client sends adds one, and counting takes no lock.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use tokio::time::Instant;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{OpenApi, PathItem};

/// The upper bounds of the histogram's buckets, in microseconds, and as they are written.
const BOUNDS: [(u64, &str); 12] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (30_000_000, "30"),
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters of one operation.
#[derive(Debug)]
struct Series {
    method: Method,
    route: String,
    operation: Arc<str>,
    by_class: [AtomicU64; CLASSES.len()],
    by_duration: [AtomicU64; BOUNDS.len()],
    longer: AtomicU64,
    micros: AtomicU64,
}

/// Every operation and its counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    routes: HashMap<String, Vec<Series>>,
    unmatched: Series,
    calls: [(&'static str, AtomicU64); 3],
}

/// How a model call was answered, as far as its head tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CallEnd {
    /// The upstream's answer began.
    Answered,
    /// The call was not made.
    Refused,
    /// The upstream or the ledger failed.
    Failed,
}

impl Series {
    fn new(method: Method, route: &str, operation: &str) -> Self {
        Self {
            method,
            route: route.to_owned(),
            operation: operation.into(),
            by_class: Default::default(),
            by_duration: Default::default(),
            longer: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        }
    }

    fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(bound, _)| micros <= *bound).and_then(|at| self.by_duration.get(at));
        bucket.unwrap_or(&self.longer).fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn labels(&self) -> String {
        format!("method=\"{}\",route=\"{}\"", self.method, self.route)
    }
}

impl Metrics {
    /// A series for each operation of `document`.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(route, item)| (route.clone(), series(route, item))).collect();
        let calls = ["answered", "refused", "failed"].map(|end| (end, AtomicU64::new(0)));
        Self { routes, unmatched: Series::new(Method::GET, "", "unmatched"), calls }
    }

    /// The id of the operation that answers `method` at `route`.
    pub(crate) fn operation(&self, method: &Method, route: &str) -> Arc<str> {
        Arc::clone(&self.series(method, route).operation)
    }

    /// Counts a model call.
    pub(crate) fn call(&self, end: CallEnd) {
        if let Some((_, counter)) = self.calls.get(end as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn series(&self, method: &Method, route: &str) -> &Series {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let series = self.routes.get(route).and_then(|all| all.iter().find(|series| series.method == *method));
        series.unwrap_or(&self.unmatched)
    }

    /// The counters in Prometheus' text format, version 0.0.4. `entries` is how many the ledger has.
    pub(crate) fn render(&self, entries: Option<u64>) -> String {
        let mut all: Vec<&Series> = self.routes.values().flatten().collect();
        all.sort_by(|one, other| (&one.route, one.method.as_str()).cmp(&(&other.route, other.method.as_str())));
        all.push(&self.unmatched);
        let mut text = String::new();
        head(&mut text, "taskforce_http_requests_total", "counter", "Requests by route and class of status.");
        for series in &all {
            let counted = CLASSES.iter().zip(&series.by_class).map(|(class, count)| (class, read(count)));
            for (class, count) in counted.filter(|(_, count)| *count > 0) {
                let labels = series.labels();
                line(&mut text, format_args!("taskforce_http_requests_total{{{labels},status=\"{class}\"}} {count}"));
            }
        }
        let name = "taskforce_http_request_duration_seconds";
        head(&mut text, name, "histogram", "From the end of a request's head to the start of its answer.");
        for series in &all {
            histogram(&mut text, name, series);
        }
        head(&mut text, "taskforce_gateway_calls_total", "counter", "Model calls by how their answer began.");
        for (end, count) in &self.calls {
            line(&mut text, format_args!("taskforce_gateway_calls_total{{end=\"{end}\"}} {}", read(count)));
        }
        if let Some(entries) = entries {
            head(&mut text, "taskforce_ledger_entries_total", "counter", "Entries in all logs.");
            line(&mut text, format_args!("taskforce_ledger_entries_total {entries}"));
        }
        text
    }
}

fn histogram(text: &mut String, name: &str, series: &Series) {
    let count = series.by_duration.iter().map(read).sum::<u64>() + read(&series.longer);
    if count == 0 {
        return;
    }
    let (labels, mut sum) = (series.labels(), 0);
    for ((_, bound), counter) in BOUNDS.iter().zip(&series.by_duration) {
        sum += read(counter);
        line(text, format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {sum}"));
    }
    line(text, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
    let micros = read(&series.micros);
    line(text, format_args!("{name}_sum{{{labels}}} {}.{:06}", micros / 1_000_000, micros % 1_000_000));
    line(text, format_args!("{name}_count{{{labels}}} {count}"));
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn series(route: &str, item: &PathItem) -> Vec<Series> {
    let series = |(method, operation): (HttpMethod, &Operation)| {
        let method = match method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Delete => Method::DELETE,
            HttpMethod::Head => Method::HEAD,
            HttpMethod::Options => Method::OPTIONS,
            HttpMethod::Trace => Method::TRACE,
        };
        Series::new(method, route, operation.operation_id.as_deref().unwrap_or_default())
    };
    operations(item).map(series).collect()
}

/// The operations of one path.
pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (HttpMethod, &Operation)> {
    let all = [
        (HttpMethod::Get, &item.get),
        (HttpMethod::Post, &item.post),
        (HttpMethod::Put, &item.put),
        (HttpMethod::Patch, &item.patch),
        (HttpMethod::Delete, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Counts a request and how long its answer took to begin.
pub(crate) async fn measure(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("", MatchedPath::as_str);
    metrics.series(&method, route).count(response.status().as_u16(), start.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::openapi::{InfoBuilder, OpenApiBuilder, PathsBuilder};

    fn document() -> OpenApi {
        let item = PathItem::new(HttpMethod::Get, Operation::builder().operation_id(Some("get_agent")));
        let paths = PathsBuilder::new().path("/api/v1/agents/{agent_id}", item);
        OpenApiBuilder::new().info(InfoBuilder::new().build()).paths(paths).build()
    }

    #[test]
    fn what_is_counted_reads_as_prometheus_text() {
        let metrics = Metrics::of(&document());
        let route = "/api/v1/agents/{agent_id}";
        metrics.series(&Method::HEAD, route).count(200, Duration::from_micros(700));
        metrics.series(&Method::GET, route).count(404, Duration::from_secs(90));
        metrics.series(&Method::GET, "/api/v1/agents/agt_of_somebody").count(404, Duration::ZERO);
        metrics.call(CallEnd::Failed);
        let text = metrics.render(Some(7));
        let of_route: Vec<&str> = text.lines().filter(|line| line.contains(route)).collect();
        assert_eq!(
            of_route[0],
            format!("taskforce_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"2xx\"}} 1")
        );
        let count = format!("taskforce_http_request_duration_seconds_count{{method=\"GET\",route=\"{route}\"}} 2");
        assert_eq!(of_route.last(), Some(&count.as_str()));
        assert!(
            of_route.iter().any(|line| line.contains("le=\"30\"} 1"))
                && of_route.iter().any(|line| line.contains("le=\"+Inf\"} 2"))
        );
        assert!(text.contains("_sum{method=\"GET\",route=\"/api/v1/agents/{agent_id}\"} 90.000700\n"));
        assert!(text.contains("taskforce_gateway_calls_total{end=\"failed\"} 1\n"));
        assert!(text.ends_with("taskforce_ledger_entries_total 7\n"));
        assert!(!text.contains("agt_of_somebody"));
    }
}
