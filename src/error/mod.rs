//! Why an operation failed, and what is known of it then.

mod etcd;
mod failures;

use std::{fmt, sync::Arc};

use etcd_transport::TransportErrorKind;
use http::StatusCode;

use crate::endpoints::endpoint::Endpoint;

pub(crate) use etcd::Refusal;
pub use etcd::{Api, EtcdCode, EtcdError, EtcdErrorKind};
pub(crate) use failures::UnexpectedKind;
pub use failures::{
    HttpError, InvalidInput, TimeoutError, TransportFailure, UnexpectedAnswer, Unsupported,
};

/// The result of an etcd operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// The variant says who refused; [`outcome`](Self::outcome) says whether a write may have been applied all the same; the
/// `is_…` predicates answer what programs ask most. `Display` gives the operation, the endpoint and the reason;
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
    /// etcd refused the request.
    #[error(transparent)]
    Etcd(EtcdError),
    /// Something answered with a status of 400 or more, and its body is not an etcd error.
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

/// What is known about a write that failed. It does not matter for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Definitely not applied: nothing of it reached a server.
    NotSent,
    /// Definitely not applied: a server refused it.
    Rejected,
    /// May have been applied, or may be yet. Read before you write again.
    Unknown,
}

impl Error {
    /// Returns whether a failed write was *not sent*, *rejected*, or may have been applied (*unknown*), all attempts of the
    /// call considered.
    pub fn outcome(&self) -> Outcome {
        if self.context().is_some_and(|context| context.in_doubt) {
            return Outcome::Unknown;
        }
        match self {
            Self::Etcd(error) => error.refusal.outcome,
            Self::Http(error) if error.status().is_server_error() => Outcome::Unknown,
            Self::Http(_) => Outcome::Rejected,
            Self::Transport(error) if error.error.is_unsent() => Outcome::NotSent,
            Self::Transport(_) | Self::Timeout(_) => Outcome::Unknown,
            Self::Unexpected(error) => error.parts.outcome,
            Self::Unsupported(error) => error.outcome,
            Self::Invalid(_) => Outcome::NotSent,
        }
    }

    /// Returns whether the same request may succeed later, or at another endpoint: nobody answered, or a server that cannot
    /// serve at the moment. Whether it may be sent again is another question: see [`outcome`](Self::outcome).
    ///
    /// The client itself has tried again as often as its [`RetryPolicy`](crate::RetryPolicy) allows.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, Outcome};
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
    /// let error = client.v2().get("/missing").await.unwrap_err();
    /// assert!(!error.is_retryable()); // It will not appear by asking.
    ///
    /// match client.v2().set("/color", "blue").await {
    ///     Err(error) if error.is_retryable() && error.outcome() != Outcome::Unknown => {
    ///         println!("definitely not applied; later, perhaps: {error}");
    ///     }
    ///     other => drop(other?),
    /// }
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport(_) => !self.is_rejected(),
            Self::Timeout(_) => true,
            Self::Http(error) => error.status().is_server_error(),
            Self::Etcd(error) => error.refusal.is_retryable,
            Self::Unexpected(_) | Self::Unsupported(_) | Self::Invalid(_) => false,
        }
    }

    /// Returns etcd's own error, if etcd refused the request.
    pub fn as_etcd(&self) -> Option<&EtcdError> {
        match self {
            Self::Etcd(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the kind of etcd's own error, if etcd refused the request.
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

    /// The answer is from another cluster than those before: an endpoint is wrong, or the cluster was replaced. See
    /// [`ClientBuilder::allow_cluster_change`](crate::ClientBuilder::allow_cluster_change).
    pub fn is_cluster_changed(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::ClusterChanged)
    }

    /// Every endpoint answered from an older state of the store than was seen before. See
    /// [`ClientBuilder::reject_stale_reads`](crate::ClientBuilder::reject_stale_reads).
    pub fn is_stale_read(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::Stale)
    }

    /// The answer has no words of etcd: it is from a proxy that has lost its servers, or from another program.
    pub(crate) fn is_foreign(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Unexpected(error) => error.parts.kind == UnexpectedKind::Foreign,
            Self::Unsupported(error) => error.is_foreign,
            _ => false,
        }
    }

    /// The answer is larger than the client takes.
    pub(crate) fn is_too_large(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::TooLarge)
    }

    fn unexpected_kind(&self) -> Option<UnexpectedKind> {
        match self {
            Self::Unexpected(error) => Some(error.parts.kind),
            _ => None,
        }
    }

    /// The transport refused the request: it does not send such a thing.
    pub(crate) fn is_rejected(&self) -> bool {
        let Self::Transport(error) = self else {
            return false;
        };
        error.error.kind() == TransportErrorKind::Rejected
    }

    /// This error, where an attempt of the same call before it may have been carried out.
    pub(crate) fn after_doubt(mut self, in_doubt: bool) -> Self {
        if let Some(context) = self.context_mut() {
            context.in_doubt |= in_doubt;
        }
        self
    }

    fn context(&self) -> Option<&ErrorContext> {
        Some(match self {
            Self::Etcd(error) => &error.context,
            Self::Http(error) => &error.context,
            Self::Transport(error) => &error.context,
            Self::Timeout(error) => &error.context,
            Self::Unexpected(error) => &error.context,
            Self::Unsupported(error) => &error.context,
            Self::Invalid(_) => return None,
        })
    }

    fn context_mut(&mut self) -> Option<&mut ErrorContext> {
        Some(match self {
            Self::Etcd(error) => &mut error.context,
            Self::Http(error) => &mut error.context,
            Self::Transport(error) => &mut error.context,
            Self::Timeout(error) => &mut error.context,
            Self::Unexpected(error) => &mut error.context,
            Self::Unsupported(error) => &mut error.context,
            Self::Invalid(_) => return None,
        })
    }

    pub(crate) fn invalid(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid(InvalidInput(Arc::new((operation, reason.into()))))
    }
}

/// Which operation failed, where, at which attempt, and whether one before it may have been carried out.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    pub(crate) operation: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) attempts: u32,
    pub(crate) in_doubt: bool,
}

impl ErrorContext {
    /// The first attempt.
    pub(crate) fn new(operation: &'static str, endpoint: Endpoint) -> Self {
        Self {
            operation,
            endpoint,
            attempts: 1,
            in_doubt: false,
        }
    }
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
