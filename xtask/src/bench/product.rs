//! Processes that are measured, and the product set up for it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{io, release};

/// A process that ends with its value.
pub(super) struct Running {
    child: Child,
    pub(super) port: u16,
}

impl Running {
    pub(super) fn start(command: &mut Command, port: u16) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(io)?;
        Ok(Self { child, port })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process listens; fails when it has ended.
    pub(super) fn listening(&mut self, limit: Duration) -> Result<(), String> {
        let until = Instant::now() + limit;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait().map_err(io)? {
                return Err(format!("a measured process ended early ({status})"));
            }
            if Instant::now() > until {
                return Err(format!("nothing listens on port {} after {} s", self.port, limit.as_secs()));
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16, String> {
    Ok(TcpListener::bind("127.0.0.1:0").map_err(io)?.local_addr().map_err(io)?.port())
}

/// A folder for one measurement, on the disk that the workspace is built on.
pub(super) fn scratch(root: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = release(root, "bench").join(format!("{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).map_err(io)?;
    Ok(folder)
}

/// The product as the demo leaves it: tenants, people, a published agent, and its calls governed.
pub(super) struct Product {
    pub(super) server: Running,
    pub(super) key: String,
    pub(super) agent: String,
}

impl Product {
    /// Runs the demo against `upstream` and keeps its server, every budget lifted.
    pub(super) fn start(root: &Path, folder: &Path, upstream: u16) -> Result<Self, String> {
        let port = free_port()?;
        let mut command = Command::new(release(root, "taskforce"));
        command.arg("demo").arg("--data").arg(folder).args(["--keep", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--upstream", &format!("http://127.0.0.1:{upstream}/v1"), "--upstream-key-env", "BENCH_KEY"]);
        let mut server = Running::start(command.env("BENCH_KEY", "sk-bench"), port)?;
        server.listening(Duration::from_secs(30))?;
        let facts = facts(folder, &mut server)?;
        let text = |pointer: &str| facts.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        lift_budgets(port, &text("/keys/bob"))?;
        Ok(Self { server, key: text("/keys/olivia"), agent: text("/agent_id") })
    }
}

/// `demo.json`, which the demo writes at its end.
fn facts(folder: &Path, server: &mut Running) -> Result<Value, String> {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let facts = std::fs::read(folder.join("demo.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(facts) = facts {
            return Ok(facts);
        }
        if let Some(status) = server.child.try_wait().map_err(io)? {
            return Err(format!("the demo ended early ({status})"));
        }
        if Instant::now() > until {
            return Err("the demo did not come to its end within a minute".to_owned());
        }
        std::thread::yield_now();
    }
}

fn lift_budgets(port: u16, key: &str) -> Result<(), String> {
    let (_, list) = call((port, key), "GET", "/api/v1/admin/budgets", &[], None)?;
    for budget in list.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
        let id = budget.get("id").and_then(Value::as_str).unwrap_or_default();
        let path = format!("/api/v1/admin/budgets/{id}");
        let (head, _) = call((port, key), "GET", &path, &[], None)?;
        let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default().to_owned();
        let change = json!({ "limit": { "amount": "1000000.00", "currency": "USD" } });
        let (head, body) = call((port, key), "PATCH", &path, &[("if-match", &etag)], Some(&change))?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("a budget could not be lifted: {body}"));
        }
    }
    Ok(())
}

/// One request on a connection of its own; head and body of the answer.
pub(super) fn call(
    (port, key): (u16, &str),
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<(String, Value), String> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(io)?;
    stream.write_all(request.as_bytes()).map_err(io)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(io)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null)))
}
