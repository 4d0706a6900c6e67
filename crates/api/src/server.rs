//! The accept loop: who may connect, how long a connection may keep the server waiting, and how it all stops.
//!
//! `axum::serve` keeps a silent connection for ever; this one gives each connection deadlines. A connection is one
//! task; its deadlines cost a request no timer, because they are computed from a few marks when a timer that was set
//! long ago goes off.

mod connection;
mod gate;
mod head;
mod http2;
mod marks;
mod wire;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{Id, JoinError, JoinSet};

pub use crate::limits::{Limits, RequestIds};

use crate::limits::Front;
use connection::Protocols;
use gate::Gate;
use marks::Marks;

/// A socket that listens, and the connections that may be open through it.
///
/// To run on several cores, bind a socket with `SO_REUSEPORT` for each, make the first a server with
/// [`Server::from_std`], the others with [`Server::beside`], and serve each on a current-thread runtime of its own:
/// they count connections together and share nothing else.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use std::sync::Arc;
/// use api::server::{Limits, RequestIds, Server};
/// use axum::{Router, routing::get};
///
/// let clock = Arc::new(kernel::FixedMoment::new(1_800_000_000_000_000));
/// let ids = RequestIds::new(clock, Arc::new(kernel::SeededEntropy::new(1)));
/// let server = Server::bind("127.0.0.1:0", Limits::default()).await?;
/// assert_ne!(server.local_addr()?.port(), 0);
///
/// let router = Router::new().route("/healthz", get(async || "ok"));
/// let summary = server.serve(router, ids, async {}).await;
/// assert_eq!((summary.accepted, summary.aborted), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    gate: Arc<Gate>,
}

/// What a server did until it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Connections that were served.
    pub accepted: u64,
    /// Connections that were closed at once, because there were too many.
    pub refused: u64,
    /// Connections that were open when the wish to stop came, and ended in time.
    pub drained: usize,
    /// Connections that were cut at the end of the time for draining.
    pub aborted: usize,
}

impl Server {
    /// Listens on `address`.
    pub async fn bind(address: impl ToSocketAddrs, limits: Limits) -> io::Result<Self> {
        Ok(Self::from_listener(TcpListener::bind(address).await?, limits))
    }

    /// Takes over a socket that listens already.
    pub fn from_std(listener: std::net::TcpListener, limits: Limits) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::from_listener(TcpListener::from_std(listener)?, limits))
    }

    /// Takes over a socket for another core; its connections count against the limits of this server.
    pub fn beside(&self, listener: std::net::TcpListener) -> io::Result<Self> {
        let other = Self::from_std(listener, self.limits.clone())?;
        Ok(Self { gate: Arc::clone(&self.gate), ..other })
    }

    fn from_listener(listener: TcpListener, limits: Limits) -> Self {
        let gate = Arc::new(Gate::new(limits.connections, limits.connections_per_ip));
        Self { listener, limits, gate }
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `router` until `shutdown` resolves; then accepts nothing more, lets open connections finish what they
    /// are doing for as long as [`Limits::drain`], cuts the rest, and returns.
    pub async fn serve(self, router: Router, ids: RequestIds, shutdown: impl Future<Output = ()>) -> Summary {
        let Self { listener, limits, gate } = self;
        let drain = limits.drain;
        let protocols = Arc::new(Protocols::new(Front::new(router, limits, ids)));
        let mut open = Open::default();
        let mut summary = Summary::default();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = open.tasks.join_next_with_id(), if !open.tasks.is_empty() => open.forget(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => match gate.admit(peer.ip()) {
                        Some(permit) => {
                            summary.accepted += 1;
                            open.serve(&protocols, stream, peer, permit);
                        }
                        None => summary.refused += 1,
                    },
                    Err(error) => after_failed_accept(&error).await,
                },
            }
        }
        drop(listener);
        (summary.drained, summary.aborted) = open.drain(drain).await;
        summary
    }
}

/// Without descriptors or memory there is nothing to do but to wait for a connection to end. Other errors concern
/// one connection that is gone.
async fn after_failed_accept(error: &io::Error) {
    let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !gone.contains(&error.kind()) {
        tracing::warn!(error = %error, "cannot accept connections: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    marks: HashMap<Id, Arc<Marks>>,
}

impl Open {
    fn serve(&mut self, protocols: &Arc<Protocols>, stream: TcpStream, peer: SocketAddr, permit: gate::Permit) {
        let marks = Arc::new(Marks::new());
        let connection = connection::serve(Arc::clone(protocols), stream, peer, Arc::clone(&marks));
        let handle = self.tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
        self.marks.insert(handle.id(), marks);
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(error = %error, "a connection panicked: {error}");
                }
                error.id()
            }
        };
        self.marks.remove(&id);
    }

    /// How many connections ended in `time`, and how many were cut.
    async fn drain(mut self, time: Duration) -> (usize, usize) {
        let before = self.tasks.len();
        for marks in self.marks.values() {
            marks.close();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(time, all).await;
        let aborted = self.tasks.len();
        self.tasks.shutdown().await;
        (before - aborted, aborted)
    }
}
