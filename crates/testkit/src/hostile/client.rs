//! A client that sends bytes, whatever they are.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An answer with this status.
    Status(u16),
    /// The server closed the connection without one.
    Closed,
    /// HTTP/2: the server said that it ends the connection.
    GoAway,
    /// Nothing for ten seconds.
    Hung,
}

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of which the client decides about each byte.
#[derive(Debug)]
pub struct Client {
    pub(super) stream: TcpStream,
}

pub(super) fn words(error: impl fmt::Display) -> String {
    error.to_string()
}

impl Client {
    /// Connects from any address.
    pub async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(words)?;
        stream.set_nodelay(true).map_err(words)?;
        Ok(Self { stream })
    }

    /// Connects from one of this machine's addresses.
    pub(super) async fn connect_from(source: SocketAddr, address: SocketAddr) -> Result<Self, String> {
        let socket = TcpSocket::new_v4().map_err(words)?;
        socket.bind(source).map_err(words)?;
        Ok(Self { stream: socket.connect(address).await.map_err(words)? })
    }

    /// Sends `request` and reads until the status is known; what follows it stays unread. A server may answer before
    /// it has read everything.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer, String> {
        let (mut reader, mut writer) = self.stream.split();
        let send = async {
            // That the server stops listening shows in its answer.
            let _ = writer.write_all(request).await;
            std::future::pending::<Answer>().await
        };
        let receive = async {
            let mut read = Vec::new();
            loop {
                match reader.read_buf(&mut read).await {
                    Ok(0) | Err(_) => return Answer::Closed,
                    Ok(_) => {}
                }
                match status(&read) {
                    Some(100) => drop(read.drain(..25)),
                    Some(status) => return Answer::Status(status),
                    None => {}
                }
            }
        };
        tokio::select! {
            answer = send => Ok(answer),
            answer = receive => Ok(answer),
            () = tokio::time::sleep(PATIENCE) => Ok(Answer::Hung),
        }
    }

    /// Sends `bytes`; `false` when the server no longer listens.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Reads until the server closes the connection, within `time`.
    pub(super) async fn closed_within(&mut self, time: Duration) -> bool {
        let all = async {
            let mut sink = [0; 4096];
            while self.stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        };
        tokio::time::timeout(time, all).await.is_ok()
    }
}

/// The status of a response that has begun.
fn status(response: &[u8]) -> Option<u16> {
    let digits = response.strip_prefix(b"HTTP/1.1 ").or_else(|| response.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    response.contains(&b'\n').then_some(())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
