//! The product on its data, and its processes.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The executable under test.
pub(crate) const PRODUCT: &str = env!("CARGO_BIN_EXE_taskforce");

/// The faults are made one after another, whichever runner starts them: each loads all cores and measures times.
pub(crate) fn turn() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

/// Where the rows are.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Sqlite,
    /// A server: `host=… port=…`, and a database on it.
    Postgres {
        server: String,
        database: String,
    },
}

impl Engine {
    /// A fresh database on the server that the test run has; `None` where there is none, which is said aloud.
    pub(crate) fn postgres() -> Option<Self> {
        let Some(server) = std::env::var_os("TASKFORCE_TEST_PG") else {
            assert!(
                std::env::var_os("CI").is_none(),
                "TASKFORCE_TEST_PG is not set, and in CI both engines are tested"
            );
            println!("not run: postgres (start the tests with `cargo xtask test`)");
            return None;
        };
        Some(Self::postgres_on(&server.to_string_lossy()))
    }

    /// A fresh database on a server of which the superuser's connection is given.
    pub(crate) fn postgres_on(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("faults_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        psql(server, &format!("CREATE DATABASE {database} OWNER taskforce_owner"));
        Self::Postgres { server: server.to_owned(), database }
    }

    fn url(&self, user: &str) -> Option<String> {
        let Self::Postgres { server, database } = self else { return None };
        let given = |key: &str| server.split_whitespace().find(|part| part.starts_with(key));
        let (host, port) = (given("host=").unwrap_or("host=localhost"), given("port=").unwrap_or("port=5432"));
        Some(format!("{host} {port} user={user} dbname={database}"))
    }
}

/// Runs a statement as the superuser.
pub(crate) fn psql(server: &str, statement: &str) -> String {
    let ran = Command::new("psql").args([server, "-X", "-v", "ON_ERROR_STOP=1", "-qAtc", statement]).output();
    let ran = ran.expect("psql, which comes with PostgreSQL");
    assert!(ran.status.success(), "psql: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

/// An installation: a data directory with keys and a profile.
#[derive(Debug)]
pub(crate) struct Installation {
    folder: TempDir,
    engine: Engine,
    /// The platform administrator's key.
    pub(crate) platform: String,
}

impl Installation {
    /// Sets up an installation whose model server is at `upstream`.
    pub(crate) fn set_up(engine: Engine, upstream: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("taskforce-faults-").tempdir().unwrap();
        let mut init = product(folder.path());
        init.args(["init", "--instance", "faults.test"]);
        if let (Some(url), Some(owner)) = (engine.url("taskforce_app"), engine.url("taskforce_owner")) {
            init.args(["--database-url", &url, "--database-owner-url", &owner]);
        }
        let made = output(&mut init);
        let platform = made["admin_key"].as_str().unwrap().to_owned();
        let installation = Self { folder, engine, platform };
        let server = format!("{{name: fake, url: \"http://{upstream}/v1\", models: [\"*\"], allow_private: true}}");
        installation.adjust("upstreams: []", &format!("upstreams:\n  - {server}"));
        installation
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Changes a line of the profile.
    pub(crate) fn adjust(&self, from: &str, to: &str) {
        let profile = self.folder().join("taskforce.yaml");
        let text = fs::read_to_string(&profile).unwrap();
        assert!(text.contains(from), "the profile has no line `{from}`");
        fs::write(&profile, text.replace(from, to)).unwrap();
    }

    /// A second node of the same installation: the same keys and database, a data directory of its own.
    pub(crate) fn second_node(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("taskforce-faults-").tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(self.folder().join(".")).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        for own in ["node.id", "serve.lock", "log"] {
            let path = folder.path().join(own);
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        Self { folder, engine: self.engine.clone(), platform: self.platform.clone() }
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        self.serve_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a server and kills it before it has said anything.
    pub(crate) async fn start_and_kill(&self, after: Duration) {
        let mut serve = product(self.folder());
        let log = OpenOptions::new().create(true).append(true).open(self.folder().join("log")).unwrap();
        let mut child =
            serve.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        tokio::time::sleep(after).await;
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself:\n{}", tail(&self.folder().join("log")));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn serve_on(&self, listen: SocketAddr) -> Server {
        let mut serve = product(self.folder());
        serve.args(["serve", "--listen", &listen.to_string()]);
        Server::spawn(serve, self.folder().join("log"))
    }

    /// What `taskforce verify` says of a package, in a process that has nothing but the file and the public key.
    pub(crate) fn verify(&self, package: &[u8]) -> Value {
        let path = self.folder().join("export.tfpack");
        fs::write(&path, package).unwrap();
        let mut verify = Command::new(PRODUCT);
        verify.env_clear().args(["--json", "verify"]).arg(&path).arg("--key").arg(self.folder().join("log.vkey"));
        output(&mut verify)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Engine::Postgres { server, database } = &self.engine
            && !std::thread::panicking()
        {
            psql(server, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        }
    }
}

/// The executable in an environment of its own.
pub(crate) fn product(data: &Path) -> Command {
    let mut command = Command::new(PRODUCT);
    command.env_clear().env("TASKFORCE_DATA", data).current_dir("/").arg("--json");
    command
}

fn output(command: &mut Command) -> Value {
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?} ended with {}\n{said}{log}", ran.status);
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// A server's process. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// How many calls it closed when it started.
    pub(crate) recovered: u64,
    log: PathBuf,
    /// Held open, so that the server can write.
    _output: std::process::ChildStdout,
}

impl Server {
    /// Starts the server and reads its greeting.
    pub(crate) fn spawn(mut command: Command, log: PathBuf) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let greeting = serde_json::Deserializer::from_reader(&mut output).into_iter::<Value>().next();
        let Some(Ok(greeting)) = greeting else {
            let _ = child.kill();
            panic!("the server did not start:\n{}", tail(&log));
        };
        let url = greeting["url"].as_str().unwrap();
        let mut address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let recovered = greeting["recovered_calls"].as_u64().unwrap();
        Self { child, address, recovered, log, _output: output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it ended by itself before:\n{}", tail(&self.log));
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self, within: Duration) -> ExitStatus {
        let pid = self.pid();
        let waiting = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        let ended = tokio::time::timeout(within, waiting).await;
        let Ok(ended) = ended else {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            panic!("it still runs after {within:?}");
        };
        ended.unwrap()
    }

    /// The last lines that it logged.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the server's log ends with:\n{}", self.log());
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
