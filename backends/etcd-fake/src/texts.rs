//! What the program prints about itself: completions for shells, and its manual page.

use std::io;

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// Returns the script that completes the flags in this shell.
pub(crate) fn completions(shell: Shell, command: &mut Command) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, command, "etcd-fake", &mut script);
    script
}

/// Returns the manual page, as `man` reads it.
pub(crate) fn manual(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
