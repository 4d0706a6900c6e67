//! A PostgreSQL server of one test's own, to be stopped and started again.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::installation::psql;

/// Arguments: the folder of the programs, the folder of the data. It stops the server when this process is gone.
const WATCHDOG: &str = r#"trap '' HUP INT TERM; read -r _; "$1/pg_ctl" -D "$2" -m immediate -w stop"#;

#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    /// To whom the server belongs, when this process is root's: PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    folder: TempDir,
    watchdog: Child,
}

impl Cluster {
    /// A running server; `None` where its programs are missing, which is said aloud.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "there are no PostgreSQL server programs");
            println!("not run: a PostgreSQL server that stops (no PostgreSQL server programs)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("taskforce-pg-").tempdir_in("/tmp").unwrap();
        let user = unprivileged();
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let mut watchdog = as_user(Command::new("sh"), user);
        watchdog.args(["-c", WATCHDOG, "sh"]).arg(&programs).arg(folder.path().join("data")).process_group(0);
        let watchdog = watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let cluster = Self { programs, user, folder, watchdog };
        let made = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        cluster.run("initdb", made);
        let mut settings = OpenOptions::new().append(true).open(cluster.data().join("postgresql.conf")).unwrap();
        let socket = folder_of(&cluster.folder);
        writeln!(settings, "\nlisten_addresses = ''\nunix_socket_directories = '{socket}'\nfsync = off").unwrap();
        cluster.resume();
        for role in ["taskforce_owner", "taskforce_app"] {
            psql(&cluster.server(), &format!("CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS"));
        }
        Some(cluster)
    }

    /// What a client needs to connect as the superuser.
    pub(crate) fn server(&self) -> String {
        format!("host={} user=postgres dbname=postgres", folder_of(&self.folder))
    }

    /// Stops it at once, as a crash does.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", ["-m", "immediate", "-w", "stop"]);
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn resume(&self) {
        let log = self.folder.path().join("log");
        self.run("pg_ctl", [OsStr::new("-l"), log.as_os_str(), "-w".as_ref(), "start".as_ref()]);
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        let mut command = as_user(Command::new(self.programs.join(program)), self.user);
        command.current_dir(self.folder.path()).arg("-D").arg(self.data()).args(arguments);
        // The server would inherit a pipe and hold it open.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{command:?} ended with {status}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn folder_of(folder: &TempDir) -> String {
    folder.path().to_string_lossy().into_owned()
}

fn as_user(mut command: Command, user: Option<(u32, u32)>) -> Command {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

/// The folder with the server's programs, as `cargo xtask test` finds them.
fn programs() -> Option<PathBuf> {
    let given = std::env::var_os("PG_BIN").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    installed.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        std::cmp::Reverse(version.parse::<u32>().unwrap_or(0))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let anywhere = std::env::split_paths(&path).collect::<Vec<_>>();
    given.into_iter().chain(installed).chain(anywhere).find(|folder| folder.join("initdb").is_file())
}

fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let fields: Vec<&str> = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?;
        Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
    };
    root.then(|| find("postgres").or_else(|| find("nobody")).expect("a user to run PostgreSQL as"))
}
