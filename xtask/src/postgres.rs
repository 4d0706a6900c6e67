//! A scratch PostgreSQL server for one test run: found or installed, started as an unprivileged user, gone afterwards.
//!
//! INVARIANT: the server does not outlive this process, however it ends. A small shell waits on a pipe that only this
//! process holds open; when the pipe closes (normally, on Ctrl-C or on SIGKILL) it stops the server and removes its
//! folder. There is no other path that stops it.

use crate::process;
use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a server and its set-up need, all from one folder.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// Users to give up root for, the first that exists: PostgreSQL refuses to run as root.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// `initdb` has made the superuser `postgres`. Neither of these two passes a row-level security policy by.
const ROLES: &str = "\
CREATE ROLE taskforce_owner LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS CREATEDB;
CREATE ROLE taskforce_app LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOCREATEDB;";

/// Arguments: the folder of the programs, the folder of the cluster.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r _
"$1/pg_ctl" -D "$2/data" -m immediate -w stop
rm -rf "$2"
"#;

/// Where the server's programs are, and how they came there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    folder: PathBuf,
}

/// A running scratch server. Dropping it closes the pipe, and the watchdog does the rest.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    version: String,
    watchdog: Child,
}

/// The user that the server runs as, when that is not the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl Binaries {
    /// Finds the programs: `PG_BIN` if set, else the newest under /usr/lib/postgresql, else PATH.
    pub(crate) fn find() -> Result<Option<Self>, String> {
        if let Some(folder) = env::var_os("PG_BIN") {
            let folder = PathBuf::from(folder);
            let missing = PROGRAMS.iter().find(|program| !folder.join(program).is_file());
            return match missing {
                None => Ok(Some(Self { folder })),
                Some(program) => Err(format!("PG_BIN is `{}`, which has no `{program}`", folder.display())),
            };
        }
        let installed = fs::read_dir("/usr/lib/postgresql")
            .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
            .unwrap_or_default();
        let path = env::var_os("PATH").unwrap_or_default();
        let in_path = env::split_paths(&path).filter_map(|folder| {
            let program = fs::canonicalize(folder.join("initdb")).ok()?;
            program.parent().map(Path::to_path_buf)
        });
        Ok(newest_first(installed)
            .into_iter()
            .chain(in_path)
            .find(|folder| complete(folder))
            .map(|folder| Self { folder }))
    }

    /// Says what to do unless this process may install packages: as root, where apt-get exists.
    pub(crate) fn may_install() -> Result<(), String> {
        if is_root()? && process::output(Command::new("apt-get").arg("--version")).is_ok() {
            return Ok(());
        }
        Err(concat!(
            "no PostgreSQL server programs (initdb, pg_ctl, postgres, psql)\n",
            "  looked in  PG_BIN, /usr/lib/postgresql/*/bin and PATH\n",
            "  to go on   install them, on Debian and Ubuntu with `sudo apt-get install postgresql`,\n",
            "             or set PG_BIN to the folder that holds them\n",
            "  why        every store test runs on both engines; none is skipped in silence",
        )
        .to_owned())
    }

    /// Installs the distribution's package.
    pub(crate) fn install() -> Result<(), String> {
        refuse_a_system_cluster().map_err(|cause| format!("cannot write createcluster.conf: {cause}"))?;
        let apt = |arguments: &[&str]| {
            process::output(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        apt(&["update"])?;
        apt(&["install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "postgresql"])?;
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self, program: &str, user: Option<User>, folder: &Path) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.current_dir(folder);
        as_user(&mut command, user);
        command
    }
}

impl Cluster {
    /// Makes a cluster in a fresh folder, starts it on a socket in there, and creates the two roles.
    pub(crate) fn start(binaries: &Binaries) -> Result<Self, String> {
        let user = if is_root()? { Some(unprivileged_user()?) } else { None };
        let folder = fresh_folder(user).map_err(|cause| format!("cannot make a folder for PostgreSQL: {cause}"))?;
        let watchdog = watch(binaries, user, &folder).map_err(|cause| format!("cannot run `sh`: {cause}"))?;
        let mut cluster = Self { folder, version: String::new(), watchdog };
        let data = cluster.folder.join("data");
        process::output(binaries.command("initdb", user, &cluster.folder).arg("-D").arg(&data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]))?;
        configure(&data, &cluster.folder).map_err(|cause| format!("cannot write postgresql.conf: {cause}"))?;
        let log = cluster.folder.join("log");
        let mut start = binaries.command("pg_ctl", user, &cluster.folder);
        start.arg("-D").arg(&data).arg("-l").arg(&log).args(["-w", "-t", "60", "start"]);
        // The server inherits what pg_ctl has: with a pipe for its output this would wait for ever.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !process::passes(&mut start)? {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("PostgreSQL did not start:\n  {}", said.trim_end().replace('\n', "\n  ")));
        }
        let ask = |statement: &str| {
            let mut psql = binaries.command("psql", user, &cluster.folder);
            psql.arg(cluster.connection()).args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", statement]);
            process::output(&mut psql)
        };
        ask(ROLES)?;
        let version = ask("SHOW server_version")?;
        version.split_whitespace().next().unwrap_or_default().clone_into(&mut cluster.version);
        Ok(cluster)
    }

    /// What a client needs to connect as the superuser.
    pub(crate) fn connection(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder.display())
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Stops the server and waits until its folder is gone.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().map_err(|cause| format!("cannot wait for PostgreSQL to stop: {cause}"))?;
        if self.folder.exists() {
            return Err(format!("PostgreSQL left `{}` behind", self.folder.display()));
        }
        Ok(())
    }
}

fn complete(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| folder.join(program).is_file())
}

/// `/usr/lib/postgresql/9.6/bin` is older than `…/15/bin`: by number, not by letter.
fn newest_first(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let version = |folder: &PathBuf| -> Vec<u32> {
        let name = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        name.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    folders.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    folders
}

/// The package would start a server of its own that nobody asked for.
fn refuse_a_system_cluster() -> io::Result<()> {
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if settings.exists() {
        return Ok(());
    }
    fs::create_dir_all("/etc/postgresql-common")?;
    fs::write(settings, "create_main_cluster = false\n")
}

fn is_root() -> Result<bool, String> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}

fn unprivileged_user() -> Result<User, String> {
    let users = fs::read_to_string("/etc/passwd").map_err(|cause| format!("cannot read /etc/passwd: {cause}"))?;
    UNPRIVILEGED.iter().find_map(|name| user_in(&users, name)).ok_or_else(|| {
        format!("running as root, and /etc/passwd has none of `{}` to run PostgreSQL as", UNPRIVILEGED.join("`, `"))
    })
}

/// `name:password:uid:gid:…`, one user per line.
fn user_in(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    })
}

fn as_user(command: &mut Command, user: Option<User>) {
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
}

/// In /tmp: a socket's path has room for about a hundred bytes, and TMPDIR may be closed to the server's user.
fn fresh_folder(user: Option<User>) -> io::Result<PathBuf> {
    let process = std::process::id();
    let mut attempt = 0_u32;
    loop {
        let folder = PathBuf::from(format!("/tmp/taskforce-pg-{process}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                if let Some(User { uid, gid }) = user {
                    chown(&folder, Some(uid), Some(gid))?;
                }
                return Ok(folder);
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(cause) => return Err(cause),
        }
    }
}

/// In a process group of its own, so that Ctrl-C on the terminal does not reach it.
fn watch(binaries: &Binaries, user: Option<User>, folder: &Path) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", WATCHDOG, "sh"]).arg(&binaries.folder).arg(folder);
    as_user(&mut command, user);
    command.current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn configure(data: &Path, folder: &Path) -> io::Result<()> {
    let mut settings = OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
    write!(
        settings,
        "\nlisten_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 200\n\
         fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let folders = ["/x/9.6/bin", "/x/17/bin", "/x/15/bin"].map(PathBuf::from).to_vec();
        assert_eq!(newest_first(folders), ["/x/17/bin", "/x/15/bin", "/x/9.6/bin"].map(PathBuf::from).to_vec());
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:a:/:/bin/bash\n";
        assert_eq!(user_in(users, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(user_in(users, "nobody"), None);
    }

    #[test]
    fn a_scratch_server_answers_and_leaves_nothing_behind() {
        let Some(binaries) = Binaries::find().unwrap() else {
            assert!(env::var_os("CI").is_none_or(|value| value != "true"), "no PostgreSQL programs");
            println!("not run: scratch server (no PostgreSQL programs)");
            return;
        };
        let cluster = Cluster::start(&binaries).unwrap();
        let folder = cluster.folder.clone();
        assert!(cluster.version().starts_with(|first: char| first.is_ascii_digit()), "{}", cluster.version());
        assert!(folder.join("data/postmaster.pid").exists());
        cluster.stop().unwrap();
        assert!(!folder.exists());
    }
}
