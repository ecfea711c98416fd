//! Why an operation failed, and what is known of it then.

mod etcd;
mod failures;

use std::{fmt, sync::Arc};

use etcd_transport::TransportErrorKind;
use http::StatusCode;

use crate::{
    auth::basic::is_v2, endpoints::endpoint::Endpoint, operation::Call, v3::protocol::status,
};

pub(crate) use etcd::{Api, EtcdErrorParts};
pub use etcd::{EtcdError, EtcdErrorKind};
pub(crate) use failures::UnexpectedKind;
pub use failures::{
    HttpError, InvalidInput, TimeoutError, TransportFailure, UnexpectedAnswer, Unsupported,
};

/// The result of an etcd operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// The variant says who said no; [`outcome`](Self::outcome) says whether a write may have been carried out all the same;
/// the `is_…` predicates answer what programs ask most. `Display` gives the operation, the endpoint and the reason;
/// [`source`](std::error::Error::source) goes one layer down where there is one. A clone is cheap: what one request failed with
/// may be told to all that waited for it.
///
/// ```
/// # use etcd_http::{Client, Error};
/// use etcd_http::Outcome;
///
/// # #[cfg(feature = "fake")]
/// # futures::executor::block_on(async {
/// # let etcd = etcd_http::fake::FakeEtcd::new();
/// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
/// match client.v2().create("/leader", "me").await {
///     Ok(_) => println!("mine"),
///     Err(error) if error.is_already_exists() => println!("somebody else's"),
///     Err(error) if error.outcome() == Outcome::Unknown => println!("ask again who it is: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// etcd said no.
    #[error(transparent)]
    Etcd(EtcdError),
    /// Something answered with a status of 400 or more, and its body is not one of etcd's errors.
    #[error(transparent)]
    Http(HttpError),
    /// No endpoint answered.
    #[error(transparent)]
    Transport(TransportFailure),
    /// No answer within the time allowed.
    #[error(transparent)]
    Timeout(TimeoutError),
    /// Something answered that does not speak this API.
    #[error(transparent)]
    Unexpected(UnexpectedAnswer),
    /// The server is an etcd that does not have this operation, or has it switched off. In v3 it is all servers, see
    /// [there](crate::v3#what-a-server-does-not-have).
    #[error(transparent)]
    Unsupported(Unsupported),
    /// Refused by this client before anything was sent.
    #[error(transparent)]
    Invalid(InvalidInput),
}

/// What is known of a write that failed. Of a read it says nothing that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Surely not carried out: nothing of it reached a server.
    NotSent,
    /// Surely not carried out: a server refused it.
    Rejected,
    /// May have been carried out, or may be yet. Read before you write again.
    Unknown,
}

impl Error {
    /// Whether a failed write was *not sent*, *rejected*, or may have been carried out (*unknown*).
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Etcd(error) => error.outcome(),
            Self::Http(error) => outcome_of_status(error.status()),
            Self::Transport(error) if error.0.source.is_unsent() => Outcome::NotSent,
            Self::Transport(_) | Self::Timeout(_) => Outcome::Unknown,
            Self::Unexpected(error) => error.0.outcome,
            Self::Unsupported(error) => error.0.2,
            Self::Invalid(_) => Outcome::NotSent,
        }
    }

    /// etcd's own error, where etcd said no.
    pub fn as_etcd(&self) -> Option<&EtcdError> {
        match self {
            Self::Etcd(error) => Some(error),
            _ => None,
        }
    }

    /// What etcd said no to, where etcd said no.
    pub fn etcd_kind(&self) -> Option<EtcdErrorKind> {
        self.as_etcd().map(EtcdError::kind)
    }

    /// The key does not exist (code 100; in v3, only a put that was to keep what is there says so).
    pub fn is_key_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::KeyNotFound)
    }

    /// A compare-and-swap or compare-and-delete found something else (code 101).
    pub fn is_compare_failed(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::CompareFailed)
    }

    /// The key is a directory, and a file was wanted (code 102).
    pub fn is_not_a_file(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotAFile)
    }

    /// A segment of the path is a file, and a directory was wanted (code 104).
    pub fn is_not_a_directory(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotADirectory)
    }

    /// The key to be created exists already (code 105).
    pub fn is_already_exists(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::AlreadyExists)
    }

    /// The directory to be deleted has children (code 108).
    pub fn is_directory_not_empty(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::DirectoryNotEmpty)
    }

    /// The credentials are missing, wrong, or not enough: for etcd, or for a proxy before it.
    pub fn is_unauthorized(&self) -> bool {
        use EtcdErrorKind as Kind;
        match self {
            // An answer to HEAD has no body to hold an error of etcd's.
            Self::Http(error) => error.status() == StatusCode::UNAUTHORIZED,
            _ => matches!(
                self.etcd_kind(),
                Some(
                    Kind::Unauthorized
                        | Kind::PermissionDenied
                        | Kind::AuthenticationFailed
                        | Kind::InvalidAuthToken
                        | Kind::AuthRevisionOld
                        | Kind::UserNameEmpty
                )
            ),
        }
    }

    /// The revision asked for was compacted away (v3).
    pub fn is_compacted(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::Compacted)
    }

    /// The lease does not exist: it expired, was revoked, or never was (v3).
    pub fn is_lease_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::LeaseNotFound)
    }

    /// The user may not do this (v3).
    pub fn is_permission_denied(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::PermissionDenied)
    }

    /// There is no leader at the moment, or none that a majority follows (v3).
    pub fn is_no_leader(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoLeader)
    }

    /// The database has reached its quota; reads and deletes still work (v3).
    pub fn is_no_space(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoSpace)
    }

    /// The events a watch asked for are no longer in the server's history (code 401).
    pub fn is_history_cleared(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::HistoryCleared)
    }

    /// The answer is from another cluster than those before: an endpoint is wrong, or the cluster was made anew. See
    /// [`ClientBuilder::allow_cluster_change`](crate::ClientBuilder::allow_cluster_change).
    pub fn is_cluster_changed(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::ClusterChanged)
    }

    /// Every endpoint answered from an older state of the store than was seen before. See
    /// [`ClientBuilder::reject_stale_reads`](crate::ClientBuilder::reject_stale_reads).
    pub fn is_stale_read(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::Stale)
    }

    fn unexpected_kind(&self) -> Option<UnexpectedKind> {
        match self {
            Self::Unexpected(error) => Some(error.0.kind),
            _ => None,
        }
    }

    /// Asking again may bring something else: nobody answered, or somebody who cannot serve at the moment.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Transport(_) => !self.is_rejected(),
            Self::Timeout(_) => true,
            Self::Http(error) => error.status().is_server_error(),
            Self::Etcd(error) => match error.0.api {
                Api::V2 => {
                    let is_retryable = error.kind() == EtcdErrorKind::WatcherCleared;
                    is_retryable || error.status().is_server_error()
                }
                Api::V3 { kind, .. } => status::is_retryable(kind),
            },
            _ => false,
        }
    }

    /// The transport refused the request: it does not send such a thing.
    pub(crate) fn is_rejected(&self) -> bool {
        let Self::Transport(error) = self else {
            return false;
        };
        error.0.source.kind() == TransportErrorKind::Rejected
    }

    /// With a word on why it was not authorized. etcd's v2 says «Insufficient credentials» to all.
    pub(crate) fn explained(self, call: &Call, has_credentials: bool) -> Self {
        match self {
            Self::Etcd(EtcdError(parts, None))
                if is_v2(call.target.path()) && parts.status == StatusCode::UNAUTHORIZED =>
            {
                Self::Etcd(EtcdError(
                    parts,
                    Some(if has_credentials {
                        "the client's user or password is wrong, or its roles do not allow this"
                    } else {
                        "this client shows no credentials, and guests may not do this"
                    }),
                ))
            }
            error => error,
        }
    }

    pub(crate) fn invalid(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid(InvalidInput(Arc::new((operation, reason.into()))))
    }
}

/// Which operation failed, where, and at which attempt.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    pub(crate) operation: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) attempts: u32,
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.operation, self.endpoint)?;
        if self.attempts > 1 {
            write!(f, " (attempt {})", self.attempts)?;
        }
        Ok(())
    }
}

pub(crate) fn outcome_of_status(status: StatusCode) -> Outcome {
    if status.is_server_error() {
        Outcome::Unknown
    } else {
        Outcome::Rejected
    }
}
