//! Other programs: run to their end, with their words kept for the error message.

use std::env;
use std::process::{Command, Stdio};

/// Runs a program to its end and returns its standard output; its last words when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|cause| format!("cannot run `{name}`: {cause}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default();
    Err(format!("`{name}` failed ({})\n  {}", done.status, last.join("\n  ")))
}

/// Runs a program that prints for itself; whether it succeeded.
pub(crate) fn passes(command: &mut Command) -> Result<bool, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|cause| format!("cannot run `{name}`: {cause}"))?;
    Ok(status.success())
}

/// The cargo that runs this tool.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    output(cargo().args([subcommand, "--version"])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_last_words() {
        let failed = output(Command::new("sh").args(["-c", "echo out; echo why >&2; exit 3"])).unwrap_err();
        assert!(failed.contains("`sh` failed"), "{failed}");
        assert!(failed.contains("out\n  why"), "{failed}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let failed = output(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(failed.contains("cannot run `no-such-program-here`"), "{failed}");
    }
}
