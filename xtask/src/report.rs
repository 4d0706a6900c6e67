//! What the tool prints: lower-case verbs in aligned columns, with colour only on a terminal.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
}

impl Outcome {
    pub(crate) fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, colour) = match self {
            Self::Passed => ("ok", "32"),
            Self::Failed => ("FAILED", "31"),
        };
        if coloured() { write!(f, "\x1b[1;{colour}m{word}\x1b[0m") } else { f.write_str(word) }
    }
}

/// One line: the stage, the thing, and what is to be said of it.
pub(crate) fn line(stage: &str, name: &str, text: impl fmt::Display) {
    plain(&format!("{stage:<8} {name:<16} {text}\n"));
}

/// A line that belongs to the one above it.
pub(crate) fn detail(text: impl fmt::Display) {
    plain(&format!("           {text}\n"));
}

/// Text as it is. A closed standard output is no reason to stop: what the tool does matters more than who listens.
pub(crate) fn plain(text: &str) {
    let mut output = io::stdout().lock();
    drop(output.write_all(text.as_bytes()).and_then(|()| output.flush()));
}

/// A failure of the tool itself.
pub(crate) fn error(message: &str) {
    drop(writeln!(io::stderr().lock(), "error: {message}"));
}

/// `2.4 s` or `3 min 12 s`.
pub(crate) fn seconds(taken: Duration) -> String {
    let whole = taken.as_secs();
    if whole < 60 { format!("{:.1} s", taken.as_secs_f64()) } else { format!("{} min {} s", whole / 60, whole % 60) }
}

fn coloured() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_have_tenths_and_long_ones_minutes() {
        assert_eq!(seconds(Duration::from_millis(2_440)), "2.4 s");
        assert_eq!(seconds(Duration::from_secs(192)), "3 min 12 s");
    }
}
