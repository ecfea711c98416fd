//! What can go wrong on the way to a running etcd.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

use super::install::Source;

/// The result of installing or running a local etcd.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no etcd, or why the one there is does not do as it was asked. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No source had an etcd.
    #[error(
        "no etcd to be had:{}\nInstall etcd (on Debian: apt-get install etcd-server), or set ETCD_BIN to the path of an etcd binary",
        Listed(failures)
    )]
    NotInstalled {
        /// What each source answered, in the order they were asked.
        failures: Vec<Failure>,
    },

    /// The binary that was named is not there, or is not an etcd that can be used here.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The binary.
        path: PathBuf,
        /// What is the matter with it.
        reason: String,
    },

    /// The process ended by itself.
    #[error("etcd {name} ended ({status}); the end of its log:\n{log}")]
    Exited {
        /// The name of the server.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },

    /// The process runs, but was not healthy in time: it did not listen, or had no leader.
    #[error("etcd {name} was not healthy within {waited:?}; the end of its log:\n{log}")]
    Unhealthy {
        /// The name of the server.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// The last lines of its log.
        log: String,
    },

    /// The members of a cluster named no leader in time, or more than one.
    #[error(
        "the cluster had no leader all its members agree on within {waited:?}; is a majority of them running?"
    )]
    NoLeader {
        /// How long they were given.
        waited: Duration,
    },

    /// There is no process to send a signal to.
    #[error("etcd {name} is not running; `restart` or `launch` starts it again")]
    NotRunning {
        /// The name of the server.
        name: String,
    },

    /// The time limit set when it was started has passed.
    #[error(
        "etcd {name} has reached its time limit of {limit:?} and was ended; give `time_limit` more, or none"
    )]
    TimeLimit {
        /// The name of the server.
        name: String,
        /// The limit.
        limit: Duration,
    },

    /// The caller asked for something that cannot be.
    #[error("{reason}")]
    Invalid {
        /// What cannot be, and why.
        reason: String,
    },

    /// The operating system refused.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system answered.
        source: io::Error,
    },
}

/// What one source of etcd answered when it had none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The source.
    pub source: Source,
    /// Why it has no etcd for us.
    pub reason: String,
}

impl Failure {
    pub(super) fn new(source: Source, reason: impl Into<String>) -> Self {
        Self {
            source,
            reason: reason.into(),
        }
    }
}

/// Says what was tried when the system refuses: `.doing(|| …)`.
pub(super) trait Doing<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Io {
            action: action(),
            source: error.into(),
        })
    }
}

/// An error and its causes in one line, for a list of failures.
pub(super) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

struct Listed<'a>(&'a [Failure]);

impl fmt::Display for Listed<'_> {
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
