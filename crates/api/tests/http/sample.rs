//! A small server of the same shape as the real one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::extract::{Json, Path, Query};
use api::problem::{self, Kind, Problem};
use api::server::{Limits, RequestIds, Server, Summary};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use testkit::hostile::Target;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const AUTHORIZATION: &str = "Bearer good";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentIn {
    name: String,
    #[serde(default)]
    required_approvers: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u16>,
}

async fn create(Json(agent): Json<AgentIn>) -> axum::Json<AgentIn> {
    axum::Json(agent)
}

async fn list(Query(page): Query<Page>) -> String {
    format!("{:?}", page.limit)
}

async fn show(Path(number): Path<u64>) -> String {
    number.to_string()
}

async fn authenticate(request: Request, next: Next) -> Result<Response, Problem> {
    let mut values = request.headers().get_all("authorization").iter();
    if values.next().is_some_and(|value| value == AUTHORIZATION) && values.next().is_none() {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(Kind::Unauthenticated))
}

/// A response much larger than what the sockets between two processes hold.
async fn large() -> Body {
    let parts = std::iter::repeat_n(Ok::<_, Infallible>(Bytes::from(vec![b'a'; 65_536])), 1_000);
    Body::from_stream(futures_util::stream::iter(parts))
}

/// A response that begins and goes on for ever.
async fn endless() -> Body {
    use futures_util::StreamExt as _;
    let start = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"start"))]);
    Body::from_stream(start.chain(futures_util::stream::pending()))
}

async fn panics() -> String {
    panic!("on purpose")
}

pub(crate) fn router() -> Router {
    let guarded = Router::new()
        .route("/api/v1/agents", post(create).get(list))
        .route("/api/v1/agents/{number}", get(show))
        .route("/api/v1/admin/users", get(list))
        .layer(from_fn(authenticate));
    Router::new()
        .route("/api/v1/health", get(async || "ok"))
        .route("/v1/never", post(std::future::pending::<String>))
        .route("/large", get(large))
        .route("/endless", get(endless))
        .route("/panics", get(panics))
        .merge(guarded)
        .merge(problem::pages())
        .fallback(problem::fallback)
        .method_not_allowed_fallback(problem::method_fallback)
}

/// A server that runs until it is told to stop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Summary>,
}

impl Running {
    pub(crate) async fn start(limits: Limits) -> Self {
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0), limits).await.unwrap();
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let clock = Arc::new(kernel::FixedMoment::new(1_800_000_000_000_000));
        let ids = RequestIds::new(clock, Arc::new(kernel::SeededEntropy::new(1)));
        let task = tokio::spawn(server.serve(router(), ids, async move { drop(stopped.await) }));
        Self { address, stop, task }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.address,
            health: "/api/v1/health".to_owned(),
            paths: Vec::new(),
            posts: vec!["/api/v1/agents".to_owned()],
            authorization: AUTHORIZATION.to_owned(),
            beat: Duration::from_millis(20),
            pid: std::process::id(),
        }
    }

    /// Tells the server to stop; what it did is known once it has.
    pub(crate) fn stop(self) -> JoinHandle<Summary> {
        self.stop.send(()).unwrap();
        self.task
    }
}
