//! Programs that do for us what they do better.

use std::{
    ffi::OsStr,
    io,
    process::{Command, Output, Stdio},
};

use super::error::{Doing, Error, Result};

/// A program to be looked for on `path`, with nothing to read.
pub(super) fn tool(name: &str, path: &OsStr) -> Command {
    let mut command = Command::new(name);
    command
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// Runs a program to its end.
///
/// # Errors
///
/// Says that it is not installed, or what it said when it failed.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Invalid {
                reason: format!("{} is not installed", name(command)),
            });
        }
        output => output.doing(|| format!("run {}", name(command)))?,
    };
    if output.status.success() {
        return Ok(());
    }
    let reason = format!(
        "{} failed ({}): {}",
        name(command),
        output.status,
        said(&output)
    );
    Err(Error::Invalid { reason })
}

/// Whether there is such a program.
pub(super) fn is_installed(name: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(name).is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The last words, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.split_at(lines.len().saturating_sub(3)).1.join("; ")
}
