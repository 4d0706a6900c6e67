//! How a command ends.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::output::Output;

/// What a command that did its work found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well: exit code 0.
    Well,
    /// What was checked is not as it should be: exit code 1.
    Findings,
}

/// Why a command could not do its work: exit code 2.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The exit code, and the reasons of a failure on standard error.
pub(crate) fn report(verdict: Result<Verdict, Failure>, output: &Output) -> ExitCode {
    match verdict {
        Ok(_) if output.is_broken() => ExitCode::from(2),
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Err(failure) => {
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(io::stderr(), "taskforce: {}", reasons(failure.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // An error that speaks for its cause repeats it.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_failure_says_its_causes_once() {
        assert_eq!(reasons(&Outer(io::Error::other("inner"))), "outer: inner");
        assert_eq!(reasons(&io::Error::other(Outer(io::Error::other("inner")))), "outer: inner");
    }
}
