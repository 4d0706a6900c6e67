//! The floor of the gateway's figures: a bare streaming proxy on the same HTTP library. It authenticates nobody, reads
//! nothing and records nothing.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::io;

type Forward = Client<HttpConnector, Incoming>;

/// Serves on `port` until it is killed, forwarding to `upstream`.
pub(super) fn run(port: u16, upstream: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(io)?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Forward = Client::builder(TokioExecutor::new()).build(connector);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.map_err(io)?;
        let upstream: Arc<str> = upstream.into();
        loop {
            let (stream, _) = listener.accept().await.map_err(io)?;
            stream.set_nodelay(true).map_err(io)?;
            let (client, upstream) = (client.clone(), Arc::clone(&upstream));
            tokio::spawn(async move {
                let service = service_fn(move |request| forward(Arc::clone(&upstream), client.clone(), request));
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

async fn forward(
    upstream: Arc<str>,
    client: Forward,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("http://{upstream}{path}").parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(header::HOST);
    client.request(request).await
}
