//! Errors: why an operation failed, and whether it may have been applied.

mod context;
mod debug;
mod etcd;
mod failures;
mod status;
mod unsent;

use std::{error::Error as StdError, fmt};

use etcd_transport::TransportErrorKind;
use http::StatusCode;

use crate::base::endpoint::Endpoint;

pub(crate) use context::ErrorContext;
pub(crate) use etcd::Refusal;
pub use etcd::{Api, EtcdCode, EtcdError, EtcdErrorKind};
pub use failures::{
    HttpError, InvalidInput, TimeoutError, TransportFailure, UnexpectedResponse, Unsupported,
};
pub(crate) use failures::{UnexpectedKind, with_cause};
pub(crate) use status::ForeignStatus;

/// The result of an etcd operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// The variant says who refused. [`outcome`](Self::outcome) says whether a write may have been applied. The `is_…`
/// predicates cover the most common questions. `Display` shows the operation, the endpoint, the reason, and whether a write
/// may have been applied; `Debug`, which `unwrap` prints, the same with the variant, the kind of etcd's error and the outcome.
/// [`source`](std::error::Error::source) is the underlying error, if any. A clone is cheap.
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
///     Ok(_) => println!("this process leads"),
///     Err(error) if error.is_already_exists() => println!("another process leads"),
///     Err(error) if error.outcome() == Outcome::Unknown => println!("unknown, read the key: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// etcd refused the request.
    Etcd(EtcdError),
    /// A response with a status of 400 or more whose body is not an etcd error.
    Http(HttpError),
    /// No endpoint responded.
    Transport(TransportFailure),
    /// No response within the time limit.
    Timeout(TimeoutError),
    /// A response that is not from this API, such as a page from a proxy.
    Unexpected(UnexpectedResponse),
    /// The server is an etcd that does not have this operation, or has it disabled. In v3 this holds for all endpoints,
    /// see [What a server does not have](crate::v3#what-a-server-does-not-have).
    Unsupported(Unsupported),
    /// The client rejected the request before anything was sent.
    Invalid(InvalidInput),
}

/// Whether a write that failed may have been applied. Irrelevant for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Definitely not applied: the request did not reach a server.
    NotSent,
    /// Definitely not applied: a server refused it.
    Rejected,
    /// May have been applied, or may still be. Read before you write again.
    Unknown,
}

impl Error {
    /// Returns whether a failed write was *not sent*, *rejected*, or may have been applied (*unknown*), over all
    /// attempts of the call.
    pub fn outcome(&self) -> Outcome {
        if self.context().is_some_and(|context| context.in_doubt) {
            return Outcome::Unknown;
        }
        match self {
            Self::Etcd(error) => error.refusal.outcome,
            Self::Http(error) => ForeignStatus::of(error.status()).outcome(),
            Self::Transport(error) if error.error.is_unsent() => Outcome::NotSent,
            Self::Transport(_) | Self::Timeout(_) => Outcome::Unknown,
            Self::Unexpected(error) => error.parts.outcome,
            Self::Unsupported(error) => error.outcome(),
            Self::Invalid(_) => Outcome::NotSent,
        }
    }

    /// Returns whether the same request may succeed later or at another endpoint: no server responded, or one that
    /// currently cannot serve. Whether repeating it is safe is another question: see [`outcome`](Self::outcome).
    ///
    /// The client itself has already retried as often as its [`RetryPolicy`](crate::RetryPolicy) allows.
    ///
    /// ```
    /// # use etcd_http::{Client, Error, Outcome};
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// # let etcd = etcd_http::fake::FakeEtcd::new();
    /// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
    /// let error = client.v2().get("/missing").await.unwrap_err();
    /// assert!(!error.is_retryable()); // Another attempt does not help.
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
            Self::Unexpected(_) | Self::Unsupported(_) => false,
            Self::Invalid(_) => self.is_overloaded(),
        }
    }

    /// Returns etcd's own error, if etcd refused the request.
    pub fn as_etcd(&self) -> Option<&EtcdError> {
        match self {
            Self::Etcd(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the kind of etcd's own error, if etcd refused the request, or if it would have refused one that the client
    /// did not send ([`InvalidInput::kind`]).
    pub fn etcd_kind(&self) -> Option<EtcdErrorKind> {
        match self {
            Self::Etcd(error) => Some(error.kind()),
            Self::Invalid(error) => error.kind(),
            _ => None,
        }
    }

    /// Returns whether the key does not exist (code 100; in v3, only for a put that keeps the value or the lease).
    pub fn is_key_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::KeyNotFound)
    }

    /// Returns whether the condition of a compare-and-swap or compare-and-delete does not hold (code 101).
    pub fn is_compare_failed(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::CompareFailed)
    }

    /// Returns whether the key is a directory and the operation requires a file (code 102).
    pub fn is_not_a_file(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotAFile)
    }

    /// Returns whether a segment of the path is a file and the operation requires a directory (code 104).
    pub fn is_not_a_directory(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NotADirectory)
    }

    /// Returns whether the key to be created already exists (code 105).
    pub fn is_already_exists(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::AlreadyExists)
    }

    /// Returns whether the directory to be deleted has children (code 108).
    pub fn is_directory_not_empty(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::DirectoryNotEmpty)
    }

    /// Returns whether the credentials are missing, wrong or insufficient, for etcd or for a proxy before it.
    pub fn is_unauthorized(&self) -> bool {
        use EtcdErrorKind as Kind;
        match self {
            // A response to HEAD has no body for an etcd error.
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

    /// Returns whether the requested revision was compacted (v3).
    pub fn is_compacted(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::Compacted)
    }

    /// Returns whether the lease does not exist: it expired, was revoked, or never existed (v3).
    pub fn is_lease_not_found(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::LeaseNotFound)
    }

    /// Returns whether the user does not have the permission (v3).
    pub fn is_permission_denied(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::PermissionDenied)
    }

    /// Returns whether there is currently no leader, or none that a majority follows (v3).
    pub fn is_no_leader(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoLeader)
    }

    /// Returns whether the database has reached its quota (v3). Reads and deletes still work.
    pub fn is_no_space(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::NoSpace)
    }

    /// Returns whether the events that a watch needs are no longer in the server's history (code 401).
    pub fn is_history_cleared(&self) -> bool {
        self.etcd_kind() == Some(EtcdErrorKind::HistoryCleared)
    }

    /// Returns whether the response is from another cluster than those before: an endpoint is wrong, or the cluster was
    /// replaced, or its data were lost or restored, so that a raft term or the revision went down. See [`ClientBuilder::allow_cluster_change`](crate::ClientBuilder::allow_cluster_change).
    pub fn is_cluster_changed(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::ClusterChanged)
    }

    /// Returns whether every endpoint responded with an older state of the store than was seen before. See
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

    /// Returns whether the response is larger than the client takes:
    /// [`max_response_size`](crate::ClientBuilder::max_response_size).
    pub fn is_too_large(&self) -> bool {
        self.unexpected_kind() == Some(UnexpectedKind::TooLarge)
    }

    fn unexpected_kind(&self) -> Option<UnexpectedKind> {
        match self {
            Self::Unexpected(error) => Some(error.parts.kind),
            _ => None,
        }
    }

    /// Returns whether the transport rejected the request because it cannot send it.
    pub(crate) fn is_rejected(&self) -> bool {
        let Self::Transport(error) = self else {
            return false;
        };
        error.error.kind() == TransportErrorKind::Rejected
    }

    /// Returns whether the server's certificate was not accepted.
    pub(crate) fn is_untrusted(&self) -> bool {
        matches!(self, Self::Transport(error) if error.error.kind() == TransportErrorKind::Untrusted)
    }

    /// Returns this error for a call of which an earlier attempt may have been applied.
    pub(crate) fn after_doubt(mut self, in_doubt: bool) -> Self {
        if let Some(context) = self.context_mut() {
            context.in_doubt |= in_doubt;
        }
        self
    }

    /// Whether it shows that nothing was done at its endpoint, and that another one may serve the call.
    pub(crate) fn is_not_served(&self) -> bool {
        match self {
            Self::Unsupported(error) => error.outcome() == Outcome::Rejected,
            Self::Http(error) => ForeignStatus::of(error.status()) == ForeignStatus::NotServed,
            Self::Etcd(error) => error.refusal.is_not_served,
            // A redirect that is not followed.
            Self::Unexpected(_) => self.is_foreign() && self.outcome() == Outcome::Rejected,
            _ => false,
        }
    }

    /// Whether etcd itself says that its member does not have the call.
    pub(crate) fn is_unsupported_by_etcd(&self) -> bool {
        matches!(self, Self::Unsupported(error) if !error.is_foreign)
    }

    /// Returns whether another endpoint may succeed with any call. A request that a server did not process does not show it.
    pub(crate) fn is_endpoint_fault(&self) -> bool {
        let is_unprocessed = match self {
            Self::Transport(error) => error.error.kind() == TransportErrorKind::Unprocessed,
            _ => false,
        };
        self.is_retryable() && !is_unprocessed
    }

    /// The endpoint of the last attempt.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        self.context().map(|context| &context.endpoint)
    }

    /// What `Display` says behind the operation and its endpoint.
    pub(crate) fn reason(&self) -> String {
        let text = self.to_string();
        let prefix = self.context().map(|context| format!("{context}: "));
        match prefix.and_then(|prefix| text.strip_prefix(&prefix).map(str::to_owned)) {
            Some(reason) => reason,
            None => text,
        }
    }

    /// Returns one word for what it is, as the `error.type` of a span: etcd's kind of error, the status of another server, or why
    /// there is no response.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Self::Etcd(error) => format!("{:?}", error.kind()),
            Self::Http(error) => error.status().as_str().to_owned(),
            Self::Transport(error) if error.error.is_unsent() => "not_sent".to_owned(),
            Self::Transport(_) => "interrupted".to_owned(),
            Self::Timeout(_) => "timed_out".to_owned(),
            Self::Unexpected(_) => "unexpected".to_owned(),
            Self::Unsupported(_) => "unsupported".to_owned(),
            Self::Invalid(_) => "invalid".to_owned(),
        }
    }

    /// Adds what is known of the call, whatever failed: its operation, whether it may change something, and its method and
    /// path, if the operation does not tell them.
    pub(crate) fn in_call(
        mut self,
        operation: &'static str,
        is_write: bool,
        request: Option<String>,
    ) -> Self {
        if let Some(context) = self.context_mut() {
            // Without its token, the call was not sent.
            let is_sent = context.operation == operation || context.in_doubt;
            context.is_write = is_write && is_sent;
            if request.is_some() {
                context.more().request = request;
            }
        }
        self
    }

    fn layer(&self) -> &(dyn StdError + 'static) {
        match self {
            Self::Etcd(error) => error,
            Self::Http(error) => error,
            Self::Transport(error) => error,
            Self::Timeout(error) => error,
            Self::Unexpected(error) => error,
            Self::Unsupported(error) => error,
            Self::Invalid(error) => error,
        }
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
        Self::Invalid(InvalidInput::of(operation, reason.into(), None))
    }

    /// The error for what etcd would refuse with this kind.
    pub(crate) fn invalid_as(
        kind: EtcdErrorKind,
        operation: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self::Invalid(InvalidInput::of(operation, reason.into(), Some(kind)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.layer(), f)?;
        let is_write = self.context().is_some_and(|context| context.is_write);
        if is_write && self.outcome() == Outcome::Unknown {
            f.write_str(" (the write may have been applied)")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.layer().source()
    }
}
