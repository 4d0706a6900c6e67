//! Running the executable, and asking its server.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Deserializer, Value};

/// The executable, in an environment without anything of ours.
pub(crate) fn taskforce() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskforce"));
    for name in ["ENCRYPTION_KEY", "DATABASE_URL", "TASKFORCE_PROFILE", "TASKFORCE_DATA", "JWT_SECRET", "JWT_ISSUER"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    taskforce().args(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command that must end with `code`, and reads its answer as JSON.
pub(crate) fn json(code: i32, args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", stdout(&output), stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Sets up a data directory; the administrator's key.
pub(crate) fn init(data: &Path) -> String {
    json(0, &["init", "--data", path(data)])["admin_key"].as_str().unwrap().to_owned()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Whether the script of the README can run here. In CI it must.
pub(crate) fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "curl is absent, and in CI the README's script runs");
        println!("not run: examples/govern.sh (no curl)");
    }
    found
}

/// A process that says where it is, and ends with its value.
struct Running {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    said: Value,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = taskforce().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let said = Deserializer::from_reader(&mut stdout).into_iter().next().unwrap().unwrap();
        Self { child, _stdout: stdout, said }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that was stopped has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A replay upstream.
pub(crate) struct Replay {
    _running: Running,
    pub(crate) url: String,
}

impl Replay {
    pub(crate) fn start() -> Self {
        let running = Running::start(&["replay", "--json", "--listen", "127.0.0.1:0", "--pace-ms", "0"]);
        let url = running.said["url"].as_str().unwrap().to_owned();
        Self { _running: running, url }
    }
}

/// A server that runs until it is stopped.
pub(crate) struct Server {
    running: Running,
    /// What it said when it was ready.
    pub(crate) said: Value,
}

impl Server {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let args = [&["serve", "--json", "--data", path(data), "--listen", "127.0.0.1:0"], more].concat();
        let running = Running::start(&args);
        Self { said: running.said.clone(), running }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.said["url"].as_str().unwrap()
    }

    /// One request; the status and the body.
    pub(crate) fn ask(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
        let address = self.url().trim_start_matches("http://");
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    /// Asks the server to stop as a supervisor does; its exit code, and what it logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let child = &mut self.running.child;
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (child.wait().unwrap().code(), log)
    }
}
