//! External programs: apt, dpkg, curl, wget.

use std::{
    env,
    ffi::OsStr,
    io,
    process::{Command, Output, Stdio},
};

use crate::error::{Context, Result, invalid};

/// A command with an empty standard input, for a program on `path`.
pub(crate) fn tool(name: &str, path: &OsStr) -> Command {
    let mut command = Command::new(name);
    command
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// Runs a program until it exits.
///
/// # Errors
///
/// If it is not installed, or fails: the message has its status and the end of its standard error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(invalid(format!("{} is not installed", name(command))));
        }
        output => output.context(|| format!("run {}", name(command)))?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(invalid(format!(
        "{} failed ({}): {}",
        name(command),
        output.status,
        last_lines(&output)
    )))
}

/// Whether `path` has this program.
pub(crate) fn is_installed(name: &str, path: &OsStr) -> bool {
    env::split_paths(path).any(|directory| directory.join(name).is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The last lines of standard error, as one line.
fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.split_at(lines.len().saturating_sub(3)).1.join("; ")
}
