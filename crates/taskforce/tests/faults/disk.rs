//! The disk is full.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::client::Client;
use crate::installation::{Engine, Installation, PRODUCT, Server, turn};
use crate::load::create_agent;
use crate::trouble::Trouble;
use crate::upstream::Upstream;
use crate::world::World;

/// Arguments: where the disk is put, what is copied onto it, the executable.
const ON_A_DISK: &str = r#"
set -e
mount -t tmpfs -o size=24m,mode=0700 faults "$1"
cp -a "$2/." "$1/"
exec "$3" --json serve --listen 127.0.0.1:0
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_full_disk_the_server_refuses_changes_until_there_is_room_again() {
    let _turn = turn();
    let Some(namespaces) = namespaces() else {
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted for the test of a full disk");
        println!("not run: a full disk (this machine permits no mounts in namespaces)");
        return;
    };
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::Sqlite, upstream.address);
    let disk = tempfile::Builder::new().prefix("taskforce-disk-").tempdir().unwrap();
    let mut serve = Command::new("unshare");
    serve.args(namespaces).args(["sh", "-c", ON_A_DISK, "sh"]).arg(disk.path()).arg(installation.folder()).arg(PRODUCT);
    serve.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TASKFORCE_DATA", disk.path());
    let mut server = Server::spawn(serve, installation.folder().join("log"));
    let world = World::create(server.address, &installation.platform).await;
    let ballast = ballast(&server, &disk);
    let (installation, world, upstream) = (&installation, &world, &upstream);
    let trouble = Trouble { installation, server: &mut server, world, upstream, readable: true };
    trouble.endure(|| fill(&ballast), || fs::remove_file(&ballast).unwrap()).await;
    create_agent(&mut Client::new(server.address, &world.alice), "after").await.expect(201);
}

/// What `unshare` must be told for this user; `None` where nothing helps.
fn namespaces() -> Option<&'static [&'static str]> {
    const ALL: [&[&str]; 2] = [&["-rm"], &["-m"]];
    let works = |flags: &&&[&str]| {
        let mut probe = Command::new("unshare");
        probe.args(**flags).args(["mount", "-t", "tmpfs", "-o", "size=1m", "faults", "/mnt"]);
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ALL.iter().find(works).copied()
}

/// A file on the disk, as it is seen from outside of the server's namespace.
fn ballast(server: &Server, disk: &TempDir) -> PathBuf {
    let inside = disk.path().strip_prefix("/").unwrap();
    Path::new("/proc").join(server.pid().to_string()).join("root").join(inside).join("ballast")
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [65_536, 4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
