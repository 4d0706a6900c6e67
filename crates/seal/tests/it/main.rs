//! Sealing as other crates use it.

#[cfg(test)]
mod record;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod root;
#[cfg(test)]
mod wrap;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

use kernel::{Entropy, SeededEntropy};
use seal::DataKey;

/// Randomness that counts 0, 1, 2, …, so that every byte of an envelope can be told in advance.
#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn key(version: u32, seed: u64) -> DataKey {
    DataKey::generate(version, &SeededEntropy::new(seed))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes as `Debug` would print them.
fn decimal(bytes: &[u8]) -> String {
    let printed = format!("{bytes:?}");
    printed.trim_matches(['[', ']']).to_owned()
}
