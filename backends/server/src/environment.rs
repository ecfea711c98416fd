//! The environment variables and the architecture that etcd runs with.

use std::{env, ffi::OsStr, process::Command};

/// Removes this process's `ETCD_…` variables from the environment of a command: each of them configures etcd, and none
/// was set for this server.
pub(crate) fn without_etcd_settings(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os().filter(|(name, _)| is_etcd_setting(name)) {
        command.env_remove(name);
    }
    command
}

/// The variable without which etcd 3.4 refuses to run on other architectures than x86-64.
pub(crate) fn unsupported_arch() -> Option<(&'static str, &'static str)> {
    (env::consts::ARCH != "x86_64").then(|| ("ETCD_UNSUPPORTED_ARCH", go_arch()))
}

/// This machine's architecture as Go, and thus the names of etcd's archives, spell it.
pub(crate) fn go_arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn is_etcd_setting(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"ETCD_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_etcd_are_distinguished_from_others() {
        assert!(is_etcd_setting(OsStr::new("ETCD_NAME")));
        assert!(
            !is_etcd_setting(OsStr::new("ETCDCTL_API")) && !is_etcd_setting(OsStr::new("PATH"))
        );
    }
}
