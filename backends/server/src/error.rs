//! Errors of installing and running etcd.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

use crate::{install::version::Version, source::Failure};

/// The result of installing or running a local etcd.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why etcd could not be installed, started or controlled. The message says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No source had a usable etcd.
    #[error(
        "no etcd found:{}\nInstall etcd (on Debian: apt-get install etcd-server), or set ETCD_BIN to the path of an etcd binary",
        FailureList(failures)
    )]
    NotInstalled {
        /// Why each source failed, in the order in which they were tried.
        failures: Vec<Failure>,
    },

    /// The binary that was named does not exist, or is not a supported etcd.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The binary.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },

    /// The process exited by itself.
    #[error("etcd {version} {name} exited ({status}); the end of its log:\n{log}")]
    Exited {
        /// The version of etcd.
        version: Version,
        /// The name of the server.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },

    /// The process runs, but was not healthy in time: it did not listen, or had no leader.
    #[error("etcd {version} {name} was not healthy within {waited:?}; the end of its log:\n{log}")]
    Unhealthy {
        /// The version of etcd.
        version: Version,
        /// The name of the server.
        name: String,
        /// How long the call waited.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },

    /// No member of the cluster, or more than one, reported itself as the leader until the timeout.
    #[error(
        "no single member reported itself as the leader within {waited:?}; check that a majority of the members is running"
    )]
    NoLeader {
        /// How long the call waited.
        waited: Duration,
    },

    /// There is no process to send a signal to.
    #[error("etcd {name} is not running; `restart` or `launch` starts it again")]
    NotRunning {
        /// The name of the server.
        name: String,
    },

    /// The time limit set by [`ServerBuilder::time_limit`](crate::ServerBuilder::time_limit) has passed.
    #[error(
        "etcd {name} was ended by its time limit of {limit:?}; set a longer `time_limit`, or none"
    )]
    TimeLimit {
        /// The name of the server.
        name: String,
        /// The limit.
        limit: Duration,
    },

    /// An argument or a setting is invalid, or a step of the installation failed.
    #[error("{reason}")]
    Invalid {
        /// What failed, and why.
        reason: String,
    },

    /// The operating system returned an error.
    #[error("cannot {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Adds to an I/O error what was attempted: `.context(|| …)`.
pub(crate) trait Context<T> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Io {
            action: action(),
            source: error.into(),
        })
    }
}

/// An [`Error::Invalid`] with this reason.
pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::Invalid {
        reason: reason.into(),
    }
}

/// An error and its causes in one line, for a list of failures.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

struct FailureList<'a>(&'a [Failure]);

impl fmt::Display for FailureList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str(" no source was allowed")?;
        }
        for failure in self.0 {
            write!(f, "\n- {}: {}", failure.source, failure.reason)?;
        }
        Ok(())
    }
}
