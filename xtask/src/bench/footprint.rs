//! Size, memory and start.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::load::median;
use super::product::{Running, call, free_port, scratch};
use super::{figure, heading, io, release, resident};

pub(super) fn measure(root: &Path) -> Result<(), String> {
    heading("footprint");
    let binary = release(root, "taskforce");
    let size = u32::try_from(std::fs::metadata(&binary).map_err(io)?.len() / 1024).unwrap_or(u32::MAX);
    figure("binary", &format!("{:.1} MiB", f64::from(size) / 1024.0), "goal: 30 MiB", "");
    let folder = scratch(root, "footprint")?;
    let data = folder.join("data");
    let fresh = process_seconds(Command::new(&binary).arg("init").arg("--data").arg(&data))?;
    let nothing = process_seconds(Command::new(&binary).arg("--version"))?;
    figure("init, a fresh data directory", &ms(fresh), &format!("`--version` {}", ms(nothing)), "");
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (start, held) = start(&binary, &data)?;
        starts.push(start);
        memory.push(held);
    }
    figure("start to the first 200", &ms(median(starts)), "goal: 100 ms", "");
    figure("resident, idle", &format!("{:.1} MiB", median(memory)), "goal: 40 MiB", "");
    std::fs::remove_dir_all(&folder).map_err(io)
}

fn start(binary: &Path, data: &Path) -> Result<(f64, f64), String> {
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let started = Instant::now();
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data").arg(data).args(["--listen", &listen]);
    let mut server = Running::start(&mut command, port)?;
    server.listening(Duration::from_secs(10))?;
    let (head, _) = call((port, "none"), "GET", "/healthz", &[], None)?;
    let taken = started.elapsed().as_secs_f64();
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("the server is not healthy: {head}"));
    }
    Ok((taken, resident(server.pid())))
}

fn process_seconds(command: &mut Command) -> Result<f64, String> {
    let started = Instant::now();
    crate::process::output(command)?;
    Ok(started.elapsed().as_secs_f64())
}

fn ms(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}
