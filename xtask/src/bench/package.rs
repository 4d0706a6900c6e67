//! Verifying a package of a million entries, beside the time to hash as many bytes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::load::median;
use super::product::scratch;
use super::{figure, heading, io, release};

const ENTRIES: u64 = 1_000_000;

pub(super) fn measure(root: &Path) -> Result<(), String> {
    heading("verify: a package of a million entries, in a process without server or database");
    let folder = scratch(root, "verify")?;
    let made = audit::synthetic::package(ENTRIES).map_err(|error| error.to_string())?;
    let (file, key) = (folder.join("million.tfpack"), folder.join("log.vkey"));
    std::fs::write(&file, &made.bytes).map_err(io)?;
    std::fs::write(&key, made.vkey.to_string()).map_err(io)?;
    let (mut verified, mut hashed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let started = Instant::now();
        crate::process::output(
            Command::new(release(root, "taskforce")).arg("verify").arg(&file).arg("--key").arg(&key),
        )?;
        verified.push(started.elapsed().as_secs_f64());
        hashed.push(hash(&made.leaf));
    }
    let ratio = median(verified.iter().zip(&hashed).map(|(one, floor)| one / floor).collect());
    figure(
        "taskforce verify",
        &format!("{:.2} s", median(verified)),
        &format!("SHA-256 of its leaves {:.2} s", median(hashed)),
        &format!("{ratio:.1} x the floor; goal: 5 s"),
    );
    std::fs::remove_dir_all(&folder).map_err(io)
}

/// Hashes a leaf as often as the package has entries.
fn hash(leaf: &[u8]) -> f64 {
    let started = Instant::now();
    for _ in 0..ENTRIES {
        std::hint::black_box(tlog::leaf_hash(std::hint::black_box(leaf)));
    }
    started.elapsed().as_secs_f64()
}
