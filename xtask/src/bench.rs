//! `cargo xtask bench`: every figure beside its floor, measured in the same run.
//!
//! A figure without its floor says more about the machine than about the product. Contenders take turns in blocks, in
//! alternating order, and what is printed is the median over the rounds.

mod decisions;
mod floor;
mod footprint;
mod gateway;
mod ledger;
mod load;
mod mock;
mod package;
mod product;

use std::path::Path;

use crate::report;

/// A measurement: it prints its figures.
type Part = fn(&Path) -> Result<(), String>;

/// What can be measured.
const PARTS: [(&str, Part); 5] = [
    ("decisions", decisions::measure),
    ("footprint", footprint::measure),
    ("gateway", gateway::measure),
    ("ledger", ledger::measure),
    ("verify", package::measure),
];

/// Measures the parts that are named, or all.
pub(crate) fn measure(root: &Path, wanted: &[&str]) -> Result<bool, String> {
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("nothing to measure is called `{unknown}`: there are {}", known.join(", ")));
    }
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.contains(&name) {
            part(root)?;
        }
    }
    Ok(true)
}

/// The helper processes of the measurements: `bench-mock PORT`, `bench-floor PORT UPSTREAM`.
pub(crate) fn helper(arguments: &[&str]) -> Result<bool, String> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("not a port: {text}"));
    match arguments {
        ["bench-mock", at] => mock::run(port(at)?)?,
        ["bench-floor", at, upstream] => floor::run(port(at)?, upstream)?,
        _ => return Err("a helper of `cargo xtask bench`, not to be called".to_owned()),
    }
    Ok(true)
}

/// One line of figures: what, how much, beside what, and the ratio of both.
fn figure(name: &str, value: &str, floor: &str, ratio: &str) {
    report::plain(&format!("  {name:<44} {value:>16}   {floor:<36} {ratio}\n"));
}

fn heading(title: &str) {
    report::plain(&format!("\n{title}\n"));
}

fn release(root: &Path, name: &str) -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), std::path::PathBuf::from);
    target.join("release").join(name)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to `map_err`")]
fn io(error: std::io::Error) -> String {
    error.to_string()
}

/// The processor time that a process has used so far, in microseconds.
fn processor(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e3
}

/// The memory that a process holds, in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
